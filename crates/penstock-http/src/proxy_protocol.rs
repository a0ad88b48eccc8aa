//! The PROXY protocol, versions 1 and 2: one header before the first request of a connection.
use crate::Refusal;
use std::net::SocketAddr;

/// What the header said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxied {
    /// Call again with more bytes.
    NeedMore,
    /// `LOCAL` or `UNKNOWN`: the proxy speaks for itself (a health check).
    Local {
        /// Length of the header.
        len: usize,
    },
    /// The client's address, and the address it connected to.
    Client {
        /// Length of the header.
        len: usize,
        /// Where the connection came from.
        source: SocketAddr,
        /// Where it went to.
        destination: SocketAddr,
    },
}

/// Reads the header at the start of `input`; at most 536 bytes are looked at in version 1's and 2's usual forms.
pub fn parse(_input: &[u8]) -> Result<Proxied, Refusal> {
    todo!()
}
