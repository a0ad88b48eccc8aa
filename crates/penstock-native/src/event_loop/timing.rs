//! Deadlines, and the stop.
use super::reading::NO_ROOM;
use super::{wire_fd, EventLoop, SWEEP_EVERY};
use crate::body::Body;
use crate::connection::{break_off, push_explained, status_text, Connection, Phase};
use crate::deadlines::{Overdue, Stage};
use crate::hub::Late;
use crate::output::Flushed;
use crate::raw;
use crate::scoreboard::Counter;
use crate::unread;
use penstock_http::{Refusal, Turn, Version};
use rustix::net::{shutdown, Shutdown};
use std::os::fd::AsFd;
use std::time::Duration;

/// A connection that was opened or used so shortly before a stop may have a request on its way to us: it is awaited
/// for the rest of this time, and answered with `Connection: close`.
pub(super) const IDLE_GRACE: Duration = Duration::from_secs(2);

/// The client pauses for too long, or sends too slowly.
const TOO_SLOW: Refusal = Refusal { status: 408, reason: "the request came too slowly" };

/// A large body that is not there after this time is received into a file.
const SLOW_BODY: Duration = Duration::from_secs(1);

impl EventLoop {
    pub(super) fn begin_stop_when_asked(&mut self) {
        if self.is_stopping || self.hub.stop_deadline().is_none() {
            return;
        }
        self.accept_the_last();
        self.begin_stop();
    }

    /// Takes no new connections, and closes the old ones as they become idle.
    fn begin_stop(&mut self) {
        self.is_stopping = true;
        self.stop_listening();
        self.accept_again = None;
        self.newest = None;
        // Who connected while the supervisor held others off may be deaf: see hold_off() in sockets.py.
        for wire in self.slots.iter().filter_map(|slot| slot.wire.as_ref()) {
            raw::take_any_ttl(wire.socket.as_fd());
        }
        for index in 0..self.slots.len() as u32 {
            let Some(mut connection) = self.take(index) else { continue };
            if connection.phase == Phase::Sending {
                // What its client was told about the connection stands: see begin_next().
                self.put_back(connection);
                continue;
            }
            connection.close = true;
            if connection.is_idle() {
                // One last look: a request that has arrived is answered.
                connection.readable = true;
                self.receive(connection);
                let Some(connection) = self.take(index) else { continue };
                let is_idle = connection.is_idle();
                let kept = if is_idle { self.hand_back(connection) } else { Some(connection) };
                let Some(mut connection) = kept else { continue };
                let grace_ends = connection.began + IDLE_GRACE;
                if is_idle && self.now >= grace_ends {
                    self.drop_connection(connection);
                } else {
                    if is_idle {
                        connection.deadline = grace_ends;
                    }
                    self.put_back(connection);
                }
            } else {
                self.put_back(connection);
            }
        }
    }

    /// Nobody waits in vain for a thread that cannot get the GIL, and who comes from now on is another worker's.
    fn give_up_on_python(&mut self) {
        self.is_deaf = true;
        if !self.is_stopping {
            self.begin_stop();
        }
        while let Some((_, job)) = self.ready.pop(self.now) {
            self.reject(job);
        }
        let hub = self.hub.clone();
        while let Some((_, job)) = hub.waiting(|waiting| waiting.pop(self.now)) {
            self.reject(job);
        }
    }

    /// Looks at every deadline.
    pub(super) fn sweep(&mut self) {
        let is_wanted = self.open > 0 || self.hub.large_bodies.keeps_some();
        self.next_sweep = is_wanted.then(|| self.now + SWEEP_EVERY);
        self.look_at_calls();
        self.put_slow_responses_aside();
        self.put_slow_bodies_aside();
        self.hub.settle();
        self.retry_all();
        for index in 0..self.slots.len() as u32 {
            let Some(connection) = self.slots[index as usize].connection.as_ref() else { continue };
            let late = self.now >= connection.deadline || self.is_too_slow(connection);
            if !late || self.held.contains(&index) {
                continue;
            }
            let Some(connection) = self.take(index) else { continue };
            match connection.phase {
                _ if connection.is_idle() => self.drop_connection(connection),
                Phase::Head | Phase::Uwsgi | Phase::Body => self.refuse(connection, TOO_SLOW),
                Phase::Answering => self.put_back(connection),
                Phase::Leaving => self.give_up_leaving(connection),
                Phase::Proxy | Phase::Sending | Phase::Lingering => self.drop_connection(connection),
            }
        }
        while let Some(job) = self.ready.pop_expired(self.now) {
            self.reject(job);
        }
        let hub = self.hub.clone();
        while let Some(job) = hub.waiting(|waiting| waiting.pop_expired(self.now)) {
            self.reject(job);
        }
        self.flush_held();
    }

