//! The uwsgi protocol, as nginx's `uwsgi_pass` and Apache's mod_proxy_uwsgi speak it: one packet of CGI variables, then
//! the body. Writes the packet as the head of an HTTP request, so that [`crate::Decoder`] judges it like any other.
//!
//! Refuses packets that are not for WSGI, that do not end where they say, and whose variables could be read two ways.
//! The peer is believed: who it may be is decided elsewhere.
//!
//! <https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html>
use crate::characters::{decimal, is_field_value, is_token, run, PATH, QUERY};
use crate::framing::TOO_LARGE;
use crate::{Limits, Refusal, Span, Version};

/// modifier1, the size of the variables (little-endian), modifier2.
const FIXED_PART: usize = 4;
/// modifier1: a request for WSGI.
const WSGI: u8 = 0;
/// The same, and SCRIPT_NAME is to be taken off the front of PATH_INFO.
const WSGI_BELOW_SCRIPT_NAME: u8 = 30;

const NOT_UWSGI: Refusal =
    Refusal::bad("this address speaks the uwsgi protocol for WSGI: modifier1 must be 0 or 30, modifier2 0");
const TRUNCATED: Refusal = Refusal::bad("a uwsgi variable is longer than its packet");
const BAD_NAME: Refusal = Refusal::bad("the name of a uwsgi variable is malformed");
const BAD_VALUE: Refusal = Refusal::bad("a uwsgi variable has a control character");
const BAD_PATH: Refusal = Refusal::bad("PATH_INFO and SCRIPT_NAME must be empty or begin with a slash");
const BAD_URI: Refusal =
    Refusal::bad("REQUEST_URI does not begin with a slash or has a byte that must be percent-encoded");

/// A packet that has come whole.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    variables: &'a [u8],
    is_below_script_name: bool,
}

/// What a packet says beside the head; places in the bytes that [`Packet::write`] has filled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    /// `/app` where the peer serves the site below that path.
    pub script_name: Span,
    /// What the client asked for, as it wrote it; empty when the peer does not say.
    pub request_uri: Span,
    /// Empty, or the name of the peer's site.
    pub server_name: Span,
    /// Empty, or the port that the client has connected to.
    pub server_port: Span,
    /// Empty, or what the client speaks: `HTTP/2.0`.
    pub protocol: Span,
    /// Of that protocol, as far as it is one of ours.
    pub version: Version,
    /// The client; empty when the peer does not say, `unix:` when it has none.
    pub address: Span,
    /// The client's port; 0 when the peer does not say.
    pub port: u16,
    /// None when the peer does not say.
    pub https: Option<bool>,
    /// PATH_INFO is there and empty: the client asked for SCRIPT_NAME without a slash behind it.
    pub is_path_empty: bool,
    /// All other variables, in their order: names of letters, digits, `_` and `-`.
    pub others: Vec<(Span, Span)>,
}

impl<'a> Packet<'a> {
    /// The packet at the start of `input`, and its length; None while it is incomplete. It has at most 65,535 bytes of
    /// variables: their size has two bytes.
    pub fn parse(input: &'a [u8]) -> Result<Option<(usize, Self)>, Refusal> {
        // At the first byte, so that HTTP is refused and not waited for.
        if !matches!(
            input,
            [] | [WSGI | WSGI_BELOW_SCRIPT_NAME]
                | [WSGI | WSGI_BELOW_SCRIPT_NAME, _]
                | [WSGI | WSGI_BELOW_SCRIPT_NAME, _, _]
                | [WSGI | WSGI_BELOW_SCRIPT_NAME, _, _, 0, ..]
        ) {
            return Err(NOT_UWSGI);
        }
        let Some(([modifier, low, high, _], rest)) = input.split_first_chunk::<FIXED_PART>() else {
            return Ok(None);
        };
        let size = usize::from(u16::from_le_bytes([*low, *high]));
        let packet = |variables| Self { variables, is_below_script_name: *modifier == WSGI_BELOW_SCRIPT_NAME };
        Ok(rest.get(..size).map(|variables| (FIXED_PART + size, packet(variables))))
    }

