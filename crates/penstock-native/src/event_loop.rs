//! Sockets in, complete requests out; finished responses in, bytes out. No Python: whoever holds the loop may run it.
mod accepting;
mod answering;
mod handing;
mod reading;
mod sending;
mod timing;
mod uwsgi;

use self::handing::{Leaving, PLACE, WRITABLE};
use crate::clock::Date;
use crate::connection::{Connection, Job, Phase, Request, Wire};
use crate::hub::{Hub, Returned};
use crate::output::Flushed;
use crate::queue::Queue;
use crate::request_ids::RequestIds;
use crate::routes::Routes;
use crate::scoreboard::Counter;
use penstock_http::Refusal;
use rustix::event::epoll::{EventData, EventFlags};
use rustix::event::{epoll, Timespec};
use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Arc;
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

/// Deadlines are looked at this often: none of them needs to be more exact.
const SWEEP_EVERY: Duration = Duration::from_millis(250);

const WAKER: u64 = u64::MAX;
const LISTENER: u64 = 1 << 63;

/// A listening socket.
pub struct Listener {
    pub socket: OwnedFd,
    pub unix: bool,
    /// Its peers speak the uwsgi protocol instead of HTTP.
    pub is_uwsgi: bool,
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
    /// Its last request was HEAD, so no answer to it has a body.
    is_head: bool,
    /// What had been sent when the last sweep found the client's side closed.
    sent_at_end: Option<u64>,
}

/// What decoding has led to.
enum Verdict {
    More,
    Complete(Box<Request>),
    Refused(Refusal),
    /// The request that begins belongs to another place; nothing of it was used.
    Elsewhere(usize),
}

/// Whether a turn may wait for events.
pub enum Patience<'a> {
    /// It only looks.
    None,
    /// No longer than until then.
    UntilEvent(Option<Instant>),
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
    /// A large response is leaving at once.
    sends_large: bool,
    /// Connections whose large body waits for room, and since when.
    hungry: VecDeque<(u64, Instant)>,
    /// Slots that have more to do although no event will say so.
    again: Vec<u32>,
    scratch: Vec<u8>,
    /// Where a letter is opened; empty before the first.
    letter: Vec<u8>,
    /// Connections that wait for room in another process, in their order.
    leaving: VecDeque<Leaving>,
    /// So many places are looked at for letters.
    watched_places: usize,
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
    /// The connection that was accepted last, until its first request has come.
    newest: Option<u64>,
    is_stopping: bool,
    /// A peer that may not speak the uwsgi protocol has been told of.
    has_turned_away: bool,
    /// Something keeps the GIL for good: no request gets a thread any more, and the supervisor will kill this worker.
    is_deaf: bool,
}

impl EventLoop {
    /// A loop over listening sockets.
    pub fn new(hub: Arc<Hub>, listeners: Vec<Listener>) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, hub.waker(), EventData::new_u64(WAKER), EventFlags::IN)?;
        let now = Instant::now();
        let mut this = Self {
            ready: Queue::new(hub.settings.queue_size, hub.settings.queue_timeout),
            hub,
            epoll,
            listeners,
            slots: Vec::new(),
            free: Vec::new(),
            open: 0,
            held: Vec::with_capacity(MOST_HELD),
            sends_large: false,
            hungry: VecDeque::new(),
            again: Vec::new(),
            scratch: vec![0; SCRATCH],
            letter: Vec::new(),
            leaving: VecDeque::new(),
            watched_places: 0,
            requests: Vec::new(),
            routes: Routes::default(),
            date: Date::default(),
            request_ids: RequestIds::default(),
            now,
            next_sweep: None,
            accept_again: None,
            newest: None,
            is_stopping: false,
            has_turned_away: false,
            is_deaf: false,
        };
        this.listen()?;
        Ok(this)
    }

    /// Waits for events as long as there is nothing else to do, reads what has come and makes requests of it.
    /// True when there was anything to do.
    pub fn turn(&mut self, patience: Patience<'_>) -> bool {
        let mut did_something = self.collect_returned();
        did_something |= self.go_on();
        did_something |= self.feed_hungry();
        self.watch_places();
        if !matches!(patience, Patience::None) {
            // Files and refusals are answered without a thread that would send them off after its batch.
            self.flush_held();
        }
        // From begin_polling() on whoever changes something wakes the loop, so what it asks now stays true.
        let waiting = self.ready.len() + self.hub.waiting_count();
        self.hub.scoreboard.set(Counter::QueueLength, waiting as u64);
        let waits = match patience {
            Patience::None => false,
            _ if did_something => false,
            Patience::UntilEvent(_) => self.hub.begin_polling(),
            Patience::While(still) => self.hub.begin_polling() && still(),
        };
        let until = if let Patience::UntilEvent(until) = patience { until } else { None };
        let timeout = if waits { self.next_wait(until) } else { Some(Duration::ZERO) };
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
            self.accept_again();
        }
        did_something
    }

    fn next_wait(&self, until: Option<Instant>) -> Option<Duration> {
        let sweep = self.next_sweep;
        let accept = self.accept_again;
        let stop = self.hub.stop_deadline();
        let next = [sweep, accept, stop, until].into_iter().flatten().min()?;
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
        // One that is made of a request right behind another one waits its turn: as many as a client pipelines would
        // otherwise be sent inside each other, and everybody else would wait for all of them.
        if is_large && !std::mem::replace(&mut self.sends_large, true) {
            self.send(connection);
            self.sends_large = false;
            return;
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
            // Another connection may have the place by now, or the response may have left with an event of its own.
            match self.take(slot) {
                Some(connection) if connection.phase == Phase::Sending => self.send(connection),
                Some(connection) => self.put_back(connection),
                None => {}
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
            slot.sent_at_end = None;
            slot.connection = Some(connection);
        }
    }

    fn drop_connection(&mut self, mut connection: Box<Connection>) {
        if let Some(request) = connection.request.take() {
            self.recycle(request);
        }
        self.hub.unread.count(&mut connection, 0);
        if let Some(slot) = self.slots.get_mut(connection.slot as usize) {
            slot.wire = None;
            slot.connection = None;
            slot.missed = false;
            slot.missed_end = false;
            slot.sent_at_end = None;
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
        if data & WRITABLE == WRITABLE {
            return self.retry(data as u32 as usize);
        }
        if data & PLACE == PLACE {
            return self.open_letters(data as u32 as usize);
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

    fn sweep_later(&mut self) {
        self.next_sweep.get_or_insert(self.now + SWEEP_EVERY);
    }
}

fn wire_fd(wire: &Wire) -> std::os::fd::BorrowedFd<'_> {
    std::os::fd::AsFd::as_fd(&wire.socket)
}
