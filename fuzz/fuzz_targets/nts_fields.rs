//! NTS fields in any order, well made and not.
#![no_main]

use clockwright_fuzz::piece::{Damage, Piece, Truth};
use clockwright_fuzz::session::{algorithm, keys};
use clockwright_ntp::extension::Extensions;
use clockwright_ntp::nts::field::{AUTHENTICATOR, COOKIE, NtsFields, UNIQUE_ID};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, Vec<Piece>, Damage)| {
    let (gcm, pieces, damage) = input;
    let truth = Truth {
        id: &[1; 32],
        cookie: &[2; 100],
        keys: &keys(algorithm(gcm)),
    };
    let mut packet = vec![0; 48];
    for piece in &pieces {
        piece.write(&mut packet, &truth);
    }
    damage.apply(&mut packet);
    let Ok(extensions) = Extensions::parse(&packet) else {
        return;
    };
    let kinds: Vec<u16> = extensions.fields().map(|field| field.kind).collect();
    let seals = kinds.iter().filter(|kind| **kind == AUTHENTICATOR).count();
    let covered = kinds.iter().take_while(|kind| **kind != AUTHENTICATOR);
    let count = |wanted| covered.clone().filter(|kind| **kind == wanted).count();
    match NtsFields::read(&extensions) {
        Ok(Some(fields)) => {
            assert_eq!((seals, count(UNIQUE_ID)), (1, 1));
            assert_eq!(count(COOKIE), usize::from(fields.cookie.is_some()));
        }
        Ok(None) => assert_eq!((seals, count(COOKIE)), (0, 0)),
        Err(_) => assert!(seals > 0 || count(COOKIE) > 0 || count(UNIQUE_ID) > 1),
    }
});
