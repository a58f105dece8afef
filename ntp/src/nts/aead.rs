//! The AEAD algorithms of NTS: names, lengths, keys, sealing and opening in place.

use core::fmt;

use aes::Aes128Enc;
use aes_gcm_siv::aead::AeadInOut as _;
use aes_gcm_siv::aead::inout::InOutBuf;
use aes_gcm_siv::{AesGcmSiv, KeyInit as _, Nonce};
use aes_siv::siv::CmacSiv;

use super::secret::Secret;

/// Octets of the tag, of both algorithms.
pub const TAG: usize = 16;
/// The longest key, octets.
pub const LONGEST_KEY: usize = 32;
/// The longest nonce this crate makes, octets. Others may be longer (AES-SIV takes any).
pub const LONGEST_NONCE: usize = 16;

/// An AEAD algorithm (IANA registry "AEAD Algorithms").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// AES-SIV-CMAC-256 (RFC 5297), which everybody has to have (RFC 8915 section 5.1).
    AesSivCmac256,
    /// AES-128-GCM-SIV (RFC 8452): shorter keys, hence shorter cookies and packets.
    Aes128GcmSiv,
}

impl Algorithm {
    /// All of them, the preferred one first: shorter packets pass more filters.
    pub const ALL: [Self; 2] = [Self::Aes128GcmSiv, Self::AesSivCmac256];

    /// The algorithm with this number, if it is one of these.
    pub const fn from_id(id: u16) -> Option<Self> {
        match id {
            15 => Some(Self::AesSivCmac256),
            30 => Some(Self::Aes128GcmSiv),
            _ => None,
        }
    }

    /// Its number.
    pub const fn id(self) -> u16 {
        match self {
            Self::AesSivCmac256 => 15,
            Self::Aes128GcmSiv => 30,
        }
    }

    /// Its name, as in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesSivCmac256 => "AES-SIV-CMAC-256",
            Self::Aes128GcmSiv => "AES-128-GCM-SIV",
        }
    }

    /// Octets of a key.
    pub const fn key_length(self) -> usize {
        match self {
            Self::AesSivCmac256 => 32,
            Self::Aes128GcmSiv => 16,
        }
    }

    /// Octets of the nonces this crate makes: all that GCM-SIV allows, 16 for SIV (RFC 8915 section
    /// 5.6 asks for `min(16, N_MAX)`, so that no further padding is needed).
    pub const fn nonce_length(self) -> usize {
        match self {
            Self::AesSivCmac256 => 16,
            Self::Aes128GcmSiv => 12,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A key of an algorithm; wiped when dropped, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    algorithm: Algorithm,
    octets: Secret<LONGEST_KEY>,
}

impl Key {
    /// A key of `algorithm`; `None` if `octets` are not as many as its keys have.
    pub fn new(algorithm: Algorithm, octets: &[u8]) -> Option<Self> {
        let length = algorithm.key_length();
        if octets.len() != length {
            return None;
        }
        let mut key = Secret::new();
        key.get_mut(..length)?.copy_from_slice(octets);
        Some(Self {
            algorithm,
            octets: key,
        })
    }

    /// What it is a key of.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The secret itself.
    pub fn expose(&self) -> &[u8] {
        self.octets
            .get(..self.algorithm.key_length())
            .unwrap_or_default()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.algorithm)
    }
}

/// A key made ready for use: its schedule is computed once.
pub struct Cipher(Schedule);

/// Neither mode ever decrypts a block: half of a key's schedule is not computed. Both make schedules
/// for each packet, and it shows.
enum Schedule {
    Siv(CmacSiv<Aes128Enc>),
    GcmSiv(AesGcmSiv<Aes128Enc>),
}

/// What was to be sealed has no room for its tag, or the nonce is of no use with the algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsealable;

impl fmt::Display for Unsealable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room for the tag, or a nonce of the wrong length")
    }
}

impl std::error::Error for Unsealable {}

impl Cipher {
    /// Computes the key's schedule.
    pub fn new(key: &Key) -> Self {
        let octets = key.octets.as_slice();
        Self(match key.algorithm {
            Algorithm::AesSivCmac256 => {
                let (key, _) = octets.split_first_chunk::<32>().unwrap_or((&[0; 32], &[]));
                Schedule::Siv(CmacSiv::new(key.into()))
            }
            Algorithm::Aes128GcmSiv => {
                let (key, _) = octets.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
                Schedule::GcmSiv(AesGcmSiv::new(key.into()))
            }
        })
    }

