//! What the loop, the threads and the warden share: settings, queues between them, and ways to wake each other.
use crate::access_log::Entry;
use crate::access_log::{AccessLog, Environ};
use crate::connection::Job;
use crate::connection::{Connection, Request};
use crate::deadlines::{Overdue, Patience, Stage, Watched};
use crate::large_bodies::LargeBodies;
use crate::options::EngineOptions;
use crate::post::Post;
use crate::queue::Queue;
use crate::routes::Measured;
use crate::scoreboard::{Counter, Latency, Scoreboard, SlotRef, ThreadCell};
use crate::static_files::StaticFiles;
use crate::unread::Unread;
use penstock_http::forwarded::Trust;
use penstock_http::Limits;
use pyo3::prelude::*;
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{getpid, kill_process, Signal};
use rustix::time::{clock_gettime, ClockId};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Settings in the units that the engine computes with.
#[derive(Debug)]
pub struct Settings {
    pub limits: Limits,
    pub threads: usize,
    /// Other workers accept from the same listeners.
    pub multiprocess: bool,
    pub max_connections: usize,
    pub body_memory: u64,
    pub response_memory: usize,
    pub stream_body: bool,
    pub temp_dir: PathBuf,
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    pub min_body_rate: u64,
    pub keep_alive_timeout: Duration,
    pub write_timeout: Duration,
    pub queue_size: usize,
    pub queue_timeout: Duration,
    pub trust: Trust,
    pub proxy_protocol: bool,
    /// Listening sockets that a letter may name.
    pub listeners: usize,
    /// Who may speak the uwsgi protocol.
    pub uwsgi_allow: Trust,
    /// X-Accel-Redirect and X-Sendfile are heeded.
    pub serves_protected: bool,
    /// Answered natively with 200 while this worker takes requests; empty: none.
    pub health_path: Vec<u8>,
    /// Each request gets an X-Request-ID, unless a trusted peer has given it one.
    pub request_id: bool,
    /// Of calls.
    pub patience: Patience,
    /// The signal at which Python writes all stacks without needing the GIL.
    pub dump_signal: Option<Signal>,
}

impl Settings {
    /// Checks and converts; the error names the option.
    pub fn new(options: &EngineOptions) -> Result<Self, String> {
        if options.threads == 0 {
            return Err("threads must be at least 1".into());
        }
        if options.max_head > u32::MAX as usize / 2 {
            return Err("max_head is larger than 2 GiB".into());
        }
        Ok(Self {
            limits: Limits {
                request_line: options.max_request_line,
                head: options.max_head,
                fields: options.max_fields,
                body: options.max_body,
            },
            threads: options.threads,
            multiprocess: options.multiprocess,
            max_connections: options.max_connections.max(1),
            body_memory: options.body_memory,
            response_memory: options.response_memory,
            stream_body: options.stream_body,
            temp_dir: PathBuf::from(&options.temp_dir),
            head_timeout: seconds("head_timeout", options.head_timeout)?,
            body_timeout: seconds("body_timeout", options.body_timeout)?,
            min_body_rate: options.min_body_rate,
            keep_alive_timeout: seconds("keep_alive_timeout", options.keep_alive_timeout)?,
            write_timeout: seconds("write_timeout", options.write_timeout)?,
            queue_size: options.queue_size,
            queue_timeout: seconds("queue_timeout", options.queue_timeout)?,
            trust: Trust::parse(&options.forwarded_allow).map_err(|why| format!("forwarded_allow: {why}"))?,
            proxy_protocol: options.proxy_protocol,
            listeners: options.listeners.len(),
            uwsgi_allow: Trust::parse(&options.uwsgi_allow).map_err(|why| format!("uwsgi_allow: {why}"))?,
            serves_protected: !options.protected.is_empty(),
            health_path: options.health_path.clone().into_bytes(),
            request_id: options.request_id,
            patience: Patience {
                slow: seconds("slow_request_log", options.slow_request_log)?.as_nanos() as u64,
                timeout: seconds("timeout", options.timeout)?.as_nanos() as u64,
                grace: seconds("timeout_grace", options.timeout_grace)?.as_nanos() as u64,
            },
            dump_signal: Signal::from_named_raw(options.dump_signal),
        })
    }
}

/// Taking the GIL for each response would slow the others down.
const MOST_OWED: usize = 8 * 1024 * 1024;

fn seconds(name: &str, value: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(value).map_err(|why| format!("{name}: {why}"))
}

/// A request that a thread without the loop has answered.
pub struct Returned {
    pub job: Job,
    pub measured: Measured,
    /// The loop was taken away from its thread meanwhile.
    pub was_overdue: bool,
}

/// A late call, to be told to the person who reads the log.
#[derive(Clone, Copy, Debug)]
pub struct Late {
    pub thread: usize,
    pub overdue: Overdue,
    pub began: u64,
}

