//! Bytes from a client become a request, or a refusal.
use super::{wire_fd, EventLoop, Verdict};
use crate::connection::{Connection, Peer, Phase, Request};
use crate::scoreboard::Counter;
use penstock_http::proxy_protocol::Proxied;
use penstock_http::{proxy_protocol, Event, Refusal, RequestFraming};
use rustix::io::Errno;
use rustix::net::{recv, RecvFlags};

/// Receives in a row from one connection, so that one fast uploader leaves time for others.
const MOST_RECEIVES: usize = 16;

/// Requests that are kept for the next use of their buffers.
const POOLED_REQUESTS: usize = 64;

/// The disk is full, or there is no memory for a body.
const NO_ROOM: Refusal = Refusal { status: 503, reason: "there is no room for the request body" };

impl EventLoop {
    /// Reads from a connection until the kernel has no more or a request is complete.
    pub(super) fn receive(&mut self, mut connection: Box<Connection>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut receives = 0;
        while connection.readable
            && matches!(connection.phase, Phase::Proxy | Phase::Head | Phase::Body | Phase::Lingering)
        {
            if receives == MOST_RECEIVES {
                self.again.push(connection.slot);
                break;
            }
            receives += 1;
            match recv(&connection.wire.socket, &mut scratch[..], RecvFlags::empty()) {
                Ok((_, 0)) => {
                    self.scratch = scratch;
                    // Also in the middle of a request: it will never be complete, so nobody gets to see it.
                    self.drop_connection(connection);
                    return;
                }
                Ok((_, count)) => {
                    // A short read has emptied the socket, unless the end of the stream stands behind it.
                    connection.readable = count == scratch.len() || connection.ended;
                    self.hub.scoreboard.add(Counter::BytesIn, count as u64);
                    if connection.phase == Phase::Lingering {
                        continue;
                    }
                    match self.feed(&mut connection, &scratch[..count]) {
                        Verdict::More => {}
                        Verdict::Complete(request) => {
                            self.scratch = scratch;
                            self.dispatch(connection, request);
                            return;
                        }
                        Verdict::Refused(refusal) => {
                            self.scratch = scratch;
                            self.refuse(connection, refusal);
                            return;
                        }
                    }
                }
                Err(Errno::AGAIN) => connection.readable = false,
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.scratch = scratch;
                    self.drop_connection(connection);
                    return;
                }
            }
        }
        self.scratch = scratch;
        self.put_back(connection);
    }

    /// Decodes fresh bytes behind those that were left over.
    pub(super) fn feed(&mut self, connection: &mut Connection, fresh: &[u8]) -> Verdict {
        if connection.input.is_empty() {
            let (used, verdict) = self.decode(connection, fresh);
            connection.input.extend_from_slice(&fresh[used..]);
            self.note_partial(connection, &verdict, true);
            return verdict;
        }
        let mut input = std::mem::take(&mut connection.input);
        input.extend_from_slice(fresh);
        let (used, verdict) = self.decode(connection, &input);
        if used == input.len() {
            input = Vec::new();
        } else {
            input.drain(..used);
        }
        connection.input = input;
        self.note_partial(connection, &verdict, used > 0);
        verdict
    }

    /// The deadline of a head starts with its first byte and does not move with the next ones.
    pub(super) fn note_partial(&mut self, connection: &mut Connection, verdict: &Verdict, is_new: bool) {
        if matches!(verdict, Verdict::More) && connection.phase == Phase::Head && is_new {
            connection.deadline = self.now + self.hub.settings.head_timeout;
        }
    }

    pub(super) fn decode(&mut self, connection: &mut Connection, bytes: &[u8]) -> (usize, Verdict) {
        let mut used = 0;
        if connection.phase == Phase::Proxy {
            match proxy_protocol::parse(bytes) {
                Ok(Proxied::NeedMore) => return (0, Verdict::More),
                Ok(Proxied::Local { len }) => used = len,
                Ok(Proxied::Client { len, source, .. }) => {
                    used = len;
                    connection.peer = Peer::new(Some(source), &self.hub.settings.trust);
                }
                Err(refusal) => return (0, Verdict::Refused(refusal)),
            }
            connection.phase = Phase::Head;
        }
        loop {
            let mut request = match connection.request.take() {
                Some(request) => request,
                None => self.new_request(),
            };
            let input = &bytes[used..];
            let limits = &self.hub.settings.limits;
            let (count, event) = match connection.decoder.decode(input, limits, &mut request.head) {
                Ok(decoded) => decoded,
                Err(refusal) => {
                    self.recycle(request);
                    return (used, Verdict::Refused(refusal));
                }
            };
            used += count;
            match event {
                Event::NeedMore => {
                    if connection.phase == Phase::Body {
                        connection.request = Some(request);
                    } else {
                        // A head is decoded from its start again: while it is awaited the connection stays small.
                        self.recycle(request);
                    }
                    return (used, Verdict::More);
                }
                Event::Head => {
                    request.bytes.clear();
                    request.bytes.extend_from_slice(&input[..count]);
                    connection.began = self.now;
                    if request.head.framing != RequestFraming::None {
                        if self.hub.settings.stream_body {
                            return (used, Verdict::Complete(request));
                        }
                        connection.phase = Phase::Body;
                        connection.deadline = self.now + self.hub.settings.body_timeout;
                        if request.head.expects_continue && used == bytes.len() {
                            self.send_continue(connection);
                        }
                    }
                }
                Event::Body(range) => {
                    let settings = &self.hub.settings;
                    connection.deadline = self.now + settings.body_timeout;
                    if request.body.append(&input[range], settings.body_memory, &settings.temp_dir).is_err() {
                        self.recycle(request);
                        return (used, Verdict::Refused(NO_ROOM));
                    }
                }
                Event::End => {
                    if request.body.complete().is_err() {
                        self.recycle(request);
                        return (used, Verdict::Refused(NO_ROOM));
                    }
                    return (used, Verdict::Complete(request));
                }
            }
            connection.request = Some(request);
        }
    }

    pub(super) fn send_continue(&mut self, connection: &Connection) {
        let mut output = connection.wire.output();
        output.push_bytes(b"HTTP/1.1 100 Continue\r\n\r\n");
        // Whatever could not leave does so before the response.
        let _ = output.flush(wire_fd(&connection.wire));
    }

    pub(super) fn new_request(&mut self) -> Box<Request> {
        self.requests.pop().unwrap_or_else(|| Box::new(Request::new(self.now)))
    }

    pub(super) fn recycle(&mut self, mut request: Box<Request>) {
        if self.requests.len() < POOLED_REQUESTS {
            request.clear();
            self.requests.push(request);
        }
    }
}
