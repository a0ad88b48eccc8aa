//! How requests meet threads: the leader lends the loop, followers take over, the warden sees to it that nobody is
//! left waiting. See docs/concepts/how-requests-meet-threads.md for the reasons.
//!
//! The loop is in a mutex, and to *lend* it is to unlock that. `term` counts the leaderships: it changes only while
//! the mutex is held, and whoever changes it has taken over the duty to lead. So a thread that comes back from the
//! application knows whether the loop is still its own: the mutex is free and the term has not changed.
use crate::clock::Date;
use crate::connection::Job;
use crate::doze::Doze;
use crate::event_loop::{EventLoop, Patience};
use crate::hub::{Hub, Returned};
use crate::raw;
use crate::routes::{Cpu, Measured, Plan};
use crate::scoreboard::{Counter, ThreadCell};
use crate::unread;
use crate::wsgi::{Application, Call};
use pyo3::prelude::*;
use rustix::time::{clock_gettime, ClockId};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// The warden looks this often. Every millisecond it would cost 6 µs a request on a virtual machine, every 5 nothing.
const WARDEN_TICK: Duration = Duration::from_millis(5);

/// No call is left alone with the loop for longer.
const LONGEST_LOAN: Duration = Duration::from_millis(20);

/// Without any call for this many ticks it sleeps until the loop wakes it.
const IDLE_TICKS: u32 = 40;

/// Python recurses deeply; a thread of its own gets as much as the main thread usually has.
const STACK: usize = 8 * 1024 * 1024;

/// Calls that are expected to take longer, in microseconds, do not keep a finished response waiting.
const LONG_FOR_A_BATCH: f32 = 1_000.0;

/// A thread keeps the GIL while it sends a response of up to so many bytes: that takes microseconds, and to get the GIL
/// back beside a busy leader would take half a millisecond.
const SENT_WITH_GIL: u64 = 64 * 1024;

/// Stands for a shape where the loop is not lent for a call.
const NO_CALL: u64 = u64::MAX;

/// What a follower is woken for.
#[derive(Clone, Copy, Debug)]
enum Errand {
    /// Lead, if the term is still this one.
    Lead(u64),
    /// Nothing has come for a long time: see what can be put away.
    TidyUp,
    /// The engine has stopped.
    Leave,
}

/// Where one thread waits for an errand.
#[derive(Default)]
struct Post {
    errand: Mutex<Option<Errand>>,
    arrived: Condvar,
}

#[derive(Default)]
struct Roster {
    posts: Vec<Arc<Post>>,
    /// The one that rested last is woken first: its caches are the warmest.
    idle: Vec<usize>,
    /// The term that nobody could be appointed for.
    vacancy: Option<u64>,
    running: usize,
    is_closed: bool,
}

/// All the threads of one engine.
pub struct Crew {
    hub: Arc<Hub>,
    lane: Mutex<EventLoop>,
    term: AtomicU64,
    /// How long the loop may be lent (nanoseconds of the hub), or 0 while its leader has it.
    lent_until: AtomicU64,
    /// The route of the call for which the loop was lent.
    lent_shape: AtomicU64,
    /// Threads in the application that have given the loop away or lost it.
    occupied: AtomicUsize,
    roster: Mutex<Roster>,
    application: Application,
    cells: Vec<ThreadCell>,
    /// The loop is lent because its leader waits for the GIL, not because it is in the application.
    waits_for_python: AtomicBool,
    warden: Doze,
}

