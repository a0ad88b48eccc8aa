//! Where a request's body ends (RFC 9112, section 6.3).

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