    /// Seals what is in `buffer`, all but its last [`TAG`] octets, which are room for the tag.
    /// Afterwards the whole of it is the ciphertext that RFC 5116 speaks of. `&mut` is the
    /// library's scratch; the key stays what it is.
    pub fn seal(
        &mut self,
        nonce: &[u8],
        associated: &[u8],
        buffer: &mut [u8],
    ) -> Result<(), Unsealable> {
        let plain = buffer.len().checked_sub(TAG).ok_or(Unsealable)?;
        match &mut self.0 {
            Schedule::Siv(siv) => {
                if nonce.is_empty() {
                    return Err(Unsealable);
                }
                // RFC 5297 section 2.6: the synthetic IV comes first.
                buffer.copy_within(..plain, TAG);
                let (tag, text) = buffer.split_at_mut(TAG);
                let sealed = siv
                    .encrypt_inout_detached([associated, nonce], InOutBuf::from(text))
                    .map_err(|_| Unsealable)?;
                tag.copy_from_slice(&sealed);
            }
            Schedule::GcmSiv(gcm) => {
                let nonce = Nonce::try_from(nonce).map_err(|_| Unsealable)?;
                let (text, tag) = buffer.split_at_mut(plain);
                let sealed = gcm
                    .encrypt_inout_detached(&nonce, associated, InOutBuf::from(text))
                    .map_err(|_| Unsealable)?;
                tag.copy_from_slice(&sealed);
            }
        }
        Ok(())
    }

    /// Opens the ciphertext in `buffer` in place and gives the plaintext; `None` if it is not what
    /// was sealed with this key, this nonce and this associated data. Tags are compared in constant
    /// time.
    pub fn open<'b>(
        &mut self,
        nonce: &[u8],
        associated: &[u8],
        buffer: &'b mut [u8],
    ) -> Option<&'b [u8]> {
        let plain = buffer.len().checked_sub(TAG)?;
        match &mut self.0 {
            Schedule::Siv(siv) => {
                if nonce.is_empty() {
                    return None;
                }
                let (tag, text) = buffer.split_at_mut(TAG);
                let tag = aes_siv::Tag::try_from(&*tag).ok()?;
                siv.decrypt_inout_detached([associated, nonce], InOutBuf::from(&mut *text), &tag)
                    .ok()?;
                Some(text)
            }
            Schedule::GcmSiv(gcm) => {
                let nonce = Nonce::try_from(nonce).ok()?;
                let (text, tag) = buffer.split_at_mut(plain);
                let tag = aes_gcm_siv::Tag::try_from(&*tag).ok()?;
                gcm.decrypt_inout_detached(&nonce, associated, InOutBuf::from(&mut *text), &tag)
                    .ok()?;
                Some(text)
            }
        }
    }
}

/// A key of AES-SIV that seals texts of which none comes twice: without a nonce, which there is
/// nothing for (RFC 5297 section 1.1, "deterministic authenticated encryption").
pub(super) struct Wrap(CmacSiv<Aes128Enc>);

/// No associated data.
const NOTHING: [&[u8]; 0] = [];

impl Wrap {
    /// Computes the key's schedule; `None` if it is a key of another algorithm.
    pub(super) fn new(key: &Key) -> Option<Self> {
        match Cipher::new(key).0 {
            Schedule::Siv(siv) => Some(Self(siv)),
            Schedule::GcmSiv(_) => None,
        }
    }

    /// Seals what is in `buffer` behind its first [`TAG`] octets, which are room for the tag.
    pub(super) fn seal(&mut self, buffer: &mut [u8]) -> Result<(), Unsealable> {
        let (tag, text) = buffer.split_at_mut_checked(TAG).ok_or(Unsealable)?;
        let sealed = self
            .0
            .encrypt_inout_detached(NOTHING, InOutBuf::from(text))
            .map_err(|_| Unsealable)?;
        tag.copy_from_slice(&sealed);
        Ok(())
    }

    /// Opens what was sealed, in place, and gives the text; `None` if it was not, with this key.
    pub(super) fn open<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let (tag, text) = buffer.split_at_mut_checked(TAG)?;
        let tag = aes_siv::Tag::try_from(&*tag).ok()?;
        self.0
            .decrypt_inout_detached(NOTHING, InOutBuf::from(&mut *text), &tag)
            .ok()?;
        Some(text)
    }
}

