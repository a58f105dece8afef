//! Cookies: none opens that was not made, or was changed.
#![no_main]

use clockwright_fuzz::dice::Dice;
use clockwright_fuzz::piece::Damage;
use clockwright_fuzz::session::{algorithm, cookie, cookie_keys, keys};
use clockwright_ntp::nts::CookieJar;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, u64, Damage, &[u8])| {
    let (gcm, seed, damage, octets) = input;
    let algorithm = algorithm(gcm);
    let mut jar = CookieJar::new(&cookie_keys());
    assert_eq!(jar.open(octets), None, "made by nobody");
    let made = cookie(algorithm, &mut Dice(seed));
    let mut changed = made.clone();
    damage.apply(&mut changed);
    changed.extend(octets);
    let expected = (changed == made).then(|| keys(algorithm));
    assert_eq!(jar.open(&changed), expected);
});
