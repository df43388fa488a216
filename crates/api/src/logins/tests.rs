//! Sequences of logins, by a clock that is set by hand.

use std::net::{Ipv6Addr, SocketAddr};

use super::*;

/// Chance that repeats.
struct Fixed;

impl Dice for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

const START: UnixMs = UnixMs(1_790_000_000_000);

fn client(address: &str) -> ClientAddress {
    ClientAddress::new(address.parse().unwrap())
}

/// `wrong` or `right`, with what the address is told: `in`, `no` or `wait`.
fn told(logins: &Logins, from: &str, credential: &str, is_right: bool, at_s: u64) -> &'static str {
    let now = START.plus(Duration::from_secs(at_s));
    let Ok(login) = logins.begin(Door::Public, client(from), [credential.as_bytes()], now) else {
        return "wait";
    };
    if is_right {
        login.accepted();
        return "in";
    }
    login.refused().map_or("wait", |()| "no")
}

/// One after the other: from, credential, is it right, at second, expected.
type Step = (&'static str, &'static str, bool, u64, &'static str);

const HERE: &str = "192.0.2.1";
const THERE: &str = "192.0.2.2";

#[test]
fn sequences_end_as_they_should() {
    let rows: [(&str, &[Step]); 12] = [
        (
            "this machine may be a proxy: who is right goes in, who is wrong waits",
            &[
                ("127.0.0.1", "a", false, 0, "no"),
                ("127.0.0.1", "b", false, 0, "no"),
                ("127.0.0.1", "c", false, 0, "no"),
                ("127.0.0.1", "d", false, 1, "wait"),
                ("127.0.0.1", "right", true, 1, "in"),
                ("127.0.0.1", "a", false, 2, "wait"),
            ],
        ),
        (
            "so may an address of a private network",
            &[
                ("10.1.2.3", "a", false, 0, "no"),
                ("10.1.2.3", "b", false, 0, "no"),
                ("10.1.2.3", "c", false, 0, "no"),
                ("10.1.2.3", "d", false, 1, "wait"),
                ("10.1.2.3", "right", true, 1, "in"),
            ],
        ),
        (
            "and of IPv6",
            &[
                ("::1", "a", false, 0, "no"),
                ("::1", "b", false, 0, "no"),
                ("::1", "c", false, 0, "no"),
                ("::1", "right", true, 1, "in"),
                ("fd00::1", "a", false, 0, "no"),
                ("fd00::1", "b", false, 0, "no"),
                ("fd00::1", "c", false, 0, "no"),
                ("fd00::1", "right", true, 1, "in"),
            ],
        ),
        (
            "one more than the limit is the last that is looked at",
            &[
                (HERE, "a", false, 0, "no"),
                (HERE, "b", false, 1, "no"),
                (HERE, "c", false, 2, "no"),
                (HERE, "d", false, 3, "wait"),
                (HERE, "right", true, 3, "wait"),
                (THERE, "right", true, 3, "in"),
            ],
        ),
        (
            "the same one counts once",
            &[
                (HERE, "a", false, 0, "no"),
                (HERE, "a", false, 1, "no"),
                (HERE, "a", false, 2, "no"),
                (HERE, "a", false, 3, "no"),
                (HERE, "b", false, 4, "no"),
                (HERE, "right", true, 5, "in"),
            ],
        ),
        (
            "a block lasts a minute from the guess that was too many",
            &[
                (HERE, "a", false, 0, "no"),
                (HERE, "b", false, 20, "no"),
                (HERE, "c", false, 40, "no"),
                (HERE, "right", true, 99, "wait"),
                (HERE, "right", true, 100, "in"),
            ],
        ),
        (
            "afterwards all begins anew",
            &[
                (HERE, "a", false, 0, "no"),
                (HERE, "b", false, 0, "no"),
                (HERE, "c", false, 0, "no"),
                (HERE, "a", false, 60, "no"),
                (HERE, "b", false, 60, "no"),
                (HERE, "c", false, 60, "no"),
                (HERE, "d", false, 60, "wait"),
            ],
        ),
        (
            "guesses a minute apart are not counted together",
            &[
                (HERE, "a", false, 0, "no"),
                (HERE, "b", false, 30, "no"),
                (HERE, "c", false, 60, "no"),
                (HERE, "d", false, 90, "no"),
                (HERE, "e", false, 120, "no"),
                (HERE, "right", true, 121, "in"),
            ],
        ),
        (
            "what was accepted from there goes on, and nothing else",
            &[
                (HERE, "right", true, 0, "in"),
                (HERE, "a", false, 1, "no"),
                (HERE, "b", false, 1, "no"),
                (HERE, "c", false, 1, "no"),
                (HERE, "right", true, 2, "in"),
                (HERE, "also right", true, 2, "wait"),
                (HERE, "d", false, 2, "wait"),
            ],
        ),
        (
            "what was accepted elsewhere is as good as unknown",
            &[
                (THERE, "right", true, 0, "in"),
                (HERE, "a", false, 1, "no"),
                (HERE, "b", false, 1, "no"),
                (HERE, "c", false, 1, "no"),
                (HERE, "right", true, 2, "wait"),
            ],
        ),
        (
            "what was accepted a day ago is forgotten",
            &[
                (HERE, "right", true, 0, "in"),
                (HERE, "a", false, 90_000, "no"),
                (HERE, "b", false, 90_000, "no"),
                (HERE, "c", false, 90_000, "no"),
                (HERE, "right", true, 90_000, "wait"),
            ],
        ),
        (
            "an IPv6 network is one address",
            &[
                ("2001:db8:0:1::1", "a", false, 0, "no"),
                ("2001:db8:0:1::2", "b", false, 0, "no"),
                ("2001:db8:0:1:ffff::3", "c", false, 0, "no"),
                ("2001:db8:0:1::4", "d", false, 0, "wait"),
                ("2001:db8:0:2::4", "d", false, 0, "no"),
            ],
        ),
    ];
    let mut steps_seen = 0;
    for (row, steps) in rows {
        let logins = Logins::new(2, &Fixed);
        for (from, credential, is_right, at_s, expected) in steps {
            assert_eq!(
                told(&logins, from, credential, *is_right, *at_s),
                *expected,
                "{row}: {credential} at {at_s}"
            );
            steps_seen += 1;
        }
    }
    println!("counted | admin | logins in sequences | {steps_seen}");
}

#[test]
fn nothing_shown_is_no_guess_but_waits_too() {
    let logins = Logins::new(1, &Fixed);
    let nothing = || logins.begin(Door::Admin, client(HERE), [], START);
    for _ in 0..100 {
        assert_eq!(nothing().ok().unwrap().refused(), Ok(()));
    }
    assert_eq!(told(&logins, HERE, "a", false, 0), "no");
    assert_eq!(told(&logins, HERE, "b", false, 0), "no");
    assert_eq!(nothing().err(), Some(Blocked { retry_in: WINDOW }));
}

#[test]
fn a_limit_of_none_blocks_nobody() {
    let logins = Logins::new(0, &Fixed);
    for number in 0..1000 {
        assert_eq!(told(&logins, HERE, &number.to_string(), false, 0), "no");
    }
    assert_eq!(logins.suspects.len(), 0);
}

#[test]
fn a_clock_that_is_set_back_does_not_prolong_a_block() {
    let logins = Logins::new(0, &Fixed);
    assert_eq!(told(&logins, HERE, "a", false, 7200), "no");
    let logins = Logins::new(1, &Fixed);
    for guess in ["a", "b"] {
        assert_eq!(told(&logins, HERE, guess, false, 7200), "no");
    }
    assert_eq!(told(&logins, HERE, "right", true, 7200), "wait");
    assert_eq!(told(&logins, HERE, "right", true, 0), "in");
}

#[test]
fn memory_is_bounded_and_a_block_is_not_pushed_out() {
    let logins = Logins::new(20, &Fixed);
    for number in 0..21 {
        assert_eq!(told(&logins, HERE, &number.to_string(), false, 0), "no");
    }
    let mut addresses = 0;
    for number in 0..100_000_u128 {
        let address = Ipv6Addr::from_bits((0x2001_0db8 << 96) | (number << 64));
        told(&logins, &address.to_string(), "guess", false, 1);
        addresses += 1;
    }
    assert!(logins.suspects.len() <= 16 * 1024, "{}", logins.suspects.len());
    assert_eq!(told(&logins, HERE, "right", true, 2), "wait");
    println!("counted | admin | addresses that tried to push a block out | {addresses}");
}

#[test]
fn many_at_the_same_time_get_no_more_looks_than_one_after_the_other() {
    let logins = Logins::new(20, &Fixed);
    let here: SocketAddr = "192.0.2.1:1".parse().unwrap();
    let client = ClientAddress::new(here.ip());
    let guesses: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    // All pass the first look before the first of them turns out to be wrong.
    let begun = guesses.iter().map(|guess| logins.begin(Door::Admin, client, [guess.as_bytes()], START));
    let begun: Vec<Login<'_>> = begun.map(|login| login.ok().unwrap()).collect();
    let told_wrong = begun.iter().filter(|login| login.refused().is_ok()).count();
    assert_eq!(told_wrong, 21);
    println!("counted | admin | parallel guesses from one address | {}", guesses.len());
}

#[test]
fn signatures_count_by_key_and_signature() {
    let logins = Logins::new(2, &Fixed);
    let login = logins.begin(Door::Public, client(HERE), [b"key".as_slice()], START).ok().unwrap();
    for (signature, expected) in
        [("s", true), ("s", true), ("t", true), ("s", true), ("u", true), ("v", false), ("s", false)]
    {
        assert_eq!(login.refused_proof(signature.as_bytes()).is_ok(), expected, "{signature}");
    }
}
