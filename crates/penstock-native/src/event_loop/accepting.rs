//! New connections: takes them from the listening sockets, as many as there is room for.
use super::{EventLoop, Slot, LISTENER};
use crate::connection::{Connection, Peer, Phase, Wire};
use crate::scoreboard::Counter;
use penstock_http::Decoder;
use rustix::event::epoll;
use rustix::event::epoll::{EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{acceptfrom_with, SocketFlags};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// Connections that are accepted in a row.
const MOST_ACCEPTS: usize = 64;

/// Where several workers listen, one that took all of a burst would have work while the others wait for some: and one
/// whose processor is free can take 32 before another has got up. So each takes one, and the next when that one has
/// sent its request, or after this time …
const REST: Duration = Duration::from_millis(1);

/// … then several: they are in no hurry, and whoever stands behind them may be.
const MOST_AFTER_REST: usize = 8;

/// Connections to accept when a stop begins: nobody else may be there to take them. Twice as many as the backlog holds
/// by default.
const LAST_ACCEPTS: usize = 4096;

/// No new connections for this long after the system has refused one (no descriptors, no memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl EventLoop {
    pub(super) fn listen(&mut self) -> io::Result<()> {
        for (index, listener) in self.listeners.iter().enumerate() {
            // EXCLUSIVE: a new connection wakes one worker, not all that share this socket.
            let data = EventData::new_u64(LISTENER | index as u64);
            epoll::add(&self.epoll, &listener.socket, data, EventFlags::IN | EventFlags::EXCLUSIVE)?;
        }
        self.watch_places();
        Ok(())
    }

    pub(super) fn stop_listening(&mut self) {
        self.stop_accepting();
        self.stop_watching_places();
    }

    fn stop_accepting(&self) {
        for listener in &self.listeners {
            // An error means that it was not registered: that is what is wanted.
            let _ = epoll::delete(&self.epoll, &listener.socket);
        }
    }

    pub(super) fn accept(&mut self, index: usize) {
        if !self.hub.settings.multiprocess {
            self.accept_up_to(MOST_ACCEPTS, index);
        } else if let Some(id) = self.accept_up_to(1, index) {
            // Who listens again is the last of those that the kernel wakes; else it would always wake the same one.
            self.stop_accepting();
            self.newest = Some(id);
            self.accept_again = Some(self.now + REST);
        }
    }

    /// A request has come. When it is that of the newest connection, the next one may come, too.
    pub(super) fn note_request_of(&mut self, id: u64) {
        if self.newest == Some(id) {
            self.newest = None;
            self.accept_again = Some(self.now);
        }
    }

    /// It is time to listen again.
    pub(super) fn accept_again(&mut self) {
        self.accept_again = None;
        if self.newest.take().is_some() {
            for index in 0..self.listeners.len() {
                self.accept_up_to(MOST_AFTER_REST, index);
            }
        }
        // Listening can fail like accepting: then connections wait once more.
        if self.accept_again.is_none() && !self.is_stopping && self.listen().is_err() {
            self.pause_accepting();
        }
    }

    /// Accepts whoever waits now, before nobody does any more.
    pub(super) fn accept_the_last(&mut self) {
        for index in 0..self.listeners.len() {
            self.accept_up_to(LAST_ACCEPTS, index);
        }
        self.open_the_last_letters();
    }

    /// The id of the last one that was accepted; None when accepting has been paused.
    fn accept_up_to(&mut self, most: usize, index: usize) -> Option<u64> {
        let mut last = None;
        for _ in 0..most {
            if self.open >= self.hub.settings.max_connections {
                self.pause_accepting();
                return None;
            }
            let listener = self.listeners.get(index)?;
            let (unix, is_uwsgi) = (listener.unix, listener.is_uwsgi);
            match acceptfrom_with(&listener.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok((socket, address)) => {
                    let address = address.filter(|_| !unix).and_then(|address| SocketAddr::try_from(address).ok());
                    let peer = Peer::new(address, &self.hub.settings.trust);
                    if is_uwsgi && !self.hub.settings.uwsgi_allow.includes(peer.address) {
                        self.shut_out(&peer);
                        continue;
                    }
                    let phase = match self.hub.settings.proxy_protocol {
                        _ if is_uwsgi => Phase::Uwsgi,
                        true => Phase::Proxy,
                        false => Phase::Head,
                    };
                    last = self.admit(socket, peer, index as u16, phase);
                }
                Err(Errno::AGAIN) => break,
                // The client has left already, or a signal came.
                Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO | Errno::NETDOWN | Errno::HOSTUNREACH) => {}
                Err(_) => {
                    // No descriptors or no memory: those who are connected go on, the backlog waits for a while.
                    self.pause_accepting();
                    return None;
                }
            }
        }
        last
    }

    pub(super) fn pause_accepting(&mut self) {
        self.stop_listening();
        self.newest = None;
        self.accept_again = Some(self.now + ACCEPT_PAUSE);
    }

    /// Makes a socket one of our connections. Its id, whose lower half is its slot; None when the system refuses to
    /// watch it.
    pub(super) fn admit(&mut self, socket: OwnedFd, peer: Peer, listener: u16, phase: Phase) -> Option<u64> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let generation = self.slots[slot as usize].generation;
        let id = u64::from(slot) | u64::from(generation) << 32;
        let data = EventData::new_u64(id);
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if epoll::add(&self.epoll, &socket, data, flags).is_err() {
            self.free.push(slot);
            return None;
        }
        let wire = Arc::new(Wire::new(socket));
        let connection = Box::new(Connection {
            wire: wire.clone(),
            slot,
            id,
            listener,
            peer,
            phase,
            decoder: Decoder::new(),
            input: Vec::new(),
            request: None,
            readable: false,
            ended: false,
            close: false,
            unread: 0,
            spools: false,
            is_placed: false,
            deadline: self.now + self.hub.settings.head_timeout,
            began: self.now,
        });
        let entry = &mut self.slots[slot as usize];
        entry.wire = Some(wire);
        entry.connection = Some(connection);
        self.open += 1;
        self.sweep_later();
        self.hub.scoreboard.add(Counter::ConnectionsAccepted, 1);
        self.hub.scoreboard.set(Counter::ConnectionsOpen, self.open as u64);
        Some(id)
    }
}
