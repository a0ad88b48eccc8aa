//! How much of a request is read before it is refused.

/// Bounds of one request, in bytes unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest request line without its CRLF. A longer one gets 414.
    pub request_line: usize,
    /// Largest head: request line, fields and the empty line. A larger one gets 431.
    pub head: usize,
    /// Most fields in a head (a count). More get 431.
    pub fields: usize,
    /// Largest body after decoding. A larger one gets 413.
    pub body: u64,
}
