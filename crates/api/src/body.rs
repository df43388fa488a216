//! Request bodies: read only when asked for, never more than allowed, never for longer than allowed.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

/// The body of a request, with the time by which it must have arrived.
pub struct RequestBody {
    incoming: Incoming,
    deadline: Pin<Box<Sleep>>,
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
    /// A body that must have arrived `within` this time from now.
    #[must_use]
    pub fn new(incoming: Incoming, within: Duration) -> Self {
        Self { incoming, deadline: Box::pin(sleep_until(Instant::now() + within)) }
    }

    /// The whole body. A body announced as too long is refused without reading any of it.
    ///
    /// # Errors
    /// See [`BodyTrouble`].
    pub async fn read(mut self, limit_bytes: usize) -> Result<Bytes, BodyTrouble> {
        if self.size_hint().lower() > limit_bytes as u64 {
            return Err(BodyTrouble::TooLong);
        }
        let mut whole = BytesMut::new();
        while let Some(frame) = self.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if whole.len() + data.len() > limit_bytes {
                return Err(BodyTrouble::TooLong);
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyTrouble;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyTrouble>>> {
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(|_| BodyTrouble::Broken))),
            Poll::Pending => self.deadline.as_mut().poll(context).map(|()| Some(Err(BodyTrouble::TooSlow))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
