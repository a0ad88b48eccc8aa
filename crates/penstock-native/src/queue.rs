//! Requests that wait for a thread: bounded by number and by time. No clock: the caller says what time it is.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A queue that refuses work which it could not start in time.
///
/// A burst may wait for the whole of `timeout`. A queue that has not been empty for half as long is no burst: more
/// work comes than can be done, and waiting would only make every answer late. Then a tenth of it is allowed.
/// The idea is controlled delay: look at how long the queue has been standing, not at how long it is.
#[derive(Debug)]
pub struct Queue<T> {
    jobs: VecDeque<(Instant, T)>,
    size: usize,
    timeout: Duration,
    /// Since when there has always been something waiting.
    standing_since: Option<Instant>,
    last_start: Option<Instant>,
    /// Moving average of the time between two starts while work was waiting.
    pace: Duration,
}

/// A standing queue may be this part of the timeout long.
const STANDING_PART: u32 = 10;

impl<T> Queue<T> {
    /// A queue for `size` jobs, each of which waits no longer than `timeout`.
    pub fn new(size: usize, timeout: Duration) -> Self {
        Self { jobs: VecDeque::new(), size, timeout, standing_since: None, last_start: None, pace: Duration::ZERO }
    }

    /// Jobs that wait.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Would a job that comes now be started in time?
    pub fn admits(&self, now: Instant) -> bool {
        if self.jobs.len() >= self.size {
            return false;
        }
        let allowed = match self.standing_since {
            Some(since) if now.duration_since(since) > self.timeout / 2 => self.timeout / STANDING_PART,
            _ => self.timeout,
        };
        self.pace.saturating_mul(self.jobs.len() as u32) <= allowed
    }

    /// Adds a job at the end.
    pub fn push(&mut self, now: Instant, job: T) {
        if self.jobs.is_empty() {
            self.standing_since.get_or_insert(now);
            self.last_start = None;
        }
        self.jobs.push_back((now, job));
    }

    /// Takes the oldest job to start it, and says how long it has waited.
    pub fn pop(&mut self, now: Instant) -> Option<(Duration, T)> {
        let (since, job) = self.jobs.pop_front()?;
        if let Some(last) = self.last_start.replace(now) {
            let pace = now.saturating_duration_since(last);
            self.pace = (self.pace * 15 + pace) / 16;
        }
        if self.jobs.is_empty() {
            self.standing_since = None;
            self.last_start = None;
        }
        Some((now.saturating_duration_since(since), job))
    }

    /// Takes out the oldest job when it has waited too long.
    pub fn pop_expired(&mut self, now: Instant) -> Option<T> {
        let (since, _) = self.jobs.front()?;
        if now.saturating_duration_since(*since) <= self.timeout {
            return None;
        }
        let (_, job) = self.jobs.pop_front()?;
        if self.jobs.is_empty() {
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
}
