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
    /// What is waited for, and until when.
    awaited: Awaited,
    deadline: Instant,
    clock: Option<Pin<Box<Sleep>>>,
}

impl<S> Followed<S> {
    pub(super) fn new(stream: S, watch: HeadWatch, bounds: ServerBounds) -> Self {
        let patience = Patience { bounds, awaited: Awaited::Body, deadline: Instant::now(), clock: None };
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
        if self.awaited != awaited {
            (self.awaited, self.deadline) = (awaited, Instant::now() + limit);
        }
        let deadline = self.deadline;
        let clock = self.clock.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if clock.deadline() > deadline {
            clock.as_mut().reset(deadline);
        }
        // Set anew only when it strikes too early: that is seldom, and each request moves the deadline.
        loop {
            ready!(clock.as_mut().poll(context));
            if clock.deadline() >= deadline {
                return Poll::Ready(());
            }
            clock.as_mut().reset(deadline);
        }
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
