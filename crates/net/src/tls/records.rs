//! Where one record of TLS ends and the next begins, told from the bytes as they pass.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A socket that carries TLS. The library keeps the beginning of a record to itself until the rest has come; this knows
/// whether it holds one.
pub(crate) struct Records {
    socket: TcpStream,
    place: Place,
}

impl Records {
    pub fn new(socket: TcpStream) -> Self {
        Self { socket, place: Place::default() }
    }

    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Did what was read so far end with a whole record?
    pub fn is_between_records(&self) -> bool {
        self.place.header_bytes == 0 && self.place.content_left == 0
    }
}

/// The type of a record, its version and its length (RFC 8446 section 5.1).
const HEADER_BYTES: usize = 5;

/// How far into a record the bytes have come.
#[derive(Default)]
struct Place {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    content_left: usize,
}

impl Place {
    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.content_left > 0 {
                let passed = bytes.len().min(self.content_left);
                self.content_left -= passed;
                bytes = &bytes[passed..];
                continue;
            }
            let (header, rest) = bytes.split_at(bytes.len().min(HEADER_BYTES - self.header_bytes));
            self.header[self.header_bytes..][..header.len()].copy_from_slice(header);
            self.header_bytes += header.len();
            bytes = rest;
            if self.header_bytes == HEADER_BYTES {
                self.header_bytes = 0;
                self.content_left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
            }
        }
    }
}

impl AsyncRead for Records {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (this, before) = (self.get_mut(), buffer.filled().len());
        let polled = Pin::new(&mut this.socket).poll_read(cx, buffer);
        this.place.pass(&buffer.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Records {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_over_at_its_last_byte_however_it_is_cut() {
        let records = [&[22, 3, 3, 0, 2, 1, 1][..], &[23, 3, 3, 0, 0], &[23, 3, 3, 1, 0], &[7; 256]].concat();
        let ends = [0, 7, 12, 273];
        for piece in [1, 2, 3, 5, 100, records.len()] {
            let mut place = Place::default();
            for (number, bytes) in records.chunks(piece).enumerate() {
                place.pass(bytes);
                let is_over = place.header_bytes == 0 && place.content_left == 0;
                let passed = number * piece + bytes.len();
                assert_eq!(is_over, ends.contains(&passed), "{passed} bytes, {piece} at a time");
            }
        }
    }
}
