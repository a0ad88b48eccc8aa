//! The PROXY protocol, versions 1 and 2: one header before the first request of a connection. Refuses whatever is
//! no such header, so that nobody can reach the application past the proxy.
//!
//! <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>
use crate::characters::decimal;
use crate::Refusal;
use memchr::memchr;
use std::net::{IpAddr, SocketAddr};
use std::str::from_utf8;

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

const VERSION_1: &[u8] = b"PROXY ";
const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1 with its CRLF, as the specification counts it.
const LONGEST_LINE: usize = 107;
/// Version 2's signature, command, family and length.
const FIXED_PART: usize = 16;
/// Most bytes behind the fixed part: addresses take 36, a TLS certificate in a TLV a few thousand.
const LONGEST_REST: usize = 4096;

const NOT_PROXY: Refusal = Refusal::bad("the connection does not begin with a PROXY protocol header");
const MALFORMED: Refusal = Refusal::bad("the PROXY protocol header is malformed");

/// Reads the header at the start of `input`; at most 107 bytes in version 1, 4112 in version 2.
pub fn parse(input: &[u8]) -> Result<Proxied, Refusal> {
    if input.starts_with(VERSION_1) {
        parse_line(input)
    } else if input.starts_with(VERSION_2) {
        parse_binary(input)
    } else if VERSION_1.starts_with(input) || VERSION_2.starts_with(input) {
        Ok(Proxied::NeedMore)
    } else {
        Err(NOT_PROXY)
    }
}

/// Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443`.
fn parse_line(input: &[u8]) -> Result<Proxied, Refusal> {
    let Some(newline) = memchr(b'\n', &input[..input.len().min(LONGEST_LINE)]) else {
        return if input.len() < LONGEST_LINE { Ok(Proxied::NeedMore) } else { Err(MALFORMED) };
    };
    let len = newline + 1;
    let line = input[..newline].strip_suffix(b"\r").and_then(|line| from_utf8(line).ok()).ok_or(MALFORMED)?;
    let mut words = line.split(' ').skip(1);
    let mut word = || words.next().ok_or(MALFORMED);
    let protocol = word()?;
    if protocol == "UNKNOWN" {
        return Ok(Proxied::Local { len });
    }
    let address = |text: &str| match (protocol, text.parse::<IpAddr>()) {
        ("TCP4", Ok(address @ IpAddr::V4(_))) | ("TCP6", Ok(address @ IpAddr::V6(_))) => Ok(address),
        _ => Err(MALFORMED),
    };
    let port = |text: &str| decimal(text.as_bytes()).and_then(|port| u16::try_from(port).ok()).ok_or(MALFORMED);
    let (from, to) = (address(word()?)?, address(word()?)?);
    let source = SocketAddr::new(from, port(word()?)?);
    let destination = SocketAddr::new(to, port(word()?)?);
    if words.next().is_some() {
        return Err(MALFORMED);
    }
    Ok(Proxied::Client { len, source, destination })
}

/// Version 2: signature, version and command, family and protocol, length; then addresses, ports and TLVs.
fn parse_binary(input: &[u8]) -> Result<Proxied, Refusal> {
    let Some((fixed, rest)) = input.split_first_chunk::<FIXED_PART>() else {
        return Ok(Proxied::NeedMore);
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_REST || !matches!(command, LOCAL | PROXY) {
        return Err(MALFORMED);
    }
    let Some(addresses) = rest.get(..length) else {
        return Ok(Proxied::NeedMore);
    };
    let len = FIXED_PART + length;
    let (source, destination) = match (command, family) {
        (LOCAL, _) | (_, UNSPECIFIED | UNIX_STREAM | UNIX_DATAGRAM) => return Ok(Proxied::Local { len }),
        (_, TCP_OVER_IPV4) => addresses_of::<4>(addresses),
        (_, TCP_OVER_IPV6) => addresses_of::<16>(addresses),
        _ => None,
    }
    .ok_or(MALFORMED)?;
    Ok(Proxied::Client { len, source, destination })
}

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;
const UNIX_DATAGRAM: u8 = 0x32;

/// Source address, destination address, source port, destination port; TLVs behind them are skipped.
fn addresses_of<const SIZE: usize>(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)>
where
    IpAddr: From<[u8; SIZE]>,
{
    let (source, rest) = bytes.split_first_chunk::<SIZE>()?;
    let (destination, rest) = rest.split_first_chunk::<SIZE>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let (destination_port, _) = rest.split_first_chunk::<2>()?;
    let socket = |address: &[u8; SIZE], port: &[u8; 2]| SocketAddr::new((*address).into(), u16::from_be_bytes(*port));
    Some((socket(source, source_port), socket(destination, destination_port)))
}
