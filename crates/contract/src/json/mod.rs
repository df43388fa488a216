//! Strict JSON (RFC 8259), stricter than most readers.
//!
//! Receivers disagree about equal keys, lone surrogates and endless nesting, so texts with them are refused here.
//! Numbers keep their spelling; nothing is ever converted to floating point.

mod lexer;
mod value;

use std::borrow::Cow;

use lexer::{Build, Reader};
pub use value::Value;

/// The deepest nesting that is taken, counting the outermost object or array as 1.
pub const DEPTH_MAX: usize = 64;

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// It is not UTF-8.
    #[error("the text is not UTF-8 at byte {0}")]
    NotUtf8(usize),
    /// It is not JSON.
    #[error("{why} at byte {at}")]
    Syntax {
        /// Where, in bytes from 0.
        at: usize,
        /// What was expected or is wrong.
        why: &'static str,
    },
    /// It is nested too deeply.
    #[error("the nesting is too deep at byte {0}")]
    TooDeep(usize),
    /// An object has a key twice.
    #[error("an object that ends at byte {0} has equal keys")]
    EqualKeys(usize),
    /// It is JSON, but not an object.
    #[error("the outermost value is not an object")]
    NotAnObject,
    /// It is JSON, but not an array.
    #[error("the outermost value is not an array")]
    NotAnArray,
}

/// A member of an object: its key, and its value as the text that came.
pub type RawMember<'a> = (Cow<'a, str>, &'a str);

/// Reads a whole text as a tree.
///
/// # Errors
/// If the text is not sound.
pub fn parse(bytes: &[u8]) -> Result<Value<'_>, JsonFault> {
    let mut reader = Reader::new(bytes, DEPTH_MAX)?;
    let value = reader.value::<Value<'_>>()?;
    reader.end()?;
    Ok(value)
}

/// Checks a whole text and answers the members of its outermost object, each value as the text that came.
///
/// `depth_max` counts the outermost object as 1.
///
/// # Errors
/// If the text is not sound, or no object.
pub fn members(bytes: &[u8], depth_max: usize) -> Result<Vec<RawMember<'_>>, JsonFault> {
    let mut found = Vec::new();
    each_member(bytes, depth_max, |key, text| found.push((key, text)))?;
    Ok(found)
}

/// The same, telling each member as it is met. Whether the text is sound is known only at its end.
///
/// # Errors
/// If the text is not sound, or no object.
pub fn each_member<'a>(
    bytes: &'a [u8],
    depth_max: usize,
    mut member: impl FnMut(Cow<'a, str>, &'a str),
) -> Result<(), JsonFault> {
    let mut reader = Reader::new(bytes, depth_max)?;
    if !reader.next_is(b'{') {
        reader.value::<Seen>()?;
        reader.end()?;
        return Err(JsonFault::NotAnObject);
    }
    reader.object(|key, reader| {
        member(key, reader.raw_value()?);
        Ok(())
    })?;
    reader.end()
}

/// Checks a whole text and answers the items of its outermost array, each as the text that came.
///
/// # Errors
/// If the text is not sound, or no array.
pub fn items(bytes: &[u8], depth_max: usize) -> Result<Vec<&str>, JsonFault> {
    let mut reader = Reader::new(bytes, depth_max)?;
    if !reader.next_is(b'[') {
        reader.value::<Seen>()?;
        reader.end()?;
        return Err(JsonFault::NotAnArray);
    }
    let mut found = Vec::new();
    reader.array(|reader| {
        found.push(reader.raw_value()?);
        Ok(())
    })?;
    reader.end()?;
    Ok(found)
}

/// Appends text as a JSON string with its quotes. What must be escaped is, and nothing else.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut clean_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x00..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[clean_from..at]);
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
        clean_from = at + 1;
    }
    out.push_str(&text[clean_from..]);
    out.push('"');
}

/// Text as a JSON string with its quotes.
#[must_use]
pub fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    out
}

/// A value that was checked and not kept.
struct Seen;

impl<'a> Build<'a> for Seen {
    const KEEPS_TEXT: bool = false;
    fn null() -> Self {
        Self
    }
    fn bool(_: bool) -> Self {
        Self
    }
    fn number(_: &'a str) -> Self {
        Self
    }
    fn string(_: Cow<'a, str>) -> Self {
        Self
    }
    fn array(_: Vec<Self>) -> Self {
        Self
    }
    fn object(_: Vec<(Cow<'a, str>, Self)>) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests;
