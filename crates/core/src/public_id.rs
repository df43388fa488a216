//! Ids as users see them.
//!
//! Webhook, key and request ids are random. Event and delivery ids are *made from* the internal number by a keyed
//! permutation: no two are alike, the number can be read back without an index, and outsiders cannot guess a
//! neighbour's. See `docs/decisions/0003-ids-from-numbers.md`.

mod digits;

use siphasher::sip128::SipHasher24;

use crate::ids::{DeliveryKey, Seq, WebhookNo};
use crate::outside::Dice;
use crate::time::UnixMs;
use digits::{BASE36, BASE58, BASE62, CROCKFORD, Digits, HEX};

/// The form of an id, as a contract declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdKind {
    /// Text before the rest, such as `wh_`.
    pub prefix: String,
    /// What the rest is made of.
    pub alphabet: IdAlphabet,
    /// The shortest and longest rest accepted when an id is read; new ids have `alphabet`'s own length.
    pub accept: Option<(usize, usize)>,
}

/// What an id is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdAlphabet {
    /// RFC 9562, random.
    Uuid4,
    /// RFC 9562, time first.
    Uuid7,
    /// 26 characters of Crockford's base 32, time first.
    Ulid,
    /// Lower-case hexadecimal digits.
    Hex {
        /// How many.
        length: usize,
    },
    /// Digits and lower-case letters.
    Base36 {
        /// How many.
        length: usize,
    },
    /// Digits and letters less `0`, `O`, `I` and `l`.
    Base58 {
        /// How many.
        length: usize,
    },
    /// Digits and letters.
    Base62 {
        /// How many.
        length: usize,
    },
}

const MS_BITS: u32 = 48;
const ULID_DIGITS: usize = 26;
/// Room for an id of every usual kind; longer ones grow.
const USUAL_LENGTH: usize = 36;

impl IdAlphabet {
    /// The digits and how many, for kinds that are plain text of one alphabet.
    fn digits(self) -> Option<(&'static Digits, usize)> {
        match self {
            Self::Hex { length } => Some((&HEX, length)),
            Self::Base36 { length } => Some((&BASE36, length)),
            Self::Base58 { length } => Some((&BASE58, length)),
            Self::Base62 { length } => Some((&BASE62, length)),
            Self::Uuid4 | Self::Uuid7 | Self::Ulid => None,
        }
    }

    /// How many bits are free to choose, beside the time in kinds that begin with it; at most 126.
    #[must_use]
    pub fn free_bits(self) -> u32 {
        match self {
            Self::Uuid4 => 122,
            Self::Uuid7 => 74,
            Self::Ulid => 80,
            _ => {
                let (digits, length) = self.digits().unwrap_or((&HEX, 0));
                ((digits.characters.len() as f64).log2() * length as f64 + 1e-9).floor().min(126.0) as u32
            }
        }
    }

    /// The same alphabet, lengthened until it has so many free bits. UUIDs and ULIDs cannot be lengthened.
    #[must_use]
    pub fn at_least(self, bits: u32) -> Self {
        let mut alphabet = self;
        while alphabet.free_bits() < bits {
            match &mut alphabet {
                Self::Hex { length }
                | Self::Base36 { length }
                | Self::Base58 { length }
                | Self::Base62 { length } => {
                    *length += 1;
                }
                Self::Uuid4 | Self::Uuid7 | Self::Ulid => break,
            }
        }
        alphabet
    }

    fn has_time(self) -> bool {
        matches!(self, Self::Uuid7 | Self::Ulid)
    }

    /// Appends the free bits, with the time in front where the kind has one.
    fn spell(self, text: &mut String, at: UnixMs, free: u128) {
        let ms = u128::from(at.0.unsigned_abs()) & ((1 << MS_BITS) - 1);
        let uuid = |high: u128, version: u128| {
            let middle = (free >> 62) & 0xfff;
            (high << 80) | (version << 76) | (middle << 64) | (2 << 62) | (free & ((1 << 62) - 1))
        };
        match self {
            Self::Uuid4 => HEX.push_uuid(text, uuid(free >> 74, 4)),
            Self::Uuid7 => HEX.push_uuid(text, uuid(ms, 7)),
            Self::Ulid => CROCKFORD.push(text, (ms << 80) | free, ULID_DIGITS),
            _ => {
                let (digits, length) = self.digits().unwrap_or((&HEX, 0));
                digits.push(text, free, length);
            }
        }
    }