    /// Writes the head of the request into `out`, in the place of what is there, and the variables behind it. `out` is
    /// then for [`crate::Decoder`], which stops at the head's end and knows how long the body is.
    ///
    /// The path is PATH_INFO's: what the application sees is also what chooses files and guards. REQUEST_URI is told
    /// and decides nothing.
    pub fn write(&self, limits: &Limits, out: &mut Vec<u8>) -> Result<Gateway, Refusal> {
        let read = Variables::read(self.variables)?;
        let mut path = read.path;
        if self.is_below_script_name {
            path = below(path, read.script_name);
        }
        out.clear();
        out.extend_from_slice(read.method);
        out.push(b' ');
        push_path(path, out);
        if !read.query.is_empty() {
            out.push(b'?');
            out.extend_from_slice(read.query);
        }
        // As in 1.0, nothing is said about the connection, and the body ends with it.
        out.extend_from_slice(b" HTTP/1.0\r\n");
        for (name, value) in &read.fields {
            push_field(name, value, out);
        }
        if !read.content_type.is_empty() {
            push_field(b"Content-Type", read.content_type, out);
        }
        if let Some(length) = read.length()? {
            if length > limits.body {
                return Err(TOO_LARGE);
            }
            push_field(b"Content-Length", itoa::Buffer::new().format(length).as_bytes(), out);
        }
        out.extend_from_slice(b"\r\n");
        let mut told = |text: &[u8]| {
            let start = out.len();
            out.extend_from_slice(text);
            Span::new(start, out.len())
        };
        Ok(Gateway {
            script_name: told(read.script_name),
            request_uri: told(read.request_uri),
            server_name: told(read.server_name),
            server_port: told(read.server_port),
            protocol: told(read.protocol),
            version: if read.protocol == b"HTTP/1.0" { Version::Http10 } else { Version::Http11 },
            address: told(read.address),
            port: decimal(read.port).and_then(|port| u16::try_from(port).ok()).unwrap_or(0),
            https: read.https(),
            is_path_empty: path.is_empty(),
            others: read.others.into_iter().map(|(name, value)| (told(name), told(value))).collect(),
        })
    }
}

