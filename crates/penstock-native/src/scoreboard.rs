//! What the workers are doing, in memory that the supervisor reads: counters, latencies, and the request of each
//! thread. No locks, no system calls, no strings; nothing here can fail or wait while a request is served.
//!
//! One slot for each worker. A slot is a block that any thread of the worker may count in, then one cell for each of
//! its threads, in which only that thread writes: it adds with a load and a store, where a shared counter needs a
//! locked instruction and takes the cache line away from the other threads. Reading adds them all up.
use crate::raw;
use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{fence, AtomicU64, Ordering};
use std::time::Duration;

/// One cache line, and what a slot, a cell and a tally are rounded up to, so that no two threads share one.
const LINE: usize = 64 / size_of::<u64>();

/// "penstock" in ASCII, then the layout: a supervisor and a worker of different versions must not read each other.
const MAGIC: u64 = u64::from_be_bytes(*b"penstock");
const LAYOUT: u64 = 2;
const HEADER: usize = LINE;

/// More than any machine needs, and few enough that the size of the memory cannot overflow.
const MOST: usize = 4096;

/// The words of a cell before its tally. STATE is twice the requests begun, plus one while one is running.
const STATE: usize = 0;
const STARTED: usize = 1;
const METHOD: usize = 2;
const PATH_LENGTH: usize = 3;
const PATH: usize = 4;
const REQUEST: usize = round_up(PATH + PATH_BYTES / size_of::<u64>());

/// Bytes of a path that are kept: enough to tell views apart in `penstock top`.
const PATH_BYTES: usize = 96;

/// A tally: the counters, then the two histograms, each with the sum of what it observed in front.
const TALLY: usize = round_up(COUNTERS + 2 * HISTOGRAM);
const HISTOGRAM: usize = 1 + BUCKETS;
const CELL: usize = REQUEST + TALLY;

const fn round_up(words: usize) -> usize {
    words.div_ceil(LINE) * LINE
}

/// What is counted. Gauges are set by whoever has the loop, in the block that all threads share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Since the start.
    ConnectionsAccepted,
    /// A gauge.
    ConnectionsOpen,
    /// Heads that were read whole and are well-formed.
    Requests,
    /// By class of status, also those that are our own.
    Responses1xx,
    /// See above.
    Responses2xx,
    /// See above.
    Responses3xx,
    /// See above.
    Responses4xx,
    /// See above.
    Responses5xx,
    /// Read from clients, heads and framing included.
    BytesIn,
    /// Written to clients, heads and framing included.
    BytesOut,
    /// Answered with 4xx or 5xx because the request is malformed or too large.
    RefusedByParser,
    /// Answered with 408.
    TimedOut,
    /// Answered with 503 because the queue was full or the wait in it too long.
    Rejected,
    /// A gauge: requests that wait for a thread.
    QueueLength,
    /// A gauge.
    ThreadsStarted,
    /// Answered from files, without the application.
    StaticAnswers,
    ThreadsStuck,
    /// Sent on to the process that their next request belongs to.
    ConnectionsHanded,
    /// Received from another process.
    ConnectionsTaken,
    /// Handed to a site that was not up yet.
    ConnectionsHeld,
    /// Requests for a host that no site has, answered with 421.
    UnknownHosts,
}

const COUNTERS: usize = Counter::ALL.len();