/// A mutex whose owner panicked is still usable here: panics are caught at the border of each call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    pub fn new(hub: Arc<Hub>, event_loop: EventLoop, application: Application, cells: Vec<ThreadCell>) -> Arc<Self> {
        Arc::new(Self {
            hub,
            lane: Mutex::new(event_loop),
            term: AtomicU64::new(1),
            lent_until: AtomicU64::new(0),
            lent_shape: AtomicU64::new(0),
            occupied: AtomicUsize::new(0),
            roster: Mutex::default(),
            application,
            cells,
            waits_for_python: AtomicBool::new(false),
            warden: Doze::default(),
        })
    }

    /// Starts the first thread and the warden.
    pub fn start(self: &Arc<Self>) -> std::io::Result<()> {
        let crew = self.clone();
        Builder::new().name("penstock-warden".into()).spawn(move || crew.watch())?;
        if self.appoint(1) {
            Ok(())
        } else {
            Err(std::io::Error::other("no thread could be started"))
        }
    }

    /// Threads that have not left yet; after the end of the loop they are inside the application.
    pub fn running(&self) -> usize {
        lock(&self.roster).running
    }

    /// The loop has been closed: no thread will lead again.
    pub fn is_closed(&self) -> bool {
        lock(&self.roster).is_closed
    }

    // --- errands ---------------------------------------------------------------------------------------------------

    /// Finds a thread that leads in this term: an idle one, or a new one. False when all of them are busy: then the
    /// next that comes to rest finds the vacancy.
    fn appoint(self: &Arc<Self>, term: u64) -> bool {
        let mut roster = lock(&self.roster);
        if roster.is_closed {
            return true;
        }
        if let Some(index) = roster.idle.pop() {
            let post = roster.posts[index].clone();
            drop(roster);
            *lock(&post.errand) = Some(Errand::Lead(term));
            post.arrived.notify_one();
            return true;
        }
        let index = roster.posts.len();
        if index < self.hub.settings.threads {
            let crew = self.clone();
            let spawned = Builder::new()
                .name(format!("penstock-{}", index + 1))
                .stack_size(STACK)
                .spawn(move || crew.serve(index, term));
            if spawned.is_ok() {
                roster.posts.push(Arc::default());
                roster.running += 1;
                self.hub.scoreboard.set(Counter::ThreadsStarted, roster.posts.len() as u64);
                return true;
            }
        }
        roster.vacancy = Some(term);
        false
    }

    /// Waits until there is something to do for this thread; after `patience` there is.
    fn rest(&self, index: usize, patience: Option<Duration>) -> Errand {
        let mut roster = lock(&self.roster);
        if roster.is_closed {
            return Errand::Leave;
        }
        if let Some(term) = roster.vacancy.take() {
            drop(roster);
            // The warden may be waiting for events in this thread's place.
            self.hub.wake();
            return Errand::Lead(term);
        }
        let post = roster.posts[index].clone();
        roster.idle.push(index);
        drop(roster);
        let mut errand = lock(&post.errand);
        loop {
            if let Some(errand) = errand.take() {
                return errand;
            }
            let Some(patience) = patience else {
                errand = post.arrived.wait(errand).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (guard, waited) = post.arrived.wait_timeout(errand, patience).unwrap_or_else(PoisonError::into_inner);
            errand = guard;
            if waited.timed_out() && errand.is_none() {
                drop(errand);
                if self.get_up(index) {
                    return Errand::TidyUp;
                }
                // Whoever has taken this thread off the list is about to say what for.
                errand = lock(&post.errand);
            }
        }
    }

    /// Takes a resting thread off the list of those that can be sent on errands. False when one is on its way.
    fn get_up(&self, index: usize) -> bool {
        let mut roster = lock(&self.roster);
        let place = roster.idle.iter().position(|resting| *resting == index);
        place.map(|place| roster.idle.remove(place)).is_some()
    }

    /// The loop has finished: everybody leaves.
    fn close(&self) {
        let mut roster = lock(&self.roster);
        roster.is_closed = true;
        for index in std::mem::take(&mut roster.idle) {
            let post = &roster.posts[index];
            *lock(&post.errand) = Some(Errand::Leave);
            post.arrived.notify_one();
        }
        drop(roster);
        self.warden.wake();
        self.hub.wake_main();
    }

    /// The life of one thread. It stays attached to Python all its life: a thread state that came and went with each
    /// request would take the application's thread-local database connections with it.
    fn serve(self: Arc<Self>, index: usize, first: u64) {
        Python::attach(|py| {
            let idle = self.application.lifecycle.first_rest();
            let mut station = Station { index, cell: self.cells[index], date: Date::default(), idle };
            CURRENT.set(Some((self.hub.clone(), index)));
            self.hub.calls[index].ident.store(thread_ident(py), Ordering::Relaxed);
            // The loop is taken before the GIL: events are read while another thread computes.
            let mut begin = Some((first, py.detach(|| self.poll(first, idle))));
            while let Some((term, polled)) = begin {
                self.lead(py, &mut station, term, polled);
                begin = self.next_term(py, &mut station);
            }
            self.application.lifecycle.leave(py);
        });
        lock(&self.roster).running -= 1;
        self.hub.wake_main();
    }

    /// Rests until this thread has to lead: the term, and what its first wait has come to. None when it has to leave.
    fn next_term(&self, py: Python<'_>, station: &mut Station) -> Option<(u64, Polled)> {
        loop {
            let idle = station.idle;
            let begin = py.detach(|| match self.rest(station.index, idle) {
                Errand::Lead(term) => Some(Some((term, self.poll(term, idle)))),
                Errand::Leave => Some(None),
                Errand::TidyUp => None,
            });
            match begin {
                Some(begin) => return begin,
                None => station.idle = self.application.lifecycle.rest(py),
            }
        }
    }

    // --- leading ---------------------------------------------------------------------------------------------------

    /// Takes the loop if this term still is the current one.
    fn take_loop(&self, term: u64) -> Option<MutexGuard<'_, EventLoop>> {
        loop {
            match self.lane.try_lock() {
                Ok(guard) => return (self.term.load(Ordering::Acquire) == term).then_some(guard),
                Err(TryLockError::Poisoned(poisoned)) => {
                    return (self.term.load(Ordering::Acquire) == term).then_some(poisoned.into_inner());
                }
                Err(TryLockError::WouldBlock) => {
                    // Somebody looks at it for a moment, or has taken it and is about to change the term.
                    if self.term.load(Ordering::Acquire) != term {
                        return None;
                    }
                    std::thread::yield_now();
                }
            }
        }
    }

    /// Lets go of the loop, for a call of a route of this shape. From now on the warden watches how long nobody has it.
    fn lend(&self, event_loop: MutexGuard<'_, EventLoop>, now: Instant, shape: Option<u64>) {
        // Twice what such calls usually take; a route that takes longer than that lends first anyway.
        let expected = shape.map_or(0.0, |shape| event_loop.routes.expected(shape));
        let patience = Duration::from_micros((2.0 * expected) as u64).clamp(WARDEN_TICK, LONGEST_LOAN);
        self.lent_shape.store(shape.unwrap_or(NO_CALL), Ordering::Relaxed);
        self.lent_until.store(self.hub.nanoseconds(now + patience), Ordering::Release);
        drop(event_loop);
    }

    /// Lets go of the loop while its leader waits for the GIL.
    fn lend_for_python(&self, event_loop: MutexGuard<'_, EventLoop>) {
        self.waits_for_python.store(true, Ordering::Release);
        self.lend(event_loop, Instant::now(), None);
        // The loop has waited for events: from now on there may be calls to watch.
        self.warden.wake();
    }

    /// Waits for requests, without Python, and lends the loop again: nobody may hold it while waiting for the GIL.
    fn poll(&self, term: u64, idle: Option<Duration>) -> Polled {
        let Some(mut event_loop) = self.take_loop(term) else { return Polled::Lost };
        self.lent_until.store(0, Ordering::Release);
        self.waits_for_python.store(false, Ordering::Release);
        event_loop.flush_held();
        let until = idle.map(|idle| Instant::now() + idle);
        loop {
            if event_loop.is_finished() {
                self.term.fetch_add(1, Ordering::Release);
                drop(event_loop);
                self.close();
                return Polled::Finished;
            }
            if event_loop.has_jobs() {
                self.lend_for_python(event_loop);
                return Polled::Jobs;
            }
            event_loop.turn(Patience::UntilEvent(until));
            if until.is_some_and(|until| Instant::now() >= until) && !event_loop.has_jobs() {
                self.lend_for_python(event_loop);
                return Polled::Idle;
            }
        }
    }

    /// Leads until there is a request that waits, or until somebody else has taken over.
    fn lead(self: &Arc<Self>, py: Python<'_>, station: &mut Station, term: u64, mut polled: Polled) {
        loop {
            match polled {
                Polled::Jobs => {}
                Polled::Idle => {
                    station.idle = self.application.lifecycle.rest(py);
                    let idle = station.idle;
                    polled = py.detach(|| self.poll(term, idle));
                    continue;
                }
                Polled::Finished => return,
                Polled::Lost => break,
            }
            match self.work(py, station, term) {
                Worked::NothingLeft => {}
                Worked::GaveAway => return,
                Worked::Lost => break,
            }
            let idle = station.idle;
            polled = py.detach(|| self.poll(term, idle));
        }
        // The warden has taken the loop away from this thread and counted it as occupied.
        self.serve_waiting(py, station);
    }

    /// Calls the application for one request after the other while there are any.
    fn work(self: &Arc<Self>, py: Python<'_>, station: &mut Station, term: u64) -> Worked {
        let Some(mut event_loop) = self.take_loop(term) else { return Worked::Lost };
        self.waits_for_python.store(false, Ordering::Release);
        self.lent_until.store(0, Ordering::Release);
        let mut now = Instant::now();
        loop {
            let Some((queued, job)) = event_loop.next_job(now) else {
                event_loop.flush_held();
                if event_loop.turn(Patience::None) && !event_loop.is_finished() {
                    now = Instant::now();
                    continue;
                }
                self.lend(event_loop, Instant::now(), None);
                return Worked::NothingLeft;
            };
            let shape = job.request.shape;
            let wants_cpu = event_loop.routes.wants_cpu(shape);
            if event_loop.routes.plan(shape) == Plan::LendFirst && self.hub.settings.threads > 1 {
                if self.occupied.fetch_add(1, Ordering::SeqCst) + 1 >= self.hub.settings.threads {
                    // The last thread is for the short ones.
                    self.occupied.fetch_sub(1, Ordering::SeqCst);
                    self.postpone(&mut event_loop, now, job);
                    continue;
                }
                event_loop.flush_held();
                let next = self.term.fetch_add(1, Ordering::Release) + 1;
                // First, so that the warden knows of a leader or of a vacancy when he sees that the loop is free.
                self.appoint(next);
                self.lend(event_loop, now, None);
                let (job, measured, _) = self.call(py, station, job, queued, now, wants_cpu);
                self.return_job(py, job, measured, false);
                self.serve_waiting(py, station);
                return Worked::GaveAway;
            }
            if event_loop.routes.expected(shape) >= LONG_FOR_A_BATCH {
                event_loop.flush_held();
            }
            self.lend(event_loop, now, Some(shape));
            let (job, measured, end) = self.call(py, station, job, queued, now, wants_cpu);
            match self.take_loop(term) {
                Some(mine) => event_loop = mine,
                None => {
                    self.return_job(py, job, measured, true);
                    return Worked::Lost;
                }
            }
            self.lent_until.store(0, Ordering::Release);
            now = end;
            event_loop.routes.record(shape, measured, false);
            event_loop.finish(job);
            if event_loop.must_flush(now) {
                event_loop.flush_held();
                event_loop.turn(Patience::None);
            }
        }
    }

    /// A request of a waiting route while all threads but the last are waiting.
    fn postpone(&self, event_loop: &mut EventLoop, now: Instant, job: Job) {
        let refused = self.hub.waiting(|waiting| {
            if !waiting.admits(now) {
                return Some(job);
            }
            waiting.push(now, job);
            None
        });
        if let Some(job) = refused {
            return event_loop.reject(job);
        }
        // A thread may have finished and looked in between: then it is idle, and this one is nobody's.
        if self.occupied.load(Ordering::SeqCst) + 1 < self.hub.settings.threads {
            if let Some((_, job)) = self.hub.waiting(|waiting| waiting.pop(now)) {
                event_loop.requeue(now, job);
            }
        }
    }

    /// Goes on with the requests that queue for a waiting thread, then is no longer occupied.
    fn serve_waiting(&self, py: Python<'_>, station: &mut Station) {
        loop {
            let now = Instant::now();
            let next = self.hub.waiting(|waiting| {
                let next = waiting.pop(now);
                if next.is_none() {
                    self.occupied.fetch_sub(1, Ordering::SeqCst);
                }
                next
            });
            let Some((queued, job)) = next else { return };
            let (job, measured, _) = self.call(py, station, job, queued, now, true);
            self.return_job(py, job, measured, false);
        }
    }

    /// Sends a response from this thread and gives the connection back to the loop.
    fn return_job(&self, py: Python<'_>, mut job: Job, measured: Measured, was_overdue: bool) {
        // What does not leave here, and errors, are for the loop, which comes to the same connection soon.
        let is_large = job.connection.wire.output().pending() > SENT_WITH_GIL;
        let mut send = || unread::send(&self.hub, &mut job.connection);
        let _ = if is_large { py.detach(send) } else { send() };
        self.hub.give_back(Returned { job, measured, was_overdue });
    }

    /// Calls the application: the answered request, what it took, and when it ended.
    fn call(
        &self,
        py: Python<'_>,
        station: &mut Station,
        job: Job,
        queued: Duration,
        begin: Instant,
        wants_cpu: bool,
    ) -> (Job, Measured, Instant) {
        let cpu_before = wants_cpu.then(cpu_times);
        station.cell.begin(job.request.method(), job.request.path(), self.hub.monotonic(begin));
        let watched = &self.hub.calls[station.index];
        let nanoseconds = self.hub.nanoseconds(begin);
        watched.begin(job.connection.id, nanoseconds, &self.hub.settings.patience);
        let call = Call { hub: &self.hub, date: station.date.now(), cell: station.cell, queued };
        let (job, end) = self.application.call(py, call, job);
        station.cell.end();
        station.idle = self.application.lifecycle.first_rest();
        if watched.end() {
            // It came back by itself just when it was asked to stop: the next request must not be hit.
            raw::clear_exception_of(py, watched.ident.load(Ordering::Relaxed));
        }
        let wall = end.saturating_duration_since(begin);
        let cpu = cpu_before.map(|(own_before, all_before)| {
            let (own, all) = cpu_times();
            let own = own.saturating_sub(own_before);
            Cpu { own, others: all.saturating_sub(all_before).saturating_sub(own) }
        });
        (job, Measured { wall, cpu }, end)
    }

    // --- the warden --------------------------------------------------------------------------------------------------

    /// The warden's life: it never runs Python, so nothing that Python does can stop it.
    fn watch(self: Arc<Self>) {
        let mut idle_ticks = 0;
        while !self.is_closed() {
            let lent_until = self.lent_until.load(Ordering::Acquire);
            if lent_until == 0 {
                idle_ticks += 1;
            } else {
                idle_ticks = 0;
                let now = self.hub.nanoseconds(Instant::now());
                if now >= lent_until {
                    self.take_over(lent_until);
                }
            }
            if idle_ticks > IDLE_TICKS {
                self.warden.sleep_if(|| self.lent_until.load(Ordering::Acquire) == 0 && !self.is_closed());
                idle_ticks = 0;
            }
            std::thread::sleep(WARDEN_TICK);
        }
    }

    /// The loop has been lent for too long: its leader is busy, somebody else must lead.
    fn take_over(self: &Arc<Self>, lent_until: u64) {
        let mut event_loop = match self.lane.try_lock() {
            Ok(event_loop) => event_loop,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if self.lent_until.load(Ordering::Acquire) != lent_until {
            return;
        }
        if self.waits_for_python.load(Ordering::Acquire) {
            // Another thread would wait for the GIL as well. What needs no Python is done here meanwhile.
            event_loop.flush_held();
            event_loop.turn(Patience::None);
            return;
        }
        // Others of this route may be next in the queue: they must not take one thread after the other in the same way.
        let shape = self.lent_shape.load(Ordering::Relaxed);
        if shape != NO_CALL {
            event_loop.routes.note_overdue(shape);
        }
        let term = self.term.fetch_add(1, Ordering::Release) + 1;
        // In a vacancy nobody has led. Counted as occupied, a thread that does not exist would stay so for ever.
        if lock(&self.roster).vacancy.take().is_none() {
            self.occupied.fetch_add(1, Ordering::SeqCst);
        }
        self.lend(event_loop, Instant::now(), None);
        if self.appoint(term) {
            return;
        }
        // Every thread is busy: lead without Python until one of them comes to rest and takes the vacancy.
        loop {
            let Some(mut event_loop) = self.take_loop(term) else { return };
            event_loop.flush_held();
            event_loop.turn(Patience::While(&|| lock(&self.roster).vacancy.is_some()));
            if event_loop.is_finished() {
                self.term.fetch_add(1, Ordering::Release);
                drop(event_loop);
                self.close();
                return;
            }
            if lock(&self.roster).vacancy.is_none() {
                return;
            }
        }
    }
}

/// How a wait for requests ended.
enum Polled {
    Jobs,
    /// Nothing has come for a long time.
    Idle,
    Lost,
    Finished,
}

/// How a round of calls ended.
enum Worked {
    NothingLeft,
    /// A request that waits was called after the loop had been handed to another thread.
    GaveAway,
    /// The warden has taken the loop away.
    Lost,
}

/// What one thread keeps from call to call.
struct Station {
    index: usize,
    cell: ThreadCell,
    date: Date,
    /// How long it may have nothing to do before it is asked what it can put away.
    idle: Option<Duration>,
}

thread_local! {
    /// In threads that call the application: their engine, and which of its threads they are.
    pub static CURRENT: RefCell<Option<(Arc<Hub>, usize)>> = const { RefCell::new(None) };
}

/// Python's name for this thread.
fn thread_ident(py: Python<'_>) -> u64 {
    py.import("threading").and_then(|threading| threading.call_method0("get_ident")?.extract()).unwrap_or(0)
}

/// CPU time of this thread, and of the whole process.
fn cpu_times() -> (Duration, Duration) {
    let read = |clock| {
        let time = clock_gettime(clock);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    (read(ClockId::ThreadCPUTime), read(ClockId::ProcessCPUTime))
}
