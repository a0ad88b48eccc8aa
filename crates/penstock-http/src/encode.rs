//! Responses out: the head with its framing, then the body. Nothing that an application gives can split a response.
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
    _out: &'a mut Vec<u8>,
}

impl<'a> HeadEncoder<'a> {
    /// Begins a head. `status` is WSGI's: `200 OK`, three digits 200-599, a space, a reason without control characters.
    pub fn start(_out: &'a mut Vec<u8>, _turn: Turn, _status: &[u8]) -> Result<Self, ResponseError> {
        todo!()
    }

    /// Adds a field. Refused: bad names, CR, LF, NUL or other controls in values, hop-by-hop fields
    /// (PEP 3333: connection, keep-alive, proxy-authenticate, proxy-authorization, te, trailers,
    /// transfer-encoding, upgrade), a Content-Length that is no number or differs from an earlier one.
    pub fn field(&mut self, _name: &[u8], _value: &[u8]) -> Result<(), ResponseError> {
        todo!()
    }

    /// The Content-Length that the application gave.
    pub fn content_length(&self) -> Option<u64> {
        todo!()
    }

    /// Ends the head: adds Date (29 bytes of IMF-fixdate) unless given, the framing, and Connection where needed.
    ///
    /// `body_length` is the body's length where the server knows it: it adds Content-Length when the application
    /// gave none, and must agree with it when it did (else an error), except for HEAD, 204 and 304, where the
    /// body is dropped.
    pub fn finish(self, _date: &[u8], _body_length: Option<u64>) -> Result<BodyEncoder, ResponseError> {
        todo!()
    }
}

/// Frames the body that follows a head.
#[derive(Clone, Copy, Debug)]
pub struct BodyEncoder {}

impl BodyEncoder {
    /// Frames a piece: writes what must come before it into `out` (a chunk's size line), and says how many bytes
    /// of the piece may be sent (all, or fewer where the announced length ends) and what must come after them.
    pub fn frame(&mut self, _out: &mut Vec<u8>, _piece_length: usize) -> (usize, &'static [u8]) {
        todo!()
    }

    /// Ends the body: the last chunk where there are chunks. False when fewer bytes came than were announced:
    /// then the connection must be closed.
    pub fn finish(&mut self, _out: &mut Vec<u8>) -> bool {
        todo!()
    }

    /// Bytes that the announced length still allows; None when there is none.
    pub fn remaining(&self) -> Option<u64> {
        todo!()
    }

    /// No body may be sent (HEAD, 204, 304).
    pub fn is_bodiless(&self) -> bool {
        todo!()
    }

    /// The connection may serve another request once the body is complete.
    pub fn keep_alive(&self) -> bool {
        todo!()
    }
}
