//! What trusted proxies say of the client: X-Forwarded-For, -Proto, -Host and RFC 7239 Forwarded.
//!
//! Anybody can send these fields, and each proxy adds its part at the right end. So a list is believed from the right,
//! as far as trusted proxies wrote it, and no further. What cannot be read is not believed.
use crate::characters::{decimal, is_token, is_valid_host, list, trim};
use crate::{Field, Span};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::{from_utf8, FromStr};

/// Which peers may speak for others.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    networks: Vec<Network>,
    unix: bool,
    all: bool,
}

impl Trust {
    /// From `forwarded_allow`: addresses, networks (`10.0.0.0/8`), `unix` for unix sockets, `*` for all.
    ///
    /// The error is a sentence that names the entry.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        let mut trust = Self::default();
        for entry in entries {
            match entry.trim() {
                "*" => trust.all = true,
                "unix" => trust.unix = true,
                network => trust.networks.push(network.parse()?),
            }
        }
        Ok(trust)
    }

    /// Is this peer trusted? None is a unix socket's peer.
    pub fn includes(&self, peer: Option<IpAddr>) -> bool {
        let Some(peer) = peer else {
            return self.all || self.unix;
        };
        let (is_v4, bits) = family_and_bits(peer);
        self.all || self.networks.iter().any(|known| known.is_v4 == is_v4 && known.bits == bits & known.mask)
    }
}

/// Addresses of one family whose first bits are equal.
#[derive(Clone, Copy, Debug)]
struct Network {
    is_v4: bool,
    bits: u128,
    mask: u128,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(entry: &str) -> Result<Self, String> {
        let unknown = || format!("'{entry}' is no address, no network like 10.0.0.0/8, not 'unix' and not '*'");
        let (address, length) = match entry.split_once('/') {
            Some((address, length)) => (address, Some(decimal(length.as_bytes()).ok_or_else(unknown)?)),
            None => (entry, None),
        };
        let address: IpAddr = address.parse().map_err(|_| unknown())?;
        // An IPv4 address is the last 32 of 128 bits, also when it is written as ::ffff:10.0.0.0/104.
        let unseen = if address.is_ipv4() { 96 } else { 0 };
        let length = length.map_or(128, |length| length.saturating_add(unseen));
        let (is_v4, bits) = family_and_bits(address);
        if length > 128 || (is_v4 && length < 96) {
            return Err(unknown());
        }
        let mask = u128::MAX.checked_shl(128 - length as u32).unwrap_or(0);
        if bits & !mask != 0 {
            return Err(format!("'{entry}' is no network: bits of its address are set behind its prefix"));
        }
        Ok(Self { is_v4, bits, mask })
    }
}

/// An IPv4 address and the IPv6 address it is mapped to are one address.
fn family_and_bits(address: IpAddr) -> (bool, u128) {
    match address.to_canonical() {
        IpAddr::V4(address) => (true, u128::from(address.to_ipv6_mapped())),
        IpAddr::V6(address) => (false, u128::from(address)),
    }
}

/// The client as the proxies saw it; fields that nobody gave are None.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The nearest address that is not itself a trusted proxy.
    pub address: Option<IpAddr>,
    /// Its port where the proxy gives one.
    pub port: Option<u16>,
    /// `http` or `https`, nothing else.
    pub https: Option<bool>,
    /// A host that has passed the same check as Host.
    pub host: Option<Span>,
}

impl Client {
    /// Goes on to the next element of a list, from left to right.
    ///
    /// Seen from the right, a list is believed up to the first address that is not trusted or not readable. Seen from
    /// the left, as here, such an element makes all that came before it worthless. A trusted one only adds what is not
    /// known yet, so that the leftmost is the client where all are trusted.
    fn then(self, nearer: Self, trust: &Trust) -> Self {
        if !nearer.address.is_some_and(|address| trust.includes(Some(address))) {
            return nearer;
        }
        Self {
            address: self.address.or(nearer.address),
            port: if self.address.is_some() { self.port } else { nearer.port },
            https: self.https.or(nearer.https),
            host: self.host.or(nearer.host),
        }
    }
}

/// Names of the fields that only a trusted peer may send, in lower case.
pub const FIELDS: [&str; 5] =
    ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"];

