//! Responses leave as fast as their clients read; large ones wait in files.
use super::timing::IDLE_GRACE;
use super::{EventLoop, Verdict};
use crate::connection::{break_off, Connection, Phase};
use crate::output::Flushed;
use crate::unread;
use rustix::net::{shutdown, Shutdown};
use std::time::Duration;

/// How long a refused client may go on sending, so that it reads the refusal before the connection breaks.
const LINGER: Duration = Duration::from_secs(2);

impl EventLoop {
    /// From now on the client is given time to read.
    pub(super) fn begin_sending(&self, connection: &mut Connection) {
        connection.phase = Phase::Sending;
        connection.deadline = self.now + self.hub.settings.write_timeout;
    }

    /// Sends what is complete; afterwards the connection is ready for its next request, or is closed.
    pub(super) fn send(&mut self, mut connection: Box<Connection>) {
        let (flushed, sent) = unread::send(&self.hub, &mut connection);
        match flushed {
            Ok(Flushed::Whole) => self.begin_next(connection),
            Ok(flushed) => {
                if sent > 0 {
                    connection.deadline = self.now + self.hub.settings.write_timeout;
                }
                if flushed == Flushed::Paused {
                    self.again.push(connection.slot);
                }
                self.put_back(connection);
            }
            Err(_) => self.drop_connection(connection),
        }
    }

    /// A response has left.
    pub(super) fn begin_next(&mut self, mut connection: Box<Connection>) {
        if connection.close {
            if connection.wire.output().is_open_ended {
                break_off(&connection.wire.socket);
                return self.drop_connection(connection);
            }
            // RFC 9112 9.6: where bytes wait unread, closing makes the kernel send a reset, which can overtake our
            // answer. Most clients have closed when we look, or do it now.
            let _ = shutdown(&connection.wire.socket, Shutdown::Write);
            connection.phase = Phase::Lingering;
            connection.input = Vec::new();
            connection.deadline = self.now + LINGER;
            connection.readable = true;
            self.receive(connection);
            return;
        }
        connection.phase = Phase::Head;
        connection.began = self.now;
        connection.deadline = self.now + self.hub.settings.keep_alive_timeout;
        if self.is_stopping {
            // Its client was told before the stop that the connection stays: the next request may be on its way.
            connection.close = true;
            connection.deadline = self.now + IDLE_GRACE;
        }
        if !connection.input.is_empty() {
            // The client did not wait for the answer before it sent the next request.
            match self.feed(&mut connection, &[]) {
                Verdict::More => {}
                Verdict::Complete(request) => return self.dispatch(connection, request),
                Verdict::Refused(refusal) => return self.refuse(connection, refusal),
                Verdict::Elsewhere(place) => return self.hand_over(connection, place),
            }
        }
        if self.is_stopping && connection.is_idle() {
            let Some(kept) = self.hand_back(connection) else { return };
            connection = kept;
        }
        if connection.readable {
            self.receive(connection);
        } else {
            self.put_back(connection);
        }
    }
}
