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

/// One call as it was measured.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// From the call to the end of the response.
    pub wall: Duration,
    /// CPU time, where [`Routes::wants_cpu`] asked for it.
    pub cpu: Option<Cpu>,
}

/// CPU time that was used during a call.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// By the thread of the call.
    pub own: Duration,
    /// By the other threads of this process.
    pub others: Duration,
}

/// What is known of one shape. Times are microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Route {
    wall: f32,
    cpu: f32,
    /// What it waits for something else than the GIL.
    waited: f32,
    calls: u32,
    /// Calls that have just been taken over: nobody knows yet how long they take.
    overdue: u32,
    /// Counts the calls between two probes.
    since_probe: u32,
}

/// What earlier calls of all routes tell.
#[derive(Debug, Default)]
pub struct Routes {
    routes: FxHashMap<u64, Route>,
}

/// Below half a millisecond a call is short, whatever it does: measuring its CPU time would cost more than it tells.
const SHORT: f32 = 500.0;

/// The first calls of a route are measured whatever they take.
const FIRST_CALLS: u32 = 4;

/// A route that waits for at least this long, in microseconds, and for at least a third of its time is worth
/// another thread: a hand-over costs some ten microseconds.
const WORTHWHILE_WAIT: f32 = 400.0;

/// A call that computes for longer than this, in microseconds, must not keep the loop: others would wait for it.
const LONG: f32 = 10_000.0;

/// Threads that compute wait for each other's GIL, which looks like waiting. A route that seems to wait for no longer
/// than so many times its own CPU time may be such a one.
const DOUBTFUL: f32 = 20.0;

/// A route that waits for so many times its own CPU time does little else. Where that is not true after all, only the
/// order of requests was another one.
const MOSTLY: f32 = 5.0;

/// Of so many calls of a doubtful route …
const PROBE_EVERY: u32 = 256;

/// … this many are made by the leader, one after the other: then nobody is in their way, and the truth shows.
const PROBES: u32 = 8;

/// Routes that are remembered. A client that asks for ever new paths makes the table start anew, no more.
const MOST_ROUTES: usize = 4096;

impl Routes {
    /// How to call a route of this shape.
    pub fn plan(&mut self, shape: u64) -> Plan {
        let Some(route) = self.routes.get_mut(&shape) else { return Plan::Inline };
        if route.overdue > 0 || route.cpu >= LONG {
            return Plan::LendFirst;
        }
        if route.waited < WORTHWHILE_WAIT || route.waited * 2.0 < route.cpu {
            return Plan::Inline;
        }
        if route.waited < DOUBTFUL * route.cpu {
            route.since_probe = (route.since_probe + 1) % PROBE_EVERY;
            if route.since_probe < PROBES {
                return Plan::Inline;
            }
        }
        Plan::LendFirst
    }

    /// Does a call of this shape do little else than wait?
    pub fn mostly_waits(&self, shape: u64) -> bool {
        let mostly_waits = |route: &Route| route.waited >= WORTHWHILE_WAIT && route.waited >= MOSTLY * route.cpu;
        self.routes.get(&shape).is_some_and(mostly_waits)
    }

    /// Is CPU time to be measured in the next call of this shape?
    pub fn wants_cpu(&self, shape: u64) -> bool {
        self.routes.get(&shape).is_none_or(|route| route.calls < FIRST_CALLS || route.wall >= SHORT)
    }

    /// The expected duration in microseconds; 0 when unknown.
    pub fn expected(&self, shape: u64) -> f32 {
        self.routes.get(&shape).map_or(0.0, |route| route.wall)
    }

    /// A call of this shape has kept the loop for so long that it was taken over; it goes on.
    pub fn note_overdue(&mut self, shape: u64) {
        self.entry(shape).overdue += 1;
    }

    /// Takes note of a call that has ended; `was_overdue` when it had been taken over.
    pub fn record(&mut self, shape: u64, measured: Measured, was_overdue: bool) {
        let route = self.entry(shape);
        if was_overdue {
            route.overdue = route.overdue.saturating_sub(1);
        }
        let wall = measured.wall.as_secs_f32() * 1e6;
        let is_first = route.calls == 0;
        route.calls = route.calls.saturating_add(1);
        route.wall += if is_first { wall } else { (wall - route.wall) / 8.0 };
        let Some(cpu) = measured.cpu else {
            if wall < SHORT {
                route.waited = 0.0;
            }
            return;
        };
        let (own, others) = (cpu.own.as_secs_f32() * 1e6, cpu.others.as_secs_f32() * 1e6);
        route.cpu += if is_first { own } else { (own - route.cpu) / 8.0 };
        let waited = (wall - own).max(0.0);
        if is_first {
            route.waited = waited;
        } else if others < 50.0 + wall / 10.0 {
            // Nobody else computed meanwhile, so it did not wait for the GIL. Still this process may have been made to
            // wait by others on the machine: what is shorter is believed sooner.
            route.waited += (waited - route.waited) / if waited < route.waited { 2.0 } else { 8.0 };
        }
    }

