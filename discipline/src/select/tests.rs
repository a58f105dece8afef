//! Who tells the truth, and who of them is followed.

use super::*;
use proptest::prelude::*;

fn voter(id: u32, offset_s: f64, distance_s: f64) -> Voter {
    Voter {
        id: SourceId(id),
        offset_s,
        distance_s,
        subordinate: false,
        stratum: 2,
        role: Role::default(),
        takes_over: false,
    }
}

/// By the defaults.
fn select(voters: &[Voter], selected: Option<SourceId>) -> Vec<(SourceId, State, Reason)> {
    super::select(voters, selected, &Selection::default())
}

fn state_of(verdicts: &[(SourceId, State, Reason)], id: u32) -> Option<State> {
    let found = verdicts.iter().find(|v| v.0 == SourceId(id));
    found.map(|v| v.1)
}

#[test]
fn the_one_that_lies_is_named_and_by_how_much() {
    let voters = [
        voter(1, 0.0, 1e-3),
        voter(2, 0.2e-3, 1e-3),
        voter(3, -0.1e-3, 1.2e-3),
        voter(4, 20e-3, 1e-3),
    ];
    let verdicts = select(&voters, None);
    assert_eq!(state_of(&verdicts, 4), Some(State::Falseticker));
    let reason = verdicts.iter().find(|v| v.0 == SourceId(4)).map(|v| v.2);
    let text = reason.map(|r| r.to_string()).unwrap_or_default();
    assert_eq!(
        text,
        "19.9 ms ahead of the 3 of 4 sources that agree; root distances explain only 1.9 ms"
    );
    assert_eq!(state_of(&verdicts, 1), Some(State::Selected));
    assert_eq!(state_of(&verdicts, 2), Some(State::Combined));
}

#[test]
fn two_that_contradict_each_other_are_both_refused() {
    let verdicts = select(&[voter(1, 0.0, 1e-3), voter(2, 1.0, 1e-3)], None);
    assert!(verdicts.iter().all(|v| v.1 == State::Unusable));
}

#[test]
fn half_is_no_majority() {
    let voters = [
        voter(1, 0.0, 1e-3),
        voter(2, 0.0, 1e-3),
        voter(3, 1.0, 1e-3),
        voter(4, 1.0, 1e-3),
    ];
    assert!(select(&voters, None).iter().all(|v| v.1 == State::Unusable));
}

#[test]
fn the_selection_goes_only_to_one_that_has_been_closer_for_long_enough() {
    let mut voters = [voter(1, 0.0, 1.0e-3), voter(2, 0.0, 0.1e-3)];
    let stays = select(&voters, Some(SourceId(1)));
    assert_eq!(state_of(&stays, 1), Some(State::Selected));
    voters[1].takes_over = true;
    let goes = select(&voters, Some(SourceId(1)));
    assert_eq!(state_of(&goes, 2), Some(State::Selected));
    // Not any more.
    voters[1].distance_s = 1.1e-3;
    let stays = select(&voters, Some(SourceId(1)));
    assert_eq!(state_of(&stays, 1), Some(State::Selected));
}

fn with(voter: Voter, role: Role) -> Voter {
    Voter { role, ..voter }
}

#[test]
fn a_preferred_one_is_followed_where_it_tells_the_truth() {
    let voters = [
        voter(1, 0.0, 1e-3),
        voter(2, 0.1e-3, 1e-3),
        with(voter(3, 0.2e-3, 4e-3), Role::PREFER),
        with(voter(4, 0.2e-3, 5e-3), Role::PREFER),
    ];
    let verdicts = select(&voters, Some(SourceId(1)));
    assert_eq!(state_of(&verdicts, 3), Some(State::Selected));
    assert_eq!(state_of(&verdicts, 4), Some(State::Combined));
    assert_eq!(state_of(&verdicts, 1), Some(State::Candidate));
    assert_eq!(
        reason_of(&verdicts, 2),
        "agrees, and a preferred source is followed"
    );
    // That it is preferred makes it no more right.
    let lie = with(voter(3, 20e-3, 4e-3), Role::PREFER);
    let verdicts = select(&[voters[0], voters[1], lie], Some(SourceId(3)));
    assert_eq!(state_of(&verdicts, 3), Some(State::Falseticker));
    assert_eq!(state_of(&verdicts, 1), Some(State::Selected));
}

