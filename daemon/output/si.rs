//! Numbers as people read them: three digits, an SI unit, a sign where it means something.

/// Steps of a thousand below the second.
const SMALL: [(&str, f64); 4] = [("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9), ("ps", 1e-12)];

/// A span of time without a sign: `12.3 us`, `1.50 s`, `214 s`.
pub fn span(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "-".to_owned();
    }
    let magnitude = seconds.abs();
    let sign = if seconds < 0.0 { "-" } else { "" };
    if magnitude < 0.5e-12 {
        return "0 s".to_owned();
    }
    // 999.5 ms would be shown as 1000 ms: the next unit begins where rounding reaches it.
    if magnitude >= 0.9995 {
        return format!("{sign}{} s", digits(magnitude));
    }
    let (unit, scale) = SMALL
        .into_iter()
        .find(|(_, scale)| magnitude >= 0.9995 * scale)
        .unwrap_or(("ps", 1e-12));
    format!("{sign}{} {unit}", digits(magnitude / scale))
}

/// A difference of time with its sign: `+12.3 ns`, `-1.20 ms`.
pub fn signed(seconds: f64) -> String {
    let shown = span(seconds);
    if seconds > 0.0 && seconds.is_finite() && shown != "0 s" {
        format!("+{shown}")
    } else {
        shown
    }
}

/// A rate of bits: `25 Gb/s`, `100 Mb/s`, `2.5 Gb/s`.
pub fn rate(bits_per_second: f64) -> String {
    const UNITS: [(&str, f64); 4] = [("Tb/s", 1e12), ("Gb/s", 1e9), ("Mb/s", 1e6), ("kb/s", 1e3)];
    if !bits_per_second.is_finite() {
        return "-".to_owned();
    }
    let (unit, scale) = UNITS
        .into_iter()
        .find(|(_, scale)| bits_per_second >= *scale)
        .unwrap_or(("b/s", 1.0));
    // Links have round speeds: 2.5, 10, 100; digits beyond the first would be noise.
    format!("{} {unit}", (bits_per_second / scale * 10.0).round() / 10.0)
}

/// A frequency with its sign: `+12.345 ppm`.
pub fn ppm(ppm: f64) -> String {
    if ppm.is_finite() {
        format!("{ppm:+.3} ppm")
    } else {
        "-".to_owned()
    }
}

/// How long ago: `3 s`, `12 min`, `5 h`, `3 d`.
pub fn age(seconds: f64) -> String {
    let (unit, length) = match seconds {
        s if !s.is_finite() => return "-".to_owned(),
        s if s < 120.0 => ("s", 1.0),
        s if s < 7_200.0 => ("min", 60.0),
        s if s < 172_800.0 => ("h", 3_600.0),
        _ => ("d", 86_400.0),
    };
    format!("{:.0} {unit}", (seconds / length).floor().max(0.0))
}

/// Three significant digits; a whole number from a hundred on.
fn digits(number: f64) -> String {
    if number >= 99.95 {
        format!("{number:.0}")
    } else if number >= 9.995 {
        format!("{number:.1}")
    } else {
        format!("{number:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_digits_and_a_unit() {
        for (seconds, shown) in [
            (12.34e-9, "+12.3 ns"),
            (-1.2e-3, "-1.20 ms"),
            (0.0, "0 s"),
            (1e-13, "0 s"),
            (1.5, "+1.50 s"),
            (214.4, "+214 s"),
            (123_456.0, "+123456 s"),
            (999.4e-6, "+999 us"),
            (999.6e-6, "+1.00 ms"),
            (9.996e-6, "+10.0 us"),
            (99.96e-9, "+100 ns"),
            (-5e-12, "-5.00 ps"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
        ] {
            assert_eq!(signed(seconds), shown, "{seconds}");
        }
        assert_eq!(span(25e-6), "25.0 us");
        assert_eq!(ppm(-12.3456), "-12.346 ppm");
    }

    #[test]
    fn rates_are_round() {
        assert_eq!(rate(1e9), "1 Gb/s");
        assert_eq!(rate(2.5e9), "2.5 Gb/s");
        assert_eq!(rate(10e6), "10 Mb/s");
        assert_eq!(rate(400e9), "400 Gb/s");
    }

    #[test]
    fn ages_are_coarse() {
        assert_eq!(age(0.4), "0 s");
        assert_eq!(age(64.9), "64 s");
        assert_eq!(age(600.0), "10 min");
        assert_eq!(age(90_000.0), "25 h");
        assert_eq!(age(1e6), "11 d");
    }

    proptest! {
        /// What is shown is the number, to three digits.
        #[test]
        fn shown_is_what_was_given(seconds in prop_oneof![-1e3f64..1e3, -1e-3f64..1e-3, -1e-8f64..1e-8]) {
            prop_assume!(seconds.abs() > 1e-11);
            let shown = signed(seconds);
            let (number, unit) = shown.split_once(' ').unwrap();
            let scale = SMALL.iter().find(|(name, _)| *name == unit).map_or(1.0, |(_, scale)| *scale);
            let back: f64 = number.parse::<f64>().unwrap() * scale;
            prop_assert!((back - seconds).abs() <= seconds.abs() * 0.0051, "{} {}", seconds, shown);
            prop_assert!(number.trim_start_matches(['+', '-']).len() <= 5);
        }
    }
}