    fn entry(&mut self, shape: u64) -> &mut Route {
        if self.routes.len() >= MOST_ROUTES && !self.routes.contains_key(&shape) {
            self.routes.clear();
        }
        self.routes.entry(shape).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(wall: u64, own: u64, others: u64) -> Measured {
        let cpu = Cpu { own: Duration::from_micros(own), others: Duration::from_micros(others) };
        Measured { wall: Duration::from_micros(wall), cpu: Some(cpu) }
    }

    fn after(calls: &[Measured]) -> Routes {
        let mut routes = Routes::default();
        for call in calls {
            routes.record(1, *call, false);
        }
        // Behind the probes.
        for _ in 0..PROBES {
            routes.plan(1);
        }
        routes
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
    fn a_view_that_waits_or_computes_for_long_lends_first_and_others_do_not() {
        assert_eq!(after(&[measured(50_000, 200, 0)]).plan(1), Plan::LendFirst);
        assert_eq!(after(&[measured(2_500, 1_200, 0)]).plan(1), Plan::LendFirst);
        assert_eq!(after(&[measured(40_000, 39_000, 0)]).plan(1), Plan::LendFirst);
        assert_eq!(after(&[measured(1_400, 1_390, 0)]).plan(1), Plan::Inline);
        assert_eq!(after(&[measured(60, 55, 0)]).plan(1), Plan::Inline);
    }

    #[test]
    fn who_computes_as_well_does_not_mostly_wait() {
        assert!(after(&[measured(50_000, 200, 0)]).mostly_waits(1));
        assert!(!after(&[measured(50_000, 15_000, 0)]).mostly_waits(1));
        assert!(!after(&[measured(60, 1, 0)]).mostly_waits(1));
        assert!(!Routes::default().mostly_waits(1));
    }

    #[test]
    fn waiting_for_the_gil_is_no_waiting() {
        let alone = measured(1_400, 1_390, 0);
        let contended = measured(9_000, 1_400, 7_500);
        let mut routes = after(&[alone, contended, contended, contended, contended]);
        assert_eq!(routes.plan(1), Plan::Inline);
    }

    #[test]
    fn a_route_that_was_first_seen_in_a_crowd_is_probed_and_then_known() {
        let contended = measured(9_000, 1_400, 7_500);
        let mut routes = after(&[contended; 10]);
        assert_eq!(routes.plan(1), Plan::LendFirst);
        let plans: Vec<Plan> = (0..PROBE_EVERY).map(|_| routes.plan(1)).collect();
        assert_eq!(plans.iter().filter(|plan| **plan == Plan::Inline).count() as u32, PROBES);
        for _ in 0..PROBES {
            routes.record(1, measured(1_400, 1_390, 0), false);
        }
        assert!((0..PROBE_EVERY).all(|_| routes.plan(1) == Plan::Inline));
    }

    #[test]
    fn one_slow_moment_does_not_make_a_route_wait() {
        let quick = measured(1_400, 1_390, 0);
        let mut routes = after(&[quick, quick, measured(4_000, 1_390, 0), quick]);
        assert_eq!(routes.plan(1), Plan::Inline);
    }

    #[test]
    fn while_a_call_is_overdue_the_next_of_its_route_lend_first() {
        let mut routes = Routes::default();
        routes.note_overdue(1);
        assert_eq!(routes.plan(1), Plan::LendFirst);
        routes.record(1, measured(9_000, 100, 0), true);
        for _ in 0..6 {
            routes.record(1, measured(100, 90, 0), false);
        }
        assert_eq!(routes.plan(1), Plan::Inline);
    }

    #[test]
    fn ever_new_paths_do_not_grow_the_table() {
        let mut routes = Routes::default();
        for shape in 0..3 * MOST_ROUTES as u64 {
            routes.record(shape, measured(10, 10, 0), false);
        }
        assert!(routes.routes.len() <= MOST_ROUTES);
    }
}
