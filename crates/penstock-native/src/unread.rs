//! Responses that clients have not read yet: how much of them is in memory, and when they go to files.
use crate::connection::Connection;
use crate::hub::Hub;
use crate::output::{Flushed, Output};
use crate::scoreboard::Counter;
use rustix::io::Errno;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Unread responses of all clients together that are kept in memory; what comes on top of it goes to files at once.
/// A reader that takes its time but reads is spared the detour, two hundred that do not cannot fill the memory.
const MOST_UNREAD: usize = 32 * 1024 * 1024;

/// The bytes in memory that no client has read, of all connections together.
#[derive(Debug, Default)]
pub struct Unread(AtomicUsize);

impl Unread {
    /// A connection holds so much now.
    pub fn count(&self, connection: &mut Connection, held: usize) {
        if held != connection.unread {
            self.0.fetch_add(held.wrapping_sub(connection.unread), Ordering::Relaxed);
            connection.unread = held;
        }
    }

    fn is_too_much(&self) -> bool {
        self.0.load(Ordering::Relaxed) > MOST_UNREAD
    }
}

/// Sends what the socket takes; the rest waits in memory, or in a file where too much waits already.
/// Also how many bytes have left since the last time.
pub fn send(hub: &Hub, connection: &mut Connection) -> (Result<Flushed, Errno>, u64) {
    let wire = connection.wire.clone();
    let mut output = wire.output();
    let flushed = output.flush(wire.socket.as_fd());
    let sent = output.take_uncounted();
    output.has_begun &= flushed != Ok(Flushed::Whole);
    hub.scoreboard.add(Counter::BytesOut, sent);
    hub.unread.count(connection, output.held_in_memory());
    if flushed == Ok(Flushed::Partly) && hub.unread.is_too_much() {
        put_aside(hub, connection, &mut output);
    }
    (flushed, sent)
}

/// Moves what a client does not read from memory to a file.
pub fn put_aside(hub: &Hub, connection: &mut Connection, output: &mut Output) {
    match output.spill(&hub.settings.temp_dir) {
        Ok(()) => hub.unread.count(connection, 0),
        Err(error) => hub.log_full_disk(&error),
    }
}