    /// Reads back what [`IdAlphabet::spell`] wrote; the time is 0 in kinds without one.
    fn read(self, text: &str) -> Option<(UnixMs, u128)> {
        match self {
            Self::Uuid4 | Self::Uuid7 => {
                let all = read_uuid(text)?;
                let version = if self == Self::Uuid4 { 4 } else { 7 };
                if (all >> 76) & 0xf != version || (all >> 62) & 3 != 2 {
                    return None;
                }
                let tail = (((all >> 64) & 0xfff) << 62) | (all & ((1 << 62) - 1));
                let high = all >> 80;
                Some(if self == Self::Uuid4 {
                    (UnixMs(0), (high << 74) | tail)
                } else {
                    (UnixMs(high as i64), tail)
                })
            }
            Self::Ulid => {
                let all = CROCKFORD.read(text, ULID_DIGITS)?;
                Some((UnixMs((all >> 80) as i64), all & ((1 << 80) - 1)))
            }
            _ => {
                let (digits, length) = self.digits()?;
                let free = digits.read(text, length)?;
                (free >> self.free_bits() == 0).then_some((UnixMs(0), free))
            }
        }
    }
}

impl IdKind {
    /// A random id for something made at `at`.
    #[must_use]
    pub fn random(&self, at: UnixMs, dice: &dyn Dice) -> String {
        if let Some((digits, length)) = self.alphabet.digits() {
            return self.prefix.clone() + &random_text(digits.characters, length, dice);
        }
        let bits = u128::from(dice.roll()) << 64 | u128::from(dice.roll());
        self.spell(at, bits & ((1 << self.alphabet.free_bits()) - 1))
    }

    fn spell(&self, at: UnixMs, free: u128) -> String {
        let mut text = String::with_capacity(self.prefix.len() + USUAL_LENGTH);
        text.push_str(&self.prefix);
        self.alphabet.spell(&mut text, at, free);
        text
    }

    /// Has the text the form of such an id?
    #[must_use]
    pub fn accepts(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix(self.prefix.as_str()) else { return false };
        let Some((digits, length)) = self.alphabet.digits() else {
            return self.alphabet.read(rest).is_some();
        };
        let (shortest, longest) = self.accept.unwrap_or((length, length));
        (shortest..=longest).contains(&rest.len())
            && rest.bytes().all(|byte| digits.characters.contains(&byte))
    }
}

/// `length` characters drawn evenly from `digits`.
#[must_use]
pub fn random_text(digits: &[u8], length: usize, dice: &dyn Dice) -> String {
    (0..length).map(|_| char::from(digits[dice.below(digits.len() as u64) as usize])).collect()
}

/// Makes and reads the ids of events and deliveries.
#[derive(Clone)]
pub struct IdCodec {
    kind: IdKind,
    half_bits: u32,
    scrambler: SipHasher24,
}

impl IdCodec {
    /// Bits that a delivery id gives to the webhook's number.
    pub const WEBHOOK_BITS: u32 = 26;
    /// Free bits that a delivery id needs.
    pub const DELIVERY_BITS: u32 = Seq::BITS + Self::WEBHOOK_BITS;

    /// `key` is the store's own, made once. Kinds with fewer than [`Seq::BITS`] free bits cannot name events, nor
    /// those with fewer than [`IdCodec::DELIVERY_BITS`] deliveries; contracts are checked for that when they are read.
    #[must_use]
    pub fn new(kind: IdKind, key: [u8; 16]) -> Self {
        let half_bits = kind.alphabet.free_bits() / 2;
        Self { kind, half_bits, scrambler: SipHasher24::new_with_key(&key) }
    }

    /// The id of an event.
    #[must_use]
    pub fn event(&self, seq: Seq, created_at: UnixMs) -> String {
        self.make(u128::from(seq.0.unsigned_abs()), created_at)
    }

    /// The event an id may name; the caller must see whether there is such an event, created at the time returned
    /// (if the kind carries one).
    #[must_use]
    pub fn read_event(&self, text: &str) -> Option<(Seq, Option<UnixMs>)> {
        let (number, at) = self.unmake(text)?;
        (number >> Seq::BITS == 0).then_some((Seq(number as i64), at))
    }