/// The variables of a packet by what they are for. Of two with one name the last counts, as for uWSGI: nginx sends both
/// when a location repeats a `uwsgi_param`. Only fields may be there several times, and lengths must agree.
#[derive(Default)]
struct Variables<'a> {
    method: &'a [u8],
    path: &'a [u8],
    query: &'a [u8],
    request_uri: &'a [u8],
    script_name: &'a [u8],
    content_type: &'a [u8],
    content_length: &'a [u8],
    is_chunked: bool,
    server_name: &'a [u8],
    server_port: &'a [u8],
    protocol: &'a [u8],
    address: &'a [u8],
    port: &'a [u8],
    uwsgi_scheme: &'a [u8],
    https: &'a [u8],
    request_scheme: &'a [u8],
    fields: Vec<(&'a [u8], &'a [u8])>,
    others: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Variables<'a> {
    fn read(mut rest: &'a [u8]) -> Result<Self, Refusal> {
        // RFC 3875 lets PATH_INFO be missing; WSGI does not.
        let mut read = Self { path: b"/", ..Self::default() };
        while !rest.is_empty() {
            let (name, after_name) = sized(rest)?;
            let (value, after_value) = sized(after_name)?;
            read.take(name, value)?;
            rest = after_value;
        }
        let script_name =
            read.script_name.len() - read.script_name.iter().rev().take_while(|&&byte| byte == b'/').count();
        read.script_name = &read.script_name[..script_name];
        if !matches!(read.path.first(), None | Some(b'/')) || !matches!(read.script_name.first(), None | Some(b'/')) {
            return Err(BAD_PATH);
        }
        let uri_path = run(read.request_uri, PATH);
        let is_target = uri_path + run(&read.request_uri[uri_path..], QUERY) == read.request_uri.len();
        if !matches!(read.request_uri.first(), None | Some(b'/')) || !is_target {
            return Err(BAD_URI);
        }
        Ok(read)
    }

    fn take(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), Refusal> {
        if let Some(field) = name.strip_prefix(b"HTTP_") {
            return self.take_field(field, value);
        }
        let place = match name {
            b"REQUEST_METHOD" => &mut self.method,
            b"PATH_INFO" => {
                // Bytes of a path: they are percent-encoded before they are looked at.
                self.path = value;
                return Ok(());
            }
            b"QUERY_STRING" => &mut self.query,
            b"REQUEST_URI" => &mut self.request_uri,
            b"SCRIPT_NAME" => &mut self.script_name,
            b"CONTENT_TYPE" => &mut self.content_type,
            b"CONTENT_LENGTH" => return self.take_length(value),
            b"SERVER_NAME" => &mut self.server_name,
            b"SERVER_PORT" => &mut self.server_port,
            b"SERVER_PROTOCOL" => &mut self.protocol,
            b"REMOTE_ADDR" => &mut self.address,
            b"REMOTE_PORT" => &mut self.port,
            b"UWSGI_SCHEME" => &mut self.uwsgi_scheme,
            b"HTTPS" => &mut self.https,
            b"REQUEST_SCHEME" => &mut self.request_scheme,
            _ => return self.take_other(name, value),
        };
        if !is_field_value(value) {
            return Err(BAD_VALUE);
        }
        *place = value;
        Ok(())
    }

    /// A field of the client's. Its name is a token in which every `-` is `_` by now.
    fn take_field(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), Refusal> {
        if !is_token(name) || name.contains(&b'-') {
            return Err(BAD_NAME);
        }
        if !is_field_value(value) {
            return Err(BAD_VALUE);
        }
        match name {
            // CONTENT_LENGTH and CONTENT_TYPE alone count: the peer may have read the body itself, or left it out.
            b"CONTENT_LENGTH" | b"CONTENT_TYPE" => {}
            // The peer has taken the chunks apart: what is announced here is over.
            b"TRANSFER_ENCODING" => self.is_chunked = true,
            _ => self.fields.push((name, value)),
        }
        Ok(())
    }

    fn take_length(&mut self, value: &'a [u8]) -> Result<(), Refusal> {
        // An empty one behind that of the client is nginx's way to say that it keeps the body to itself.
        if !value.is_empty() && !self.content_length.is_empty() && value != self.content_length {
            return Err(Refusal::bad("two CONTENT_LENGTH variables differ"));
        }
        self.content_length = value;
        Ok(())
    }

    fn take_other(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), Refusal> {
        if name.is_empty() {
            return Err(BAD_NAME);
        }
        // A certificate has line ends; nothing has a NUL.
        if value.contains(&0) {
            return Err(BAD_VALUE);
        }
        // A name with a dot could pose as one of WSGI's own, and none of the peer's has other characters.
        if name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            self.others.push((name, value));
        }
        Ok(())
    }

    /// The body's length; None when there is no body.
    fn length(&self) -> Result<Option<u64>, Refusal> {
        match self.content_length {
            [] if self.is_chunked => Err(Refusal::new(411, "HTTP_TRANSFER_ENCODING without a CONTENT_LENGTH")),
            [] => Ok(None),
            digits => decimal(digits).map(Some).ok_or(Refusal::bad("CONTENT_LENGTH is not a number")),
        }
    }

    /// uWSGI's own variable first, then CGI's customary one, then nginx's.
    fn https(&self) -> Option<bool> {
        let of_scheme = |scheme: &[u8]| match scheme {
            b"https" => Some(true),
            b"http" => Some(false),
            _ => None,
        };
        let is_on = self.https.eq_ignore_ascii_case(b"on") || self.https == b"1";
        of_scheme(self.uwsgi_scheme)
            .or_else(|| (!self.https.is_empty()).then_some(is_on))
            .or_else(|| of_scheme(self.request_scheme))
    }
}

/// Text with its size, little-endian in two bytes, before it; and what follows it.
fn sized(bytes: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let (size, rest) = bytes.split_first_chunk::<2>().ok_or(TRUNCATED)?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*size))).ok_or(TRUNCATED)
}

/// What of `path` lies below `script_name`; all of it when it lies elsewhere.
fn below<'a>(path: &'a [u8], script_name: &[u8]) -> &'a [u8] {
    match path.strip_prefix(script_name) {
        Some(rest @ ([] | [b'/', ..])) => rest,
        _ => path,
    }
}

/// Percent-encodes a path, so that it is decoded to the same bytes again.
fn push_path(path: &[u8], out: &mut Vec<u8>) {
    if path.is_empty() {
        out.push(b'/');
    }
    for &byte in path {
        if byte != b'%' && run(&[byte], PATH) == 1 {
            out.push(byte);
        } else {
            out.push(b'%');
            out.push(b"0123456789ABCDEF"[usize::from(byte >> 4)]);
            out.push(b"0123456789ABCDEF"[usize::from(byte & 15)]);
        }
    }
}

fn push_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend(name.iter().map(|&byte| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }));
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
