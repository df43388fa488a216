//! The reader of answers: however the bytes are cut into pieces, the answer is the same and within its bounds.

#![no_main]

#[path = "../../crates/net/src"]
#[allow(dead_code, unreachable_pub, reason = "the module as it stands, used in part")]
mod net {
    pub mod answer;
}

use libfuzzer_sys::fuzz_target;
use net::answer::{Ending, Reading};
use posthaste_core::Response;

/// What became of the bytes: an answer, or none.
fn read(pieces: &mut dyn Iterator<Item = &[u8]>) -> Option<(Response, bool)> {
    let mut reading = Reading::new();
    for piece in pieces {
        if let Some(answered) = reading.take(piece).ok()? {
            return Some((answered.response, answered.is_connection_clean));
        }
    }
    let answered = reading.end(Ending::Closed).ok()??;
    Some((answered.response, answered.is_connection_clean))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let whole = read(&mut std::iter::once(bytes));
    let in_pieces = read(&mut bytes.chunks(usize::from(*size).max(1)));
    // Bytes behind an answer are noticed only if they come along with its end.
    assert_eq!(whole.is_some(), in_pieces.is_some());
    if let (Some((one, _)), Some((other, _))) = (&whole, &in_pieces) {
        assert_eq!((one.status, &one.headers, &one.body), (other.status, &other.headers, &other.body));
        assert!(one.body.len() <= Response::BODY_KEPT_BYTES);
        let kept: usize = one.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(kept <= Response::HEADERS_KEPT_BYTES);
    }
});