#[test]
fn a_trusted_one_outvotes_all_others() {
    let voters = [
        with(voter(1, 0.0, 10e-3), Role::TRUST),
        voter(2, 50e-3, 1e-3),
        voter(3, 50e-3, 1e-3),
        voter(4, 4e-3, 1e-3),
        voter(5, 4e-3, 1e-3),
        voter(6, -7e-3, 1e-3),
    ];
    let verdicts = select(&voters, None);
    assert_eq!(state_of(&verdicts, 2), Some(State::Falseticker));
    assert_eq!(
        reason_of(&verdicts, 3),
        "46.0 ms ahead of the 1 of 1 trusted sources that agree; root distances explain only \
         2.0 ms"
    );
    // Where it leaves a choice, the others choose.
    assert_eq!(state_of(&verdicts, 4), Some(State::Selected));
    assert_eq!(state_of(&verdicts, 6), Some(State::Falseticker));
    assert_eq!(state_of(&verdicts, 1), Some(State::Candidate));
    // Two that contradict each other leave no one to follow, and three do.
    let two = [
        voters[0],
        with(voters[1], Role::TRUST),
        voters[3],
        voters[4],
    ];
    assert!(select(&two, None).iter().all(|v| v.1 == State::Unusable));
    assert!(reason_of(&select(&two, None), 4).contains("at most 1 of 2 trusted sources"));
    let three = [&two[..], &[with(voters[2], Role::TRUST)]].concat();
    assert_eq!(state_of(&select(&three, None), 4), Some(State::Falseticker));
}

#[test]
fn without_a_required_one_that_tells_the_truth_nobody_is_followed() {
    let policy = Selection {
        required: true,
        ..Selection::default()
    };
    let others = [voter(1, 0.0, 1e-3), voter(2, 0.0, 1e-3)];
    let nobody = super::select(&others, None, &policy);
    assert!(nobody.iter().all(|v| v.1 == State::Unusable));
    assert!(reason_of(&nobody, 1).ends_with("no required source does (source.require)"));
    let mut all = [
        others[0],
        others[1],
        with(voter(3, 0.0, 9e-3), Role::REQUIRE),
    ];
    let verdicts = super::select(&all, None, &policy);
    assert_eq!(state_of(&verdicts, 1), Some(State::Selected));
    all[2].offset_s = 20e-3;
    let verdicts = super::select(&all, None, &policy);
    assert_eq!(state_of(&verdicts, 3), Some(State::Falseticker));
    assert_eq!(state_of(&verdicts, 1), Some(State::Unusable));
}

#[test]
fn fewer_than_are_asked_for_are_not_followed() {
    let policy = Selection {
        min_sources: 3,
        ..Selection::default()
    };
    let mut voters = vec![
        voter(1, 0.0, 1e-3),
        voter(2, 0.0, 1e-3),
        voter(3, 1.0, 1e-3),
    ];
    // One without a voice does not count.
    voters.push(subordinate(4, 0.0, 1e-3));
    let verdicts = super::select(&voters, None, &policy);
    assert!(verdicts.iter().all(|v| v.1 != State::Selected));
    assert_eq!(
        reason_of(&verdicts, 1),
        "2 of the 3 sources that must agree (selection.min_sources)"
    );
    assert_eq!(state_of(&verdicts, 3), Some(State::Falseticker));
    voters.push(voter(5, 0.0, 1e-3));
    let verdicts = super::select(&voters, None, &policy);
    assert_eq!(state_of(&verdicts, 5), Some(State::Combined));
}