/// Reads the fields of a request that came from a trusted peer. Where there is a Forwarded, the X- ones do not count.
pub fn client(trust: &Trust, bytes: &[u8], fields: &[Field]) -> Client {
    let values = |name: &'static [u8]| {
        let is_named = move |field: &&Field| field.name.of(bytes).eq_ignore_ascii_case(name);
        fields.iter().filter(is_named).map(|field| field.value)
    };
    // Most proxies write X-Forwarded-* and pass on a Forwarded of the client's own making. So that counts alone.
    if !FIELDS[1..].iter().any(|name| values(name.as_bytes()).next().is_some()) {
        return values(b"forwarded").fold(Client::default(), |client, value| forwarded(client, trust, bytes, value));
    }
    let mut client = Client::default();
    for element in values(b"x-forwarded-for").flat_map(|value| list(value.of(bytes))) {
        let (address, port) = node(element).unzip();
        client = client.then(Client { address, port: port.flatten(), ..Client::default() }, trust);
    }
    // These name no addresses, so only what the nearest proxy wrote is known to be a trusted one's.
    let last = |name| {
        values(name).next_back().map(|value| {
            let behind_comma = value.of(bytes).iter().rposition(|&byte| byte == b',').map_or(0, |comma| comma + 1);
            trimmed(bytes, value.start as usize + behind_comma, value.end as usize)
        })
    };
    client.https = last(b"x-forwarded-proto").and_then(|scheme| is_https(scheme.of(bytes)));
    client.host = last(b"x-forwarded-host").filter(|host| is_valid_host(host.of(bytes)));
    client
}

/// Goes on with the elements of one Forwarded field (RFC 7239 4). A malformed field says nothing of the client, and
/// what came before it is not believed.
fn forwarded(mut client: Client, trust: &Trust, bytes: &[u8], value: Span) -> Client {
    let mut element = Element::default();
    let mut start = value.start as usize;
    loop {
        let rest = Span::new(start, value.end as usize).of(bytes);
        let Some(length) = pair_length(rest) else {
            return Client::default();
        };
        if element.take(bytes, trimmed(bytes, start, start + length)).is_none() {
            return Client::default();
        }
        if rest.get(length) != Some(&b';') {
            client = client.then(std::mem::take(&mut element).client, trust);
        }
        if length == rest.len() {
            return client;
        }
        start += length + 1;
    }
}

/// How far the comma or semicolon that ends a pair is away; None when a quoted string does not end.
fn pair_length(rest: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (index, byte) in rest.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' | b';' if !is_quoted => return Some(index),
            _ => {}
        }
    }
    (!is_quoted).then_some(rest.len())
}

/// What one proxy wrote into Forwarded.
#[derive(Default)]
struct Element {
    client: Client,
    has_for: bool,
    has_proto: bool,
    has_host: bool,
}

impl Element {
    /// Takes a `name=value` or `name="value"`; None when it is malformed or there twice.
    fn take(&mut self, bytes: &[u8], pair: Span) -> Option<()> {
        let text = pair.of(bytes);
        if text.is_empty() {
            return Some(());
        }
        let equals = text.iter().position(|&byte| byte == b'=')?;
        let (name, written) = (&text[..equals], &text[equals + 1..]);
        // A backslash stays where it is: nothing that is looked for here holds one.
        let (value, quotes) = match written {
            [b'"', quoted @ .., b'"'] => (quoted, 1),
            [] | [b'"', ..] => return None,
            plain => (plain, 0),
        };
        let place = Span::new(pair.start as usize + equals + 1 + quotes, pair.end as usize - quotes);
        let seen = if name.eq_ignore_ascii_case(b"for") {
            let (address, port) = node(value).unzip();
            (self.client.address, self.client.port) = (address, port.flatten());
            &mut self.has_for
        } else if name.eq_ignore_ascii_case(b"proto") {
            self.client.https = is_https(value);
            &mut self.has_proto
        } else if name.eq_ignore_ascii_case(b"host") {
            self.client.host = is_valid_host(value).then_some(place);
            &mut self.has_host
        } else {
            return is_token(name).then_some(());
        };
        (!std::mem::replace(seen, true)).then_some(())
    }
}

/// RFC 7239 6: an address with an optional port. None for `unknown`, for `_names` and for what is no address.
fn node(text: &[u8]) -> Option<(IpAddr, Option<u16>)> {
    let text = from_utf8(text).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address.to_canonical(), None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let address = match host.strip_prefix('[') {
        Some(literal) => IpAddr::V6(literal.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?).to_canonical(),
        None => IpAddr::V4(host.parse::<Ipv4Addr>().ok()?),
    };
    match port {
        Some(port) if !port.starts_with('_') => Some((address, Some(u16::try_from(decimal(port.as_bytes())?).ok()?))),
        _ => Some((address, None)),
    }
}

/// `http` or `https`; a web socket's scheme says the same of the connection.
fn is_https(scheme: &[u8]) -> Option<bool> {
    let known: [(&[u8], bool); 4] = [(b"https", true), (b"http", false), (b"wss", true), (b"ws", false)];
    known.into_iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name)).map(|(_, is_https)| is_https)
}

/// The place of what is left of `start..end` without white space at either end.
fn trimmed(bytes: &[u8], start: usize, end: usize) -> Span {
    let text = Span::new(start, end).of(bytes);
    let leading = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    Span::new(start + leading, start + leading + trim(text).len())
}