    /// Large bodies that come slowly, or have waited for memory for long, go to files: quick ones get it.
    fn put_slow_bodies_aside(&mut self) {
        self.hub.large_bodies.tidy();
        while self.hungry.front().is_some_and(|(_, since)| self.now >= *since + SWEEP_EVERY) {
            let Some((id, _)) = self.hungry.pop_front() else { break };
            if let Some(connection) = self.slots[id as u32 as usize].connection.as_mut().filter(|held| held.id == id) {
                connection.spools = true;
            }
            self.receive_hungry(id);
        }
        for index in 0..self.slots.len() as u32 {
            let Some(connection) = self.slots[index as usize].connection.as_mut() else { continue };
            let is_slow = connection.phase == Phase::Body && self.now >= connection.began + SLOW_BODY;
            let Some(request) = connection.request.as_mut().filter(|_| is_slow) else { continue };
            if !matches!(request.body, Body::Large(_)) {
                continue;
            }
            let moved = request.body.move_to_file(&self.hub.settings.temp_dir);
            // Without a file it stays where it is. One that was full on the way has kept a part of it, which is lost.
            let is_lost = moved.is_err() && !matches!(request.body, Body::Large(_));
            connection.spools |= moved.is_ok();
            if let Some(connection) = is_lost.then(|| self.take(index)).flatten() {
                self.refuse(connection, NO_ROOM);
            }
        }
    }

    /// Responses that have been waiting for their readers since the last sweep go to files where they are large.
    pub(super) fn put_slow_responses_aside(&mut self) {
        for index in 0..self.slots.len() as u32 {
            let is_slow = |connection: &Connection| connection.unread > self.hub.settings.response_memory;
            if !self.slots[index as usize].connection.as_deref().is_some_and(is_slow) {
                continue;
            }
            let Some(mut connection) = self.take(index) else { continue };
            let wire = connection.wire.clone();
            unread::put_aside(&self.hub, &mut connection, &mut wire.output());
            self.put_back(connection);
        }
    }

    /// Finds the calls that take too long.
    pub(super) fn look_at_calls(&mut self) {
        let hub = self.hub.clone();
        let now = hub.nanoseconds(self.now);
        for (thread, watched) in hub.calls.iter().enumerate() {
            if let Some(connection) = watched.connection() {
                if watched.streams() && self.is_abandoned(connection) && watched.abandon() {
                    let overdue = Overdue { connection, age: 0, stage: Stage::Abandoned };
                    hub.report_late(Late { thread, overdue, began: watched.began() });
                }
            }
            let Some(overdue) = watched.next_stage(now, &hub.settings.patience) else { continue };
            let began = watched.began();
            if overdue.stage == Stage::Late {
                hub.scoreboard.add(Counter::TimedOut, 1);
                self.cut_off(overdue.connection, || watched.is_in(overdue.connection, began));
            }
            if !hub.report_late(Late { thread, overdue, began }) && !self.is_deaf {
                self.give_up_on_python();
            }
        }
        let stuck = hub.calls.iter().filter(|watched| watched.is_stuck()).count();
        hub.scoreboard.set(Counter::ThreadsStuck, stuck as u64);
    }

    /// The client has closed its side, has been sent all that there is, and for a whole sweep the application has had
    /// nothing more to say. It may still be reading, as it may in the middle of a page that is on its way: but a stream
    /// that pauses would occupy a thread for somebody who most probably has left.
    fn is_abandoned(&mut self, id: u64) -> bool {
        let (slot, generation) = (id as u32, (id >> 32) as u32);
        let Some(entry) = self.slots.get_mut(slot as usize) else { return false };
        if entry.generation != generation || !entry.missed_end {
            return false;
        }
        let Some(wire) = entry.wire.clone() else { return false };
        let output = wire.output();
        // A call that was cut off has been asked to stop already.
        if !output.has_begun || output.is_cut || !output.is_empty() {
            return false;
        }
        if entry.sent_at_end.replace(output.total_sent) != Some(output.total_sent) {
            return false;
        }
        // The next piece finds out, too, whatever becomes of the exception.
        let _ = shutdown(&wire.socket, Shutdown::Both);
        true
    }

    /// Answers in the place of a call that is late: 504, or an end when the response has begun.
    fn cut_off(&mut self, id: u64, is_still_in: impl Fn() -> bool) {
        let (slot, generation) = (id as u32, (id >> 32) as u32);
        let Some(entry) = self.slots.get(slot as usize).filter(|entry| entry.generation == generation) else { return };
        let Some(wire) = entry.wire.clone() else { return };
        let mut output = wire.output();
        // Asked while the output is locked: a call that has come to its end after all is answered by its own thread.
        if !is_still_in() {
            return;
        }
        let was_begun = std::mem::replace(&mut output.is_cut, true) || output.has_begun;
        if !was_begun {
            let turn = Turn { version: Version::Http11, head_only: entry.is_head, keep_alive: false };
            let reason = "the application took too long";
            push_explained(&mut output, turn, status_text(504), reason, None, self.date.now());
            if output.flush(wire_fd(&wire)) != Ok(Flushed::Whole) {
                return;
            }
        }
        // The thread still has the connection, so it is not closed yet: but its client need not wait for that.
        if output.is_open_ended {
            break_off(&wire.socket);
        } else {
            let _ = shutdown(&wire.socket, if was_begun { Shutdown::Both } else { Shutdown::Write });
        }
    }

    /// A body comes more slowly than `min_body_rate` over all of its time.
    pub(super) fn is_too_slow(&self, connection: &Connection) -> bool {
        let settings = &self.hub.settings;
        let elapsed = self.now.duration_since(connection.began);
        if connection.phase != Phase::Body || elapsed < settings.body_timeout {
            return false;
        }
        let received = connection.request.as_ref().map_or(0, |request| request.body.len());
        (received as f64) < settings.min_body_rate as f64 * elapsed.as_secs_f64()
    }
}