#[test]
fn the_limits_are_those_asked_for() {
    let policy = Selection {
        max_distance_s: 5e-3,
        combine_limit: 1.5,
        ..Selection::default()
    };
    let voters = [
        voter(1, 0.0, 1e-3),
        voter(2, 0.0, 2e-3),
        voter(3, 0.0, 6e-3),
    ];
    let verdicts = super::select(&voters, None, &policy);
    assert_eq!(state_of(&verdicts, 2), Some(State::Candidate));
    assert_eq!(
        reason_of(&verdicts, 3),
        "root distance 6.0 ms is not below 5.0 ms"
    );
}

#[test]
fn a_stratum_weighs_as_much_as_is_asked_for() {
    let mut voters = [voter(1, 0.0, 1.0e-3), voter(2, 0.0, 1.5e-3)];
    voters[0].stratum = 3;
    let with = |weight_s| {
        let policy = Selection {
            stratum_weight_s: weight_s,
            ..Selection::default()
        };
        super::select(&voters, None, &policy)
    };
    assert_eq!(state_of(&with(0.0), 1), Some(State::Selected));
    assert_eq!(state_of(&with(1e-3), 2), Some(State::Selected));
    assert_eq!(state_of(&with(1e-3), 1), Some(State::Combined));
    assert_eq!(state_of(&with(5e-3), 1), Some(State::Candidate));
}

fn subordinate(id: u32, offset_s: f64, distance_s: f64) -> Voter {
    Voter {
        subordinate: true,
        ..voter(id, offset_s, distance_s)
    }
}

fn reason_of(verdicts: &[(SourceId, State, Reason)], id: u32) -> String {
    let found = verdicts.iter().find(|v| v.0 == SourceId(id));
    found.map(|v| v.2.to_string()).unwrap_or_default()
}

#[test]
fn a_majority_without_a_voice_is_contradicted_by_one_that_has_it() {
    let voters = [
        voter(1, 0.0, 10e-3),
        subordinate(2, 50e-3, 1e-3),
        subordinate(3, 50e-3, 1e-3),
        subordinate(4, 2e-3, 1e-3),
        subordinate(5, 3e-3, 40e-3),
    ];
    let verdicts = select(&voters, Some(SourceId(2)));
    assert_eq!(state_of(&verdicts, 1), Some(State::Selected));
    assert_eq!(state_of(&verdicts, 2), Some(State::Falseticker));
    assert_eq!(
        reason_of(&verdicts, 2),
        "50.0 ms ahead of the 1 of 1 authenticated sources that agree; root distances explain \
         only 11.0 ms"
    );
    // Closer to UTC than the selected one, if it is to be believed: averaged, not selected.
    assert_eq!(state_of(&verdicts, 4), Some(State::Combined));
    assert_eq!(state_of(&verdicts, 5), Some(State::Candidate));
}

#[test]
fn one_without_a_voice_does_not_draw_the_average_out_of_what_is_agreed_on() {
    let voters = [voter(1, 0.0, 10e-3), subordinate(2, -12e-3, 3e-3)];
    let verdicts = select(&voters, None);
    assert_eq!(state_of(&verdicts, 2), Some(State::Candidate));
    assert_eq!(
        reason_of(&verdicts, 2),
        "agrees, but lies 2.0 ms behind what the authenticated sources agree on"
    );
}

