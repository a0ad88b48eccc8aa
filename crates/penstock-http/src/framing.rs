//! Where a request's body ends (RFC 9112, section 6.3). Whatever could be read two ways is refused.
use crate::characters::{decimal, is_field_value, is_token, list};
use crate::{Limits, Refusal, Version};

/// How the body of a request is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RequestFraming {
    /// No Content-Length and no Transfer-Encoding: there is no body.
    #[default]
    None,
    /// `Content-Length: n`, also when n is 0.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// What the framing fields of a head have said so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Declared {
    /// The number and how many digits it was written with.
    length: Option<(u64, usize)>,
    coding: Coding,
}

/// The transfer codings seen so far, in their order.
#[derive(Clone, Copy, Debug, Default)]
enum Coding {
    #[default]
    Absent,
    Unknown,
    Chunked,
    UnknownThenChunked,
}

impl Declared {
    /// Takes one Content-Length field.
    pub(crate) fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        // RFC 9112 6.3: a list, or several fields, of one and the same number may be read as that number.
        for digits in list(value) {
            let number = decimal(digits).ok_or(Refusal::bad("Content-Length is not a number"))?;
            let written = Some((number, digits.len()));
            if self.length.is_some() && self.length != written {
                return Err(Refusal::bad("two Content-Length values differ"));
            }
            self.length = written;
        }
        Ok(())
    }

    /// Takes one Transfer-Encoding field.
    pub(crate) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for name in list(value) {
            let is_chunked = name.eq_ignore_ascii_case(b"chunked");
            self.coding = match self.coding {
                // RFC 9112 6.1: chunked is applied once, and last.
                Coding::Chunked | Coding::UnknownThenChunked => {
                    return Err(Refusal::bad("Transfer-Encoding has something behind chunked"));
                }
                _ if !is_token(name) => return Err(Refusal::bad("Transfer-Encoding is malformed")),
                Coding::Absent if is_chunked => Coding::Chunked,
                Coding::Unknown if is_chunked => Coding::UnknownThenChunked,
                Coding::Absent | Coding::Unknown => Coding::Unknown,
            };
        }
        Ok(())
    }

    /// Decides when all fields are known.
    pub(crate) fn decide(&self, version: Version, limits: &Limits) -> Result<RequestFraming, Refusal> {
        match (self.coding, self.length) {
            (Coding::Absent, None) => Ok(RequestFraming::None),
            (Coding::Absent, Some((length, _))) if length > limits.body => Err(TOO_LARGE),
            (Coding::Absent, Some((length, _))) => Ok(RequestFraming::Length(length)),
            // RFC 9112 6.1: both lengths present is how requests are smuggled: refuse, and close.
            (_, Some(_)) => Err(Refusal::bad("Content-Length and Transfer-Encoding in one request")),
            // RFC 9112 6.1: a 1.0 message with Transfer-Encoding has faulty framing.
            (_, None) if version == Version::Http10 => Err(Refusal::bad("Transfer-Encoding in HTTP/1.0")),
            (Coding::Unknown, None) => Err(Refusal::bad("the last transfer coding is not chunked")),
            (Coding::UnknownThenChunked, None) => Err(Refusal::new(501, "a transfer coding other than chunked")),
            (Coding::Chunked, None) => Ok(RequestFraming::Chunked),
        }
    }
}

/// The body is larger than its limit, as announced or as counted.
pub(crate) const TOO_LARGE: Refusal = Refusal::new(413, "the body is too large");

/// Most digits of a chunk size: 16 hexadecimal ones are all that 64 bits hold, so none can overflow.
const CHUNK_SIZE_DIGITS: usize = 16;
/// Longest extension of one chunk, with its semicolon. None is in use on the web; a signature of 64 digits fits.
const CHUNK_EXTENSION: usize = 256;
/// Longest line that can open a chunk, without its CRLF.
pub(crate) const CHUNK_LINE: usize = CHUNK_SIZE_DIGITS + CHUNK_EXTENSION;

/// Reads the line that opens a chunk: its size in bytes, and the length of its extensions, which are ignored.
pub(crate) fn chunk_size(line: &[u8]) -> Result<(u64, usize), Refusal> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits == 0 || digits > CHUNK_SIZE_DIGITS {
        return Err(Refusal::bad("a chunk size is not 1 to 16 hexadecimal digits"));
    }
    let size = line[..digits].iter().fold(0_u64, |size, &digit| {
        let value = if digit <= b'9' { digit - b'0' } else { (digit | 0x20) - b'a' + 10 };
        size << 4 | u64::from(value)
    });
    let extension = &line[digits..];
    // RFC 9112 7.1.1 lets white space stand before the semicolon; no client sends it, and parsers disagree on it.
    match extension {
        [] => Ok((size, 0)),
        [b';', ..] if extension.len() > CHUNK_EXTENSION => Err(Refusal::bad("a chunk extension is too long")),
        [b';', ..] if is_field_value(extension) => Ok((size, extension.len())),
        _ => Err(Refusal::bad("a chunk size line is malformed")),
    }
}