impl Counter {
    /// All of them in order, with the names that `stats()`, `read()` and the metrics use.
    pub const ALL: [(Counter, &'static str); 21] = [
        (Counter::ConnectionsAccepted, "connections_accepted"),
        (Counter::ConnectionsOpen, "connections_open"),
        (Counter::Requests, "requests"),
        (Counter::Responses1xx, "responses_1xx"),
        (Counter::Responses2xx, "responses_2xx"),
        (Counter::Responses3xx, "responses_3xx"),
        (Counter::Responses4xx, "responses_4xx"),
        (Counter::Responses5xx, "responses_5xx"),
        (Counter::BytesIn, "bytes_in"),
        (Counter::BytesOut, "bytes_out"),
        (Counter::RefusedByParser, "refused_by_parser"),
        (Counter::TimedOut, "timed_out"),
        (Counter::Rejected, "rejected"),
        (Counter::QueueLength, "queue_length"),
        (Counter::ThreadsStarted, "threads_started"),
        (Counter::StaticAnswers, "static_answers"),
        (Counter::ThreadsStuck, "threads_stuck"),
        (Counter::ConnectionsHanded, "connections_handed"),
        (Counter::ConnectionsTaken, "connections_taken"),
        (Counter::ConnectionsHeld, "connections_held"),
        (Counter::UnknownHosts, "unknown_hosts"),
    ];

    /// The counter of a status's class.
    pub fn of_status(status: u16) -> Counter {
        match status / 100 {
            1 => Counter::Responses1xx,
            2 => Counter::Responses2xx,
            3 => Counter::Responses3xx,
            4 => Counter::Responses4xx,
            _ => Counter::Responses5xx,
        }
    }
}

/// The two times that are observed of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Latency {
    /// From its last byte read to its last byte handed over.
    Duration,
    /// The part of it spent waiting for a thread.
    Queue,
}

/// Up to 50 µs, then four equal steps for each doubling until 52.4 s, one more to 65.5 s, and what took longer:
/// no value is off by more than a quarter, and a bucket is found without a search.
pub const BUCKETS: usize = 1 + 20 * 4 + 1 + 1;

/// A quarter of the first bound, in nanoseconds: the finest step.
const STEP: u64 = 12_500;

fn bucket(nanoseconds: u64) -> usize {
    // Less one, because a bound belongs to the bucket below it (Prometheus: "le").
    let steps = nanoseconds.saturating_sub(1) / STEP;
    if steps < 4 {
        return 0;
    }
    let doublings = steps.ilog2() as usize - 2;
    let quarter = (steps >> doublings) as usize & 3;
    (1 + 4 * doublings + quarter).min(BUCKETS - 1)
}

/// The largest time that bucket `index` holds; None for the last one, which holds the rest.
pub fn upper_bound(index: usize) -> Option<Duration> {
    let quarters = match index {
        0 => 4,
        _ if index >= BUCKETS - 1 => return None,
        _ => (5 + (index as u64 - 1) % 4) << ((index - 1) / 4),
    };
    Some(Duration::from_nanos(STEP * quarters))
}

/// How often each latency occurred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Of all observations.
    pub sum: Duration,
    /// One count for each bucket, not cumulated; see [`upper_bound`].
    pub counts: [u64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { sum: Duration::ZERO, counts: [0; BUCKETS] }
    }
}

impl Histogram {
    /// Each bound in seconds with the number of observations up to it, ending with infinity: Prometheus's form.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.counts.iter().enumerate().scan(0u64, |total, (index, count)| {
            *total = total.wrapping_add(*count);
            Some((upper_bound(index).map_or(f64::INFINITY, |bound| bound.as_secs_f64()), *total))
        })
    }
}

/// What one thread was doing when it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadSnapshot {
    /// Requests that it has begun.
    pub requests: u64,
    /// The request that it is in; None between requests.
    pub running: Option<Running>,
}

/// A request in progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// At most the first 8 bytes.
    pub method: Vec<u8>,
    /// At most the first 96 bytes.
    pub path: Vec<u8>,
    /// The monotonic clock (CLOCK_MONOTONIC, common to all processes) in nanoseconds.
    pub started: u64,
}

/// One worker, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotSnapshot {
    counters: [u64; COUNTERS],
    /// See [`Latency::Duration`].
    pub duration: Histogram,
    /// See [`Latency::Queue`].
    pub queue: Histogram,
    /// One for each cell, whether its thread has been started or not.
    pub threads: Vec<ThreadSnapshot>,
}

impl SlotSnapshot {
    /// The value of one counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }

    /// Threads that were in a request.
    pub fn threads_busy(&self) -> usize {
        self.threads.iter().filter(|thread| thread.running.is_some()).count()
    }
}

