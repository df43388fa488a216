//! Reading an answer from the bytes that come in, whichever way they are cut into pieces.
//!
//! Nothing here reads or waits: [`Reading`] is handed bytes and says when it has enough.

mod chunks;
mod head;

#[cfg(test)]
mod tests;

use posthaste_core::Response;

use chunks::{BadChunk, Chunks};
use head::{Framing, Head, Parsed};

/// The longest response head, interim answers before it included.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// Up to this size a head is looked at whenever more of it came, so that nonsense is told from the first bytes.
const HEAD_ALWAYS_PARSED_BYTES: usize = 256;
/// What an unfinished head that has no room takes more, at least: so much more than what came may be held for it.
const HEAD_GROWS_BY_BYTES: usize = 4 * 1024;
/// How much of an answer's body is read before the connection is given up, the framing of its chunks included.
const BODY_READ_MAX_BYTES: usize = 64 * 1024;
/// Interim answers (1xx) allowed before the answer proper.
const INTERIM_ANSWERS_MAX: u32 = 8;

/// A complete response head arrived.
#[derive(Debug)]
pub(crate) struct Answered {
    pub response: Response,
    /// Was the answer read to its end, with nothing behind it, so that another request may follow?
    pub is_connection_clean: bool,
}

/// What came is no answer that can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadAnswer {
    Malformed,
    TooLarge,
    EndlessInterim,
}

/// How the bytes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The receiver closed the connection in order.
    Closed,
    /// The connection broke, or our patience did.
    Broken,
}

/// An answer on its way in.
pub(crate) struct Reading {
    /// An unfinished head.
    head_so_far: Vec<u8>,
    /// How much of it was there when it was last parsed.
    parsed_bytes: usize,
    interim: Interim,
    body: Option<Body>,
}

/// The interim answers (1xx) so far.
#[derive(Default)]
struct Interim {
    answers: u32,
    bytes: usize,
    /// Did one of them announce a body? None may have one.
    is_doubtful: bool,
}

impl Reading {
    pub fn new() -> Self {
        Self { head_so_far: Vec::new(), parsed_bytes: 0, interim: Interim::default(), body: None }
    }

    /// Takes bytes in; gives back the answer when it is complete. Nothing may follow after that.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<Answered>, BadAnswer> {
        if self.body.is_some() {
            return Ok(self.read_body(bytes));
        }
        if self.head_so_far.is_empty() {
            return self.read_head(bytes);
        }
        let mut head = std::mem::take(&mut self.head_so_far);
        let before = head.len();
        if head.capacity() - before < bytes.len() {
            // No doubling: thousands of receivers may each leave a head unfinished.
            head.reserve_exact(bytes.len().next_multiple_of(HEAD_GROWS_BY_BYTES));
        }
        head.extend_from_slice(bytes);
        if self.is_worth_parsing(&head, before) {
            return self.read_head(&head);
        }
        self.head_so_far = head;
        Ok(None)
    }

    /// The bytes have ended before the answer was complete. `None` if there was no whole head yet.
    pub fn end(&mut self, ending: Ending) -> Result<Option<Answered>, BadAnswer> {
        match self.body.take() {
            Some(body) => Ok(Some(body.ended(ending))),
            None => head::parse(&self.head_so_far).map(|_| None),
        }
    }

    /// Parsing begins anew each time. It is done when the head seems to end and whenever it has doubled, so that one
    /// that comes drop by drop does not cost the square of its length.
    fn is_worth_parsing(&self, head: &[u8], before: usize) -> bool {
        let fresh = &head[before.saturating_sub(2)..];
        fresh.windows(2).any(|two| two == b"\n\n")
            || fresh.windows(3).any(|three| three == b"\n\r\n")
            || head.len() <= HEAD_ALWAYS_PARSED_BYTES
            || head.len() >= 2 * self.parsed_bytes
            || head.len() > self.head_room()
    }

    /// How long the head that is being read may be.
    fn head_room(&self) -> usize {
        HEAD_MAX_BYTES - self.interim.bytes
    }

    fn read_head(&mut self, mut bytes: &[u8]) -> Result<Option<Answered>, BadAnswer> {
        loop {
            match head::parse(bytes)? {
                Parsed::Final(mut head, length) if length <= self.head_room() => {
                    head.keeps_open &= !self.interim.is_doubtful;
                    self.body = Some(Body::after(head));
                    return Ok(self.read_body(&bytes[length..]));
                }
                Parsed::Interim { length, announces_body } if length <= self.head_room() => {
                    self.interim.answers += 1;
                    self.interim.bytes += length;
                    self.interim.is_doubtful |= announces_body;
                    if self.interim.answers > INTERIM_ANSWERS_MAX {
                        return Err(BadAnswer::EndlessInterim);
                    }
                    bytes = &bytes[length..];
                }
                Parsed::Partial if bytes.len() <= self.head_room() => {
                    self.head_so_far = bytes.to_vec();
                    self.parsed_bytes = bytes.len();
                    return Ok(None);
                }
                _ => return Err(BadAnswer::TooLarge),
            }
        }
    }

    fn read_body(&mut self, bytes: &[u8]) -> Option<Answered> {
        let end = self.body.as_mut()?.read(bytes)?;
        self.body.take().map(|body| body.answered(end))
    }
}

