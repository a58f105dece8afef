//! Servers that ask each other and have nobody else to ask.
//!
//! A server without a source may serve its own clock all the same, at a stratum that all of its
//! group have agreed on: as an *orphan*. Exactly one orphan of a group is to be followed, so that
//! the group stays together: the one with the lowest reference id, which is that of its address.
//! Each server compares the lowest it sees with its own, as that one sees it; who finds none
//! lower leads, which means that it follows nobody. Those that follow the leader say a stratum
//! above that of orphans, and are followed by nobody of the group; so there are no circles.
//!
//! An orphan knows nothing of UTC. It is followed only where nobody below its stratum can be, and
//! not by a clock that still knows the time from a source it had.

use crate::estimate::SourceId;
use crate::part::Reason;

/// How a source and this host are named as references (RFC 5905 section 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identities {
    /// The source, by the address it is asked at.
    pub source: [u8; 4],
    /// This host, by the address that the source sees.
    pub own: [u8; 4],
}

/// Why an orphan is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrphanReason {
    /// Another source knows the time.
    NotNeeded,
    /// This clock still knows the time from a source that it had.
    Holding,
    /// Another orphan has a lower reference id.
    NotLowest,
    /// No orphan has a lower reference id than this host.
    NotBelowUs,
    /// By which address it sees this host is not known.
    Unknown,
}

impl OrphanReason {
    /// In words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::NotNeeded => {
                "an orphan: it serves its own clock for want of a source, and others have one"
            }
            Self::Holding => {
                "an orphan: it serves its own clock for want of a source, and this clock still \
                 knows the time from a source that it had"
            }
            Self::NotLowest => "an orphan, and another one has a lower reference id",
            Self::NotBelowUs => {
                "an orphan, and its reference id is not below this host's, which leads"
            }
            Self::Unknown => {
                "an orphan, and by which address it sees this host is not known, so that the two \
                 cannot be compared"
            }
        }
    }
}

/// A source that could be believed, as this rule sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) id: SourceId,
    /// Its own stratum.
    pub(crate) stratum: u8,
    /// What it follows itself.
    pub(crate) reference_id: [u8; 4],
    pub(crate) identities: Option<Identities>,
    /// Its root distance, s.
    pub(crate) distance_s: f64,
    /// Has it a voice, and is it near enough to be believed?
    pub(crate) usable: bool,
}

impl Candidate {
    /// Would following it be going in a circle? At stratum 1 and below the reference id is a name.
    fn follows_us(&self) -> bool {
        let own = self.identities.map(|identities| identities.own);
        self.stratum > 1 && own == Some(self.reference_id)
    }
}

/// What this clock still knows from a source that was no orphan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Held {
    /// That source.
    pub(crate) selected: SourceId,
    /// This host's stratum.
    pub(crate) stratum: u8,
    /// How far it may be from UTC, s.
    pub(crate) distance_s: f64,
}

impl Held {
    /// Can this one not follow this host, by its stratum? Who does is above it.
    fn is_above(&self, one: &Candidate) -> bool {
        one.stratum < self.stratum || one.stratum == self.stratum && one.id == self.selected
    }

    /// Why this one is not followed while there is none above; `None`: it is.
    ///
    /// Who follows this host is further from UTC than this host. So one that is nearer does not,
    /// and one that is further has nothing to tell.
    fn refuses(&self, one: &Candidate) -> Option<Reason> {
        let (distance_s, own_s) = (one.distance_s, self.distance_s);
        (!self.is_above(one) && distance_s >= own_s)
            .then_some(Reason::KnowsLess { distance_s, own_s })
    }
}

