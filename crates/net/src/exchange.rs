//! One request and its answer over a connection.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use posthaste_core::{Fault, FaultKind, Response};
use tokio::time::{Instant, timeout_at};

use crate::connection::{Connection, Meter};
use crate::fault::{fault, timed_out};
use crate::tls;

/// How much of an answer's body is read before the connection is given up.
const BODY_READ_MAX_BYTES: usize = 64 * 1024;

/// A complete response head arrived.
pub(crate) struct Answered {
    pub response: Response,
    /// Was the answer read to its end, so that another request may follow?
    pub is_connection_clean: bool,
}

/// No complete response head arrived.
pub(crate) struct Broken {
    pub fault: Fault,
    /// The connection ended without a byte in answer: if it was a pooled one it had most likely gone stale before.
    pub is_silent: bool,
}

/// Sends a request and reads the answer, all before `deadline`.
pub(crate) async fn exchange(
    connection: &mut Connection,
    mut request: Request<Full<Bytes>>,
    deadline: Instant,
) -> Result<Answered, Broken> {
    let meter = connection.meter.clone();
    count_interim_answers(&mut request, &meter);
    let mark = meter.begin();
    let head = match timeout_at(deadline, connection.sender.send_request(request)).await {
        Ok(Ok(head)) => head,
        Ok(Err(error)) => {
            let is_silent = error.is_canceled() || (meter.is_silent_since(mark) && is_loss(&error));
            return Err(Broken { fault: head_fault(&error, &meter), is_silent });
        }
        Err(_) => {
            let fault = timed_out("before the receiver's answer was complete");
            return Err(Broken { fault, is_silent: false });
        }
    };
    let (head, body) = head.into_parts();
    let (body, end) = match head.status {
        // The receiver wants to speak another protocol; nothing after the head is an answer.
        StatusCode::SWITCHING_PROTOCOLS => (Vec::new(), BodyEnd::Cut),
        _ => read_body(body, deadline).await,
    };
    // A message with both is how requests are smuggled (RFC 9112 section 6.3).
    let is_ambiguous =
        head.headers.contains_key(CONTENT_LENGTH) && head.headers.contains_key(TRANSFER_ENCODING);
    let response = Response {
        status: head.status.as_u16(),
        headers: kept_headers(&head.headers),
        body,
        is_cut: end != BodyEnd::Whole && head.status != StatusCode::SWITCHING_PROTOCOLS,
    };
    Ok(Answered { response, is_connection_clean: end != BodyEnd::Cut && !is_ambiguous })
}

fn count_interim_answers(request: &mut Request<Full<Bytes>>, meter: &Arc<Meter>) {
    let meter = meter.clone();
    hyper::ext::on_informational(request, move |_| meter.count_interim());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyEnd {
    /// All of it was read and kept.
    Whole,
    /// All of it was read, the beginning kept.
    Longer,
    /// It broke, or there is more.
    Cut,
}

/// Reads a body within bounds; gives back what is kept of it.
async fn read_body(mut body: Incoming, deadline: Instant) -> (Vec<u8>, BodyEnd) {
    let mut kept = Vec::new();
    let mut read_bytes = 0;
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) if read_bytes > kept.len() => return (kept, BodyEnd::Longer),
            Ok(None) => return (kept, BodyEnd::Whole),
            Ok(Some(Err(_))) | Err(_) => return (kept, BodyEnd::Cut),
        };
        let Ok(data) = frame.into_data() else { continue };
        read_bytes += data.len();
        let room = Response::BODY_KEPT_BYTES - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if read_bytes > BODY_READ_MAX_BYTES {
            return (kept, BodyEnd::Cut);
        }
    }
}

fn kept_headers(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut room = Response::HEADERS_KEPT_BYTES;
    let mut kept = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let Some(left) = room.checked_sub(name.as_str().len() + value.len()) else { break };
        room = left;
        kept.push((name.as_str().to_owned(), value.as_bytes().to_vec()));
    }
    kept
}

/// Did the connection end, as opposed to saying something wrong?
fn is_loss(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_closed() || io_source(error).is_some()
}

fn head_fault(error: &hyper::Error, meter: &Meter) -> Fault {
    if meter.is_over() {
        return fault(FaultKind::BadResponse, "The receiver sent interim answers without end.");
    }
    if error.is_parse_too_large() {
        return fault(FaultKind::BadResponse, "The head of the receiver's answer is too large.");
    }
    if error.is_parse() {
        return fault(FaultKind::BadResponse, "The receiver's answer is not proper HTTP/1.1.");
    }
    if let Some(sentence) = io_source(error).and_then(tls::sentence) {
        return fault(FaultKind::TlsError, sentence);
    }
    if is_loss(error) || error.is_canceled() {
        return fault(
            FaultKind::ConnectionLost,
            "The receiver closed the connection without a complete answer.",
        );
    }
    tracing::warn!(%error, "a request could not be sent");
    fault(FaultKind::Internal, "The request could not be sent.")
}

fn io_source(error: &hyper::Error) -> Option<&io::Error> {
    std::error::Error::source(error)?.downcast_ref()
}
