//! One request and its answer over a connection.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use posthaste_core::{Fault, FaultKind};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::coop::unconstrained;
use tokio::time::Sleep;

use crate::answer::{Answered, BadAnswer, Ending, Reading};
use crate::dial::Stream;
use crate::fault::{fault, timed_out};
use crate::request::Message;
use crate::tls;

/// Read at one time. Most answers are shorter.
const READ_BYTES: usize = 4 * 1024;

/// No complete response head arrived.
pub(crate) struct Broken {
    pub fault: Fault,
    /// The connection ended without a byte in answer: if it was a pooled one it had most likely gone stale before.
    pub is_silent: bool,
}

/// Sends a request and reads the answer, until `patience` ends.
///
/// Both are done at the same time: a receiver may answer before it has read everything, and then read no further.
pub(crate) async fn exchange(
    stream: &mut Stream,
    message: &mut Message,
    mut patience: Pin<&mut Sleep>,
) -> Result<Answered, Broken> {
    let sending = Sending::UnderWay(message);
    let mut exchange = Exchange { stream, sending, reading: Reading::new(), is_silent: true };
    poll_fn(|cx| match exchange.poll(cx) {
        // Whatever share of this task's turn was used up by reading, the time limit is looked at.
        Poll::Pending => pin!(unconstrained(patience.as_mut())).poll(cx).map(|()| exchange.give_up()),
        ended => ended,
    })
    .await
}

struct Exchange<'a> {
    stream: &'a mut Stream,
    sending: Sending<'a>,
    reading: Reading,
    /// Did no byte come yet?
    is_silent: bool,
}

/// How far the request is.
enum Sending<'a> {
    UnderWay(&'a mut Message),
    Done,
    /// The receiver takes no more of it. It may have said why, so the answer is still waited for.
    Failed(io::Error),
}

impl Exchange<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answered, Broken>> {
        self.send(cx);
        loop {
            let mut room = [MaybeUninit::uninit(); READ_BYTES];
            let mut room = ReadBuf::uninit(&mut room);
            let read = ready!(Pin::new(&mut *self.stream).poll_read(cx, &mut room));
            if let Some(ended) = self.heard(read.map(|()| room.filled())) {
                return Poll::Ready(ended);
            }
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) {
        let Sending::UnderWay(message) = &mut self.sending else { return };
        match message.poll_send(self.stream, cx) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => {
                self.sending = Sending::Done;
                posthaste_faults::point("net.request-written");
            }
            Poll::Ready(Err(error)) => self.sending = Sending::Failed(error),
        }
    }

    /// Takes in what was read; says so when the exchange has ended by it.
    fn heard(&mut self, read: io::Result<&[u8]>) -> Option<Result<Answered, Broken>> {
        let (answered, lost) = match read {
            Ok([]) => (self.reading.end(Ending::Closed), Some(None)),
            Ok(bytes) => {
                self.is_silent = false;
                (self.reading.take(bytes), None)
            }
            Err(error) => (self.reading.end(Ending::Broken), Some(Some(error))),
        };
        match (answered, lost) {
            (Ok(Some(mut answered)), _) => {
                answered.is_connection_clean &= matches!(self.sending, Sending::Done);
                Some(Ok(answered))
            }
            (Ok(None), None) => None,
            (Ok(None), Some(error)) => {
                Some(Err(Broken { fault: self.loss(error.as_ref()), is_silent: self.is_silent }))
            }
            (Err(bad), _) => Some(Err(Broken { fault: bad_response(bad), is_silent: false })),
        }
    }

    /// The connection ended before there was an answer.
    fn loss(&self, read: Option<&io::Error>) -> Fault {
        let written = if let Sending::Failed(error) = &self.sending { Some(error) } else { None };
        let errors = || read.into_iter().chain(written);
        if let Some(sentence) = errors().find_map(tls::sentence) {
            return fault(FaultKind::TlsError, sentence);
        }
        let is_reset = errors().any(|error| error.kind() == io::ErrorKind::ConnectionReset);
        let did = if is_reset { "reset" } else { "closed" };
        fault(
            FaultKind::ConnectionLost,
            format!("The receiver {did} the connection without a complete answer."),
        )
    }

    /// The time is up. What came of a body counts nevertheless.
    fn give_up(&mut self) -> Result<Answered, Broken> {
        match self.reading.end(Ending::Broken) {
            Ok(Some(answered)) => Ok(answered),
            Ok(None) | Err(_) => {
                let fault = timed_out("before the receiver's answer was complete");
                Err(Broken { fault, is_silent: false })
            }
        }
    }
}

fn bad_response(bad: BadAnswer) -> Fault {
    let sentence = match bad {
        BadAnswer::Malformed => "The receiver's answer is not proper HTTP/1.1.",
        BadAnswer::TooLarge => "The head of the receiver's answer is too large.",
        BadAnswer::EndlessInterim => "The receiver sent interim answers without end.",
    };
    fault(FaultKind::BadResponse, sentence)
}
