//! The parsed head of a request: places in the caller's bytes, no copies.
use crate::framing::RequestFraming;

/// A place in the bytes that were given to the decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes at this place; empty when `bytes` is too short.
    #[inline]
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// One header field, white space around the value already removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// Its name as the client wrote it: upper and lower case kept.
    pub name: Span,
    /// Its value, without white space at either end.
    pub value: Span,
}

/// The two versions that are spoken here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// A request's head. Reused from request to request, so that its list of fields is allocated once.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// `GET`; always a token.
    pub method: Span,
    /// The request target as sent: `/a?b`, `http://host/a?b`, `*` or (CONNECT) `host:port`.
    pub target: Span,
    /// The path of the target: `/a`; empty for absolute-form without one; `*` for asterisk-form.
    pub path: Span,
    /// What follows the first `?`; empty when there is none.
    pub query: Span,
    /// HTTP/1.0 or 1.1; a higher 1.x counts as 1.1.
    pub version: Version,
    /// In the order sent. Fields whose name holds an underscore are left out.
    pub fields: Vec<Field>,
    /// The authority of an absolute-form target, else the value of Host; None only with HTTP/1.0.
    pub host: Option<Span>,
    /// Where the body ends.
    pub framing: RequestFraming,
    /// `Expect: 100-continue` with HTTP/1.1 and a body.
    pub expects_continue: bool,
    /// The connection may serve another request after this one.
    pub keep_alive: bool,
    /// Bytes of the head including any empty lines before it and the empty line that ends it.
    pub len: u32,
}