impl fmt::Debug for Wrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrap(AES-SIV-CMAC-256)")
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Schedule::Siv(_) => "Cipher(AES-SIV-CMAC-256)",
            Schedule::GcmSiv(_) => "Cipher(AES-128-GCM-SIV)",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn octets(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex
            .chars()
            .map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap())
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    }

    fn seal(cipher: &mut Cipher, nonce: &[u8], associated: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut buffer = plain.to_vec();
        buffer.resize(plain.len() + TAG, 0);
        cipher.seal(nonce, associated, &mut buffer).unwrap();
        buffer
    }

    #[test]
    fn gcm_siv_is_that_of_rfc_8452_appendix_c_1() {
        let key = Key::new(
            Algorithm::Aes128GcmSiv,
            &octets("01000000000000000000000000000000"),
        );
        let mut cipher = Cipher::new(&key.unwrap());
        let sealed = seal(
            &mut cipher,
            &octets("030000000000000000000000"),
            &[],
            &octets("0100000000000000"),
        );
        assert_eq!(
            sealed,
            octets("b5d839330ac7b786578782fff6013b815b287c22493a364c")
        );
    }

    #[test]
    fn siv_takes_associated_data_and_nonce_as_two_strings() {
        // RFC 5297 section 6, computed with another implementation (Python's cryptography):
        // AESSIV(key).encrypt(b"text", [b"header", bytes(range(16))]).
        let key: Vec<u8> = (0..32).collect();
        let mut cipher = Cipher::new(&Key::new(Algorithm::AesSivCmac256, &key).unwrap());
        let nonce: Vec<u8> = (0..16).collect();
        let sealed = seal(&mut cipher, &nonce, b"header", b"text");
        assert_eq!(sealed, octets("b4521dd450d1714006b42aa5c96ad19d27d08e34"));
    }

    #[test]
    fn what_is_wrapped_is_as_rfc_5297_says() {
        // Computed with another implementation (Python's cryptography):
        // AESSIV(key).encrypt(bytes(range(20)), []).
        let key: Vec<u8> = (0..32).collect();
        let key = Key::new(Algorithm::AesSivCmac256, &key).unwrap();
        let mut wrap = Wrap::new(&key).unwrap();
        let mut buffer: Vec<u8> = std::iter::repeat_n(0, TAG).chain(0..20).collect();
        wrap.seal(&mut buffer).unwrap();
        assert_eq!(
            buffer,
            octets("e5b53557708daeb679c2b6a257d22c959e66b30379201b61de48ea9fda5cc7145947cab3")
        );
        assert!(wrap.open(&mut buffer).unwrap().iter().copied().eq(0..20));
        assert!(Wrap::new(&Key::new(Algorithm::Aes128GcmSiv, &[0; 16]).unwrap()).is_none());
    }

    #[test]
    fn keys_have_their_length_and_do_not_show_themselves() {
        assert!(Key::new(Algorithm::AesSivCmac256, &[0; 16]).is_none());
        assert!(Key::new(Algorithm::Aes128GcmSiv, &[0; 32]).is_none());
        let key = Key::new(Algorithm::Aes128GcmSiv, &[0x5a; 16]).unwrap();
        assert_eq!(format!("{key:?}"), "Key(AES-128-GCM-SIV)");
        assert_eq!(key.expose(), [0x5a; 16]);
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_nothing_else_does(
            id in prop::sample::select(vec![15, 30]),
            key: [u8; 32],
            nonce: [u8; 16],
            associated in prop::collection::vec(any::<u8>(), 0..80),
            plain in prop::collection::vec(any::<u8>(), 0..80),
            flip: prop::sample::Index,
        ) {
            let algorithm = Algorithm::from_id(id).unwrap();
            let key = Key::new(algorithm, &key[..algorithm.key_length()]).unwrap();
            let mut cipher = Cipher::new(&key);
            let nonce = &nonce[..algorithm.nonce_length()];
            let sealed = seal(&mut cipher, nonce, &associated, &plain);
            let opened = cipher.open(nonce, &associated, &mut sealed.clone()).map(<[u8]>::to_vec);
            prop_assert_eq!(opened, Some(plain));
            let mut forged = sealed.clone();
            forged[flip.index(sealed.len())] ^= 1;
            prop_assert_eq!(cipher.open(nonce, &associated, &mut forged), None);
            let more = [&associated[..], &[0]].concat();
            let (mut one, mut other) = (sealed.clone(), sealed);
            prop_assert_eq!(cipher.open(nonce, &more, &mut one), None);
            prop_assert_eq!(cipher.open(&[], &associated, &mut other), None);
        }

        #[test]
        fn no_octets_make_it_panic(
            id in prop::sample::select(vec![15, 30]),
            nonce in prop::collection::vec(any::<u8>(), 0..40),
            mut text in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let algorithm = Algorithm::from_id(id).unwrap();
            let key = Key::new(algorithm, &[7; 32][..algorithm.key_length()]).unwrap();
            prop_assert_eq!(Cipher::new(&key).open(&nonce, &[], &mut text), None);
        }
    }
}
