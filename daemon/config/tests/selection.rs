//! `[selection]`, and what a source is to the others.

use super::*;
use crate::config::SourcePart;

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn what_a_source_is_to_the_others_goes_with_every_kind() {
    let text = "[[source]]\nserver = 'a'\nprefer = true\ntrust = true\n\
                [[source]]\npool = 'b'\nnoselect = true\n\
                [[source]]\nphc = 'eth0'\nrequire = true\n";
    let config = parse(text).unwrap();
    let names: Vec<_> = config.sources.iter().map(|s| s.part().names()).collect();
    assert_eq!(
        names,
        [vec!["prefer", "trust"], vec!["noselect"], vec!["require"]]
    );
    assert_eq!(SourcePart::default().names(), [""; 0]);
}

#[test]
fn it_can_be_changed_while_the_source_goes_on() {
    let with = |keys: &str| parse(&format!("[[source]]\nserver = 'a'\n{keys}")).unwrap();
    let changes = with("").changes_to(&with("prefer = true\n"));
    assert_eq!((changes.added.len(), changes.altered.len()), (0, 1));
    let clock = |keys: &str| parse(&format!("[[source]]\nphc = 'eth0'\n{keys}")).unwrap();
    let changes = clock("").changes_to(&clock("trust = true\n"));
    assert_eq!(changes.refclocks.altered.len(), 1);
    let changes = with("").changes_to(&with("[selection]\nmin_sources = 1\nmax_stratum = 4\n"));
    assert_eq!(changes.settings, ["selection.max_stratum"]);
}

#[test]
fn measured_only_goes_with_nothing_that_makes_it_followed() {
    for key in ["prefer", "trust", "require"] {
        let shown = refused(&format!(
            "[[source]]\nserver = 'a'\nnoselect = true\n{key} = true\n"
        ));
        let expected = format!(
            "c.toml:4:{}: `{key}` and `noselect` contradict",
            key.len() + 4
        );
        assert!(shown.contains(&expected), "{shown}");
        let text = format!("[[source]]\nserver = 'a'\nnoselect = false\n{key} = true\n");
        assert!(parse(&text).is_ok());
    }
    let shown = refused("[[source]]\nserver = 'a'\nnoselect = true\n");
    assert!(shown.contains("every source has `noselect`"), "{shown}");
}

#[test]
fn no_more_sources_can_be_asked_for_than_there_are() {
    let sources = "[[source]]\nserver = 'a'\n[[source]]\npool = 'b'\npool_size = 2\n\
                   [[source]]\nserver = 'c'\nnoselect = true\n[selection]\n";
    assert!(parse(&format!("{sources}min_sources = 3\n")).is_ok());
    let shown = refused(&format!("{sources}min_sources = 4\n"));
    assert!(
        shown.contains("4 sources must agree, and 3 can be followed at most"),
        "{shown}"
    );
}

#[test]
fn limits_out_of_range_or_the_wrong_way_round_are_refused() {
    for (keys, what) in [
        ("min_sources = 0", "0 is not between 1 and 64"),
        ("max_stratum = 16", "stratum 16 is not between 0"),
        (
            "min_stratum = 3\nmax_stratum = 2",
            "3, is above the highest, 2",
        ),
        ("max_distance = '4s'", "must not be longer than 3s"),
        ("max_distance = '0s'", "must be longer than 0s"),
        ("min_distance = '-1ms'", "must not be negative"),
        ("min_distance = '2ms'\nmax_distance = '1ms'", "near enough"),
        ("combine_limit = 1001", "1001 is not between 0 and 1000"),
        ("reselect_distance = '3s'", "must be shorter than 3s"),
        ("stratum_weight = '-1s'", "must not be negative"),
    ] {
        let shown = refused(&format!("[[source]]\nserver = 'a'\n[selection]\n{keys}\n"));
        assert!(shown.contains(what), "{keys}: {shown}");
    }
}