    /// The id of a delivery of an event created at `created_at`.
    #[must_use]
    pub fn delivery(&self, key: DeliveryKey, created_at: UnixMs) -> String {
        let webhook = u128::from(key.webhook.0.unsigned_abs()) & ((1 << Self::WEBHOOK_BITS) - 1);
        self.make((u128::from(key.event.0.unsigned_abs()) << Self::WEBHOOK_BITS) | webhook, created_at)
    }

    /// The delivery an id may name; as with [`IdCodec::read_event`] the caller must look.
    #[must_use]
    pub fn read_delivery(&self, text: &str) -> Option<(DeliveryKey, Option<UnixMs>)> {
        let (number, at) = self.unmake(text)?;
        if number >> (Seq::BITS + Self::WEBHOOK_BITS) != 0 {
            return None;
        }
        let webhook = WebhookNo((number & ((1 << Self::WEBHOOK_BITS) - 1)) as i64);
        Some((DeliveryKey { event: Seq((number >> Self::WEBHOOK_BITS) as i64), webhook }, at))
    }

    fn make(&self, number: u128, at: UnixMs) -> String {
        let tweak = if self.kind.alphabet.has_time() { at.0 } else { 0 };
        self.kind.spell(at, self.permute(number, tweak, [0, 1, 2, 3]))
    }

    fn unmake(&self, text: &str) -> Option<(u128, Option<UnixMs>)> {
        let alphabet = self.kind.alphabet;
        let (at, free) = alphabet.read(text.strip_prefix(self.kind.prefix.as_str())?)?;
        let number = self.permute(free, at.0, [3, 2, 1, 0]);
        Some((number, alphabet.has_time().then_some(at)))
    }

    /// A Feistel network of four rounds over the kind's free bits; run with the rounds reversed it undoes itself.
    ///
    /// Odd widths leave the topmost bit where it is, which is always 0 in what we make.
    fn permute(&self, number: u128, tweak: i64, rounds: [u8; 4]) -> u128 {
        let half = self.half_bits;
        // At most 126 bits are free, so a half fits a machine word.
        let mask = (1u64 << half) - 1;
        let top = number & !((1u128 << (2 * half)) - 1);
        let (mut left, mut right) = ((number >> half) as u64 & mask, number as u64 & mask);
        for round in rounds {
            (left, right) = (right, left ^ (self.scramble(right, tweak, round) & mask));
        }
        // The halves are handed back swapped, so that the same walk with reversed rounds restores them.
        top | (u128::from(right) << half) | u128::from(left)
    }

    /// A hash of 16, 8 and 1 bytes.
    fn scramble(&self, half: u64, tweak: i64, round: u8) -> u64 {
        let mut words = [0; 25];
        words[..8].copy_from_slice(&half.to_le_bytes());
        words[16..24].copy_from_slice(&tweak.to_le_bytes());
        words[24] = round;
        self.scrambler.hash(&words).h1
    }
}