/// Those of the `candidates` that are not to be followed, and why. `stratum` is that of orphans;
/// `None`: it means nothing special.
pub(crate) fn excluded(
    candidates: &[Candidate],
    stratum: Option<u8>,
    held: Option<Held>,
) -> Vec<(SourceId, Reason)> {
    let (followers, others): (Vec<&Candidate>, Vec<&Candidate>) =
        candidates.iter().partition(|one| one.follows_us());
    let mut excluded: Vec<_> = followers
        .iter()
        .map(|one| (one.id, Reason::FollowsUs))
        .collect();
    let Some(orphan) = stratum else {
        return excluded;
    };
    let mut real = others
        .iter()
        .filter(|one| one.stratum < orphan && one.usable);
    let is_needed = real.clone().next().is_none();
    let holding_over = held.filter(|held| !real.any(|one| held.is_above(one)));
    let lowest = others
        .iter()
        .filter(|one| one.stratum == orphan && one.usable)
        .filter_map(|one| Some((one.identities?, one.id)))
        .min_by_key(|(identities, id)| (identities.source, *id));
    excluded.extend(others.iter().filter_map(|one| {
        let stratum = one.stratum;
        let reason = if stratum < orphan {
            holding_over?.refuses(one)?
        } else if stratum > orphan {
            Reason::AboveOrphans { stratum, orphan }
        } else if !is_needed {
            Reason::Orphan(OrphanReason::NotNeeded)
        } else if held.is_some() {
            Reason::Orphan(OrphanReason::Holding)
        } else {
            Reason::Orphan(standing_back(one, lowest)?)
        };
        Some((one.id, reason))
    }));
    excluded
}