/// The shared memory. Its mapping stays until the process ends, also when this is dropped.
#[derive(Debug)]
pub struct Scoreboard {
    file: OwnedFd,
    words: &'static [AtomicU64],
    threads: usize,
}

impl Scoreboard {
    /// Makes an empty one. The descriptor is closed on exec unless the caller passes it on.
    ///
    /// InvalidInput when either number is 0 or above 4096, other errors when memory is refused.
    pub fn create(workers: usize, threads: usize) -> io::Result<Self> {
        let length = length(workers, threads).ok_or_else(|| invalid("it needs 1 to 4096 workers and threads"))?;
        let file = memfd_create("penstock-scoreboard", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, (length * size_of::<u64>()) as u64)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let words = raw::map_shared(file.as_fd())?;
        for (word, value) in words.iter().zip([MAGIC, LAYOUT, workers as u64, threads as u64]) {
            word.store(value, Ordering::Relaxed);
        }
        Ok(Self { file, words, threads })
    }

    /// Takes one that another process made. InvalidInput when it is something else or of another version.
    pub fn open(file: OwnedFd) -> io::Result<Self> {
        let words = raw::map_shared(file.as_fd())?;
        let header = |index: usize| words.get(index).map_or(0, |word| word.load(Ordering::Relaxed));
        let (workers, threads) = (header(2) as usize, header(3) as usize);
        // The kernel's size is the truth (whole words only are mapped); the header has to agree with it.
        if header(0) != MAGIC || header(1) != LAYOUT || length(workers, threads) != Some(words.len()) {
            return Err(invalid("it was made by another version of penstock"));
        }
        Ok(Self { file, words, threads })
    }

    /// The descriptor to hand to workers.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// One worker's part; None when there is no such slot.
    pub fn slot(&self, index: usize) -> Option<SlotRef> {
        let size = TALLY + self.threads * CELL;
        let start = HEADER + index.checked_mul(size)?;
        Some(SlotRef { words: self.words.get(start..start.checked_add(size)?)? })
    }
}

fn length(workers: usize, threads: usize) -> Option<usize> {
    let sane = (1..=MOST).contains(&workers) && (1..=MOST).contains(&threads);
    sane.then(|| HEADER + workers * (TALLY + threads * CELL))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("the scoreboard cannot be used: {what}"))
}

/// One worker's part of the scoreboard. Cheap to copy; may be used by every thread.
#[derive(Clone, Copy, Debug)]
pub struct SlotRef {
    words: &'static [AtomicU64],
}

impl SlotRef {
    /// Adds to a counter, from any thread.
    #[inline]
    pub fn add(self, counter: Counter, amount: u64) {
        self.words[counter as usize].fetch_add(amount, Ordering::Relaxed);
    }

    /// Sets a gauge that only this block is used for.
    #[inline]
    pub fn set(self, counter: Counter, value: u64) {
        self.words[counter as usize].store(value, Ordering::Relaxed);
    }

    /// The cell of one thread, which from now on only that thread may write in: when two do, counts get lost (and
    /// nothing worse happens). None when there is no such cell.
    pub fn thread(self, index: usize) -> Option<ThreadCell> {
        let start = index.checked_mul(CELL)?.checked_add(TALLY)?;
        Some(ThreadCell { words: self.words.get(start..start.checked_add(CELL)?)? })
    }

