//! One client's connection and the request that is being read from it. Owned by the event loop while bytes are
//! awaited, and by the thread that calls the application while a request is answered: never by both.
use crate::body::Body;
use crate::body_stream::{self, SharedStream};
use crate::output::Output;
use penstock_http::forwarded::{Client, Trust};
use penstock_http::uwsgi::Gateway;
use penstock_http::{BodyEncoder, Decoder, Field, RequestHead, Span, Turn, Version};
use rustix::net::{connect_unspec, shutdown, Shutdown};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The socket and what still has to leave through it. Shared, because the loop goes on sending what a thread has
/// produced while that thread produces more.
pub struct Wire {
    pub socket: OwnedFd,
    output: Mutex<Output>,
}

impl Wire {
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, output: Mutex::default() }
    }

    /// The queue, locked. A thread that panicked while holding it has left it usable: every step is complete.
    pub fn output(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a connection so that what has been sent cannot be taken for all there is: with a reset, also while somebody else
/// has the socket open. A unix socket knows none; its peer sees an end.
pub fn break_off(socket: &OwnedFd) {
    if connect_unspec(socket).is_err() {
        let _ = shutdown(socket, Shutdown::Both);
    }
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// None for unix sockets.
    pub address: Option<IpAddr>,
    /// The address as text: each request of the connection needs it.
    pub text: Box<str>,
    pub port: u16,
    /// It may speak for others (`forwarded_allow`).
    pub trusted: bool,
}

impl Peer {
    /// A peer at this address; IPv4 in IPv6's clothes is IPv4.
    pub fn new(address: Option<SocketAddr>, trust: &Trust) -> Self {
        let port = address.map_or(0, |address| address.port());
        let address = address.map(|address| address.ip().to_canonical());
        let text = address.map(|address| address.to_string()).unwrap_or_default().into();
        Self { address, text, port, trusted: trust.includes(address) }
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The PROXY protocol's header must come first.
    Proxy,
    /// Its next request belongs to another process, which has no room for it yet.
    Leaving,
    /// The variables of a uwsgi request must come first.
    Uwsgi,
    /// Between requests, or in the middle of a head.
    Head,
    /// In the middle of a body.
    Body,
    /// A request waits for a thread or is being answered.
    Answering,
    /// The response is complete and is leaving.
    Sending,
    /// Refused: what the client still sends is read and dropped for a moment, so that it can read the answer.
    Lingering,
}

/// One connection.
pub struct Connection {
    pub wire: Arc<Wire>,
    /// Its place in the loop's table.
    pub slot: u32,
    /// The place with its generation, which no other connection ever has.
    pub id: u64,
    pub listener: u16,
    pub peer: Peer,
    pub phase: Phase,
    pub decoder: Decoder,
    /// Bytes that were read and not yet decoded.
    pub input: Vec<u8>,
    /// The request that is being read.
    pub request: Option<Box<Request>>,
    /// The kernel may hold more bytes: with edge-triggered events nobody will say so again.
    pub readable: bool,
    /// The client has closed its sending side.
    pub ended: bool,
    /// Close when the response has left.
    pub close: bool,
    /// Bytes of its response in memory, as the loop has counted them.
    pub unread: usize,
    /// Its body may wait no longer for room that large bodies share: it goes to a file.
    pub spools: bool,
    /// The front has found that the next request is ours.
    pub is_placed: bool,
    /// When to give up waiting for the client.
    pub deadline: Instant,
    /// When the current head or body began.
    pub began: Instant,
}

impl Connection {
    /// Nothing has come of a next request.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Head | Phase::Uwsgi) && self.input.is_empty()
    }
}

/// A request, read whole.
pub struct Request {
    /// The bytes of its head.
    pub bytes: Vec<u8>,
    pub head: RequestHead,
    pub body: Body,
    /// The body, where the application reads it from the client by itself.
    pub stream: Option<SharedStream>,
    /// When its last byte was read.
    pub arrived: Instant,
    /// What a trusted proxy says of the client.
    pub client: Client,
    /// What its uwsgi peer says beside the head; None over HTTP.
    pub gateway: Option<Box<Gateway>>,
    /// See [`crate::routes::shape`].
    pub shape: u64,
    /// The status and fields of the response as encoded so far.
    pub response_head: Vec<u8>,
    /// The status that was sent; 0 before.
    pub status: u16,
    /// Body bytes handed over for the client.
    pub body_sent: u64,
}

impl Request {
    pub fn new(now: Instant) -> Self {
        Self {
            bytes: Vec::new(),
            head: RequestHead::default(),
            body: Body::Empty,
            stream: None,
            arrived: now,
            client: Client::default(),
            gateway: None,
            shape: 0,
            response_head: Vec::new(),
            status: 0,
            body_sent: 0,
        }
    }

    /// Forgets everything but its buffers.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.head.fields.clear();
        self.body = Body::Empty;
        self.stream = None;
        self.client = Client::default();
        self.gateway = None;
        self.response_head.clear();
        self.status = 0;
        self.body_sent = 0;
    }

    /// Where the values of these fields are, by their names in lower case. Equal fields are joined with `, ` behind the
    /// head (RFC 9110 5.3); of one that is no list, that makes a value that cannot be read, and is ignored.
    pub fn values<const COUNT: usize>(&mut self, names: &[&[u8]; COUNT]) -> [Option<Span>; COUNT] {
        let head_end = self.bytes.len() as u32;
        let mut found: [Option<Span>; COUNT] = [None; COUNT];
        for index in 0..self.head.fields.len() {
            let field = &self.head.fields[index];
            let name = field.name.of(&self.bytes);
            let Some(place) = names.iter().position(|wanted| name.eq_ignore_ascii_case(wanted)) else { continue };
            found[place] = Some(match found[place] {
                None => field.value,
                Some(joined) if joined.start >= head_end => joined,
                Some(_) => self.join(names[place]),
            });
        }
        found
    }

    #[cold]
    fn join(&mut self, name: &[u8]) -> Span {
        let equal = self.head.fields.iter().filter(|field| field.name.of(&self.bytes).eq_ignore_ascii_case(name));
        let values: Vec<_> = equal.map(|field| field.value.of(&self.bytes)).collect();
        let joined = values.join(b", ".as_slice());
        append(&mut self.bytes, &joined)
    }

    /// Gives the request an X-Request-ID of our making; one that came with it counts when it `is_trusted`.
    pub fn identify(&mut self, is_trusted: bool, id: u128) {
        const NAME: &[u8] = b"X-Request-ID";
        let bytes = &mut self.bytes;
        let is_named = |field: &Field| field.name.of(bytes).eq_ignore_ascii_case(NAME);
        if is_trusted && self.head.fields.iter().any(is_named) {
            return;
        }
        self.head.fields.retain(|field| !is_named(field));
        let name = append(bytes, NAME);
        let value = append(bytes, format!("{id:032x}").as_bytes());
        self.head.fields.push(Field { name, value });
    }

    pub fn method(&self) -> &[u8] {
        self.head.method.of(&self.bytes)
    }

    pub fn path(&self) -> &[u8] {
        self.head.path.of(&self.bytes)
    }

    /// Part of a streamed body has not been read, or somebody reads it now: the connection ends with this request.
    fn has_unread_body(&self) -> bool {
        // Who reads may wait for the client: nobody else has to.
        self.stream.as_ref().is_some_and(|stream| !stream.try_lock().is_ok_and(|stream| stream.is_complete()))
    }

    /// What this request says about its response.
    pub fn turn(&self, close: bool) -> Turn {
        Turn {
            // A uwsgi peer knows no chunks: its body ends with the connection.
            version: if self.gateway.is_some() { Version::Http10 } else { self.head.version },
            head_only: self.method() == b"HEAD",
            keep_alive: self.head.keep_alive && !close && !self.has_unread_body(),
        }
    }
}