#[test]
fn without_a_majority_of_those_that_have_a_voice_nobody_is_followed() {
    let others = [subordinate(3, 0.0, 1e-3), subordinate(4, 0.0, 1e-3)];
    let verdicts = select(&others, None);
    assert!(verdicts.iter().all(|v| v.1 == State::Unusable));
    assert!(reason_of(&verdicts, 3).starts_with("no authenticated source can be believed"));

    let two = [voter(1, 0.0, 1e-3), voter(2, 1.0, 1e-3)];
    let verdicts = select(&[two, others].concat(), None);
    assert!(reason_of(&verdicts, 1).starts_with("no majority: at most 1 of 2"));
    assert!(reason_of(&verdicts, 3).contains("not followed alone"));
    // Too distant to be believed is as good as not there.
    let verdicts = select(&[&[voter(1, 0.0, 4.0)], &others[..]].concat(), None);
    assert!(reason_of(&verdicts, 4).contains("not followed alone"));
}

proptest! {
    /// Those without a voice change nothing for the others, are never selected, and lie, if
    /// they are averaged, within what all believed ones with a voice say.
    #[test]
    fn voters_without_a_voice_decide_nothing(
        with in prop::collection::vec((-1.0f64..1.0, 1e-3f64..2.0), 0..5),
        without in prop::collection::vec((-1.0f64..1.0, 1e-6f64..2.0), 0..12),
        selected in 0u32..20,
    ) {
        let mut voters: Vec<_> = (0..).zip(&with).map(|(i, (o, d))| voter(i, *o, *d)).collect();
        let selected = Some(SourceId(selected));
        let mut alone = select(&voters, selected);
        voters.extend((10..).zip(&without).map(|(i, (o, d))| subordinate(i, *o, *d)));
        let (others, mut ordinary): (Vec<_>, Vec<_>) =
            select(&voters, selected).into_iter().partition(|v| v.0 >= SourceId(10));
        for verdicts in [&mut alone, &mut ordinary] {
            verdicts.sort_by_key(|v| v.0);
        }
        prop_assert_eq!(&ordinary, &alone);
        prop_assert_eq!(others.len(), without.len());
        let believed = |v: &&(SourceId, State, Reason)| {
            matches!(v.1, State::Selected | State::Combined | State::Candidate)
        };
        let find = |id: SourceId| voters.iter().find(|voter| voter.id == id);
        for (id, state, _) in &others {
            prop_assert_ne!(*state, State::Selected);
            if *state != State::Combined {
                continue;
            }
            prop_assert!(ordinary.iter().any(|v| v.1 == State::Selected));
            let offset_s = find(*id).map_or(f64::NAN, |voter| voter.offset_s);
            for verdict in ordinary.iter().filter(believed) {
                let within = find(verdict.0)
                    .is_some_and(|voter| voter.low() <= offset_s && offset_s <= voter.high());
                prop_assert!(within, "{id:?} of {voters:?}");
            }
        }
    }

    #[test]
    fn each_voter_gets_one_part_and_at_most_one_is_selected(
        raw in prop::collection::vec((-1.0f64..1.0, 1e-6f64..5.0), 0..12),
    ) {
        let voters: Vec<_> = (0..).zip(&raw).map(|(i, (o, d))| voter(i, *o, *d)).collect();
        let verdicts = select(&voters, None);
        prop_assert_eq!(verdicts.len(), voters.len());
        let selected = verdicts.iter().filter(|v| v.1 == State::Selected).count();
        prop_assert!(selected <= 1);
    }

    /// With a majority within their distances of the truth, what is believed is true, too.
    #[test]
    fn a_true_majority_is_believed(
        honest in prop::collection::vec((-1.0f64..1.0, 1e-4f64..1e-1), 3..6),
        liars in prop::collection::vec((1.0f64..2.0, 1e-4f64..1e-1), 0..2),
    ) {
        let mut voters: Vec<_> = (0..)
            .zip(&honest)
            .map(|(i, (part, d))| voter(i, part * d, *d))
            .collect();
        voters.extend((100..).zip(&liars).map(|(i, (o, d))| voter(i, *o, *d)));
        for (id, state, _) in select(&voters, None) {
            let lies = id.0 >= 100;
            prop_assert_eq!(state == State::Falseticker, lies);
        }
    }
}
