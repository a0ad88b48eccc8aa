//! What earlier calls of a route tell of the next one: short, computing or waiting. No clock.
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::Hasher;
use std::time::Duration;

/// The shape of a request: method and path, each run of digits taken as one.
pub fn shape(method: &[u8], path: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(method);
    let mut digits = false;
    let mut start = 0;
    for (position, byte) in path.iter().enumerate() {
        if byte.is_ascii_digit() != digits {
            if digits {
                hasher.write_u8(b'0');
            } else {
                hasher.write(&path[start..position]);
            }
            digits = !digits;
            start = position;
        }
    }
    if digits {
        hasher.write_u8(b'0');
    } else {
        hasher.write(&path[start..]);
    }
    hasher.finish()
}

/// How to call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The leader calls it and lends the loop meanwhile.
    Inline,
    /// It waits for others, or computes for long: give the loop away first.
    LendFirst,
}

#[derive(Clone, Copy, Debug, Default)]
struct Averages {
    wall: f32,
    cpu: f32,
    calls: u32,
}

/// One call as it was measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// From the call to the end of the response.
    pub wall: Duration,
    /// Of this thread; only measured where [`Routes::wants_cpu`] said so.
    pub cpu: Option<Duration>,
}

/// Moving averages by shape.
#[derive(Debug, Default)]
pub struct Routes {
    averages: FxHashMap<u64, Averages>,
}

/// Below half a millisecond a call is short, whatever it does: measuring its CPU time would cost more than it tells.
const SHORT: f32 = 500.0;

/// A route that waits for at least this long, in microseconds, and for at least a third of its time is worth
/// another thread: a hand-over costs some ten microseconds.
const WORTHWHILE_WAIT: f32 = 400.0;

/// A call that computes for longer than this, in microseconds, must not keep the loop: others would wait for it.
const LONG: f32 = 10_000.0;

/// Routes that are remembered. A client that asks for ever new paths makes the table start anew, no more.
const MOST_ROUTES: usize = 4096;

impl Routes {
    /// How to call a route of this shape.
    pub fn plan(&self, shape: u64) -> Plan {
        match self.averages.get(&shape) {
            Some(average) if average.wall >= SHORT => {
                let waited = average.wall - average.cpu;
                if (waited >= WORTHWHILE_WAIT && waited * 3.0 >= average.wall) || average.cpu >= LONG {
                    Plan::LendFirst
                } else {
                    Plan::Inline
                }
            }
            _ => Plan::Inline,
        }
    }

    /// Is the thread's CPU time to be measured in the next call of this shape?
    pub fn wants_cpu(&self, shape: u64) -> bool {
        self.averages.get(&shape).is_none_or(|average| average.calls < 4 || average.wall >= SHORT)
    }

    /// The expected duration in microseconds; 0 when unknown.
    pub fn expected(&self, shape: u64) -> f32 {
        self.averages.get(&shape).map_or(0.0, |average| average.wall)
    }

    /// Takes note of a call.
    pub fn record(&mut self, shape: u64, measured: Measured) {
        if self.averages.len() >= MOST_ROUTES && !self.averages.contains_key(&shape) {
            self.averages.clear();
        }
        let average = self.averages.entry(shape).or_default();
        let wall = measured.wall.as_secs_f32() * 1e6;
        let cpu = measured.cpu.map_or_else(|| wall.min(average.cpu.max(SHORT)), |cpu| cpu.as_secs_f32() * 1e6);
        if average.calls == 0 {
            (average.wall, average.cpu) = (wall, cpu);
        } else {
            average.wall += (wall - average.wall) / 8.0;
            average.cpu += (cpu - average.cpu) / 8.0;
        }
        average.calls = average.calls.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(wall: u64, cpu: u64) -> Measured {
        Measured { wall: Duration::from_micros(wall), cpu: Some(Duration::from_micros(cpu)) }
    }

    #[test]
    fn numbers_in_a_path_do_not_make_another_route() {
        assert_eq!(shape(b"GET", b"/books/17/pages/3"), shape(b"GET", b"/books/4/pages/2048"));
        assert_ne!(shape(b"GET", b"/books/17"), shape(b"GET", b"/books/x"));
        assert_ne!(shape(b"GET", b"/books/17"), shape(b"PUT", b"/books/17"));
    }

    #[test]
    fn an_unknown_route_is_called_inline() {
        assert_eq!(Routes::default().plan(1), Plan::Inline);
    }

    #[test]
    fn a_view_that_waits_lends_first_and_one_that_computes_does_not() {
        let mut routes = Routes::default();
        routes.record(1, measured(50_000, 200));
        routes.record(2, measured(1_400, 1_390));
        routes.record(3, measured(2_500, 1_200));
        routes.record(4, measured(40_000, 39_000));
        assert_eq!(routes.plan(1), Plan::LendFirst);
        assert_eq!(routes.plan(2), Plan::Inline);
        assert_eq!(routes.plan(3), Plan::LendFirst);
        assert_eq!(routes.plan(4), Plan::LendFirst);
    }

    #[test]
    fn ever_new_paths_do_not_grow_the_table() {
        let mut routes = Routes::default();
        for shape in 0..3 * MOST_ROUTES as u64 {
            routes.record(shape, measured(10, 10));
        }
        assert!(routes.averages.len() <= MOST_ROUTES);
    }
}
