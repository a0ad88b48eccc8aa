//! How long the call in each thread may still take. Written by the thread, watched by whoever has the loop: no call
//! costs more than a few stores, and no Python is needed to find one that is late.
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicU8, Ordering};

/// How late a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub enum Stage {
    /// In time.
    InTime = 0,
    /// Longer than `slow_request_log`.
    Slow = 1,
    /// Past its deadline: the client has been answered, the thread has been asked to stop.
    Late = 2,
    /// It did not stop within `timeout_grace`: the worker has to be replaced.
    Stuck = 3,
    /// In time, but its client has left in the middle of the response.
    Abandoned = 4,
}

impl Stage {
    /// As the log and the Python side call it.
    pub fn name(self) -> &'static str {
        match self {
            Stage::InTime => "in time",
            Stage::Slow => "slow",
            Stage::Late => "late",
            Stage::Stuck => "stuck",
            Stage::Abandoned => "abandoned",
        }
    }
}

const NEVER: u64 = u64::MAX;

/// The call that one thread is in. All times are nanoseconds of the hub.
#[derive(Debug)]
pub struct Watched {
    /// Slot and generation of the connection, as in the loop's events; [`NEVER`] between calls.
    connection: AtomicU64,
    began: AtomicU64,
    deadline: AtomicU64,
    stage: AtomicU8,
    /// The application is about to say the next piece of its response.
    streams: AtomicBool,
    is_abandoned: AtomicBool,
    /// Python's `threading.get_ident()` of this thread.
    pub ident: AtomicU64,
}

impl Default for Watched {
    fn default() -> Self {
        Self {
            connection: AtomicU64::new(NEVER),
            began: AtomicU64::new(0),
            deadline: AtomicU64::new(NEVER),
            stage: AtomicU8::new(0),
            streams: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
            ident: AtomicU64::new(0),
        }
    }
}

/// A call that has come into its next stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// See [`Watched`].
    pub connection: u64,
    /// How long it has taken, in nanoseconds.
    pub age: u64,
    pub stage: Stage,
}

/// The limits of all calls, in nanoseconds; 0 means none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    pub slow: u64,
    pub timeout: u64,
    pub grace: u64,
}

impl Watched {
    /// A call begins.
    #[inline]
    pub fn begin(&self, connection: u64, now: u64, patience: &Patience) {
        self.began.store(now, Ordering::Relaxed);
        let deadline = if patience.timeout == 0 { NEVER } else { now.saturating_add(patience.timeout) };
        self.deadline.store(deadline, Ordering::Relaxed);
        self.stage.store(Stage::InTime as u8, Ordering::Relaxed);
        self.is_abandoned.store(false, Ordering::Relaxed);
        self.connection.store(connection, Ordering::Release);
    }

    /// The call has ended. True when it was late or abandoned, so that an exception may be on its way to this thread.
    #[inline]
    pub fn end(&self) -> bool {
        self.connection.store(NEVER, Ordering::Release);
        self.stage.load(Ordering::Relaxed) >= Stage::Late as u8 || self.is_abandoned()
    }

    /// The connection of the call; None between calls.
    pub fn connection(&self) -> Option<u64> {
        Some(self.connection.load(Ordering::Acquire)).filter(|connection| *connection != NEVER)
    }

    /// The application begins, or ends, to make one piece of its response after the other.
    pub fn set_streams(&self, streams: bool) {
        self.streams.store(streams, Ordering::Relaxed);
    }