/// Shared by all of one engine.
pub struct Hub {
    pub settings: Settings,
    /// The call of each thread.
    pub calls: Vec<Watched>,
    late: Mutex<Vec<Late>>,
    pub files: StaticFiles,
    pub access_log: Option<AccessLog>,
    error_log: OwnedFd,
    /// Penstock's journal: level and text.
    journal: Option<Py<PyAny>>,
    messages: Mutex<Vec<(&'static str, String)>>,
    pub scoreboard: SlotRef,
    /// Other processes to which a connection may belong; None where there is one site.
    pub post: Option<Post>,
    returned: Mutex<Vec<Returned>>,
    waiting: Mutex<Queue<Job>>,
    /// Jobs in `waiting`, to be read without the lock.
    waiting_count: AtomicUsize,
    has_logged_full_disk: AtomicBool,
    waker: OwnedFd,
    for_main: OwnedFd,
    polling: AtomicBool,
    epoch: Instant,
    /// `epoch` on the clock that all processes share.
    monotonic_epoch: u64,
    pub unread: Unread,
    pub large_bodies: LargeBodies,
    /// Bytes of Python objects that were dropped without Python and are not free yet.
    owed: AtomicUsize,
    /// Nanoseconds since `epoch` at which a graceful stop becomes a hard one; 0 while nobody asked for a stop.
    stop_at: AtomicU64,
}

impl Hub {
    pub fn new(
        settings: Settings,
        files: StaticFiles,
        access_log: Option<AccessLog>,
        error_log: OwnedFd,
        journal: Option<Py<PyAny>>,
        scoreboard: Scoreboard,
        slot: usize,
    ) -> io::Result<Self> {
        Ok(Self {
            waiting: Mutex::new(Queue::new(settings.queue_size, settings.queue_timeout)),
            calls: (0..settings.threads).map(|_| Watched::default()).collect(),
            late: Mutex::default(),
            settings,
            files,
            access_log,
            error_log,
            journal,
            messages: Mutex::default(),
            scoreboard: scoreboard.slot(slot).ok_or(io::ErrorKind::InvalidInput)?,
            post: None,
            returned: Mutex::default(),
            waiting_count: AtomicUsize::new(0),
            has_logged_full_disk: AtomicBool::new(false),
            waker: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            for_main: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            polling: AtomicBool::new(false),
            epoch: Instant::now(),
            monotonic_epoch: monotonic(),
            unread: Unread::default(),
            large_bodies: LargeBodies::default(),
            owed: AtomicUsize::new(0),
            stop_at: AtomicU64::new(0),
        })
    }

    /// The descriptor that [`Hub::wake`] makes readable.
    pub fn waker(&self) -> &OwnedFd {
        &self.waker
    }

    /// Ends the loop's wait, if it waits.
    pub fn wake(&self) {
        if self.polling.load(Ordering::SeqCst) {
            self.write_waker();
        }
    }

    fn write_waker(&self) {
        // Fails only when the counter is full: then the loop is awake already.
        let _ = rustix::io::write(&self.waker, &1u64.to_ne_bytes());
    }

    /// The descriptor that [`Hub::wake_main`] makes readable.
    pub fn for_main(&self) -> &OwnedFd {
        &self.for_main
    }

    /// Something is to be done by the main thread: the loop has finished, a thread has left, a call is late.
    pub fn wake_main(&self) {
        let _ = rustix::io::write(&self.for_main, &1u64.to_ne_bytes());
    }

    /// The main thread waits until it has something to do, or one of its own descriptors has. True when `control` has.
    pub fn wait_as_main(
        &self,
        wakeup: Option<&OwnedFd>,
        control: Option<&OwnedFd>,
        timeout: Option<Timespec>,
    ) -> io::Result<bool> {
        let descriptors = || std::iter::once(&self.for_main).chain(wakeup).chain(control);
        let mut waited_for: Vec<_> = descriptors().map(|waited_for| PollFd::new(waited_for, PollFlags::IN)).collect();
        match poll(&mut waited_for, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for descriptor in std::iter::once(&self.for_main).chain(wakeup) {
            // Both do not block; what they hold says no more than "look".
            let _ = rustix::io::read(descriptor, &mut [0u8; 64][..]);
        }
        Ok(control.is_some() && waited_for.last().is_some_and(|control| !control.revents().is_empty()))
    }

    /// So many bytes of Python's have been dropped without Python: much of them is freed at once, the rest by
    /// [`Hub::settle`].
    pub fn owe_python(&self, length: usize) {
        if self.owed.fetch_add(length, Ordering::Relaxed) + length >= MOST_OWED {
            self.settle();
        }
    }

    /// Has the main thread take the GIL, which frees what was dropped without it.
    pub fn settle(&self) {
        if self.owed.swap(0, Ordering::Relaxed) > 0 {
            self.wake_main();
        }
    }

    /// Tells the main thread, which has Python, of a late call. False when it has not even come to the first report of
    /// one that is stuck: something keeps the GIL and does not let go.
    pub fn report_late(&self, late: Late) -> bool {
        let mut reports = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let is_heard =
            late.overdue.stage != Stage::Stuck || reports.iter().all(|earlier| earlier.thread != late.thread);
        if !is_heard {
            if let Some(signal) = self.settings.dump_signal {
                let _ = kill_process(getpid(), signal);
            }
        }
        reports.push(late);
        drop(reports);
        self.wake_main();
        is_heard
    }

    /// The late calls since the last time.
    pub fn take_late(&self) -> Vec<Late> {
        std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes back what [`Hub::wake`] wrote.
    pub fn drain_waker(&self) {
        let _ = rustix::io::read(&self.waker, &mut [0u8; 8][..]);
    }

    /// The loop is about to wait: from here on [`Hub::wake`] writes. False when there is something to do first.
    pub fn begin_polling(&self) -> bool {
        self.polling.store(true, Ordering::SeqCst);
        self.returned().is_empty() && !self.large_bodies.has_news()
    }

    /// The loop is awake.
    pub fn end_polling(&self) {
        self.polling.store(false, Ordering::SeqCst);
    }

    /// Answered requests on their way back to the loop.
    pub fn returned(&self) -> MutexGuard<'_, Vec<Returned>> {
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives an answered request back to the loop.
    pub fn give_back(&self, returned: Returned) {
        self.returned().push(returned);
        self.wake();
    }

    /// Asks or changes the queue of the requests of waiting routes for which no thread was free.
    pub fn waiting<T>(&self, ask: impl FnOnce(&mut Queue<Job>) -> T) -> T {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = ask(&mut waiting);
        self.waiting_count.store(waiting.len(), Ordering::Relaxed);
        answer
    }

    /// How many they are.
    pub fn waiting_count(&self) -> usize {
        self.waiting_count.load(Ordering::Relaxed)
    }

    /// Nanoseconds since the engine began, never 0.
    pub fn nanoseconds(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.epoch).as_nanos() as u64).max(1)
    }

