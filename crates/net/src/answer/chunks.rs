//! Bodies that come in chunks (RFC 9112 section 7.1).

/// Bytes of chunk extensions in one body. They mean nothing to us and are skipped.
const EXTENSIONS_MAX_BYTES: usize = 16 * 1024;
/// Bytes of trailers after one body. They are skipped too.
const TRAILERS_MAX_BYTES: usize = 16 * 1024;
/// Digits of a chunk's size, leading zeros included.
const SIZE_DIGITS_MAX: u32 = 16;

/// Takes the framing of a chunked body off, piece by piece.
#[derive(Debug)]
pub(super) struct Chunks {
    stage: Stage,
    /// The size of the chunk being read, or what is left of it.
    left: u64,
    digits: u32,
    extension_bytes: usize,
    trailer_bytes: usize,
}

/// What is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Size,
    /// White space between the size and what follows.
    AfterSize,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The beginning of a trailer line, or the end.
    LineStart,
    Line,
    LineLf,
    LastLf,
}

/// The framing is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadChunk;

impl Chunks {
    pub fn new() -> Self {
        Self { stage: Stage::Size, left: 0, digits: 0, extension_bytes: 0, trailer_bytes: 0 }
    }

    /// Reads on. Data goes to `sink`; when the end of the body was read, what follows it is given back.
    pub fn read<'a>(
        &mut self,
        mut bytes: &'a [u8],
        mut sink: impl FnMut(&[u8]),
    ) -> Result<Option<&'a [u8]>, BadChunk> {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.stage == Stage::Data {
                let taken = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                let (data, rest) = bytes.split_at(taken);
                sink(data);
                self.left -= taken as u64;
                self.stage = if self.left == 0 { Stage::DataCr } else { Stage::Data };
                bytes = rest;
                continue;
            }
            bytes = rest;
            if self.stage == Stage::LastLf {
                return if byte == b'\n' { Ok(Some(bytes)) } else { Err(BadChunk) };
            }
            self.stage = self.step(byte)?;
        }
        Ok(None)
    }

    /// The stage after a byte of the framing.
    fn step(&mut self, byte: u8) -> Result<Stage, BadChunk> {
        Ok(match (self.stage, byte) {
            (Stage::Size, digit) if digit.is_ascii_hexdigit() => self.digit(digit)?,
            (Stage::Size, _) if self.digits == 0 => return Err(BadChunk),
            (Stage::Size | Stage::AfterSize, b' ' | b'\t') => self.skip(Stage::AfterSize)?,
            (Stage::Size | Stage::AfterSize, b';') => self.skip(Stage::Extension)?,
            (Stage::Size | Stage::AfterSize | Stage::Extension, b'\r') => Stage::SizeLf,
            (Stage::Extension, byte) if byte != b'\n' => self.skip(Stage::Extension)?,
            (Stage::SizeLf, b'\n') if self.left == 0 => Stage::LineStart,
            (Stage::SizeLf, b'\n') => Stage::Data,
            (Stage::DataCr, b'\r') => Stage::DataLf,
            (Stage::DataLf, b'\n') => {
                self.digits = 0;
                Stage::Size
            }
            (Stage::LineStart, b'\r') => Stage::LastLf,
            (Stage::Line, b'\r') => Stage::LineLf,
            (Stage::LineLf, b'\n') => Stage::LineStart,
            (Stage::LineStart | Stage::Line, byte) if byte != b'\n' => self.trailer()?,
            _ => return Err(BadChunk),
        })
    }

    fn digit(&mut self, digit: u8) -> Result<Stage, BadChunk> {
        let value = char::from(digit).to_digit(16).ok_or(BadChunk)?;
        self.digits += 1;
        if self.digits > SIZE_DIGITS_MAX {
            return Err(BadChunk);
        }
        self.left = self.left << 4 | u64::from(value);
        Ok(Stage::Size)
    }

    fn skip(&mut self, next: Stage) -> Result<Stage, BadChunk> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSIONS_MAX_BYTES { Err(BadChunk) } else { Ok(next) }
    }

    fn trailer(&mut self) -> Result<Stage, BadChunk> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILERS_MAX_BYTES { Err(BadChunk) } else { Ok(Stage::Line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data, and what follows the body; `None` while the end has not come.
    fn read(text: &[u8], piece: usize) -> Result<(Vec<u8>, Option<Vec<u8>>), BadChunk> {
        let (mut chunks, mut data) = (Chunks::new(), Vec::new());
        let mut rest = text;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(piece.min(rest.len()));
            rest = later;
            if let Some(after) = chunks.read(now, |bytes| data.extend_from_slice(bytes))? {
                return Ok((data, Some([after, rest].concat())));
            }
        }
        Ok((data, None))
    }

    #[test]
    fn bodies_in_chunks() {
        let (long_extension, long_trailer) = ("e".repeat(17_000), "t".repeat(17_000));
        for (text, expected) in [
            ("0\r\n\r\n", Some(("", Some("")))),
            ("2\r\nok\r\n0\r\n\r\n", Some(("ok", Some("")))),
            ("2\r\nok\r\n3\r\n!\r\n\r\n00\r\n\r\n", Some(("ok!\r\n", Some("")))),
            ("A\r\n0123456789\r\n0\r\n\r\nmore", Some(("0123456789", Some("more")))),
            ("2;a=b;c\r\nok\r\n0;x\r\n\r\n", Some(("ok", Some("")))),
            ("2 \t\r\nok\r\n0\r\n\r\n", Some(("ok", Some("")))),
            ("2 ;a\r\nok\r\n0\r\n\r\n", Some(("ok", Some("")))),
            ("0\r\nX: y\r\nZ:\r\n\r\nmore", Some(("", Some("more")))),
            ("0000000000000002\r\nok\r\n0\r\n\r\n", Some(("ok", Some("")))),
            ("ffffffffffffffff\r\nab", Some(("ab", None))),
            ("5\r\nab", Some(("ab", None))),
            ("0\r\n", Some(("", None))),
            ("00000000000000002\r\nok\r\n", None),
            ("\r\nok", None),
            (" 2\r\nok", None),
            (";x\r\nok", None),
            ("-1\r\n", None),
            ("0x2\r\nok", None),
            ("2 2\r\nok", None),
            ("2\nok", None),
            ("2\rok", None),
            ("2;a\nok", None),
            ("2\r\nokay\r\n", None),
            ("2\r\nok\n", None),
            ("2\r\nok\r0", None),
            ("0\r\nX: y\n\r\n", None),
            ("0\r\n\rx", None),
            (&format!("1;{long_extension}\r\nx\r\n"), None),
            (&format!("0\r\n{long_trailer}\r\n\r\n"), None),
        ] {
            let expected = expected.map(|(data, after): (&str, Option<&str>)| {
                (data.as_bytes().to_vec(), after.map(|after| after.as_bytes().to_vec()))
            });
            for piece in [1, 2, 3, 7, usize::MAX] {
                assert_eq!(
                    read(text.as_bytes(), piece),
                    expected.clone().ok_or(BadChunk),
                    "{text:?} by {piece}"
                );
            }
        }
    }

    #[test]
    fn extensions_of_many_small_chunks_add_up() {
        let many = "1;aaaaaaaaaa\r\nx\r\n".repeat(2_000);
        assert_eq!(read(many.as_bytes(), 4096), Err(BadChunk));
    }
}
