//! Reads along with the HTTP library, for what it silently puts right.
//!
//! The library drops a `Content-Length` beside a `Transfer-Encoding`, blanks at the ends of values, fragments in targets,
//! and takes bare line feeds for line ends. Whoever stands between a client and us may see another request than the
//! library does, so these are noted here from the bytes as they come, and judged by [`super::syntax`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memchr::memchr;

use crate::padding::Padded;

/// What a head holds that the library does not pass on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hidden {
    /// `Content-Length` and `Transfer-Encoding`, or one of them twice: whose end is it?
    pub has_two_framings: bool,
    /// A line that ends without a carriage return.
    pub has_bare_line_feed: bool,
    /// A target with a fragment.
    pub has_fragment: bool,
    /// Fields whose values end in a blank.
    pub padded: Padded,
}

impl Hidden {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What was noted on one connection and has not been asked for.
#[derive(Clone, Default)]
pub(super) struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    /// Heads asked for so far.
    asked: u64,
    /// What heads hold, by their number.
    hidden: VecDeque<(u64, Hidden)>,
}

impl Notes {
    /// What the next head holds. To be asked once for each request, in their order.
    pub fn next(&self) -> Option<Hidden> {
        let mut noted = self.lock();
        let head = noted.asked;
        noted.asked += 1;
        noted.hidden.pop_front_if(|(number, _)| *number == head).map(|(_, hidden)| hidden)
    }

    fn add(&self, head: u64, hidden: Hidden) {
        self.lock().hidden.push_back((head, hidden));
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the requests of one connection.
pub(super) struct HeadWatch {
    notes: Notes,
    at: At,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    line_max_bytes: usize,
    heads: u64,
    head: Head,
}

/// Where in a message the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before or in the line with method and target.
    RequestLine,
    /// In a header field.
    Field,
    /// In a body or chunk with so many bytes left.
    Data { left: u64, is_chunk: bool },
    /// In the line with a chunk's size.
    ChunkSize,
    /// In a field behind the last chunk.
    Trailer,
    /// In something that the library refuses, or may read in another way: there is nothing to follow any more.
    Nowhere,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The first head, or the rest of one that has begun, after so many.
    Head { heads: u64 },
    /// Another request, after so many, of which nothing has come.
    Request { heads: u64 },
    /// A body.
    Body,
}

/// The head being read.
#[derive(Default)]
struct Head {
    hidden: Hidden,
    length: Option<u64>,
    is_chunked: bool,
}

impl HeadWatch {
    /// A watch that notes to `notes`. No line may be longer than the longest head.
    pub fn new(notes: Notes, line_max_bytes: usize) -> Self {
        let (line, head) = (Vec::new(), Head::default());
        Self { notes, at: At::RequestLine, line, line_max_bytes, heads: 0, head }
    }

    /// Follows bytes that came, and answers how many of them. What stands behind those may be read by the library in
    /// another way than here, so it must not see it.
    pub fn read(&mut self, bytes: &[u8]) -> usize {
        let mut left = bytes;
        while !left.is_empty() && !self.is_lost() {
            left = match self.at {
                At::Data { left: size, is_chunk } => self.skip(left, size, is_chunk),
                _ => self.read_line(left),
            };
        }
        bytes.len() - left.len()
    }

    /// Has something come that leads nowhere?
    pub fn is_lost(&self) -> bool {
        self.at == At::Nowhere
    }

    /// What the next byte would be part of.
    pub fn awaits(&self) -> Awaited {
        let heads = self.heads;
        match self.at {
            At::RequestLine if heads > 0 && self.line.is_empty() => Awaited::Request { heads },
            At::RequestLine | At::Field => Awaited::Head { heads },
            At::Data { .. } | At::ChunkSize | At::Trailer | At::Nowhere => Awaited::Body,
        }
    }

    fn skip<'b>(&mut self, bytes: &'b [u8], left: u64, is_chunk: bool) -> &'b [u8] {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left - taken as u64;
        self.at = match (left, is_chunk) {
            (0, true) => At::ChunkSize,
            (0, false) => At::RequestLine,
            _ => At::Data { left, is_chunk },
        };
        &bytes[taken..]
    }

    fn read_line<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let end = memchr(b'\n', bytes);
        let room = self.line_max_bytes.saturating_sub(self.line.len());
        if end.unwrap_or(bytes.len()) > room {
            // Without the line's end the library cannot but refuse it for its length.
            self.at = At::Nowhere;
            return &bytes[room + 1..];
        }
        let Some(end) = end else {
            self.line.extend_from_slice(bytes);
            return &[];
        };
        let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
        if self.line.is_empty() {
            self.end_line(line);
        } else {
            let mut whole = std::mem::take(&mut self.line);
            whole.extend_from_slice(line);
            self.end_line(&whole);
        }
        if self.is_lost() { bytes } else { rest }
    }

    /// Judges a line without its line feed.
    fn end_line(&mut self, line: &[u8]) {
        let (line, is_bare) = match line.strip_suffix(b"\r") {
            Some(line) => (line, false),
            None => (line, true),
        };
        self.head.hidden.has_bare_line_feed |= is_bare && matches!(self.at, At::RequestLine | At::Field);
        self.at = match self.at {
            At::RequestLine if line.is_empty() => At::RequestLine,
            At::RequestLine => {
                self.head.hidden.has_fragment = has_fragment(line);
                At::Field
            }
            At::Field if line.is_empty() => self.end_head(),
            At::Field => {
                self.head.read_field(line);
                At::Field
            }
            // To the library such a line goes on: in a trailer field, until a carriage return comes.
            At::ChunkSize | At::Trailer if is_bare => At::Nowhere,
            At::ChunkSize => match chunk_size(line) {
                Some(0) => At::Trailer,
                // The line end behind the data is skipped with it.
                Some(size) => At::Data { left: size.saturating_add(2), is_chunk: true },
                None => At::Nowhere,
            },
            At::Trailer if line.is_empty() => At::RequestLine,
            at => at,
        };
    }

    fn end_head(&mut self) -> At {
        let head = std::mem::take(&mut self.head);
        if !head.hidden.is_empty() {
            self.notes.add(self.heads, head.hidden);
        }
        self.heads += 1;
        match head.length {
            _ if head.is_chunked => At::ChunkSize,
            Some(left) if left > 0 => At::Data { left, is_chunk: false },
            _ => At::RequestLine,
        }
    }
}

impl Head {
    fn read_field(&mut self, line: &[u8]) {
        let Some(colon) = memchr(b':', line) else { return };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if matches!(value, [.., b' ' | b'\t']) && !value.trim_ascii().is_empty() {
            self.hidden.padded.note(name);
        }
        let is_framed = self.is_chunked || self.length.is_some();
        if name.eq_ignore_ascii_case(b"content-length") {
            self.hidden.has_two_framings |= is_framed;
            self.length = std::str::from_utf8(value.trim_ascii()).ok().and_then(|text| text.parse().ok());
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.hidden.has_two_framings |= is_framed;
            self.is_chunked = true;
        }
    }
}

/// Does the target in a request line have a fragment? A method may have the same sign.
fn has_fragment(line: &[u8]) -> bool {
    memchr(b' ', line).is_some_and(|space| memchr(b'#', &line[space..]).is_some())
}

/// The size in front of a chunk, whatever extension follows it.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    u64::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()
}

#[cfg(test)]
mod alike;
#[cfg(test)]
mod tests;
