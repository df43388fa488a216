//! Request bodies: read only when asked for, never more than allowed, never for longer than allowed.

use std::error::Error;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

/// The body of a request, with the time by which it must have arrived.
pub struct RequestBody {
    /// `None` once it was read to its end.
    incoming: Option<Incoming>,
    deadline: Deadline,
    arrival: Arc<Arrival>,
}

/// How far the bodies of one connection's requests are, which come one after the other.
#[derive(Default)]
pub struct Arrival {
    is_awaited: AtomicBool,
    /// What was not read of the last one.
    left: Mutex<Option<Incoming>>,
}

/// How often is looked whether the rest of a body is there already.
const LOOKS: usize = 4;
/// The longest rest that is read only to be dropped.
const DROPPED_MAX_BYTES: usize = 64 * 1024;

impl Arrival {
    /// Does somebody wait for more of a body?
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.is_awaited.load(Ordering::Relaxed)
    }

    /// Lets go of the last body; answers whether it was left before its end.
    #[must_use]
    pub fn drop_rest(&self) -> bool {
        self.left().take().is_some()
    }

    /// Was the last body read to its end? What is here already is read and dropped; nothing is waited for.
    pub async fn is_whole(&self) -> bool {
        let Some(mut rest) = self.left().take() else { return true };
        let mut dropped = 0;
        for _ in 0..LOOKS {
            while let Poll::Ready(frame) =
                poll_fn(|context| Poll::Ready(Pin::new(&mut rest).poll_frame(context))).await
            {
                match frame {
                    None => return true,
                    Some(Ok(frame)) => dropped += frame.data_ref().map_or(0, Bytes::len),
                    Some(Err(_)) => return false,
                }
                if dropped > DROPPED_MAX_BYTES {
                    return false;
                }
            }
            yield_now().await;
        }
        false
    }

    fn left(&self) -> MutexGuard<'_, Option<Incoming>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(rest) = self.incoming.take().filter(|rest| !rest.is_end_stream()) {
            *self.arrival.left() = Some(rest);
        }
    }
}

/// When a body is late. Most come with the request's head, and then nobody has to be woken.
enum Deadline {
    Within(Duration),
    Running(Pin<Box<Sleep>>),
}

/// Why a body could not be read. The connection cannot be used for another request after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyTrouble {
    /// It is longer than allowed.
    #[error("the request body is too long")]
    TooLong,
    /// It did not arrive in time.
    #[error("the request body did not arrive in time")]
    TooSlow,
    /// It ended early, or its framing is broken.
    #[error("the request body broke off")]
    Broken,
}

impl RequestBody {
    /// A body that must have arrived `within` this time, counted from when it is first waited for.
    #[must_use]
    pub fn new(incoming: Incoming, within: Duration, arrival: &Arc<Arrival>) -> Self {
        Self { incoming: Some(incoming), deadline: Deadline::Within(within), arrival: arrival.clone() }
    }

    /// The whole body; see [`read_whole`].
    ///
    /// # Errors
    /// See [`BodyTrouble`].
    pub async fn read(self, limit_bytes: usize) -> Result<Bytes, BodyTrouble> {
        read_whole(self, limit_bytes).await
    }
}

/// Reads a body to its end. One announced as too long is refused without reading any of it; one that comes in a single
/// piece is not copied.
///
/// # Errors
/// See [`BodyTrouble`].
pub async fn read_whole<B>(body: B, limit_bytes: usize) -> Result<Bytes, BodyTrouble>
where
    B: Body<Data = Bytes, Error: Into<BodyTrouble>>,
{
    if body.size_hint().lower() > limit_bytes as u64 {
        return Err(BodyTrouble::TooLong);
    }
    let mut body = pin!(body);
    let (mut first, mut whole) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Into::into)?.into_data() else { continue };
        if first.len().max(whole.len()) + data.len() > limit_bytes {
            return Err(BodyTrouble::TooLong);
        }
        if first.is_empty() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

impl Deadline {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let sleep = match self {
            Self::Running(sleep) => sleep,
            Self::Within(within) => {
                *self = Self::Running(Box::pin(sleep_until(Instant::now() + *within)));
                return self.poll(context);
            }
        };
        sleep.as_mut().poll(context)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyTrouble;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyTrouble>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = match Pin::new(incoming).poll_frame(context) {
            Poll::Ready(Some(frame)) => Poll::Ready(Some(frame.map_err(|_| BodyTrouble::Broken))),
            Poll::Ready(None) => {
                self.incoming = None;
                Poll::Ready(None)
            }
            Poll::Pending => self.deadline.poll(context).map(|()| Some(Err(BodyTrouble::TooSlow))),
        };
        self.arrival.is_awaited.store(frame.is_pending(), Ordering::Relaxed);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or(SizeHint::with_exact(0), Incoming::size_hint)
    }
}

/// What broke the reading, as far down as it is wrapped.
impl From<axum::Error> for BodyTrouble {
    fn from(error: axum::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            if let Some(trouble) = error.downcast_ref() {
                return *trouble;
            }
            cause = error.source();
        }
        Self::Broken
    }
}
