//! Sockets in, complete requests out; finished responses in, bytes out. No Python: whoever holds the loop may run it.
use crate::body_stream::BodyStream;
use crate::clock::Date;
use crate::connection::{push_explained, push_plain, status_text, Connection, Job, Peer, Phase, Request, Wire};
use crate::deadlines::Stage;
use crate::exchange::file_request;
use crate::hub::{Hub, Late, Returned};
use crate::output::{Flushed, Output};
use crate::queue::Queue;
use crate::request_ids::RequestIds;
use crate::routes::{shape, Routes};
use crate::scoreboard::Counter;
use crate::static_files::{FileBody, Served};
use penstock_http::proxy_protocol::{self, Proxied};
use penstock_http::{forwarded, Decoder, Event, Refusal, RequestFraming, RequestHead, Turn, Version};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::Timespec;
use rustix::io::Errno;
use rustix::net::{acceptfrom_with, recv, shutdown, RecvFlags, Shutdown, SocketAddrAny, SocketFlags};
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Responses that may wait for their batch. More than this saves nothing: 16, 24 and 32 cost 82, 78 and 77 µs each.
const MOST_HELD: usize = 32;

/// How long the first of them may wait, and how long the loop may go without a look at its sockets.
const LONGEST_HOLD: Duration = Duration::from_millis(2);

/// Larger responses leave at once: a batch of them would fill the memory.
const LARGE: u64 = 64 * 1024;

/// What one receive may bring; a head and a usual form fit.
const SCRATCH: usize = 64 * 1024;

/// Events that one wait may bring.
const EVENTS: usize = 256;

/// Receives in a row from one connection, so that one fast uploader leaves time for others.
const MOST_RECEIVES: usize = 16;

/// Connections that are accepted in a row. Where several workers listen, one that took all of a burst would have work
/// while the others wait for some.
const MOST_ACCEPTS: usize = 64;
const MOST_ACCEPTS_BESIDE_OTHERS: usize = 1;

/// Deadlines are looked at this often: none of them needs to be more exact.
const SWEEP_EVERY: Duration = Duration::from_millis(250);

/// No new connections for this long after the system has refused one (no descriptors, no memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Unread responses of all clients together that are kept in memory; what comes on top of it goes to files at once.
/// A reader that takes its time but reads is spared the detour, two hundred that do not cannot fill the memory.
const MOST_UNREAD: usize = 32 * 1024 * 1024;

/// How long a refused client may go on sending, so that it reads the refusal before the connection breaks.
const LINGER: Duration = Duration::from_secs(2);

/// A connection that was opened or used so shortly before a stop may have a request on its way to us: it is awaited
/// for the rest of this time, and answered with `Connection: close`.
const IDLE_GRACE: Duration = Duration::from_secs(2);

/// Requests that are kept for the next use of their buffers.
const POOLED_REQUESTS: usize = 64;

/// The client pauses for too long, or sends too slowly.
const TOO_SLOW: Refusal = Refusal { status: 408, reason: "the request came too slowly" };

/// The disk is full, or there is no memory for a body.
const NO_ROOM: Refusal = Refusal { status: 503, reason: "there is no room for the request body" };

const WAKER: u64 = u64::MAX;
const LISTENER: u64 = 1 << 63;

struct Listener {
    socket: OwnedFd,
    unix: bool,
}

/// One place in the table of connections. The wire stays when a thread has taken the connection.
#[derive(Default)]
struct Slot {
    generation: u32,
    wire: Option<Arc<Wire>>,
    connection: Option<Box<Connection>>,
    /// Bytes came while a thread had the connection.
    missed: bool,
    /// The client has closed its sending side meanwhile.
    missed_end: bool,
}

/// What decoding has led to.
enum Verdict {
    More,
    Complete(Box<Request>),
    Refused(Refusal),
}

/// Whether a turn may wait for events.
pub enum Patience<'a> {
    /// It only looks.
    None,
    UntilEvent,
    /// Not when this has become false.
    While(&'a dyn Fn() -> bool),
}