    /// Between two pieces, and nowhere else, it may be interrupted because nobody reads them.
    pub fn streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed)
    }

    /// Nobody reads the response any more. False when that is known already.
    pub fn abandon(&self) -> bool {
        !self.is_abandoned.swap(true, Ordering::Relaxed)
    }

    /// See [`Watched::abandon`].
    pub fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Relaxed)
    }

    /// The call may take so much longer from now on. Does not help one that is late already, and changes nothing for one
    /// that may take what it needs.
    pub fn extend(&self, now: u64, by: u64) {
        if self.deadline.load(Ordering::Relaxed) != NEVER {
            self.deadline.store(now.saturating_add(by), Ordering::Relaxed);
        }
    }

    /// A piece of the response has left: a deadline counts from there.
    #[inline]
    pub fn progress(&self, now: u64, patience: &Patience) {
        if patience.timeout != 0 {
            self.deadline.fetch_max(now.saturating_add(patience.timeout), Ordering::Relaxed);
        }
    }

    /// Is this call still the one that is in this thread?
    pub fn is_in(&self, connection: u64, age_began: u64) -> bool {
        self.connection.load(Ordering::Acquire) == connection && self.began.load(Ordering::Relaxed) == age_began
    }

    /// When the current call began.
    pub fn began(&self) -> u64 {
        self.began.load(Ordering::Relaxed)
    }

    /// The call when it has just come into its next stage; to be asked by one thread at a time.
    pub fn next_stage(&self, now: u64, patience: &Patience) -> Option<Overdue> {
        let connection = self.connection.load(Ordering::Acquire);
        if connection == NEVER {
            return None;
        }
        let age = now.saturating_sub(self.began.load(Ordering::Relaxed));
        let deadline = self.deadline.load(Ordering::Relaxed);
        let reached = if now >= deadline.saturating_add(patience.grace) {
            Stage::Stuck
        } else if now >= deadline {
            Stage::Late
        } else if patience.slow > 0 && age >= patience.slow {
            Stage::Slow
        } else {
            return None;
        };
        let stage = match self.stage.load(Ordering::Relaxed) {
            // One that is stuck has been late before, and the client has to hear of that.
            before if before < Stage::Late as u8 && reached == Stage::Stuck => Stage::Late,
            before if before < reached as u8 => reached,
            _ => return None,
        };
        self.stage.store(stage as u8, Ordering::Relaxed);
        Some(Overdue { connection, age, stage })
    }

    /// It has been found stuck and has not come back since.
    pub fn is_stuck(&self) -> bool {
        self.connection.load(Ordering::Acquire) != NEVER && self.stage.load(Ordering::Relaxed) == Stage::Stuck as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { slow: 10, timeout: 100, grace: 20 };

    fn stage(watched: &Watched, now: u64) -> Option<Stage> {
        watched.next_stage(now, &PATIENCE).map(|overdue| overdue.stage)
    }

    #[test]
    fn each_stage_is_told_once_and_none_between_calls() {
        let watched = Watched::default();
        assert_eq!(stage(&watched, 1_000), None);
        watched.begin(7, 1_000, &PATIENCE);
        assert_eq!(stage(&watched, 1_005), None);
        assert_eq!(stage(&watched, 1_050), Some(Stage::Slow));
        assert_eq!(stage(&watched, 1_060), None);
        assert_eq!(stage(&watched, 1_100), Some(Stage::Late));
        assert_eq!(stage(&watched, 1_110), None);
        assert!(!watched.is_stuck());
        assert_eq!(stage(&watched, 1_120), Some(Stage::Stuck));
        assert!(watched.is_stuck());
        watched.end();
        assert!(!watched.is_stuck());
        assert_eq!(stage(&watched, 2_000), None);
    }

    #[test]
    fn a_call_that_nobody_looked_at_is_late_before_it_is_stuck() {
        let watched = Watched::default();
        watched.begin(7, 0, &PATIENCE);
        assert_eq!(stage(&watched, 500), Some(Stage::Late));
        assert_eq!(stage(&watched, 500), Some(Stage::Stuck));
    }

    #[test]
    fn an_extended_call_and_one_that_sends_have_more_time() {
        let watched = Watched::default();
        watched.begin(7, 0, &PATIENCE);
        watched.extend(50, 200);
        watched.progress(60, &PATIENCE);
        assert_eq!(stage(&watched, 249), Some(Stage::Slow));
        assert_eq!(stage(&watched, 250), Some(Stage::Late));
    }

    #[test]
    fn without_a_timeout_nothing_is_late() {
        let watched = Watched::default();
        watched.begin(7, 0, &Patience::default());
        watched.extend(10, 300);
        assert_eq!(watched.next_stage(u64::MAX - 1, &Patience::default()), None);
    }
}
