//! Numbers as text.

/// So many digits spell any number of 128 bits, in the smallest alphabet too.
const PLACES: usize = 32;

/// An alphabet, with the way to spell in it: a division by a number known beforehand is cheap, one by any number is not.
pub(super) struct Digits {
    /// The digits, least first; all ASCII.
    pub characters: &'static [u8],
    write: fn(&mut [u8], u128, &[u8]),
}

pub(super) static HEX: Digits = Digits::new(b"0123456789abcdef");
pub(super) static BASE36: Digits = Digits::new(b"0123456789abcdefghijklmnopqrstuvwxyz");
pub(super) static BASE58: Digits = Digits::new(b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz");
pub(super) static BASE62: Digits =
    Digits::new(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
pub(super) static CROCKFORD: Digits = Digits::new(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ");

impl Digits {
    const fn new<const BASE: usize>(characters: &'static [u8; BASE]) -> Self {
        Self { characters, write: write::<BASE> }
    }

    /// Appends the last `length` digits of a number.
    pub fn push(&self, text: &mut String, number: u128, length: usize) {
        let mut places = [self.characters[0]; PLACES];
        let places = &mut places[..length.min(PLACES)];
        (self.write)(places, number, self.characters);
        text.extend(std::iter::repeat_n(char::from(self.characters[0]), length - places.len()));
        text.push_str(ascii(places));
    }

    /// Appends a number as a UUID.
    pub fn push_uuid(&self, text: &mut String, number: u128) {
        let mut places = [0; PLACES];
        (self.write)(&mut places, number, self.characters);
        for (at, part) in [0..8, 8..12, 12..16, 16..20, 20..PLACES].into_iter().enumerate() {
            if at > 0 {
                text.push('-');
            }
            text.push_str(ascii(&places[part]));
        }
    }

    /// Reads back exactly `length` digits.
    pub fn read(&self, text: &str, length: usize) -> Option<u128> {
        if text.len() != length {
            return None;
        }
        text.bytes().try_fold(0u128, |number, byte| {
            let digit = self.characters.iter().position(|known| *known == byte)? as u128;
            number.checked_mul(self.characters.len() as u128)?.checked_add(digit)
        })
    }
}

/// Digits are ASCII, so there always is a text.
fn ascii(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

/// Writes a number's last digits, in pieces that fit a machine word.
fn write<const BASE: usize>(places: &mut [u8], mut number: u128, characters: &[u8]) {
    let base = BASE as u64;
    let digits_in_a_piece = const { u64::MAX.ilog(BASE as u64) as usize };
    let piece = const { u128::pow(BASE as u128, u64::MAX.ilog(BASE as u64)) };
    for piece_places in places.rchunks_mut(digits_in_a_piece) {
        let mut rest = (number % piece) as u64;
        number /= piece;
        for place in piece_places.iter_mut().rev() {
            *place = characters[(rest % base) as usize];
            rest /= base;
        }
    }
}