fn append(bytes: &mut Vec<u8>, text: &[u8]) -> Span {
    let start = bytes.len() as u32;
    bytes.extend_from_slice(text);
    Span { start, end: bytes.len() as u32 }
}

/// A complete request with the connection that it came from: what a thread takes to the application.
pub struct Job {
    pub connection: Box<Connection>,
    pub request: Box<Request>,
}

impl Job {
    /// The request is answered: the connection gets back what a streamed body has taken from it.
    pub fn end_stream(&mut self) {
        if let Some(stream) = self.request.stream.take() {
            body_stream::end(&stream, &mut self.connection);
        }
    }
}

/// Appends a small text response of our own, for refusals and for failures of the application.
pub fn push_plain(output: &mut Output, turn: Turn, status: &[u8], retry_after: Option<u32>, date: &[u8]) -> bool {
    push_explained(output, turn, status, "", retry_after, date)
}

/// The same with a sentence that says why.
pub fn push_explained(
    output: &mut Output,
    turn: Turn,
    status: &[u8],
    reason: &str,
    retry_after: Option<u32>,
    date: &[u8],
) -> bool {
    let mut body = status.to_vec();
    if !reason.is_empty() {
        body.extend_from_slice(b": ");
        body.extend_from_slice(reason.as_bytes());
    }
    body.push(b'\n');
    let start = output.tail().len();
    let encoded = encode_plain_head(output.tail(), turn, status, retry_after, date, body.len() as u64);
    let Ok(encoder) = encoded else {
        output.tail().truncate(start);
        return false;
    };
    if !encoder.is_bodiless() {
        output.push_bytes(&body);
    }
    output.has_begun = true;
    encoder.keep_alive()
}

fn encode_plain_head(
    out: &mut Vec<u8>,
    turn: Turn,
    status: &[u8],
    retry_after: Option<u32>,
    date: &[u8],
    length: u64,
) -> Result<BodyEncoder, penstock_http::ResponseError> {
    let mut head = penstock_http::HeadEncoder::start(out, turn, status)?;
    head.field(b"Content-Type", b"text/plain; charset=utf-8")?;
    if let Some(seconds) = retry_after {
        head.field(b"Retry-After", itoa::Buffer::new().format(seconds).as_bytes())?;
    }
    head.finish(date, Some(length))
}

/// The status line's text for the statuses that we send by ourselves.
pub fn status_text(status: u16) -> &'static [u8] {
    match status {
        400 => b"400 Bad Request",
        404 => b"404 Not Found",
        408 => b"408 Request Timeout",
        411 => b"411 Length Required",
        413 => b"413 Content Too Large",
        414 => b"414 URI Too Long",
        417 => b"417 Expectation Failed",
        421 => b"421 Misdirected Request",
        431 => b"431 Request Header Fields Too Large",
        501 => b"501 Not Implemented",
        503 => b"503 Service Unavailable",
        504 => b"504 Gateway Timeout",
        505 => b"505 HTTP Version Not Supported",
        _ => b"500 Internal Server Error",
    }
}