    /// Empties it before another worker gets it. The worker that had it must be gone.
    pub fn clear(self) {
        for word in self.words {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Adds everything up. Counters that are written meanwhile may or may not be seen; each alone is right.
    pub fn read(self) -> SlotSnapshot {
        let mut snapshot = SlotSnapshot::default();
        let (shared, cells) = self.words.split_at(TALLY);
        add_tally(&mut snapshot, shared);
        for cell in cells.chunks_exact(CELL) {
            let (request, tally) = cell.split_at(REQUEST);
            add_tally(&mut snapshot, tally);
            snapshot.threads.push(read_request(request));
        }
        snapshot
    }
}

fn add_tally(snapshot: &mut SlotSnapshot, tally: &[AtomicU64]) {
    let mut words = tally.iter().map(|word| word.load(Ordering::Relaxed));
    for (total, value) in snapshot.counters.iter_mut().zip(&mut words) {
        *total = total.wrapping_add(value);
    }
    for histogram in [&mut snapshot.duration, &mut snapshot.queue] {
        histogram.sum = histogram.sum.saturating_add(Duration::from_nanos(words.next().unwrap_or(0)));
        for (total, value) in histogram.counts.iter_mut().zip(&mut words) {
            *total = total.wrapping_add(value);
        }
    }
}

/// A request that changes while it is read is read again, a few times: after that the thread is so busy with short
/// requests that a mixture of two of them, for once, is as true as anything.
fn read_request(cell: &[AtomicU64]) -> ThreadSnapshot {
    let mut snapshot = ThreadSnapshot::default();
    for _ in 0..4 {
        let state = cell[STATE].load(Ordering::Acquire);
        snapshot.requests = state.div_ceil(2);
        snapshot.running = (state % 2 == 1).then(|| {
            let word = |index: usize| cell[index].load(Ordering::Relaxed);
            let mut path: Vec<u8> =
                (PATH..PATH + PATH_BYTES / 8).flat_map(|index| word(index).to_ne_bytes()).collect();
            path.truncate(word(PATH_LENGTH) as usize);
            let method = word(METHOD).to_ne_bytes().into_iter().take_while(|byte| *byte != 0).collect();
            Running { method, path, started: word(STARTED) }
        });
        fence(Ordering::Acquire);
        if cell[STATE].load(Ordering::Relaxed) == state {
            break;
        }
    }
    snapshot
}

/// One thread's cell: the request that it is in, and its own counts. Written by that thread alone.
#[derive(Clone, Copy, Debug)]
pub struct ThreadCell {
    words: &'static [AtomicU64],
}

impl ThreadCell {
    /// A request begins: `started` is the monotonic clock in nanoseconds.
    #[inline]
    pub fn begin(self, method: &[u8], path: &[u8], started: u64) {
        let state = self.words[STATE].load(Ordering::Relaxed);
        // The state says "none" until all of the request is written, and readers look at it before and after.
        fence(Ordering::Release);
        let path = &path[..path.len().min(PATH_BYTES)];
        self.words[STARTED].store(started, Ordering::Relaxed);
        self.words[METHOD].store(packed(&method[..method.len().min(8)]), Ordering::Relaxed);
        self.words[PATH_LENGTH].store(path.len() as u64, Ordering::Relaxed);
        for (word, part) in self.words[PATH..].iter().zip(path.chunks(8)) {
            word.store(packed(part), Ordering::Relaxed);
        }
        self.words[STATE].store(state | 1, Ordering::Release);
    }

    /// The request has ended. Without a `begin` it changes nothing.
    #[inline]
    pub fn end(self) {
        let state = self.words[STATE].load(Ordering::Relaxed);
        self.words[STATE].store(state + state % 2, Ordering::Release);
    }

    /// Adds to a counter of this thread.
    #[inline]
    pub fn add(self, counter: Counter, amount: u64) {
        self.bump(REQUEST + counter as usize, amount);
    }

    /// Adds one observation to a histogram.
    #[inline]
    pub fn observe(self, latency: Latency, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let start = REQUEST + COUNTERS + latency as usize * HISTOGRAM;
        self.bump(start, nanoseconds);
        self.bump(start + 1 + bucket(nanoseconds), 1);
    }

    #[inline]
    fn bump(self, index: usize, amount: u64) {
        let word = &self.words[index];
        word.store(word.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }
}

#[inline]
fn packed(bytes: &[u8]) -> u64 {
    bytes.try_into().map(u64::from_ne_bytes).unwrap_or_else(|_| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_ne_bytes(word)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A test that fails here fails as it should.
mod tests {
    use super::*;
    use rustix::io::fcntl_dupfd_cloexec;
    use std::thread;

    fn board(workers: usize, threads: usize) -> Scoreboard {
        Scoreboard::create(workers, threads).unwrap()
    }

    fn reopened(board: &Scoreboard) -> Scoreboard {
        Scoreboard::open(fcntl_dupfd_cloexec(board.fd(), 0).unwrap()).unwrap()
    }

    #[test]
    fn what_a_worker_writes_is_read_through_another_mapping() {
        let board = board(2, 3);
        let cell = board.slot(1).unwrap().thread(2).unwrap();
        cell.begin(b"GET", b"/articles/2024/", 77);
        cell.add(Counter::Requests, 1);
        cell.add(Counter::of_status(404), 1);
        let other = reopened(&board);
        let snapshot = other.slot(1).unwrap().read();
        assert_eq!(snapshot.get(Counter::Requests), 1);
        assert_eq!(snapshot.get(Counter::Responses4xx), 1);
        assert_eq!(snapshot.threads_busy(), 1);
        let running = Running { method: b"GET".to_vec(), path: b"/articles/2024/".to_vec(), started: 77 };
        assert_eq!(snapshot.threads[2], ThreadSnapshot { requests: 1, running: Some(running) });
        assert_eq!(other.slot(0).unwrap().read().threads, vec![ThreadSnapshot::default(); 3]);
        cell.end();
        cell.end();
        let thread = other.slot(1).unwrap().read().threads[2].clone();
        assert_eq!(thread, ThreadSnapshot { requests: 1, running: None });
    }

    #[test]
    fn there_is_nothing_beyond_the_last_slot_and_the_last_thread() {
        let board = board(2, 3);
        assert!(board.slot(2).is_none() && board.slot(usize::MAX).is_none());
        let slot = board.slot(1).unwrap();
        assert!(slot.thread(2).is_some() && slot.thread(3).is_none() && slot.thread(usize::MAX).is_none());
    }

    #[test]
    fn a_long_method_and_a_long_path_are_cut() {
        let board = board(1, 1);
        let cell = board.slot(0).unwrap().thread(0).unwrap();
        cell.begin(b"MKCALENDAR", &[b'/'; 500], 1);
        let running = board.slot(0).unwrap().read().threads[0].running.clone().unwrap();
        assert_eq!((running.method.as_slice(), running.path.len()), (&b"MKCALEND"[..], PATH_BYTES));
        cell.end();
        cell.begin(b"GET", b"", 2);
        let running = board.slot(0).unwrap().read().threads[0].running.clone().unwrap();
        assert_eq!(running, Running { method: b"GET".to_vec(), path: Vec::new(), started: 2 });
    }

    #[test]
    fn what_threads_count_is_added_up_and_a_gauge_is_what_it_was_set_to_last() {
        let board = board(1, 2);
        let slot = board.slot(0).unwrap();
        slot.thread(0).unwrap().add(Counter::Requests, 3);
        slot.thread(1).unwrap().add(Counter::Requests, 2);
        slot.add(Counter::Requests, 5);
        slot.set(Counter::QueueLength, 9);
        slot.set(Counter::QueueLength, 4);
        assert_eq!(slot.read().get(Counter::Requests), 10);
        assert_eq!(slot.read().get(Counter::QueueLength), 4);
    }

    #[test]
    fn no_count_is_lost_when_each_thread_has_its_cell() {
        let board = board(1, 4);
        let slot = board.slot(0).unwrap();
        thread::scope(|scope| {
            for index in 0..4 {
                scope.spawn(move || {
                    let cell = slot.thread(index).unwrap();
                    for _ in 0..10_000 {
                        cell.begin(b"GET", b"/", 1);
                        cell.add(Counter::Requests, 1);
                        slot.add(Counter::BytesIn, 2);
                        cell.end();
                    }
                });
            }
        });
        let snapshot = slot.read();
        assert_eq!(snapshot.get(Counter::Requests), 40_000);
        assert_eq!(snapshot.get(Counter::BytesIn), 80_000);
        assert!(snapshot.threads.iter().all(|thread| thread.requests == 10_000));
    }

    #[test]
    fn each_time_falls_into_the_bucket_whose_bounds_hold_it() {
        for index in 0..BUCKETS - 1 {
            let bound = upper_bound(index).unwrap().as_nanos() as u64;
            assert_eq!(bucket(bound), index);
            assert_eq!(bucket(bound + 1), index + 1);
        }
        assert_eq!(upper_bound(0), Some(Duration::from_micros(50)));
        assert_eq!(upper_bound(1), Some(Duration::from_nanos(62_500)));
        assert_eq!(upper_bound(BUCKETS - 2), Some(Duration::from_micros(65_536_000)));
        assert_eq!(upper_bound(BUCKETS - 1), None);
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn histograms_are_added_over_threads_and_cumulated_for_prometheus() {
        let board = board(1, 2);
        let slot = board.slot(0).unwrap();
        slot.thread(0).unwrap().observe(Latency::Duration, Duration::from_micros(40));
        slot.thread(1).unwrap().observe(Latency::Duration, Duration::from_micros(60));
        slot.thread(1).unwrap().observe(Latency::Queue, Duration::from_secs(100));
        let snapshot = slot.read();
        assert_eq!(snapshot.duration.sum, Duration::from_micros(100));
        let cumulative: Vec<_> = snapshot.duration.cumulative().collect();
        assert_eq!(cumulative[..2], [(0.00005, 1), (0.0000625, 2)]);
        assert_eq!(cumulative[BUCKETS - 1], (f64::INFINITY, 2));
        assert_eq!(snapshot.queue.counts[BUCKETS - 1], 1);
        assert_eq!(snapshot.queue.sum, Duration::from_secs(100));
    }

    #[test]
    fn the_counters_are_listed_in_the_order_in_which_they_lie() {
        for (index, (counter, _)) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, index);
        }
    }

    #[test]
    fn a_cleared_slot_is_empty_and_its_neighbour_is_not() {
        let board = board(2, 1);
        for index in 0..2 {
            let cell = board.slot(index).unwrap().thread(0).unwrap();
            cell.begin(b"GET", b"/", 1);
            cell.add(Counter::Requests, 1);
        }
        board.slot(0).unwrap().clear();
        assert_eq!(board.slot(0).unwrap().read().get(Counter::Requests), 0);
        assert_eq!(board.slot(0).unwrap().read().threads_busy(), 0);
        assert_eq!(board.slot(1).unwrap().read().get(Counter::Requests), 1);
        assert!(reopened(&board).slot(0).is_some());
    }

    #[test]
    fn senseless_sizes_are_refused() {
        assert!(Scoreboard::create(0, 1).is_err());
        assert!(Scoreboard::create(1, 0).is_err());
        assert!(Scoreboard::create(1, MOST + 1).is_err());
    }

    fn memory(length: u64, first_words: &[u64]) -> OwnedFd {
        let file = memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, length).unwrap();
        let bytes: Vec<u8> = first_words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        rustix::io::pwrite(&file, &bytes, 0).unwrap();
        file
    }

    #[test]
    fn memory_that_could_shrink_or_is_no_scoreboard_is_refused() {
        let size = (length(1, 1).unwrap() * 8) as u64;
        let unsealed = memory(size, &[MAGIC, LAYOUT, 1, 1]);
        assert!(Scoreboard::open(unsealed).is_err());
        for header in [[0, LAYOUT, 1, 1], [MAGIC, LAYOUT + 1, 1, 1], [MAGIC, LAYOUT, 2, 1], [MAGIC, LAYOUT, 0, 1]] {
            let sealed = memory(size, &header);
            fcntl_add_seals(&sealed, SealFlags::SHRINK).unwrap();
            assert!(Scoreboard::open(sealed).is_err(), "{header:?}");
        }
        assert!(Scoreboard::open(std::fs::File::open("/dev/null").unwrap().into()).is_err());
    }

    #[test]
    fn a_sealed_scoreboard_cannot_be_shrunk_under_its_readers() {
        assert!(ftruncate(board(1, 1).fd(), 0).is_err());
    }
}
