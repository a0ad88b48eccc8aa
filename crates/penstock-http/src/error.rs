//! Why a request is refused. The peer's fault: always a status and a close.

/// A request that will not be answered by the application; the connection closes after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 400, 411, 413, 414, 417, 431, 501 or 505.
    pub status: u16,
    /// One sentence for the log, for example `two Content-Length fields differ`.
    pub reason: &'static str,
}

impl Refusal {
    pub(crate) const fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason }
    }

    /// Malformed, or well-formed in a way that two readers could read differently.
    pub(crate) const fn bad(reason: &'static str) -> Self {
        Self::new(400, reason)
    }
}
