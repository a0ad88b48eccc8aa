//! The Date of a response, made once a second.
use rustix::time::{clock_gettime, ClockId};
use std::time::{Duration, SystemTime};

/// `Sat, 21 Nov 2026 05:44:31 GMT`, kept for the second it is true in.
#[derive(Debug)]
pub struct Date {
    second: i64,
    text: [u8; 29],
}

impl Default for Date {
    fn default() -> Self {
        Self { second: -1, text: [b' '; 29] }
    }
}

impl Date {
    /// The current one. The coarse clock is exact to some milliseconds and costs a fifth of the other.
    pub fn now(&mut self) -> &[u8] {
        let second = clock_gettime(ClockId::RealtimeCoarse).tv_sec;
        if second != self.second {
            self.second = second;
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second.max(0) as u64);
            let text = httpdate::fmt_http_date(time);
            if let Ok(text) = <[u8; 29]>::try_from(text.as_bytes()) {
                self.text = text;
            }
        }
        &self.text
    }
}
