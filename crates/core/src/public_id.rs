//! Ids as users see them.
//!
//! Webhook, key and request ids are random. Event and delivery ids are *made from* the internal number by a keyed
//! permutation: no two are alike, the number can be read back without an index, and outsiders cannot guess a
//! neighbour's. See `docs/decisions/0003-ids-from-numbers.md`.

use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;

use crate::ids::{DeliveryKey, Seq, WebhookNo};
use crate::outside::Dice;
use crate::time::UnixMs;

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

const HEX: &[u8] = b"0123456789abcdef";
const BASE36: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CROCKFORD: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const MS_BITS: u32 = 48;

impl IdAlphabet {
    /// The digits and how many, for kinds that are plain text of one alphabet.
    fn digits(self) -> Option<(&'static [u8], usize)> {
        match self {
            Self::Hex { length } => Some((HEX, length)),
            Self::Base36 { length } => Some((BASE36, length)),
            Self::Base58 { length } => Some((BASE58, length)),
            Self::Base62 { length } => Some((BASE62, length)),
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
                let (digits, length) = self.digits().unwrap_or((HEX, 0));
                ((digits.len() as f64).log2() * length as f64 + 1e-9).floor().min(126.0) as u32
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

    /// Spells the free bits, with the time in front where the kind has one.
    fn spell(self, at: UnixMs, free: u128) -> String {
        let ms = u128::from(at.0.unsigned_abs()) & ((1 << MS_BITS) - 1);
        match self {
            Self::Uuid4 => {
                let high = free >> 74;
                let middle = (free >> 62) & 0xfff;
                spell_uuid((high << 80) | (4 << 76) | (middle << 64) | (2 << 62) | (free & ((1 << 62) - 1)))
            }
            Self::Uuid7 => {
                let middle = (free >> 62) & 0xfff;
                spell_uuid((ms << 80) | (7 << 76) | (middle << 64) | (2 << 62) | (free & ((1 << 62) - 1)))
            }
            Self::Ulid => spell_digits((ms << 80) | free, CROCKFORD, 26),
            _ => {
                let (digits, length) = self.digits().unwrap_or((HEX, 0));
                spell_digits(free, digits, length)
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
                let all = read_digits(text, CROCKFORD, 26)?;
                Some((UnixMs((all >> 80) as i64), all & ((1 << 80) - 1)))
            }
            _ => {
                let (digits, length) = self.digits()?;
                let free = read_digits(text, digits, length)?;
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
            return self.prefix.clone() + &random_text(digits, length, dice);
        }
        let bits = u128::from(dice.roll()) << 64 | u128::from(dice.roll());
        self.prefix.clone() + &self.alphabet.spell(at, bits & ((1 << self.alphabet.free_bits()) - 1))
    }

    /// Has the text the form of such an id?
    #[must_use]
    pub fn accepts(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix(self.prefix.as_str()) else { return false };
        let Some((digits, length)) = self.alphabet.digits() else {
            return self.alphabet.read(rest).is_some();
        };
        let (shortest, longest) = self.accept.unwrap_or((length, length));
        (shortest..=longest).contains(&rest.len()) && rest.bytes().all(|byte| digits.contains(&byte))
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
    key: [u8; 16],
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
        Self { kind, key }
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
        let alphabet = self.kind.alphabet;
        let tweak = if alphabet.has_time() { at.0 } else { 0 };
        self.kind.prefix.clone() + &alphabet.spell(at, self.permute(number, tweak, [0, 1, 2, 3]))
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
        let half = self.kind.alphabet.free_bits() / 2;
        let mask = (1u128 << half) - 1;
        let top = number & !((1u128 << (2 * half)) - 1);
        let (mut left, mut right) = ((number >> half) & mask, number & mask);
        for round in rounds {
            (left, right) = (right, left ^ (self.scramble(right, tweak, round) & mask));
        }
        // The halves are handed back swapped, so that the same walk with reversed rounds restores them.
        top | (right << half) | left
    }

    fn scramble(&self, half: u128, tweak: i64, round: u8) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u128(half);
        hasher.write_i64(tweak);
        hasher.write_u8(round);
        hasher.finish128().as_u128()
    }
}

fn spell_digits(mut number: u128, digits: &[u8], length: usize) -> String {
    let base = digits.len() as u128;
    let mut text = vec![digits[0]; length];
    for place in text.iter_mut().rev() {
        *place = digits[(number % base) as usize];
        number /= base;
    }
    text.into_iter().map(char::from).collect()
}

fn read_digits(text: &str, digits: &[u8], length: usize) -> Option<u128> {
    if text.len() != length {
        return None;
    }
    text.bytes().try_fold(0u128, |number, byte| {
        let digit = digits.iter().position(|known| *known == byte)? as u128;
        number.checked_mul(digits.len() as u128)?.checked_add(digit)
    })
}

fn spell_uuid(bits: u128) -> String {
    let hex = spell_digits(bits, HEX, 32);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Only the form we write: lower case, with dashes.
fn read_uuid(text: &str) -> Option<u128> {
    let dashes_stand = text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.as_bytes()[*at] == b'-');
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    if !dashes_stand { None } else { read_digits(&hex, HEX, 32) }
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