/// Only the form we write: lower case, with dashes.
fn read_uuid(text: &str) -> Option<u128> {
    let dashes_stand = text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.as_bytes()[*at] == b'-');
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    if !dashes_stand { None } else { HEX.read(&hex, 32) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds() -> Vec<IdAlphabet> {
        use IdAlphabet::{Base36, Base58, Base62, Hex, Ulid, Uuid4, Uuid7};
        vec![
            Uuid4,
            Uuid7,
            Ulid,
            Hex { length: 24 },
            Base36 { length: 20 },
            Base58 { length: 22 },
            Base62 { length: 17 },
        ]
    }

    fn codec(alphabet: IdAlphabet) -> IdCodec {
        IdCodec::new(IdKind { prefix: "x_".into(), alphabet, accept: None }, *b"0123456789abcdef")
    }

    proptest! {
        #[test]
        fn ids_lead_back_to_their_numbers(seq in 0i64..1 << 48, webhook in 0i64..1 << 26, ms in 0i64..1 << 47) {
            let (at, key) = (UnixMs(ms), DeliveryKey { event: Seq(seq), webhook: WebhookNo(webhook) });
            for alphabet in kinds() {
                let codec = codec(alphabet);
                let (event_id, delivery_id) = (codec.event(Seq(seq), at), codec.delivery(key, at));
                let carried = alphabet.has_time().then_some(at);
                prop_assert_eq!(codec.read_event(&event_id), Some((Seq(seq), carried)), "{}", &event_id);
                prop_assert_eq!(codec.read_delivery(&delivery_id), Some((key, carried)), "{}", &delivery_id);
                prop_assert!(codec.kind.accepts(&event_id), "{}", &event_id);
            }
            let short = codec(IdAlphabet::Hex { length: 12 });
            prop_assert_eq!(short.read_event(&short.event(Seq(seq), at)), Some((Seq(seq), None)));
        }
    }

    #[test]
    fn ids_once_given_out_stay_what_they_are() {
        use IdAlphabet::{Base36, Base58, Base62, Hex, Ulid, Uuid4, Uuid7};
        let (seq, at) = (Seq(0x4123_4567_89ab), UnixMs(1_790_000_000_123));
        let key = DeliveryKey { event: seq, webhook: WebhookNo(0x155_5555) };
        for (alphabet, event, delivery) in [
            (Uuid4, "x_1baa0b65-b051-4d82-a8c7-39429912a648", "x_5686975b-0c7a-4cda-bc97-825c2850f719"),
            (Uuid7, "x_01a0c450-6c7b-7eea-872a-28b47bc6b038", "x_01a0c450-6c7b-7b46-8c3e-0c69b009a317"),
            (Ulid, "x_01M3250V3VBRRD26V4XJ2GMX6J", "x_01M3250V3VM1HHN7SA1Q81AWSJ"),
            (Hex { length: 12 }, "x_4c5540f98f62", "x_bffe72eccb90"),
            (Hex { length: 24 }, "x_50a30f8bffa54ab5e2e33a3e", "x_47bb1408934b877b22daf759"),
            (
                Hex { length: 40 },
                "x_000000001c6fa207282824b3e8c739429912a648",
                "x_000000002e71426821642b229eb7b01562e8300b",
            ),
            (Base36 { length: 20 }, "x_ay8yakmv0ub2fbjd29at", "x_018l1zb59rnqj392q2sz"),
            (Base58 { length: 22 }, "x_4WfNaZ4eetTePLyjr7rYST", "x_6jdEMynYSxvE8F7EZ6HA8a"),
            (Base62 { length: 17 }, "x_GZr9Y5yeWbuJKvZL4", "x_IPFSeKZ5241VszjkX"),
        ] {
            let codec = codec(alphabet);
            assert_eq!((codec.event(seq, at).as_str(), codec.delivery(key, at).as_str()), (event, delivery));
        }
    }

    #[test]
    fn neighbours_look_unrelated_and_foreign_text_is_refused() {
        let codec = codec(IdAlphabet::Hex { length: 12 });
        let ids: Vec<String> = (1..4).map(|n| codec.event(Seq(n), UnixMs(0))).collect();
        assert!(ids.iter().all(|id| id.len() == 14 && id.starts_with("x_")));
        assert!(ids[0][..8] != ids[1][..8] && ids[1][..8] != ids[2][..8], "{ids:?}");
        for text in [
            "",
            "x_",
            "y_000000000000",
            "x_00000000000",
            "x_0000000000000",
            "x_00000000000G",
            "x_é0000000000",
        ] {
            assert_eq!(codec.read_event(text), None, "{text}");
        }
    }

    #[test]
    fn uuids_carry_their_version_and_time() {
        let at = UnixMs::parse_rfc3339("2026-04-18T10:00:00Z").unwrap();
        let id = codec(IdAlphabet::Uuid7).event(Seq(7), at);
        assert_eq!(id[2..15].replace('-', ""), format!("{:012x}", at.0));
        assert_eq!(&id[16..17], "7");
        let upper = id.to_uppercase().replace("X_", "x_");
        assert_eq!(codec(IdAlphabet::Uuid7).read_event(&upper), None);
    }

    #[test]
    fn short_alphabets_are_lengthened_just_enough() {
        assert_eq!(IdAlphabet::Hex { length: 12 }.at_least(74), IdAlphabet::Hex { length: 19 });
        assert_eq!(IdAlphabet::Hex { length: 24 }.at_least(74), IdAlphabet::Hex { length: 24 });
        assert_eq!(IdAlphabet::Uuid7.at_least(74), IdAlphabet::Uuid7);
    }

    #[test]
    fn short_ids_accept_the_lengths_they_declare() {
        let kind =
            IdKind { prefix: "wh_".into(), alphabet: IdAlphabet::Hex { length: 8 }, accept: Some((6, 8)) };
        for (text, expected) in
            [("wh_2a4f10", true), ("wh_2a4f1011", true), ("wh_2A4F10", false), ("wh_2a4f1", false)]
        {
            assert_eq!(kind.accepts(text), expected, "{text}");
        }
    }
}
