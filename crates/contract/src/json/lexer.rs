//! One pass over a text, checking everything, building as much as asked.

use std::borrow::Cow;

use super::JsonFault;

/// What a pass makes of the values it meets.
pub trait Build<'a>: Sized {
    /// Are values kept? If not, strings are checked without being unescaped and containers stay empty.
    const KEEPS_TEXT: bool;
    fn null() -> Self;
    fn bool(value: bool) -> Self;
    fn number(text: &'a str) -> Self;
    fn string(text: Cow<'a, str>) -> Self;
    fn array(items: Vec<Self>) -> Self;
    fn object(members: Vec<(Cow<'a, str>, Self)>) -> Self;
}

pub struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth_left: usize,
    /// The keys of the objects that are open; each object looks only at those above its own mark.
    keys: Vec<Cow<'a, str>>,
}

type Read<T> = Result<T, JsonFault>;

/// Bytes that stand for themselves in a string.
static IS_PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut control = 0;
    while control < 0x20 {
        plain[control] = false;
        control += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

/// Up to so many keys are compared in pairs, more are sorted.
const PAIRWISE_MAX: usize = 12;

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], depth_max: usize) -> Read<Self> {
        let text = std::str::from_utf8(bytes).map_err(|fault| JsonFault::NotUtf8(fault.valid_up_to()))?;
        let mut reader = Self { text, bytes, at: 0, depth_left: depth_max, keys: Vec::new() };
        reader.skip_space();
        Ok(reader)
    }

    pub fn next_is(&self, byte: u8) -> bool {
        self.peek() == Some(byte)
    }

    /// Nothing but space may follow.
    pub fn end(&mut self) -> Read<()> {
        self.skip_space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.fault("expected the end")) }
    }

    /// Reads a value; the reader stands on its first byte.
    pub fn value<B: Build<'a>>(&mut self) -> Read<B> {
        match self.peek() {
            Some(b'{') => {
                let mut members = Vec::new();
                self.object(|key, reader| {
                    let value = reader.value::<B>()?;
                    if B::KEEPS_TEXT {
                        members.push((key, value));
                    }
                    Ok(())
                })?;
                Ok(B::object(members))
            }
            Some(b'[') => {
                let mut items = Vec::new();
                self.array(|reader| {
                    let item = reader.value::<B>()?;
                    if B::KEEPS_TEXT {
                        items.push(item);
                    }
                    Ok(())
                })?;
                Ok(B::array(items))
            }
            Some(b'"') if B::KEEPS_TEXT => Ok(B::string(self.string()?)),
            Some(b'"') => {
                self.skip_string()?;
                Ok(B::null())
            }
            Some(b't') => self.word("true").map(|()| B::bool(true)),
            Some(b'f') => self.word("false").map(|()| B::bool(false)),
            Some(b'n') => self.word("null").map(|()| B::null()),
            Some(b'-' | b'0'..=b'9') => Ok(B::number(self.number()?)),
            _ => Err(self.fault("expected a value")),
        }
    }

    /// Reads a value and answers its text.
    pub fn raw_value(&mut self) -> Read<&'a str> {
        let start = self.at;
        self.value::<super::Seen>()?;
        Ok(&self.text[start..self.at])
    }

    /// Reads an object; `member` is called on the first byte of each value.
    pub fn object(&mut self, mut member: impl FnMut(Cow<'a, str>, &mut Self) -> Read<()>) -> Read<()> {
        self.open()?;
        let mark = self.keys.len();
        self.skip_space();
        if !self.take(b'}') {
            loop {
                if !self.next_is(b'"') {
                    return Err(self.fault("expected a key in quotes"));
                }
                let key = self.string()?;
                self.keys.push(key.clone());
                self.skip_space();
                if !self.take(b':') {
                    return Err(self.fault("expected a colon"));
                }
                self.skip_space();
                member(key, self)?;
                self.skip_space();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.fault("expected a comma or the end of the object"));
                }
                self.skip_space();
            }
        }
        self.close_keys(mark)?;
        self.depth_left += 1;
        Ok(())
    }

    /// Reads an array; `item` is called on the first byte of each item.
    pub fn array(&mut self, mut item: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        self.open()?;
        self.skip_space();
        if !self.take(b']') {
            loop {
                item(self)?;
                self.skip_space();
                if self.take(b']') {
                    break;
                }
                if !self.take(b',') {
                    return Err(self.fault("expected a comma or the end of the array"));
                }
                self.skip_space();
            }
        }
        self.depth_left += 1;
        Ok(())
    }

    fn open(&mut self) -> Read<()> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(JsonFault::TooDeep(self.at))?;
        self.at += 1;
        Ok(())
    }

    fn close_keys(&mut self, mark: usize) -> Read<()> {
        let keys = &mut self.keys[mark..];
        let repeats = if keys.len() <= PAIRWISE_MAX {
            keys.iter().enumerate().any(|(n, key)| keys[..n].contains(key))
        } else {
            keys.sort_unstable();
            keys.windows(2).any(|pair| pair[0] == pair[1])
        };
        self.keys.truncate(mark);
        if repeats { Err(JsonFault::EqualKeys(self.at)) } else { Ok(()) }
    }

    fn number(&mut self) -> Read<&'a str> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return Err(self.fault("expected a digit"));
        }
        if self.take(b'.') && self.digits() == 0 {
            return Err(self.fault("expected a digit"));
        }
        if self.take(b'e') || self.take(b'E') {
            let _signed = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return Err(self.fault("expected a digit"));
            }
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> usize {
        let rest = &self.bytes[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn string(&mut self) -> Read<Cow<'a, str>> {
        let start = self.at + 1;
        let has_escapes = self.skip_string()?;
        let raw = &self.text[start..self.at - 1];
        Ok(if has_escapes { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) })
    }

    /// Checks a string to its closing quote; are there escapes in it?
    fn skip_string(&mut self) -> Read<bool> {
        let mut has_escapes = false;
        self.at += 1;
        loop {
            let rest = &self.bytes[self.at..];
            self.at += rest.iter().position(|byte| !IS_PLAIN[usize::from(*byte)]).unwrap_or(rest.len());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(has_escapes);
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.skip_escape()?;
                }
                Some(_) => return Err(self.fault("a control character in a string")),
                None => return Err(self.fault("the string does not end")),
            }
        }
    }

    fn skip_escape(&mut self) -> Read<()> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let first = self.hex_unit()?;
                let stands_alone = match first {
                    0xd800..=0xdbff if self.bytes[self.at..].starts_with(b"\\u") => {
                        self.at += 1;
                        !matches!(self.hex_unit()?, 0xdc00..=0xdfff)
                    }
                    0xd800..=0xdfff => true,
                    _ => false,
                };
                if stands_alone { Err(self.fault("half of a surrogate pair")) } else { Ok(()) }
            }
            _ => Err(self.fault("an unknown escape in a string")),
        }
    }

    /// Reads `uXXXX`.
    fn hex_unit(&mut self) -> Read<u32> {
        let digits = self.bytes.get(self.at + 1..self.at + 5).unwrap_or_default();
        let value =
            digits.iter().try_fold(0u32, |sum, byte| Some(sum * 16 + char::from(*byte).to_digit(16)?));
        match value {
            Some(value) if digits.len() == 4 => {
                self.at += 5;
                Ok(value)
            }
            _ => Err(self.fault("expected four hexadecimal digits")),
        }
    }

    fn word(&mut self, word: &str) -> Read<()> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.next_is(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn fault(&self, why: &'static str) -> JsonFault {
        JsonFault::Syntax { at: self.at, why }
    }
}

/// Resolves the escapes of a string that [`Reader::skip_string`] has checked.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut after = escape.chars();
        match after.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                rest = unescape_unit(after.as_str(), &mut out);
                continue;
            }
            Some(itself) => out.push(itself),
            None => {}
        }
        rest = after.as_str();
    }
    out.push_str(rest);
    out
}

/// Resolves what follows `\u`, both halves of a pair at once; answers what follows.
fn unescape_unit<'a>(text: &'a str, out: &mut String) -> &'a str {
    let unit = |text: &str| text.get(..4).and_then(|hex| u16::from_str_radix(hex, 16).ok());
    let mut units = unit(text).into_iter().collect::<Vec<_>>();
    let mut rest = text.get(4..).unwrap_or_default();
    if matches!(units[..], [0xd800..=0xdbff]) {
        units.extend(rest.get(2..).and_then(unit));
        rest = rest.get(6..).unwrap_or_default();
    }
    out.extend(char::decode_utf16(units).map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER)));
    rest
}
