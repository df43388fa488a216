use std::time::Duration;

use posthaste_core::{AccountNo, Audience};

use super::super::bodies::tests::{body, event};
use super::Standing::{Failing, Well};
use super::*;

fn fresh(standing: Standing) -> Need {
    Need::of(standing, Source::Fresh, false)
}

fn backlog(standing: Standing) -> Need {
    Need::of(standing, Source::Backlog, false)
}

/// How many attempts of this kind can be under way.
fn fill(slots: &mut Slots, need: Need, bounds: &Bounds) -> Vec<u64> {
    let mut taken = Vec::new();
    while slots.has_room(bounds) && slots.has_room_for(need, bounds) {
        taken.push(slots.take(UnixMs(0), need, None));
    }
    taken
}

#[test]
fn backlogs_leave_half_of_the_slots_of_either_kind_to_fresh_deliveries() {
    let bounds = Bounds { in_flight: 20, in_flight_failing: 8, backlog_at_start: 99, ..Bounds::default() };
    let mut slots = Slots::new(&bounds);
    let counts = [backlog(Failing), backlog(Well), fresh(Failing), fresh(Well)];
    let counts = counts.map(|need| fill(&mut slots, need, &bounds).len());
    assert_eq!(counts, [4, 6, 4, 6]);
}

#[test]
fn backlogs_together_begin_slowly_and_each_that_ends_makes_room_for_two() {
    let bounds = Bounds { in_flight: 40, backlog_at_start: 4, ..Bounds::default() };
    let mut slots = Slots::new(&bounds);
    let rounds: Vec<usize> = std::iter::repeat_with(|| {
        let taken = fill(&mut slots, backlog(Failing), &bounds);
        taken.iter().for_each(|number| slots.give_back(*number));
        taken.len()
    })
    .take(5)
    .collect();
    assert_eq!(rounds, [4, 8, 16, 20, 20]);
}

#[test]
fn what_hangs_makes_room_up_to_its_own_bound() {
    let bounds = Bounds {
        in_flight: 2,
        in_flight_failing: 1,
        in_flight_slow: 1,
        slow_after: Duration::from_secs(1),
        ..Bounds::default()
    };
    let mut slots = Slots::new(&Bounds::default());
    let first = slots.take(UnixMs(0), fresh(Failing), None);
    let second = slots.take(UnixMs(500), fresh(Well), None);
    assert!(!slots.has_room(&bounds) && !slots.has_room_for(fresh(Failing), &bounds));
    slots.free_slow(UnixMs(999), &bounds);
    assert!(!slots.has_room(&bounds));
    slots.free_slow(UnixMs(5_000), &bounds);
    assert!(slots.has_room(&bounds) && slots.has_room_for(fresh(Failing), &bounds));
    assert_eq!((slots.under_way(), slots.next_slow(&bounds)), (2, None), "one may be slow, not both");
    slots.give_back(first);
    assert_eq!(slots.next_slow(&bounds), Some(UnixMs(1_500)));
    slots.give_back(second);
    assert_eq!(slots.under_way(), 0);
    assert!(slots.has_room_for(fresh(Failing), &bounds));
}

/// What happens to an attempt with a body of ten bytes.
enum Step {
    /// It starts, for this account and with this event.
    Take(Standing, i64, i64),
    /// All that are under way have been so for long.
    Slow,
    /// The one that started at this place ends.
    End(usize),
}

