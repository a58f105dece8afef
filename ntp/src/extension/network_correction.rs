//! The Network Correction field (RFC 10030): what a request's way to the server cost, told to the
//! client in the reply.

use clockwright_timebase::Duration;

use super::Field;

/// Its type.
pub const KIND: u16 = 0x010a;
/// Its body: the correction, then zeros.
const BODY: usize = 24;
/// The whole field.
pub const LENGTH: usize = BODY + 4;

/// A field that asks for it.
pub const ASK: [u8; LENGTH] = {
    let mut field = [0; LENGTH];
    [field[0], field[1]] = KIND.to_be_bytes();
    field[3] = 28;
    assert!(field.len() == 28);
    field
};

/// A field that tells `correction`; zero means that it is not known.
pub fn field(correction: Duration) -> [u8; LENGTH] {
    let mut field = ASK;
    field[4..].copy_from_slice(&body(correction));
    field
}

/// A field's body. What does not fit (68 years) becomes the nearest that does.
fn body(correction: Duration) -> [u8; BODY] {
    let bounds = (i128::from(i64::MIN), i128::from(i64::MAX));
    let fractions = correction.as_ntp_fractions().clamp(bounds.0, bounds.1);
    let fractions = i64::try_from(fractions).unwrap_or(i64::MAX);
    let mut body = [0; BODY];
    body[..8].copy_from_slice(&fractions.to_be_bytes());
    body
}

/// Is `field` one of these?
pub fn is_one(field: &Field<'_>) -> bool {
    field.kind == KIND && field.body.len() >= BODY
}

/// What `field` tells; `None` if it is another field, or too short.
pub fn read(field: &Field<'_>) -> Option<Duration> {
    if !is_one(field) {
        return None;
    }
    let fractions = i64::from_be_bytes(*field.body.first_chunk()?);
    Some(Duration::from_ntp_fractions(fractions))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(body: &[u8]) -> Field<'_> {
        Field {
            kind: KIND,
            body,
            offset: 48,
        }
    }

    #[test]
    fn seconds_and_fraction_as_in_a_timestamp() {
        let body = body(Duration::from_micros(1_500_000));
        assert_eq!(body[..8], [0, 0, 0, 1, 0x80, 0, 0, 0]);
        assert_eq!(body[8..], [0; 16]);
    }

    #[test]
    fn other_fields_tell_nothing() {
        let body = body(Duration::from_nanos(7));
        assert_eq!(read(&field(&body[..20])), None);
        let other = Field {
            kind: 0x0104,
            ..field(&body)
        };
        assert_eq!(read(&other), None);
    }

    proptest! {
        #[test]
        fn what_is_told_is_read(fractions: i64) {
            let told = Duration::from_ntp_fractions(fractions);
            prop_assert_eq!(read(&field(&body(told))), Some(told));
        }

        #[test]
        fn nothing_is_too_large_to_tell(units: i128) {
            let told = read(&field(&body(Duration::from_units(units >> 8)))).unwrap();
            prop_assert!(told == Duration::ZERO || told.is_negative() == (units < 0));
        }
    }
}
