//! Cookies, forged with the server's own key (the layout that `nts::cookie` documents), and opened again.

use crate::siv;

/// The keys of the session that all these tests are about.
pub(crate) const C2S: [u8; siv::KEY] = [0x11; siv::KEY];
pub(crate) const S2C: [u8; siv::KEY] = [0x22; siv::KEY];
/// Octets in front of the keys that make each cookie another one.
const RANDOM: usize = 16;
/// Keys of nobody.
pub(crate) const STRANGE: [u8; siv::KEY] = [0x33; siv::KEY];

/// A key that seals cookies, with the name that it goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Master {
    pub(crate) id: u32,
    pub(crate) key: [u8; siv::KEY],
}

/// The key that the server seals with.
pub(crate) const CURRENT: Master = Master {
    id: 0x0102_0304,
    key: [0x44; siv::KEY],
};
/// The one it sealed with before.
pub(crate) const FORMER: Master = Master {
    id: 0x0506_0708,
    key: [0x55; siv::KEY],
};
/// One that it has forgotten.
pub(crate) const FORGOTTEN: Master = Master {
    id: 0x090a_0b0c,
    key: [0x66; siv::KEY],
};

/// A cookie with these keys, which need not be of any use, and an octet for the random ones.
pub(crate) fn forge(master: Master, random: u8, keys: &[&[u8]]) -> Vec<u8> {
    let (id, random) = (master.id.to_be_bytes(), [random; RANDOM]);
    let sealed = siv::seal(&master.key, &[], &[&random, &keys.concat()[..]].concat());
    [&id[..], &sealed].concat()
}

/// The session's cookie.
pub(crate) fn cookie() -> Vec<u8> {
    forge(CURRENT, 1, &[&C2S, &S2C])
}

/// The keys in a cookie that was sealed with `master`, in a row.
pub(crate) fn open(master: Master, cookie: &[u8]) -> Option<Vec<u8>> {
    let (id, sealed) = cookie.split_first_chunk::<4>()?;
    let ours = *id == master.id.to_be_bytes();
    let opened = siv::open(&master.key, &[], sealed).filter(|_| ours)?;
    opened.get(RANDOM..).map(<[u8]>::to_vec)
}