    /// Asks for a stop that is complete after `within` at the latest; an earlier one is not postponed.
    pub fn stop(&self, within: Duration) {
        let at = self.nanoseconds(Instant::now()).saturating_add(within.as_nanos() as u64);
        let _ =
            self.stop_at.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| (old == 0 || at < old).then_some(at));
        self.write_waker();
    }

    /// When a requested stop must be complete.
    pub fn stop_deadline(&self) -> Option<Instant> {
        match self.stop_at.load(Ordering::Relaxed) {
            0 => None,
            at => Some(self.epoch + Duration::from_nanos(at)),
        }
    }

    /// Writes to the error log from a thread that has Python: by Penstock's journal, or by itself where there is none.
    pub fn log(&self, py: Python<'_>, level: &str, text: &str) {
        let written = self.journal.as_ref().map(|journal| journal.call1(py, (level, text)));
        if !matches!(written, Some(Ok(_))) {
            let line = format!("{level}: {text}\n");
            // A log that cannot be written must not stop a request.
            let _ = rustix::io::write(&self.error_log, line.as_bytes());
        }
    }

    /// Has the main thread write to the error log.
    pub fn log_without_python(&self, level: &'static str, text: String) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push((level, text));
        self.wake_main();
    }

    /// What was to be logged since the last time.
    pub fn take_messages(&self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A response could not be put aside for a slow reader; its thread has to wait instead. Said once a worker.
    pub fn log_full_disk(&self, error: &io::Error) {
        if !self.has_logged_full_disk.swap(true, Ordering::Relaxed) {
            let directory = self.settings.temp_dir.display();
            let text = format!(
                "no temporary file can be written in {directory}: {error}; threads wait for slow readers now; \
                 hint: free space there, or set temp_dir"
            );
            self.log_without_python("error", text);
        }
    }

    /// `now` in nanoseconds of the clock that all processes share, for the scoreboard.
    pub fn monotonic(&self, now: Instant) -> u64 {
        self.monotonic_epoch + self.nanoseconds(now)
    }

    /// Counts and logs a response that was handed over for sending; when that was. `cell` is that of the thread that
    /// answered; None when it was answered without one (a file, a refusal). `environ` is for the access log.
    pub fn account(
        &self,
        connection: &Connection,
        request: &Request,
        cell: Option<(ThreadCell, Duration)>,
        environ: Option<&Environ<'_>>,
    ) -> Instant {
        let class = Counter::of_status(request.status);
        let now = Instant::now();
        let duration = now.saturating_duration_since(request.arrived);
        if let Some((cell, queued)) = cell {
            cell.add(Counter::Requests, 1);
            cell.add(class, 1);
            cell.observe(Latency::Duration, duration);
            cell.observe(Latency::Queue, queued);
        } else {
            self.scoreboard.add(Counter::Requests, 1);
            self.scoreboard.add(class, 1);
        }
        if let Some(log) = &self.access_log {
            log.record(&Entry {
                peer: request.client.address.or(connection.peer.address),
                request_bytes: &request.bytes,
                head: &request.head,
                status: request.status,
                response_head: &request.response_head,
                body_sent: request.body_sent,
                started: SystemTime::now().checked_sub(duration).unwrap_or(SystemTime::UNIX_EPOCH),
                duration,
                environ,
            });
        }
        now
    }
}

fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
