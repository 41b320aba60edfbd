//! What stands below the HTTP parser: the bytes of a connection, watched while they pass.
//!
//! The parser takes a line that ends in LF alone for a line (RFC 9112 §2.2 lets a recipient do so). A proxy
//! in front that does not, sees another request than we do, and what one of them takes for a body is a request
//! to the other (CWE-444). So here a bare LF in the head of a request becomes a NUL, which no head may contain:
//! the parser answers 400 and closes the connection. Bodies pass as they are.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection whose heads are watched.
#[derive(Debug)]
pub struct Watched<T> {
    io: T,
    heads: Heads,
}

impl<T> Watched<T> {
    /// Watches from the first byte on.
    pub fn new(io: T) -> Self {
        Self { io, heads: Heads::default() }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.heads.pass(buf.filled_mut().get_mut(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, slices)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// Where in the stream of requests we are (RFC 9112 §6.3). It need be right only for requests that the parser
/// accepts: after any other the connection is closed.
#[derive(Debug, Default)]
struct Heads {
    at: At,
    /// Whether the last byte was a CR.
    cr: bool,
    /// The line so far, as far as it matters.
    line: Line,
    /// What the head says of its body.
    length: u64,
    chunked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    /// Before the request line, where empty lines are passed over (RFC 9112 §2.2).
    #[default]
    Before,
    /// In the head.
    Head,
    /// In a body: so many bytes to come.
    Body(u64),
    /// In the line of a chunk's size (RFC 9112 §7.1): the size so far, and whether it is complete.
    ChunkSize(u64, bool),
    /// In a chunk: so many bytes to come.
    Chunk(u64),
    /// In the line break after a chunk.
    ChunkEnd,
    /// In the fields after the last chunk.
    Trailer,
}

/// As much of a line as tells the two fields that matter from all others.
#[derive(Debug, Default)]
struct Line {
    name: [u8; NAME],
    length: usize,
    field: Field,
}

/// The length of `transfer-encoding`.
const NAME: usize = 17;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Field {
    #[default]
    Name,
    ContentLength,
    TransferEncoding,
    Other,
}

impl Line {
    /// Takes a byte of the line (no line break).
    fn push(&mut self, byte: u8) {
        if self.field == Field::Name {
            let name = self.name.get(..self.length.min(NAME)).unwrap_or_default();
            match (byte, self.name.get(self.length)) {
                (b':', _) if name == b"content-length" => self.field = Field::ContentLength,
                (b':', _) if name == b"transfer-encoding" => self.field = Field::TransferEncoding,
                (b':', _) | (_, None) => self.field = Field::Other,
                (byte, Some(_)) => {
                    if let Some(place) = self.name.get_mut(self.length) {
                        *place = byte.to_ascii_lowercase();
                    }
                }
            }
        }
        self.length = self.length.saturating_add(1);
    }
}

impl Heads {
    /// Looks at what came, and spoils what the parser must not take.
    fn pass(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            // Bodies are passed over in one step.
            if let At::Body(left) | At::Chunk(left) = self.at {
                let step = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let left = left.saturating_sub(u64::try_from(step).unwrap_or(u64::MAX));
                self.at = match self.at {
                    At::Body(_) if left == 0 => At::Before,
                    At::Body(_) => At::Body(left),
                    _ if left == 0 => At::ChunkEnd,
                    _ => At::Chunk(left),
                };
                rest = rest.get_mut(step..).unwrap_or_default();
                continue;
            }
            let Some((byte, others)) = rest.split_first_mut() else { return };
            self.step(byte);
            rest = others;
        }
    }

    fn step(&mut self, byte: &mut u8) {
        let after_cr = std::mem::replace(&mut self.cr, *byte == b'\r');
        match (self.at, *byte) {
            (At::Before | At::Head | At::Trailer, b'\n') if !after_cr => *byte = 0,
            (At::Before, b'\r' | b'\n') | (At::Head | At::Trailer, b'\r') => {}
            (At::Before, first) => {
                (self.at, self.length, self.chunked) = (At::Head, 0, false);
                // The request line is no field.
                self.line = Line { field: Field::Other, length: 1, ..Line::default() };
                self.line.push(first);
            }
            (At::Head, b'\n') => {
                let line = std::mem::take(&mut self.line);
                if line.length == 0 {
                    self.at = self.body();
                }
            }
            (At::Head, byte) => {
                self.line.push(byte);
                match (self.line.field, byte) {
                    (Field::ContentLength, b'0'..=b'9') => {
                        let digit = u64::from(byte.saturating_sub(b'0'));
                        self.length = self.length.saturating_mul(10).saturating_add(digit);
                    }
                    (Field::TransferEncoding, _) => self.chunked = true,
                    _ => {}
                }
            }
            (At::ChunkSize(0, _), b'\n') => (self.at, self.line) = (At::Trailer, Line::default()),
            (At::ChunkSize(size, _), b'\n') => self.at = At::Chunk(size),
            (At::ChunkSize(size, false), byte) => match char::from(byte).to_digit(16) {
                Some(digit) => {
                    self.at = At::ChunkSize(size.saturating_mul(16).saturating_add(u64::from(digit)), false);
                }
                None => self.at = At::ChunkSize(size, true),
            },
            (At::ChunkEnd, b'\n') => self.at = At::ChunkSize(0, false),
            (At::Trailer, b'\n') => {
                if std::mem::take(&mut self.line).length == 0 {
                    self.at = At::Before;
                }
            }
            (At::Trailer, byte) => self.line.push(byte),
            (At::ChunkSize(_, true) | At::ChunkEnd | At::Body(_) | At::Chunk(_), _) => {}
        }
    }

    /// What follows the head.
    fn body(&self) -> At {
        match (self.chunked, self.length) {
            (true, _) => At::ChunkSize(0, false),
            (false, 0) => At::Before,
            (false, length) => At::Body(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the parser is given of these bytes, if they come in pieces of this size.
    fn passed(text: &str, piece: usize) -> String {
        let mut heads = Heads::default();
        let mut bytes = text.as_bytes().to_vec();
        for piece in bytes.chunks_mut(piece) {
            heads.pass(piece);
        }
        String::from_utf8(bytes).unwrap()
    }

    const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:  7 \r\nX: y\r\n\r\na\nb\n\n\nc";
    const CHUNKED: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;e\r\na\nb\r\n0a\r\n\n\n\n\n\n\n\n\n\n\n\r\n0\r\nT: u\r\n\r\n";

    #[test]
    fn oauth_114_a_bare_lf_in_a_head_is_spoiled() {
        for (bad, spoiled) in [
            ("GET / HTTP/1.1\nhost: x\r\n\r\n", "GET / HTTP/1.1\0host: x\r\n\r\n"),
            ("GET / HTTP/1.1\r\nhost: x\nA: b\r\n\r\n", "GET / HTTP/1.1\r\nhost: x\0A: b\r\n\r\n"),
            ("GET / HTTP/1.1\r\nhost: x\r\n\n", "GET / HTTP/1.1\r\nhost: x\r\n\0"),
            ("\nGET / HTTP/1.1\r\n", "\0GET / HTTP/1.1\r\n"),
        ] {
            for piece in [1, 3, 1000] {
                assert_eq!(passed(bad, piece), spoiled);
                // and behind requests that are as they should be
                for sound in [GET, POST, CHUNKED] {
                    assert_eq!(passed(&format!("{sound}{bad}"), piece), format!("{sound}{spoiled}"));
                }
            }
        }
    }

    proptest! {
        /// Sound requests pass unchanged, whatever their bodies and however they are cut.
        #[test]
        fn oauth_114_sound_requests_pass(
            which in prop::collection::vec((0_u8..3, "[a-z\n\r:0-9]{0,40}"), 1..6),
            piece in 1_usize..50,
        ) {
            let mut text = String::new();
            for (kind, body) in which {
                match kind {
                    0 => text.push_str(GET),
                    1 => text.push_str(&format!(
                        "POST /p?a=b HTTP/1.1\r\ncookie: a=b\r\ncontent-length: {}\r\n\r\n{body}", body.len()
                    )),
                    _ => {
                        text.push_str("\r\nPOST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n");
                        if !body.is_empty() {
                            text.push_str(&format!("{:x}\r\n{body}\r\n", body.len()));
                        }
                        text.push_str("0\r\n\r\n");
                    }
                }
            }
            prop_assert_eq!(passed(&text, piece), text);
        }
    }
}