/// The loop. It is owned by one thread at a time, the leader.
pub struct EventLoop {
    hub: Arc<Hub>,
    epoll: OwnedFd,
    listeners: Vec<Listener>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    open: usize,
    ready: Queue<Job>,
    /// Slots whose response is complete and waits to leave with the others of its batch.
    held: Vec<u32>,
    /// Slots that have more to do although no event will say so.
    again: Vec<u32>,
    scratch: Vec<u8>,
    // Boxed, because they go from hand to hand.
    #[expect(clippy::vec_box)]
    requests: Vec<Box<Request>>,
    /// What earlier calls of each route took.
    pub routes: Routes,
    date: Date,
    request_ids: RequestIds,
    now: Instant,
    next_sweep: Option<Instant>,
    accept_again: Option<Instant>,
    is_stopping: bool,
    /// Bytes of responses in memory that clients have not read.
    unread: usize,
}

impl EventLoop {
    /// A loop over listening sockets; each with "is it a unix socket?".
    pub fn new(hub: Arc<Hub>, listeners: Vec<(OwnedFd, bool)>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, hub.waker(), EventData::new_u64(WAKER), EventFlags::IN)?;
        let now = Instant::now();
        let this = Self {
            ready: Queue::new(hub.settings.queue_size, hub.settings.queue_timeout),
            hub,
            epoll,
            listeners: listeners.into_iter().map(|(socket, unix)| Listener { socket, unix }).collect(),
            slots: Vec::new(),
            free: Vec::new(),
            open: 0,
            held: Vec::with_capacity(MOST_HELD),
            again: Vec::new(),
            scratch: vec![0; SCRATCH],
            requests: Vec::new(),
            routes: Routes::default(),
            date: Date::default(),
            request_ids: RequestIds::default(),
            now,
            next_sweep: None,
            accept_again: None,
            is_stopping: false,
            unread: 0,
        };
        this.listen()?;
        Ok(this)
    }

    fn listen(&self) -> io::Result<()> {
        for (index, listener) in self.listeners.iter().enumerate() {
            // EXCLUSIVE: a new connection wakes one worker, not all that share this socket.
            let data = EventData::new_u64(LISTENER | index as u64);
            epoll::add(&self.epoll, &listener.socket, data, EventFlags::IN | EventFlags::EXCLUSIVE)?;
        }
        Ok(())
    }

    fn stop_listening(&self) {
        for listener in &self.listeners {
            // An error means that it was not registered: that is what is wanted.
            let _ = epoll::delete(&self.epoll, &listener.socket);
        }
    }

    /// Waits for events as long as there is nothing else to do, reads what has come and makes requests of it.
    /// True when there was anything to do.
    pub fn turn(&mut self, patience: Patience<'_>) -> bool {
        let mut did_something = self.collect_returned();
        did_something |= self.go_on();
        if !matches!(patience, Patience::None) {
            // Files and refusals are answered without a thread that would send them off after its batch.
            self.flush_held();
        }
        // From begin_polling() on whoever changes something wakes the loop, so what it asks now stays true.
        let waiting = self.hub.waiting_count.load(Ordering::Relaxed);
        self.hub.scoreboard.set(Counter::QueueLength, (self.ready.len() + waiting) as u64);
        let waits = match patience {
            Patience::None => false,
            _ if did_something => false,
            Patience::UntilEvent => self.hub.begin_polling(),
            Patience::While(still) => self.hub.begin_polling() && still(),
        };
        let timeout = if waits { self.next_wait() } else { Some(Duration::ZERO) };
        let timespec = timeout
            .map(|timeout| Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) });
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        let result = epoll::wait(&self.epoll, &mut events, timespec.as_ref());
        self.hub.end_polling();
        self.now = Instant::now();
        if let Ok((events, _)) = result {
            did_something |= !events.is_empty();
            for event in events {
                self.on_event(*event);
            }
        }
        self.begin_stop_when_asked();
        if self.next_sweep.is_some_and(|at| self.now >= at) {
            self.sweep();
        }
        if self.accept_again.is_some_and(|at| self.now >= at) {
            self.accept_again = None;
            // Listening again can fail like accepting: then a connection waits until the next sweep tries again.
            if !self.is_stopping && self.listen().is_err() {
                self.pause_accepting();
            }
        }
        did_something
    }

    fn next_wait(&self) -> Option<Duration> {
        let sweep = self.next_sweep;
        let accept = self.accept_again;
        let stop = self.hub.stop_deadline();
        let next = [sweep, accept, stop].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
    }

    /// The next request for the application, with the time that it has waited.
    pub fn next_job(&mut self, now: Instant) -> Option<(Duration, Job)> {
        while let Some(job) = self.ready.pop_expired(now) {
            self.reject(job);
        }
        self.ready.pop(now)
    }

    /// Requests wait for a thread.
    pub fn has_jobs(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Puts a request that was taken with [`Self::next_job`] back.
    pub fn requeue(&mut self, now: Instant, job: Job) {
        self.ready.push(now, job);
    }

    /// Takes back a request whose response is complete. It leaves with the next batch.
    pub fn finish(&mut self, mut job: Job) {
        job.end_stream();
        let Job { mut connection, request } = job;
        let is_large = request.body_sent > LARGE;
        self.recycle(request);
        self.begin_sending(&mut connection);
        if is_large {
            return self.send(connection);
        }
        self.held.push(connection.slot);
        self.put_back(connection);
    }

    /// Is it time for the batch to leave, and for a look at what has come meanwhile?
    pub fn must_flush(&self, now: Instant) -> bool {
        self.held.len() >= MOST_HELD || now.saturating_duration_since(self.now) >= LONGEST_HOLD
    }

    /// Sends the batch.
    pub fn flush_held(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        for slot in held.drain(..) {
            if let Some(connection) = self.take(slot) {
                self.send(connection);
            }
        }
        if self.held.is_empty() {
            self.held = held;
        }
    }

    /// A stop was asked for, and nothing is left to do (or its time is over).
    pub fn is_finished(&self) -> bool {
        self.is_stopping
            && (self.open == 0 || self.hub.stop_deadline().is_some_and(|deadline| Instant::now() >= deadline))
    }

    // --- connections ---------------------------------------------------------------------------------------------

    fn take(&mut self, slot: u32) -> Option<Box<Connection>> {
        self.slots.get_mut(slot as usize)?.connection.take()
    }

    fn put_back(&mut self, mut connection: Box<Connection>) {
        if let Some(slot) = self.slots.get_mut(connection.slot as usize) {
            connection.readable |= std::mem::take(&mut slot.missed);
            connection.ended |= std::mem::take(&mut slot.missed_end);
            slot.connection = Some(connection);
        }
    }

    fn drop_connection(&mut self, mut connection: Box<Connection>) {
        if let Some(request) = connection.request.take() {
            self.recycle(request);
        }
        self.count_unread(&mut connection, 0);
        if let Some(slot) = self.slots.get_mut(connection.slot as usize) {
            slot.wire = None;
            slot.connection = None;
            slot.missed = false;
            slot.missed_end = false;
            slot.generation = slot.generation.wrapping_add(1) & 0x7fff_ffff;
            self.free.push(connection.slot);
            self.open -= 1;
            self.hub.scoreboard.set(Counter::ConnectionsOpen, self.open as u64);
        }
        // The last reference to the wire closes the socket, and the kernel forgets its events.
    }

    fn on_event(&mut self, event: epoll::Event) {
        let (data, flags) = (event.data.u64(), event.flags);
        if data == WAKER {
            self.hub.drain_waker();
            self.collect_returned();
            return;
        }
        if data & LISTENER != 0 {
            self.accept((data & !LISTENER) as usize);
            return;
        }
        let (slot, generation) = (data as u32, (data >> 32) as u32);
        let Some(entry) = self.slots.get_mut(slot as usize) else { return };
        if entry.generation != generation {
            return;
        }
        let readable = flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let has_ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let Some(mut connection) = entry.connection.take() else {
            entry.missed |= readable;
            entry.missed_end |= has_ended;
            if flags.contains(EventFlags::OUT) {
                self.flush_for_thread(slot);
            }
            return;
        };
        connection.readable |= readable;
        connection.ended |= has_ended;
        if flags.intersects(EventFlags::ERR) && flags.contains(EventFlags::HUP) {
            self.drop_connection(connection);
        } else if connection.phase == Phase::Sending {
            if self.held.contains(&slot) {
                self.put_back(connection);
            } else {
                self.send(connection);
            }
        } else {
            self.receive(connection);
        }
    }

    /// Sends what a thread has produced so far and could not send itself; it goes on producing meanwhile.
    fn flush_for_thread(&mut self, slot: u32) {
        let Some(wire) = self.slots.get(slot as usize).and_then(|slot| slot.wire.clone()) else { return };
        let mut output = wire.output();
        // A broken connection is noticed by the thread at its next piece.
        if !output.is_empty() && output.flush(wire_fd(&wire)) == Ok(Flushed::Paused) {
            self.again.push(slot);
        }
    }

    /// Goes on with connections that had too much for one turn.
    fn go_on(&mut self) -> bool {
        if self.again.is_empty() {
            return false;
        }
        for slot in std::mem::take(&mut self.again) {
            match self.take(slot) {
                Some(connection) if connection.phase == Phase::Sending => self.send(connection),
                Some(connection) => self.receive(connection),
                None => self.flush_for_thread(slot),
            }
        }
        true
    }

    fn collect_returned(&mut self) -> bool {
        let mut returned = std::mem::take(&mut *self.hub.returned());
        let any = !returned.is_empty();
        for Returned { mut job, measured, was_overdue } in returned.drain(..) {
            self.routes.record(job.request.shape, measured, was_overdue);
            job.end_stream();
            let Job { mut connection, request } = job;
            self.recycle(request);
            self.begin_sending(&mut connection);
            let slot = connection.slot;
            // put_back() takes note of what was missed; most of it has been sent by the thread.
            self.put_back(connection);
            if let Some(connection) = self.take(slot) {
                self.send(connection);
            }
        }
        any
    }

    fn accept(&mut self, index: usize) {
        let most = if self.hub.settings.multiprocess { MOST_ACCEPTS_BESIDE_OTHERS } else { MOST_ACCEPTS };
        for _ in 0..most {
            if self.open >= self.hub.settings.max_connections {
                self.pause_accepting();
                return;
            }
            let Some(listener) = self.listeners.get(index) else { return };
            let unix = listener.unix;
            match acceptfrom_with(&listener.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((socket, address)) => self.admit(socket, address, index, unix),
                Err(Errno::AGAIN) => return,
                // The client has left already, or a signal came.
                Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO | Errno::NETDOWN | Errno::HOSTUNREACH) => {}
                Err(_) => {
                    // No descriptors or no memory: those who are connected go on, the backlog waits for a while.
                    self.pause_accepting();
                    return;
                }
            }
        }
    }

    fn pause_accepting(&mut self) {
        self.stop_listening();
        self.accept_again = Some(self.now + ACCEPT_PAUSE);
    }

    fn admit(&mut self, socket: OwnedFd, address: Option<SocketAddrAny>, listener: usize, unix: bool) {
        let address = if unix { None } else { address.and_then(|address| SocketAddr::try_from(address).ok()) };
        let peer = Peer::new(address, &self.hub.settings.trust);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let generation = self.slots[slot as usize].generation;
        let id = u64::from(slot) | u64::from(generation) << 32;
        let data = EventData::new_u64(id);
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if epoll::add(&self.epoll, &socket, data, flags).is_err() {
            self.free.push(slot);
            return;
        }
        let wire = Arc::new(Wire::new(socket));
        let phase = if self.hub.settings.proxy_protocol { Phase::Proxy } else { Phase::Head };
        let connection = Box::new(Connection {
            wire: wire.clone(),
            slot,
            id,
            listener: listener as u16,
            peer,
            phase,
            decoder: Decoder::new(),
            input: Vec::new(),
            request: None,
            readable: false,
            ended: false,
            close: false,
            unread: 0,
            deadline: self.now + self.hub.settings.head_timeout,
            began: self.now,
        });
        let entry = &mut self.slots[slot as usize];
        entry.wire = Some(wire);
        entry.connection = Some(connection);
        self.open += 1;
        self.sweep_later();
        self.hub.scoreboard.add(Counter::ConnectionsAccepted, 1);
        self.hub.scoreboard.set(Counter::ConnectionsOpen, self.open as u64);
    }

    fn sweep_later(&mut self) {
        self.next_sweep.get_or_insert(self.now + SWEEP_EVERY);
    }

    // --- reading -------------------------------------------------------------------------------------------------

    /// Reads from a connection until the kernel has no more or a request is complete.
    fn receive(&mut self, mut connection: Box<Connection>) {
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
    fn feed(&mut self, connection: &mut Connection, fresh: &[u8]) -> Verdict {
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
    fn note_partial(&mut self, connection: &mut Connection, verdict: &Verdict, is_new: bool) {
        if matches!(verdict, Verdict::More) && connection.phase == Phase::Head && is_new {
            connection.deadline = self.now + self.hub.settings.head_timeout;
        }
    }

    fn decode(&mut self, connection: &mut Connection, bytes: &[u8]) -> (usize, Verdict) {
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

    fn send_continue(&mut self, connection: &Connection) {
        let mut output = connection.wire.output();
        output.push_bytes(b"HTTP/1.1 100 Continue\r\n\r\n");
        // Whatever could not leave does so before the response.
        let _ = output.flush(wire_fd(&connection.wire));
    }

    fn new_request(&mut self) -> Box<Request> {
        self.requests.pop().unwrap_or_else(|| Box::new(Request::new(self.now)))
    }

    fn recycle(&mut self, mut request: Box<Request>) {
        if self.requests.len() < POOLED_REQUESTS {
            request.clear();
            self.requests.push(request);
        }
    }

    // --- answering -----------------------------------------------------------------------------------------------

    /// A request is complete: a file answers it here, the application later.
    fn dispatch(&mut self, mut connection: Box<Connection>, mut request: Box<Request>) {
        connection.phase = Phase::Answering;
        connection.close =
            !request.head.keep_alive || self.is_stopping || self.hub.settings.keep_alive_timeout.is_zero();
        request.arrived = self.now;
        if self.hub.settings.stream_body && request.head.framing != RequestFraming::None {
            let settings = &self.hub.settings;
            let (patience, expects) = (settings.body_timeout, request.head.expects_continue);
            let stream = BodyStream::begin(&mut connection, settings.limits, patience, expects);
            request.stream = Some(Arc::new(Mutex::new(stream)));
        }
        if connection.peer.trusted {
            request.client = forwarded::client(&self.hub.settings.trust, &request.bytes, &request.head.fields);
        }
        if self.hub.settings.request_id {
            request.identify(connection.peer.trusted, self.request_ids.next());
        }
        if !self.hub.settings.health_path.is_empty() && request.path() == self.hub.settings.health_path {
            return self.answer_health(connection, request);
        }
        if !self.hub.files.is_empty() {
            if let Some(served) = self.answer_with_file(&connection, &request) {
                self.finish_file(connection, request, served);
                return;
            }
        }
        request.shape = shape(request.method(), request.path());
        let job = Job { connection, request };
        if self.ready.admits(self.now) {
            self.ready.push(self.now, job);
        } else {
            self.reject(job);
        }
    }

    /// Says whether this worker takes requests, although no thread may be free for one.
    fn answer_health(&mut self, mut connection: Box<Connection>, mut request: Box<Request>) {
        request.status = if self.is_stopping { 503 } else { 200 };
        let status: &[u8] = if self.is_stopping { status_text(503) } else { b"200 OK" };
        let turn = request.turn(connection.close);
        let keep = push_plain(&mut connection.wire.output(), turn, status, None, self.date.now());
        connection.close |= !keep;
        self.hub.account(&connection, &request, None, None);
        self.finish(Job { connection, request });
    }

    fn answer_with_file(&mut self, connection: &Connection, request: &Request) -> Option<Served> {
        let file_request = file_request(connection, request, self.date.now());
        self.hub.files.answer(&file_request, connection.wire.output().tail())
    }

    fn finish_file(&mut self, mut connection: Box<Connection>, mut request: Box<Request>, served: Served) {
        connection.close |= !served.keep_alive;
        request.status = served.status;
        request.body_sent = served.body_length;
        if let FileBody::File { file, offset, length } = served.body {
            connection.wire.output().push_file(file, offset, length);
        }
        self.hub.scoreboard.add(Counter::StaticAnswers, 1);
        self.hub.account(&connection, &request, None, None);
        self.finish(Job { connection, request });
    }

    /// No thread will be free in time: 503, and the connection stays.
    pub fn reject(&mut self, job: Job) {
        let Job { mut connection, mut request } = job;
        self.hub.scoreboard.add(Counter::Rejected, 1);
        connection.close |= request.has_unread_body();
        let turn = request.turn(connection.close);
        let keep = push_plain(&mut connection.wire.output(), turn, status_text(503), Some(1), self.date.now());
        connection.close |= !keep;
        request.status = 503;
        self.hub.account(&connection, &request, None, None);
        self.finish(Job { connection, request });
    }

    /// The client's fault: answers, and reads nothing more of what it says.
    fn refuse(&mut self, mut connection: Box<Connection>, refusal: Refusal) {
        let Refusal { status, reason } = refusal;
        let counter = if status == 408 { Counter::TimedOut } else { Counter::RefusedByParser };
        self.hub.scoreboard.add(counter, 1);
        if let Some(request) = connection.request.take() {
            self.recycle(request);
        }
        let turn = Turn { version: Version::Http11, head_only: false, keep_alive: false };
        push_explained(&mut connection.wire.output(), turn, status_text(status), reason, None, self.date.now());
        let mut request = self.new_request();
        request.status = status;
        request.head = RequestHead::default();
        request.arrived = self.now;
        self.hub.account(&connection, &request, None, None);
        self.recycle(request);
        connection.input = Vec::new();
        connection.close = true;
        connection.readable = true;
        self.begin_sending(&mut connection);
        self.send(connection);
    }

    // --- sending -------------------------------------------------------------------------------------------------

    /// From now on the client is given time to read.
    fn begin_sending(&self, connection: &mut Connection) {
        connection.phase = Phase::Sending;
        connection.deadline = self.now + self.hub.settings.write_timeout;
    }

    /// Sends what is complete; afterwards the connection is ready for its next request, or is closed.
    fn send(&mut self, mut connection: Box<Connection>) {
        let wire = connection.wire.clone();
        let mut output = wire.output();
        let before = output.total_sent;
        let flushed = output.flush(wire_fd(&wire));
        let sent = output.total_sent - before;
        output.has_begun &= flushed != Ok(Flushed::Whole);
        self.count_unread(&mut connection, output.held_in_memory());
        if self.unread > MOST_UNREAD && flushed == Ok(Flushed::Partly) {
            self.put_aside(&mut connection, &mut output);
        }
        drop(output);
        self.hub.scoreboard.add(Counter::BytesOut, sent);
        match flushed {
            Ok(Flushed::Whole) => self.begin_next(connection),
            Ok(flushed) => {
                if sent > 0 {
                    connection.deadline = self.now + self.hub.settings.write_timeout;
                }
                if flushed == Flushed::Paused {
                    self.again.push(connection.slot);
                }
                self.put_back(connection);
            }
            Err(_) => self.drop_connection(connection),
        }
    }

    fn count_unread(&mut self, connection: &mut Connection, held: usize) {
        self.unread = self.unread - connection.unread + held;
        connection.unread = held;
    }

    /// Moves what a client does not read from memory to a file.
    fn put_aside(&mut self, connection: &mut Connection, output: &mut Output) {
        match output.spill(&self.hub.settings.temp_dir) {
            Ok(()) => self.count_unread(connection, 0),
            Err(error) => self.hub.log_full_disk(&error),
        }
    }

    /// A response has left.
    fn begin_next(&mut self, mut connection: Box<Connection>) {
        if connection.close || self.is_stopping {
            // RFC 9112 9.6: where bytes wait unread, closing makes the kernel send a reset, which can overtake our
            // answer. Most clients have closed when we look, or do it now.
            let _ = shutdown(&connection.wire.socket, Shutdown::Write);
            connection.phase = Phase::Lingering;
            connection.input = Vec::new();
            connection.deadline = self.now + LINGER;
            connection.readable = true;
            self.receive(connection);
            return;
        }
        connection.phase = Phase::Head;
        connection.began = self.now;
        connection.deadline = self.now + self.hub.settings.keep_alive_timeout;
        if !connection.input.is_empty() {
            // The client did not wait for the answer before it sent the next request.
            match self.feed(&mut connection, &[]) {
                Verdict::More => {}
                Verdict::Complete(request) => return self.dispatch(connection, request),
                Verdict::Refused(refusal) => return self.refuse(connection, refusal),
            }
        }
        if connection.readable {
            self.receive(connection);
        } else {
            self.put_back(connection);
        }
    }

    // --- time ----------------------------------------------------------------------------------------------------

    fn begin_stop_when_asked(&mut self) {
        if self.is_stopping || self.hub.stop_deadline().is_none() {
            return;
        }
        self.is_stopping = true;
        self.stop_listening();
        self.accept_again = None;
        for index in 0..self.slots.len() as u32 {
            let Some(mut connection) = self.take(index) else { continue };
            connection.close = true;
            if connection.phase == Phase::Head && connection.input.is_empty() {
                // One last look: a request that has arrived is answered.
                connection.readable = true;
                self.receive(connection);
                let Some(mut connection) = self.take(index) else { continue };
                let is_idle = connection.phase == Phase::Head && connection.input.is_empty();
                let grace_ends = connection.began + IDLE_GRACE;
                if is_idle && self.now >= grace_ends {
                    self.drop_connection(connection);
                } else {
                    if is_idle {
                        connection.deadline = grace_ends;
                    }
                    self.put_back(connection);
                }
            } else {
                self.put_back(connection);
            }
        }
    }

    /// Looks at every deadline.
    fn sweep(&mut self) {
        self.next_sweep = (self.open > 0).then(|| self.now + SWEEP_EVERY);
        self.look_at_calls();
        self.put_slow_responses_aside();
        for index in 0..self.slots.len() as u32 {
            let Some(connection) = self.slots[index as usize].connection.as_ref() else { continue };
            let late = self.now >= connection.deadline || self.is_too_slow(connection);
            if !late || self.held.contains(&index) {
                continue;
            }
            let Some(connection) = self.take(index) else { continue };
            match connection.phase {
                Phase::Head if connection.input.is_empty() => self.drop_connection(connection),
                Phase::Head | Phase::Body => self.refuse(connection, TOO_SLOW),
                Phase::Answering => self.put_back(connection),
                Phase::Proxy | Phase::Sending | Phase::Lingering => self.drop_connection(connection),
            }
        }
        while let Some(job) = self.ready.pop_expired(self.now) {
            self.reject(job);
        }
        let hub = self.hub.clone();
        while let Some(job) = { hub.waiting().pop_expired(self.now) } {
            hub.waiting_count.fetch_sub(1, Ordering::Relaxed);
            self.reject(job);
        }
        self.flush_held();
    }

    /// Responses that have been waiting for their readers since the last sweep go to files where they are large.
    fn put_slow_responses_aside(&mut self) {
        for index in 0..self.slots.len() as u32 {
            let is_slow = |connection: &Connection| connection.unread > self.hub.settings.response_memory;
            if !self.slots[index as usize].connection.as_deref().is_some_and(is_slow) {
                continue;
            }
            let Some(mut connection) = self.take(index) else { continue };
            let wire = connection.wire.clone();
            self.put_aside(&mut connection, &mut wire.output());
            self.put_back(connection);
        }
    }

    /// Finds the calls that take too long.
    fn look_at_calls(&mut self) {
        let hub = self.hub.clone();
        let now = hub.nanoseconds(self.now);
        for (thread, watched) in hub.calls.iter().enumerate() {
            let Some(overdue) = watched.next_stage(now, &hub.settings.patience) else { continue };
            let began = watched.began();
            if overdue.stage == Stage::Late {
                hub.scoreboard.add(Counter::TimedOut, 1);
                self.cut_off(overdue.connection);
            }
            hub.report_late(Late { thread, overdue, began });
        }
        let stuck = hub.calls.iter().filter(|watched| watched.is_stuck()).count();
        hub.scoreboard.set(Counter::ThreadsStuck, stuck as u64);
    }

    /// Answers in the place of a call that is late: 504, or an end when the response has begun.
    fn cut_off(&mut self, id: u64) {
        let (slot, generation) = (id as u32, (id >> 32) as u32);
        let Some(entry) = self.slots.get(slot as usize).filter(|entry| entry.generation == generation) else { return };
        let Some(wire) = entry.wire.clone() else { return };
        let mut output = wire.output();
        let was_begun = std::mem::replace(&mut output.is_cut, true) || output.has_begun;
        if !was_begun {
            let turn = Turn { version: Version::Http11, head_only: false, keep_alive: false };
            let reason = "the application took too long";
            push_explained(&mut output, turn, status_text(504), reason, None, self.date.now());
            if output.flush(wire_fd(&wire)) != Ok(Flushed::Whole) {
                return;
            }
        }
        // The thread still has the connection, so it is not closed yet: but its client need not wait for that.
        let _ = shutdown(&wire.socket, if was_begun { Shutdown::Both } else { Shutdown::Write });
    }

    /// A body comes more slowly than `min_body_rate` over all of its time.
    fn is_too_slow(&self, connection: &Connection) -> bool {
        let settings = &self.hub.settings;
        let elapsed = self.now.duration_since(connection.began);
        if connection.phase != Phase::Body || elapsed < settings.body_timeout {
            return false;
        }
        let received = connection.request.as_ref().map_or(0, |request| request.body.len());
        (received as f64) < settings.min_body_rate as f64 * elapsed.as_secs_f64()
    }
}

fn wire_fd(wire: &Wire) -> std::os::fd::BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(&wire.socket)
}
