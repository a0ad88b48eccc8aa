//! Responses out: the head with its framing, then the body. Nothing that an application gives can split a response.
use crate::characters::{decimal, is_field_value, is_token};
use crate::Version;

/// The application's fault: this response cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseError {
    /// One sentence for the log, with the offending name or value.
    pub reason: String,
}

/// What the request says about its response.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Of the request: a 1.0 client gets no chunks.
    pub version: Version,
    /// The request was HEAD: no body follows, whatever the head says.
    pub head_only: bool,
    /// The connection may stay open after this response.
    pub keep_alive: bool,
}

/// Writes one response head into a buffer.
///
/// A head that fails half-way leaves `out` as it was before `start`.
pub struct HeadEncoder<'a> {
    out: &'a mut Vec<u8>,
    /// Length of `out` before this head; None once the head is complete.
    begun: Option<usize>,
    turn: Turn,
    /// 204 and 304 have no body.
    status: [u8; 3],
    content_length: Option<u64>,
    has_date: bool,
}

impl<'a> HeadEncoder<'a> {
    /// Begins a head. `status` is WSGI's, like `200 OK`: three digits from 200 to 599, a space, a reason without
    /// control characters.
    pub fn start(out: &'a mut Vec<u8>, turn: Turn, status: &[u8]) -> Result<Self, ResponseError> {
        let code = match status {
            [hundreds @ b'2'..=b'5', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b' ', reason @ ..]
                if is_field_value(reason) && !reason.contains(&b'\t') =>
            {
                [*hundreds, *tens, *ones]
            }
            _ => return Err(error("the status is not like '200 OK', with 200 to 599", status)),
        };
        let begun = Some(out.len());
        // Most heads fit, so that they cost one growth of the buffer at most.
        out.reserve(512);
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status);
        out.extend_from_slice(b"\r\n");
        Ok(Self { out, begun, turn, status: code, content_length: None, has_date: false })
    }

    /// Adds a field. Refused: bad names, CR, LF, NUL or other controls in values, hop-by-hop fields
    /// (PEP 3333: connection, keep-alive, proxy-authenticate, proxy-authorization, te, trailers,
    /// transfer-encoding, upgrade), a Content-Length that is no number or differs from an earlier one.
    pub fn field(&mut self, name: &[u8], value: &[u8]) -> Result<(), ResponseError> {
        if !is_token(name) {
            return Err(error("a header's name is not a token", name));
        }
        if !is_field_value(value) {
            return Err(error("a header's value has a control character", &[name, b": ", value].concat()));
        }
        if is_hop_by_hop(name) {
            return Err(error("a hop-by-hop header is the server's to send, not the application's", name));
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            return self.take_content_length(value);
        }
        self.has_date |= name.eq_ignore_ascii_case(b"date");
        self.write(name, value);
        Ok(())
    }

    /// The Content-Length that the application gave.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Ends the head: adds Date (29 bytes of IMF-fixdate) unless given, the framing, and Connection where needed.
    ///
    /// `body_length` is the body's length where the server knows it: it adds Content-Length when the application
    /// gave none, and must agree with it when it did (else an error), except for HEAD, 204 and 304, where the
    /// body is dropped.
    pub fn finish(mut self, date: &[u8], body_length: Option<u64>) -> Result<BodyEncoder, ResponseError> {
        let has_no_content = matches!(&self.status, b"204" | b"304");
        let is_bodiless = self.turn.head_only || has_no_content;
        if let (Some(announced), Some(actual), false) = (self.content_length, body_length, is_bodiless) {
            if announced != actual {
                let reason = format!("Content-Length is {announced}, but the body has {actual} bytes");
                return Err(ResponseError { reason });
            }
        }
        if !self.has_date {
            self.write(b"Date", date);
        }
        let length = match (self.content_length, body_length) {
            (Some(announced), _) => Some(announced),
            // RFC 9110 8.6: not what GET would have had where the application left the body out for HEAD by itself.
            (None, Some(0)) if self.turn.head_only => None,
            (None, known) => known.filter(|_| !has_no_content),
        };
        // RFC 9110 8.6: no Content-Length with 204.
        if let Some(length) = length.filter(|_| &self.status != b"204") {
            self.write(b"Content-Length", itoa::Buffer::new().format(length).as_bytes());
        }
        let frame = match length {
            _ if is_bodiless => Frame::Nothing,
            Some(length) => Frame::Length(length),
            None if self.turn.version == Version::Http10 => Frame::UntilClose,
            None => {
                self.write(b"Transfer-Encoding", b"chunked");
                Frame::Chunked
            }
        };
        let keep_alive = self.turn.keep_alive && !matches!(frame, Frame::UntilClose);
        match (self.turn.version, keep_alive) {
            (Version::Http11, false) => self.write(b"Connection", b"close"),
            (Version::Http10, true) => self.write(b"Connection", b"keep-alive"),
            _ => {}
        }
        self.out.extend_from_slice(b"\r\n");
        self.begun = None;
        Ok(BodyEncoder { frame, is_bodiless, keep_alive })
    }

    /// Puts a head aside before its end, because the body's length is not known yet. `out` must stay as it is.
    pub fn suspend(mut self) -> SuspendedHead {
        self.begun = None;
        SuspendedHead {
            turn: self.turn,
            status: self.status,
            content_length: self.content_length,
            has_date: self.has_date,
        }
    }

    fn take_content_length(&mut self, value: &[u8]) -> Result<(), ResponseError> {
        let Some(length) = decimal(value) else {
            return Err(error("Content-Length is not a number", value));
        };
        if self.content_length.is_some_and(|earlier| earlier != length) {
            return Err(error("a second Content-Length differs from the first", value));
        }
        self.content_length = Some(length);
        Ok(())
    }

    #[inline]
    fn write(&mut self, name: &[u8], value: &[u8]) {
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value);
        self.out.extend_from_slice(b"\r\n");
    }
}

