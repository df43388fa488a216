//! A connection whose requests are followed as they come.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::bounds::ServerBounds;
use super::heads::{Awaited, HeadWatch};

/// A stream that shows everything read from it to a watch, and passes on only what that could follow. It ends where a
/// head takes too long, or no other request comes.
pub(super) struct Followed<S> {
    stream: S,
    watch: HeadWatch,
    patience: Patience,
}

/// How long is waited for what.
struct Patience {
    bounds: ServerBounds,
    /// What is waited for since when the clock runs.
    awaited: Awaited,
    clock: Option<Pin<Box<Sleep>>>,
}

impl<S> Followed<S> {
    pub(super) fn new(stream: S, watch: HeadWatch, bounds: ServerBounds) -> Self {
        let patience = Patience { bounds, awaited: Awaited::Body, clock: None };
        Self { stream, watch, patience }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    #[cfg(test)]
    pub(super) fn into_watch(self) -> HeadWatch {
        self.watch
    }
}

impl Patience {
    /// Ends when this was waited for too long without a break. Bodies have their own bound.
    fn poll(&mut self, awaited: Awaited, context: &mut Context<'_>) -> Poll<()> {
        let limit = match awaited {
            Awaited::Head { .. } => self.bounds.head,
            Awaited::Request { .. } => self.bounds.idle,
            Awaited::Body => return Poll::Pending,
        };
        let is_new = self.awaited != awaited;
        self.awaited = awaited;
        let clock = match &mut self.clock {
            Some(clock) => {
                if is_new {
                    clock.as_mut().reset(Instant::now() + limit);
                }
                clock
            }
            None => self.clock.insert(Box::pin(sleep_until(Instant::now() + limit))),
        };
        clock.as_mut().poll(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Followed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.watch.is_lost() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let known = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => {
                let awaited = this.watch.awaits();
                ready!(this.patience.poll(awaited, context));
                return Poll::Ready(match awaited {
                    // As if the client had ended it.
                    Awaited::Request { .. } => Ok(()),
                    Awaited::Head { .. } | Awaited::Body => Err(io::ErrorKind::TimedOut.into()),
                });
            }
        }
        let read = buffer.filled().len() - known;
        let followed = this.watch.read(&buffer.filled()[known..]);
        if followed == 0 && read > 0 {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        buffer.set_filled(known + followed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Followed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
