//! Requests that wait for a thread: bounded by number and by time. No clock: the caller says what time it is.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A queue that refuses work which it could not start in time.
///
/// A burst may wait for the whole of `timeout`. A queue that has not been empty for half as long is no burst: more
/// work comes than can be done, and waiting would only make every answer late. Then a tenth of it is allowed.
/// The idea is controlled delay: look at how long the queue has been standing, not at how long it is.
///
/// Jobs that mostly wait have a lane of their own: started soon, they wait while the others are being worked on. The
/// lanes take turns, so none of them is kept waiting by the other for longer than it has jobs itself.
#[derive(Debug)]
pub struct Queue<T> {
    lanes: [VecDeque<(Instant, T)>; 2],
    /// The lane that has its turn, if it has a job.
    next: usize,
    size: usize,
    timeout: Duration,
    /// Since when there has always been something waiting.
    standing_since: Option<Instant>,
    last_start: Option<Instant>,
    /// Moving average of the time between two starts while work was waiting.
    pace: Duration,
}

/// Where jobs stand in line that compute, and those that mostly wait.
const USUAL: usize = 0;
const WAITING: usize = 1;

/// A standing queue may be this part of the timeout long.
const STANDING_PART: u32 = 10;

impl<T> Queue<T> {
    /// A queue for `size` jobs, each of which waits no longer than `timeout`.
    pub fn new(size: usize, timeout: Duration) -> Self {
        Self {
            lanes: Default::default(),
            next: WAITING,
            size,
            timeout,
            standing_since: None,
            last_start: None,
            pace: Duration::ZERO,
        }
    }

    /// Jobs that wait.
    pub fn len(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }

    /// Would a job that comes now be started in time?
    pub fn admits(&self, now: Instant) -> bool {
        if self.len() >= self.size {
            return false;
        }
        let allowed = match self.standing_since {
            Some(since) if now.duration_since(since) > self.timeout / 2 => self.timeout / STANDING_PART,
            _ => self.timeout,
        };
        self.pace.saturating_mul(self.len() as u32) <= allowed
    }

    /// Adds a job at the end.
    pub fn push(&mut self, now: Instant, job: T) {
        self.push_to(USUAL, now, job);
    }

    /// Adds a job that will mostly wait.
    pub fn push_waiting(&mut self, now: Instant, job: T) {
        self.push_to(WAITING, now, job);
    }

    fn push_to(&mut self, lane: usize, now: Instant, job: T) {
        if self.is_empty() {
            self.standing_since.get_or_insert(now);
            self.last_start = None;
        }
        self.lanes[lane].push_back((now, job));
    }

    /// Takes the oldest job of a lane to start it, and says how long it has waited.
    pub fn pop(&mut self, now: Instant) -> Option<(Duration, T)> {
        let lane = if self.lanes[self.next].is_empty() { 1 - self.next } else { self.next };
        let (since, job) = self.lanes[lane].pop_front()?;
        self.next = 1 - lane;
        if let Some(last) = self.last_start.replace(now) {
            let pace = now.saturating_duration_since(last);
            self.pace = (self.pace * 15 + pace) / 16;
        }
        if self.is_empty() {
            self.standing_since = None;
            self.last_start = None;
        }
        Some((now.saturating_duration_since(since), job))
    }

    /// Takes out a job that has waited too long.
    pub fn pop_expired(&mut self, now: Instant) -> Option<T> {
        let timeout = self.timeout;
        let is_expired = |(since, _): &(Instant, T)| now.saturating_duration_since(*since) > timeout;
        let lane = self.lanes.iter_mut().find(|lane| lane.front().is_some_and(is_expired))?;
        let (_, job) = lane.pop_front()?;
        if self.is_empty() {
            self.standing_since = None;
        }
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn a_full_queue_admits_nothing() {
        let now = Instant::now();
        let mut queue = Queue::new(2, Duration::from_secs(5));
        queue.push(now, 1);
        assert!(queue.admits(now));
        queue.push(now, 2);
        assert!(!queue.admits(now));
    }

    #[test]
    fn a_burst_may_wait_for_the_whole_timeout_and_a_standing_queue_for_a_tenth() {
        let start = Instant::now();
        let mut queue = Queue::new(1000, Duration::from_secs(1));
        for job in 0..400 {
            queue.push(start, job);
        }
        let mut now = start;
        for _ in 0..100 {
            now += 4 * MILLISECOND;
            queue.pop(now).unwrap();
        }
        // 300 jobs of 4 ms: more than a second.
        assert!(!queue.admits(now));
        while queue.len() > 100 {
            now += 4 * MILLISECOND;
            queue.pop(now).unwrap();
        }
        // 100 jobs are 400 ms, but the queue has stood for longer than half a second.
        assert!(now.duration_since(start) > Duration::from_millis(500));
        assert!(!queue.admits(now));
        while queue.pop(now).is_some() {}
        assert!(queue.admits(now));
    }

    #[test]
    fn a_job_that_waited_too_long_is_taken_out() {
        let now = Instant::now();
        let mut queue = Queue::new(10, Duration::from_secs(1));
        queue.push(now, "old");
        queue.push(now + 900 * MILLISECOND, "new");
        assert_eq!(queue.pop_expired(now + 800 * MILLISECOND), None);
        assert_eq!(queue.pop_expired(now + 1100 * MILLISECOND), Some("old"));
        assert_eq!(queue.pop_expired(now + 1100 * MILLISECOND), None);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn jobs_that_wait_take_turns_with_the_others() {
        let now = Instant::now();
        let mut queue = Queue::new(10, Duration::from_secs(1));
        for job in ["short 1", "short 2", "short 3"] {
            queue.push(now, job);
        }
        for job in ["waits 1", "waits 2"] {
            queue.push_waiting(now, job);
        }
        assert_eq!(queue.len(), 5);
        let started: Vec<_> = std::iter::from_fn(|| queue.pop(now)).map(|(_, job)| job).collect();
        assert_eq!(started, ["waits 1", "short 1", "waits 2", "short 2", "short 3"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn each_lane_loses_what_has_waited_too_long() {
        let now = Instant::now();
        let mut queue = Queue::new(10, Duration::from_secs(1));
        queue.push_waiting(now, "waits");
        queue.push(now, "short");
        let later = now + 1100 * MILLISECOND;
        queue.push(later, "new");
        let expired: Vec<_> = std::iter::from_fn(|| queue.pop_expired(later)).collect();
        assert_eq!(expired, ["short", "waits"]);
        assert_eq!(queue.len(), 1);
    }
}