/// A head whose status and fields are encoded, and whose end is not.
#[derive(Clone, Copy, Debug)]
pub struct SuspendedHead {
    turn: Turn,
    status: [u8; 3],
    content_length: Option<u64>,
    has_date: bool,
}

impl SuspendedHead {
    /// Goes on with it. `out` ends with what the encoder had written when it was suspended.
    pub fn resume(self, out: &mut Vec<u8>) -> HeadEncoder<'_> {
        let begun = Some(out.len());
        HeadEncoder {
            out,
            begun,
            turn: self.turn,
            status: self.status,
            content_length: self.content_length,
            has_date: self.has_date,
        }
    }

    /// The Content-Length that the application gave.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The status as a number.
    pub fn status(&self) -> u16 {
        self.status.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'))
    }
}

/// Writes a whole 103 response (RFC 8297): hints that leave before the final one. Fields are checked like others.
pub fn encode_early_hints<'f>(
    out: &mut Vec<u8>,
    fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
) -> Result<(), ResponseError> {
    let turn = Turn { version: Version::Http11, head_only: false, keep_alive: true };
    let begun = out.len();
    let mut head = HeadEncoder::start(out, turn, b"200 OK")?;
    for (name, value) in fields {
        head.field(name, value)?;
    }
    head.suspend();
    out.splice(begun..begun + b"HTTP/1.1 200 OK".len(), *b"HTTP/1.1 103 Early Hints");
    out.extend_from_slice(b"\r\n");
    Ok(())
}

impl Drop for HeadEncoder<'_> {
    fn drop(&mut self) {
        if let Some(begun) = self.begun {
            self.out.truncate(begun);
        }
    }
}

/// PEP 3333: fields of one connection, which belong to the server.
#[inline]
fn is_hop_by_hop(name: &[u8]) -> bool {
    let same: &[&[u8]] = match name.len() {
        2 => &[b"te"],
        7 => &[b"upgrade"],
        8 => &[b"trailers"],
        10 => &[b"connection", b"keep-alive"],
        17 => &[b"transfer-encoding"],
        18 => &[b"proxy-authenticate"],
        19 => &[b"proxy-authorization"],
        _ => return false,
    };
    same.iter().any(|hop_by_hop| name.eq_ignore_ascii_case(hop_by_hop))
}

#[cold]
fn error(what: &str, given: &[u8]) -> ResponseError {
    // Escaped, so that what could not split a response cannot split a log line either.
    ResponseError { reason: format!("{what}: '{}'", given.escape_ascii()) }
}

/// Frames the body that follows a head.
#[derive(Clone, Copy, Debug)]
pub struct BodyEncoder {
    frame: Frame,
    is_bodiless: bool,
    keep_alive: bool,
}

#[derive(Clone, Copy, Debug)]
enum Frame {
    /// No body, or the body is over.
    Nothing,
    /// Bytes that are still to come.
    Length(u64),
    Chunked,
    UntilClose,
}

impl BodyEncoder {
    /// Frames a piece: writes what must come before it into `out` (a chunk's size line), and says how many bytes
    /// of the piece may be sent (all, or fewer where the announced length ends) and what must come after them.
    pub fn frame(&mut self, out: &mut Vec<u8>, piece_length: usize) -> (usize, &'static [u8]) {
        match &mut self.frame {
            Frame::Nothing => (0, b""),
            Frame::Length(left) => {
                let length = usize::try_from(*left).map_or(piece_length, |left| left.min(piece_length));
                *left -= length as u64;
                (length, b"")
            }
            // A chunk of no bytes would end the body.
            Frame::Chunked if piece_length == 0 => (0, b""),
            Frame::Chunked => {
                write_hexadecimal(out, piece_length);
                out.extend_from_slice(b"\r\n");
                (piece_length, b"\r\n")
            }
            Frame::UntilClose => (piece_length, b""),
        }
    }

    /// Ends the body: the last chunk where there are chunks. False when fewer bytes came than were announced:
    /// then the connection must be closed.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        match std::mem::replace(&mut self.frame, Frame::Nothing) {
            Frame::Chunked => out.extend_from_slice(b"0\r\n\r\n"),
            Frame::Length(left) if left > 0 => {
                self.keep_alive = false;
                return false;
            }
            Frame::Nothing | Frame::Length(_) | Frame::UntilClose => {}
        }
        true
    }

    /// Bytes that the announced length still allows; None when there is none.
    pub fn remaining(&self) -> Option<u64> {
        match self.frame {
            Frame::Length(left) => Some(left),
            Frame::Nothing | Frame::Chunked | Frame::UntilClose => None,
        }
    }

    /// No body may be sent (HEAD, 204, 304).
    pub fn is_bodiless(&self) -> bool {
        self.is_bodiless
    }

    /// The body is not complete, and only the end of the connection tells where it ends (RFC 9112 6.3).
    pub fn is_open_ended(&self) -> bool {
        matches!(self.frame, Frame::UntilClose)
    }

    /// The connection may serve another request once the body is complete.
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }
}

/// The size of a chunk, without leading zeros.
fn write_hexadecimal(out: &mut Vec<u8>, number: usize) {
    let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        out.push(b"0123456789ABCDEF"[number >> (4 * place) & 15]);
    }
}
