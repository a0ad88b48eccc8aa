//! What trusted proxies say of the client: X-Forwarded-For, -Proto, -Host and RFC 7239 Forwarded.
use crate::{Field, Span};
use std::net::IpAddr;

/// Which peers may speak for others.
#[derive(Clone, Debug, Default)]
pub struct Trust {}

impl Trust {
    /// From `forwarded_allow`: addresses, networks (`10.0.0.0/8`), `unix` for unix sockets, `*` for all.
    pub fn parse(_entries: &[String]) -> Result<Self, String> {
        todo!()
    }

    /// Is this peer trusted? None is a unix socket's peer.
    pub fn includes(&self, _peer: Option<IpAddr>) -> bool {
        todo!()
    }
}

/// The client as the proxies saw it; fields that nobody gave are None.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The nearest address that is not itself a trusted proxy.
    pub address: Option<IpAddr>,
    /// Its port where Forwarded gives one.
    pub port: Option<u16>,
    /// `http` or `https`, nothing else.
    pub https: Option<bool>,
    /// A host that has passed the same check as Host.
    pub host: Option<Span>,
}

/// Names of the fields that only a trusted peer may send, in lower case.
pub const FIELDS: [&str; 5] =
    ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"];

/// Reads the fields of a request that came from a trusted peer.
pub fn client(_trust: &Trust, _bytes: &[u8], _fields: &[Field]) -> Client {
    todo!()
}