/// Bytes with those that do well, with those that fail and with those that take long; then which standings have room
/// for an account that has nothing yet.
type Expected = ([usize; 3], &'static [Standing]);

#[test]
fn bodies_are_in_the_purse_of_their_kind_and_each_counts_once() {
    use Step::{End, Slow, Take};
    let (both, well): (&[Standing], &[Standing]) = (&[Well, Failing], &[Well]);
    let table: &[(&str, &[Step], Expected)] = &[
        ("nothing", &[], ([0, 0, 0], both)),
        ("one that fails", &[Take(Failing, 1, 1)], ([0, 10, 0], both)),
        ("two that fail", &[Take(Failing, 1, 1), Take(Failing, 2, 2)], ([0, 20, 0], well)),
        (
            "three with one event",
            &[Take(Failing, 1, 1), Take(Failing, 1, 1), Take(Failing, 1, 1)],
            ([0, 10, 0], both),
        ),
        ("one event in two purses", &[Take(Failing, 1, 1), Take(Well, 1, 1)], ([10, 10, 0], both)),
        ("of two with one event one ends", &[Take(Well, 1, 1), Take(Well, 1, 1), End(0)], ([10, 0, 0], both)),
        ("both end", &[Take(Well, 1, 1), Take(Well, 1, 1), End(0), End(1)], ([0, 0, 0], both)),
        ("the slow have a purse", &[Take(Well, 1, 1), Take(Failing, 2, 2), Slow], ([0, 0, 20], both)),
        (
            "what does not fit stays where it was",
            &[Take(Failing, 1, 1), Take(Failing, 2, 2), Slow, Take(Failing, 3, 3), Take(Failing, 4, 4), Slow],
            ([0, 10, 30], both),
        ),
        (
            "and ends there",
            &[
                Take(Failing, 1, 1),
                Take(Failing, 2, 2),
                Slow,
                Take(Failing, 3, 3),
                Take(Failing, 4, 4),
                Slow,
                End(3),
                End(0),
            ],
            ([0, 0, 20], both),
        ),
        (
            "an account slows down within its share",
            &[Take(Well, 1, 1), Take(Well, 1, 2), Slow],
            ([10, 0, 10], both),
        ),
        (
            "the failing and the slow are full, and the rest has room",
            &[
                Take(Failing, 1, 1),
                Take(Failing, 2, 2),
                Take(Failing, 3, 3),
                Slow,
                Take(Failing, 4, 4),
                Take(Failing, 5, 5),
                Slow,
            ],
            ([0, 20, 30], well),
        ),
    ];
    let bounds = Bounds {
        light_body_bytes: 0,
        in_flight_bytes: 20,
        in_flight_failing_bytes: 20,
        in_flight_slow_bytes: 30,
        accounts_sharing: 3,
        slow_after: Duration::from_secs(1),
        ..Bounds::default()
    };
    for (name, steps, (bytes, open)) in table {
        let (mut slots, mut now, mut taken) = (Slots::new(&Bounds::default()), UnixMs(0), Vec::new());
        for step in *steps {
            match step {
                Take(standing, account, seq) => {
                    let body = body(*seq, *account, 10, &bounds);
                    taken.push(slots.take(now, fresh(*standing), body));
                }
                Slow => {
                    now = now.plus(bounds.slow_after);
                    slots.free_slow(now, &bounds);
                }
                End(at) => slots.give_back(taken[*at]),
            }
        }
        let got = [&slots.well_purse, &slots.failing_purse, &slots.slow_purse].map(Purse::bytes);
        let rooms = [Well, Failing].into_iter().filter(|standing| slots.has_bytes_for(*standing, &bounds));
        assert_eq!((got, rooms.collect::<Vec<_>>().as_slice()), (*bytes, *open), "{name}");
        taken.into_iter().for_each(|number| slots.give_back(number));
        let left = [&slots.well_purse, &slots.failing_purse, &slots.slow_purse].map(Purse::bytes);
        assert_eq!((left, slots.under_way()), ([0; 3], 0), "{name}");
    }
    println!("counted | receivers | rows of bytes under way and their purses | {}", table.len());
}

#[test]
fn an_account_has_its_share_and_one_body_always() {
    let bounds =
        Bounds { light_body_bytes: 1, in_flight_bytes: 20, accounts_sharing: 4, ..Bounds::default() };
    let mut slots = Slots::new(&Bounds::default());
    let first = body(1, 1, 10, &bounds).unwrap();
    assert!(slots.has_share_for(Well, &first, &bounds), "one is always allowed");
    let number = slots.take(UnixMs(0), fresh(Well), Some(first.clone()));
    let second = body(2, 1, 10, &bounds).unwrap();
    assert!(!slots.has_share_for(Well, &second, &bounds));
    assert!(slots.has_share_for(Well, &first, &bounds), "the same body costs nothing");
    assert!(slots.has_share_for(Failing, &second, &bounds), "in another purse it has nothing yet");
    assert!(slots.has_share_for(Well, &body(3, 2, 10, &bounds).unwrap(), &bounds), "nor has another account");
    assert!(slots.has_bytes_for(Well, &bounds));
    assert!(
        Arc::ptr_eq(slots.find(Seq(1)).unwrap(), slots.find(Seq(1)).unwrap()) && slots.find(Seq(2)).is_none()
    );
    slots.give_back(number);
    assert!(slots.has_share_for(Well, &second, &bounds) && slots.find(Seq(1)).is_none());
    assert!(!super::super::bodies::is_heavy(&event(9, Audience::Account(AccountNo(1)), 1, None), &bounds));
}
