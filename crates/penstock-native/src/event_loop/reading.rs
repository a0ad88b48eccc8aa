//! Bytes from a client become a request, or a refusal.
use super::{wire_fd, EventLoop, Verdict, SCRATCH};
use crate::body::Body;
use crate::connection::{Connection, Peer, Phase, Request};
use crate::large_bodies::LONGEST;
use crate::scoreboard::Counter;
use penstock_http::proxy_protocol::Proxied;
use penstock_http::{proxy_protocol, Event, Refusal, RequestFraming};
use rustix::io::Errno;
use rustix::net::{recv, RecvFlags};

/// Receives in a row from one connection, so that one fast uploader leaves time for others.
const MOST_RECEIVES: usize = 16;

/// Requests that are kept for the next use of their buffers.
const POOLED_REQUESTS: usize = 64;

/// What one receive of a large body may bring: others are ready, too.
const LARGE_RECEIVE: usize = 1024 * 1024;

/// The disk is full, or there is no memory for a body.
pub(super) const NO_ROOM: Refusal = Refusal { status: 503, reason: "there is no room for the request body" };

impl EventLoop {
    /// Reads from a connection until the kernel has no more or a request is complete.
    pub(super) fn receive(&mut self, mut connection: Box<Connection>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut receives = 0;
        while connection.readable
            && matches!(connection.phase, Phase::Proxy | Phase::Uwsgi | Phase::Head | Phase::Body | Phase::Lingering)
        {
            if receives == MOST_RECEIVES {
                self.again.push(connection.slot);
                break;
            }
            receives += 1;
            if connection.phase == Phase::Body {
                match self.receive_large(&mut connection) {
                    Large::No => {}
                    Large::Received => continue,
                    Large::Waits => break,
                    Large::Complete(request) => {
                        self.scratch = scratch;
                        self.dispatch(connection, request);
                        return;
                    }
                    Large::Refused(refusal) => {
                        self.scratch = scratch;
                        self.refuse(connection, refusal);
                        return;
                    }
                    Large::Ended => {
                        self.scratch = scratch;
                        self.drop_connection(connection);
                        return;
                    }
                }
            }
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
                        Verdict::Elsewhere(place) => {
                            self.scratch = scratch;
                            self.hand_over(connection, place);
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

    /// Receives a large body of known length straight into the place where the application finds it.
    fn receive_large(&mut self, connection: &mut Connection) -> Large {
        let left = connection.decoder.expected();
        let settings = &self.hub.settings;
        let Some(request) = connection.request.as_mut() else { return Large::No };
        if !matches!(request.body, Body::Large(_)) {
            let (held, length) = (request.body.len(), request.body.len() + left);
            let fits = held + SCRATCH as u64 <= settings.body_memory;
            let is_file = matches!(request.body, Body::File(_));
            if left == 0 || fits || is_file || connection.spools || length <= settings.body_memory || length > LONGEST
            {
                return Large::No;
            }
            if !request.body.move_to_shared_room(length, &self.hub) {
                if !self.hungry.iter().any(|(id, _)| *id == connection.id) {
                    self.hungry.push_back((connection.id, self.now));
                }
                return Large::Waits;
            }
        }
        let Body::Large(large) = &mut request.body else { return Large::No };
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(LARGE_RECEIVE);
        let count = match large.receive(&connection.wire.socket, most) {
            Ok(0) => return Large::Ended,
            Ok(count) => count,
            Err(Errno::AGAIN) => {
                connection.readable = false;
                return Large::Received;
            }
            Err(Errno::INTR) => return Large::Received,
            Err(Errno::NOMEM) => {
                connection.spools = true;
                let moved = request.body.move_to_file(&settings.temp_dir);
                return if moved.is_ok() { Large::No } else { Large::Refused(NO_ROOM) };
            }
            Err(_) => return Large::Ended,
        };
        connection.decoder.skip(count as u64);
        connection.deadline = self.now + settings.body_timeout;
        self.hub.scoreboard.add(Counter::BytesIn, count as u64);
        if connection.decoder.expected() > 0 {
            return Large::Received;
        }
        match self.decode(connection, &[]).1 {
            Verdict::Complete(request) => Large::Complete(request),
            Verdict::Refused(refusal) => Large::Refused(refusal),
            Verdict::More | Verdict::Elsewhere(_) => Large::Ended,
        }
    }

    /// Goes on with bodies that wait for room when some has come back.
    pub(super) fn feed_hungry(&mut self) -> bool {
        if !self.hub.large_bodies.take_news() || self.hungry.is_empty() {
            return false;
        }
        // One at a time, or halves would keep the room from each other.
        let Some((id, _)) = self.hungry.pop_front() else { return false };
        self.receive_hungry(id);
        true
    }

    pub(super) fn receive_hungry(&mut self, id: u64) {
        let (slot, generation) = (id as u32, (id >> 32) as u32);
        if self.slots.get(slot as usize).is_none_or(|entry| entry.generation != generation) {
            return;
        }
        if let Some(mut connection) = self.take(slot) {
            connection.readable = true;
            self.receive(connection);
        }
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
        if connection.phase == Phase::Uwsgi {
            match self.decode_packet(connection, bytes) {
                Ok(Some((length, request))) => {
                    used = length;
                    if let Some(request) = self.begin_body(connection, request, false) {
                        return (used, Verdict::Complete(request));
                    }
                }
                Ok(None) => return (0, Verdict::More),
                Err(refusal) => return (0, Verdict::Refused(refusal)),
            }
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
            if event == Event::Head && !std::mem::take(&mut connection.is_placed) {
                if let Some(verdict) = self.elsewhere(connection, input, &request.head) {
                    self.recycle(request);
                    return (used, verdict);
                }
            }
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
                    if let Some(request) = self.begin_body(connection, request, used == bytes.len()) {
                        return (used, Verdict::Complete(request));
                    }
                    continue;
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

    /// A head is complete. Comes back with the request when the application reads its body by itself.
    fn begin_body(
        &mut self,
        connection: &mut Connection,
        request: Box<Request>,
        client_waits: bool,
    ) -> Option<Box<Request>> {
        connection.began = self.now;
        connection.spools = false;
        if request.head.framing != RequestFraming::None {
            if self.hub.settings.stream_body {
                return Some(request);
            }
            connection.phase = Phase::Body;
            connection.deadline = self.now + self.hub.settings.body_timeout;
            if request.head.expects_continue && client_waits {
                self.send_continue(connection);
            }
        }
        connection.request = Some(request);
        None
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

/// What became of a large body for which more may have come.
enum Large {
    /// It is none, or not one for the room that they share.
    No,
    Received,
    Waits,
    Complete(Box<Request>),
    /// There is no room for it anywhere.
    Refused(Refusal),
    /// The client has left.
    Ended,
}