/// Why this orphan is not followed; `None`: it is.
fn standing_back(one: &Candidate, lowest: Option<(Identities, SourceId)>) -> Option<OrphanReason> {
    let Some((identities, id)) = lowest else {
        return Some(OrphanReason::Unknown);
    };
    if one.identities.is_none() {
        Some(OrphanReason::Unknown)
    } else if identities.source >= identities.own {
        Some(OrphanReason::NotBelowUs)
    } else if one.id != id {
        Some(OrphanReason::NotLowest)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORPHANS: Option<u8> = Some(10);

    /// From a source at stratum 2 that is gone.
    const HELD: Option<Held> = Some(Held {
        selected: SourceId(200),
        stratum: 3,
        distance_s: 1e-3,
    });

    /// This host is 10.0.0.2 to all others; the source is 10.0.0.`address`, and follows
    /// 10.0.0.`follows`.
    fn candidate(address: u8, stratum: u8, follows: u8) -> Candidate {
        Candidate {
            id: SourceId(address.into()),
            stratum,
            reference_id: [10, 0, 0, follows],
            identities: Some(Identities {
                source: [10, 0, 0, address],
                own: [10, 0, 0, 2],
            }),
            distance_s: 1e-3,
            usable: true,
        }
    }

    fn orphan(address: u8) -> Candidate {
        Candidate {
            reference_id: [127, 127, 1, 1],
            ..candidate(address, 10, 0)
        }
    }

    /// Those that may be followed.
    fn followed(candidates: &[Candidate], stratum: Option<u8>, held: Option<Held>) -> Vec<u32> {
        let excluded = excluded(candidates, stratum, held);
        let is_excluded = |one: &Candidate| excluded.iter().any(|(id, _)| *id == one.id);
        let followed = candidates.iter().filter(|one| !is_excluded(one));
        followed.map(|one| one.id.0).collect()
    }

    fn reason(candidates: &[Candidate], id: u32, held: Option<Held>) -> Option<Reason> {
        let excluded = excluded(candidates, ORPHANS, held);
        let found = excluded.iter().find(|(other, _)| other.0 == id);
        found.map(|(_, reason)| *reason)
    }

    #[test]
    fn the_orphan_with_the_lowest_id_is_followed_if_it_is_below_ours() {
        assert_eq!(followed(&[orphan(3), orphan(1)], ORPHANS, None), [1]);
        assert_eq!(followed(&[orphan(3), orphan(4)], ORPHANS, None), []);
        // The same address on both sides: both lead.
        assert_eq!(followed(&[orphan(2)], ORPHANS, None), []);
        assert_eq!(
            reason(&[orphan(3)], 3, None),
            Some(Reason::Orphan(OrphanReason::NotBelowUs))
        );
        assert_eq!(
            reason(&[orphan(3), orphan(1)], 3, None),
            Some(Reason::Orphan(OrphanReason::NotLowest))
        );
        // Without orphans its stratum is one as any other.
        assert_eq!(followed(&[orphan(3), orphan(1)], None, None), [3, 1]);
    }

    #[test]
    fn orphans_are_left_out_while_anybody_knows_the_time() {
        let real = candidate(9, 9, 200);
        assert_eq!(followed(&[orphan(1), real], ORPHANS, None), [9]);
        assert_eq!(
            reason(&[orphan(1), real], 1, None),
            Some(Reason::Orphan(OrphanReason::NotNeeded))
        );
        assert_eq!(followed(&[orphan(1)], ORPHANS, HELD), []);
        // One that cannot be believed, or only beside others, is as good as not there.
        let useless = Candidate {
            usable: false,
            ..real
        };
        assert_eq!(followed(&[orphan(1), useless], ORPHANS, None), [1, 9]);
    }

    #[test]
    fn a_clock_without_its_source_follows_nobody_who_may_follow_it() {
        // This host's own time, through another.
        let descendant = candidate(4, 5, 3);
        assert_eq!(followed(&[descendant], ORPHANS, HELD), []);
        assert_eq!(
            reason(&[descendant], 4, HELD).map(|reason| reason.to_string()),
            Some(
                "may follow this host: its root distance 1.0 ms is not below this clock's own \
                 1.0 ms"
                    .to_owned()
            )
        );
        let nearer = Candidate {
            distance_s: 0.9e-3,
            ..descendant
        };
        assert_eq!(followed(&[nearer], ORPHANS, HELD), [4]);
        // Another in the same position: at most one of the two follows the other.
        assert_eq!(followed(&[candidate(4, 3, 200)], ORPHANS, HELD), []);
        // Beside one that cannot follow it, all have their voice.
        let real = candidate(9, 2, 201);
        assert_eq!(followed(&[descendant, real], ORPHANS, HELD), [4, 9]);
        // And so without orphans.
        assert_eq!(followed(&[descendant], None, HELD), [4]);
    }

    #[test]
    fn a_source_that_has_got_another_source_may_be_one_stratum_further() {
        let moved = candidate(200, 3, 7);
        assert_eq!(followed(&[moved], ORPHANS, HELD), [200]);
        assert_eq!(followed(&[candidate(200, 4, 7)], ORPHANS, HELD), []);
    }

    #[test]
    fn who_follows_the_leader_is_not_followed() {
        let follower = candidate(1, 11, 7);
        assert_eq!(followed(&[follower], ORPHANS, None), []);
        assert_eq!(
            reason(&[follower], 1, None).map(|reason| reason.to_string()),
            Some("stratum 11 is not below the orphan stratum 10".to_owned())
        );
    }

    #[test]
    fn who_follows_us_is_not_followed_at_any_stratum() {
        assert_eq!(followed(&[candidate(3, 4, 2)], None, None), []);
        assert_eq!(followed(&[candidate(3, 4, 5)], None, None), [3]);
        // At stratum 1 these octets are a name.
        assert_eq!(followed(&[candidate(3, 1, 2)], None, None), [3]);
    }

    #[test]
    fn what_cannot_be_compared_is_not_followed() {
        let nameless = Candidate {
            identities: None,
            ..orphan(1)
        };
        assert_eq!(followed(&[nameless], ORPHANS, None), []);
        let named = Candidate {
            id: SourceId(7),
            ..orphan(1)
        };
        assert_eq!(followed(&[nameless, named], ORPHANS, None), [7]);
    }

    proptest! {
        /// Of a group in which all are orphans and see each other, all but one follow, and all
        /// the same one.
        #[test]
        fn a_group_agrees_on_one_leader(addresses in prop::collection::btree_set(any::<[u8; 4]>(), 2..8)) {
            let addresses: Vec<_> = addresses.into_iter().collect();
            let mut leaders = Vec::new();
            for own in &addresses {
                let seen: Vec<_> = (0..).zip(&addresses).filter(|(_, source)| *source != own)
                    .map(|(id, source)| Candidate {
                        id: SourceId(id),
                        identities: Some(Identities { source: *source, own: *own }),
                        ..orphan(0)
                    })
                    .collect();
                let followed = followed(&seen, ORPHANS, None);
                prop_assert!(followed.len() <= 1);
                leaders.push(followed.first().map_or(*own, |id| addresses[*id as usize]));
            }
            let lowest = addresses.iter().min().copied();
            prop_assert!(leaders.iter().all(|leader| Some(*leader) == lowest));
        }
    }
}