/// A body on its way in, behind its head.
struct Body {
    head: Head,
    rest: Rest,
    kept: Kept,
    /// How much of it was read, framing included.
    read_bytes: usize,
}

/// What is still to come.
enum Rest {
    Length(u64),
    Chunks(Chunks),
    UntilClose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyEnd {
    /// All of it was read.
    Whole,
    /// All of it was read, and there is something behind it.
    WholeAndMore,
    /// It broke, or there is more than is read.
    Cut,
}

impl Body {
    fn after(head: Head) -> Self {
        let rest = match head.framing {
            Framing::Nothing => Rest::Length(0),
            Framing::Length(length) => Rest::Length(length),
            Framing::Chunked => Rest::Chunks(Chunks::new()),
            Framing::UntilClose => Rest::UntilClose,
        };
        Self { head, rest, kept: Kept::default(), read_bytes: 0 }
    }

    /// Reads on, up to the bound; says so when that was the end.
    fn read(&mut self, bytes: &[u8]) -> Option<BodyEnd> {
        let (within, beyond) = bytes.split_at(bytes.len().min(BODY_READ_MAX_BYTES - self.read_bytes));
        self.read_bytes += within.len();
        match self.unframe(within) {
            Err(_) => Some(BodyEnd::Cut),
            Ok(Some([])) if beyond.is_empty() => Some(BodyEnd::Whole),
            Ok(Some(_)) => Some(BodyEnd::WholeAndMore),
            Ok(None) => (!beyond.is_empty()).then_some(BodyEnd::Cut),
        }
    }

    /// Keeps what is data; when the end of the body was read, what follows it is given back.
    fn unframe<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, BadChunk> {
        match &mut self.rest {
            Rest::Length(left) => {
                let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                self.kept.take(&bytes[..taken]);
                *left -= taken as u64;
                Ok((*left == 0).then_some(&bytes[taken..]))
            }
            Rest::Chunks(chunks) => chunks.read(bytes, |data| self.kept.take(data)),
            Rest::UntilClose => {
                self.kept.take(bytes);
                Ok(None)
            }
        }
    }

    fn ended(self, ending: Ending) -> Answered {
        let is_end = matches!(self.rest, Rest::UntilClose) && ending == Ending::Closed;
        self.answered(if is_end { BodyEnd::Whole } else { BodyEnd::Cut })
    }

    fn answered(self, end: BodyEnd) -> Answered {
        let Self { head, kept, .. } = self;
        Answered {
            is_connection_clean: end == BodyEnd::Whole && head.keeps_open,
            response: Response {
                status: head.status,
                headers: head.headers,
                is_cut: end == BodyEnd::Cut || kept.is_longer,
                body: kept.bytes,
            },
        }
    }
}

/// The beginning of a body.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    /// Was there more of it?
    is_longer: bool,
}

impl Kept {
    fn take(&mut self, data: &[u8]) {
        let room = Response::BODY_KEPT_BYTES - self.bytes.len();
        self.bytes.extend_from_slice(&data[..data.len().min(room)]);
        self.is_longer |= data.len() > room;
    }
}
