//! Cookies, forged with the server's own key (the layout that RFC 8915 section 6 suggests, and
//! that `nts::cookie` documents), and opened again.

use crate::siv;

/// The keys of the session that all these tests are about.
pub(crate) const C2S: [u8; siv::KEY] = [0x11; siv::KEY];
pub(crate) const S2C: [u8; siv::KEY] = [0x22; siv::KEY];
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

/// A cookie with these keys, which need not be of any use.
pub(crate) fn forge(master: Master, nonce: u8, keys: &[&[u8]]) -> Vec<u8> {
    let (id, nonce) = (master.id.to_be_bytes(), [nonce; 16]);
    let sealed = siv::seal(&master.key, &[&id, &nonce], &keys.concat());
    [&id[..], &nonce, &sealed].concat()
}

/// The session's cookie.
pub(crate) fn cookie() -> Vec<u8> {
    forge(CURRENT, 1, &[&C2S, &S2C])
}

/// The keys in a cookie that was sealed with `master`, in a row.
pub(crate) fn open(master: Master, cookie: &[u8]) -> Option<Vec<u8>> {
    let (id, rest) = cookie.split_first_chunk::<4>()?;
    let (nonce, sealed) = rest.split_first_chunk::<16>()?;
    let ours = *id == master.id.to_be_bytes();
    siv::open(&master.key, &[id, nonce], sealed).filter(|_| ours)
}
