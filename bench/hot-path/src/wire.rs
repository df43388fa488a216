//! HTTP messages as the two ends see them: read to their end, and no further looked into.

use anyhow::{Context as _, ensure};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// The longest message that is taken.
const MESSAGE_MAX_BYTES: usize = 64 * 1024;

/// Reads one message into `buffer`; false if the peer closed the connection before it began.
pub async fn read_message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<bool> {
    buffer.clear();
    while !is_whole(buffer)? {
        ensure!(buffer.len() < MESSAGE_MAX_BYTES, "the message is too long");
        if stream.read_buf(buffer).await? == 0 {
            ensure!(buffer.is_empty(), "the message broke off");
            return Ok(false);
        }
    }
    Ok(true)
}

/// Does the message end here? Its body must have a length, or there is none.
fn is_whole(bytes: &[u8]) -> anyhow::Result<bool> {
    let Some(head_end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let lines = bytes[..head_end].split(|byte| *byte == b'\n');
    let mut length = 0;
    for line in lines {
        if let Some((name, value)) = line.split_at_checked("content-length:".len())
            && name.eq_ignore_ascii_case(b"content-length:")
        {
            length = std::str::from_utf8(value)?.trim().parse().context("the length is no number")?;
        }
    }
    Ok(bytes.len() >= head_end + 4 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_where_their_length_says() {
        let whole = b"HTTP/1.1 202 Accepted\r\nContent-Length: 3\r\n\r\nabc";
        assert!(is_whole(whole).unwrap());
        assert!(!is_whole(&whole[..whole.len() - 1]).unwrap());
        assert!(!is_whole(b"HTTP/1.1 202 Accepted\r\n").unwrap());
        assert!(is_whole(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap());
        assert!(is_whole(b"GET / HTTP/1.1\r\ncontent-length: many\r\n\r\n").is_err());
    }
}
