//! Connections that another process goes on with, and those that come from one.
use super::{EventLoop, Verdict, LISTENER};
use crate::connection::{Connection, Peer, Phase};
use crate::letter::{self, Letter, Mail};
use crate::post::{Passage, Place};
use crate::scoreboard::Counter;
use crate::site_routes::Nowhere;
use penstock_http::{forwarded, Refusal, RequestHead};
use rustix::event::epoll;
use rustix::event::epoll::{EventData, EventFlags};
use rustix::io::{fcntl_dupfd_cloexec, Errno};
use rustix::net::getpeername;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Events of places are told from those of listeners by one bit, and those of places to write to by another.
pub(super) const PLACE: u64 = LISTENER | 1 << 32;
pub(super) const WRITABLE: u64 = PLACE | 1 << 33;

/// Letters that are opened in a row: of several workers each should get some.
const MOST_LETTERS: usize = 64;
const MOST_LETTERS_BESIDE_OTHERS: usize = 1;

/// Letters to open when a stop begins: nobody else may be there to do it.
const LAST_LETTERS: usize = 4096;

const UNKNOWN_HOST: Refusal = Refusal { status: 421, reason: "no site here has this host" };
const UNKNOWN_PATH: Refusal = Refusal { status: 404, reason: "no site of this host has this path" };

/// When somebody whose site does not answer may try again; in seconds.
const RETRY_AFTER: u32 = 5;

/// A connection that waits for room in a place.
pub(super) struct Leaving {
    slot: u32,
    id: u64,
    place: usize,
}

/// What has become of a connection that was to be passed on.
enum Passed {
    On,
    /// Not yet: an event tells when there is room.
    NoRoom,
    /// Not yet, and only the sweep finds out when.
    Scarce,
    /// Never, and why.
    Nowhere(Cow<'static, str>),
}

impl EventLoop {
    /// Looks for letters in places that are new.
    pub(super) fn watch_places(&mut self) {
        let Some(post) = self.hub.post.as_ref().filter(|_| self.accept_again.is_none() && !self.is_stopping) else {
            return;
        };
        while self.watched_places < post.count() {
            if let Some(place) = post.place(self.watched_places) {
                let data = EventData::new_u64(PLACE | self.watched_places as u64);
                // EXCLUSIVE: a letter wakes one worker, not all of its site.
                let flags = if post.is_front() { EventFlags::IN } else { EventFlags::IN | EventFlags::EXCLUSIVE };
                // An error means that nothing can come from there.
                let _ = epoll::add(&self.epoll, &place.end, data, flags);
            }
            self.watched_places += 1;
        }
    }

    pub(super) fn stop_watching_places(&mut self) {
        for index in 0..std::mem::take(&mut self.watched_places) {
            self.stop_watching(index);
        }
    }

    fn stop_watching(&self, index: usize) {
        if let Some(place) = self.place(index) {
            let _ = epoll::delete(&self.epoll, &place.end);
        }
    }

    /// Gives up a place that nobody is left to read from or to write to: its site is no longer configured.
    fn abandon(&self, index: usize) {
        self.stop_watching(index);
        if let (Some(post), Some(place)) = (&self.hub.post, self.place(index)) {
            let _ = epoll::delete(&self.epoll, &place.for_writing);
            post.remove(index);
        }
    }

    fn place(&self, index: usize) -> Option<Arc<Place>> {
        self.hub.post.as_ref()?.place(index)
    }

    /// What to do with a request that is not ours.
    pub(super) fn elsewhere(&self, connection: &Connection, bytes: &[u8], head: &RequestHead) -> Option<Verdict> {
        let post = self.hub.post.as_ref()?;
        let settings = &self.hub.settings;
        let path = head.path.of(bytes);
        if !settings.health_path.is_empty() && path == settings.health_path {
            return None;
        }
        // The one that the application would see.
        let told = connection.peer.trusted.then(|| forwarded::client(&settings.trust, bytes, &head.fields).host);
        let host = told.flatten().or(head.host).map(|host| host.of(bytes));
        match post.elsewhere(host, path) {
            Ok(place) => place.map(Verdict::Elsewhere),
            Err(Nowhere::Host) => {
                self.hub.scoreboard.add(Counter::UnknownHosts, 1);
                Some(Verdict::Refused(UNKNOWN_HOST))
            }
            Err(Nowhere::Path) => Some(Verdict::Refused(UNKNOWN_PATH)),
        }
    }

    /// Sends a connection to where its next request belongs. What it has been answered so far has left.
    pub(super) fn hand_over(&mut self, mut connection: Box<Connection>, index: usize) {
        match self.pass_on(&connection, index) {
            Passed::On => self.drop_connection(connection),
            passed @ (Passed::NoRoom | Passed::Scarce) => {
                connection.phase = Phase::Leaving;
                connection.deadline = self.now + self.hub.settings.queue_timeout;
                self.leaving.push_back(Leaving { slot: connection.slot, id: connection.id, place: index });
                if matches!(passed, Passed::NoRoom) {
                    self.tell_when_writable(index);
                }
                self.put_back(connection);
            }
            Passed::Nowhere(reason) => self.put_off(connection, Some(index), &reason),
        }
    }

    /// The same, without waiting, and without a word to the client.
    fn pass_on(&mut self, connection: &Connection, index: usize) -> Passed {
        let Some(place) = self.place(index) else {
            return Passed::Nowhere("there is no such site any more".into());
        };
        let passage = place.passage();
        if let Passage::Closed(reason) = passage {
            return Passed::Nowhere(reason.into());
        }
        let peer = connection.peer.address.map(|address| SocketAddr::new(address, connection.peer.port));
        let letter = Letter { peer, listener: connection.listener, bytes: &connection.input };
        match letter::send(&place.end, connection.wire.socket.as_fd(), &letter) {
            Ok(()) => {
                // The other process has the open file as well: only asking ends what the kernel tells us of it.
                let _ = epoll::delete(&self.epoll, &connection.wire.socket);
                self.hub.scoreboard.add(Counter::ConnectionsHanded, 1);
                place.count(Counter::ConnectionsHanded);
                if passage == Passage::Held {
                    self.hub.scoreboard.add(Counter::ConnectionsHeld, 1);
                    place.count(Counter::ConnectionsHeld);
                }
                Passed::On
            }
            Err(Errno::AGAIN) => Passed::NoRoom,
            Err(error) if letter::is_scarcity(error) => Passed::Scarce,
            Err(Errno::MSGSIZE) => Passed::Nowhere("the request's head is too large to be passed on".into()),
            Err(_) => Passed::Nowhere("nobody serves this site".into()),
        }
    }

    /// 503: whoever asks may come again.
    fn put_off(&mut self, connection: Box<Connection>, index: Option<usize>, reason: &str) {
        self.hub.scoreboard.add(Counter::Rejected, 1);
        if let Some(place) = index.and_then(|index| self.place(index)) {
            place.count(Counter::Rejected);
        }
        self.turn_away(connection, 503, reason, Some(RETRY_AFTER));
    }

    pub(super) fn give_up_leaving(&mut self, connection: Box<Connection>) {
        let waited = self.leaving.iter().find(|leaving| leaving.id == connection.id);
        self.put_off(connection, waited.map(|leaving| leaving.place), "the site has too much to do");
    }

    /// An idle connection of a worker that leaves goes back to the front, so that its client notices nothing. The
    /// connection where there is no front, or no room. Nothing is said to it: it has asked for nothing.
    pub(super) fn hand_back(&mut self, connection: Box<Connection>) -> Option<Box<Connection>> {
        let has_front = self.hub.post.as_ref().is_some_and(|post| !post.is_front());
        if has_front && matches!(self.pass_on(&connection, 0), Passed::On) {
            self.drop_connection(connection);
            return None;
        }
        Some(connection)
    }

    fn tell_when_writable(&self, index: usize) {
        let Some(place) = self.place(index) else { return };
        let (data, flags) =
            (EventData::new_u64(WRITABLE | index as u64), EventFlags::OUT | EventFlags::ONESHOT | EventFlags::ET);
        if epoll::modify(&self.epoll, &place.for_writing, data, flags).is_err() {
            // Where this fails, too, the sweep tries again.
            let _ = epoll::add(&self.epoll, &place.for_writing, data, flags);
        }
    }

    /// A place has room again.
    pub(super) fn retry(&mut self, index: usize) {
        let mut obstacle = None;
        for leaving in std::mem::take(&mut self.leaving) {
            if leaving.place != index || obstacle.is_some() {
                self.leaving.push_back(leaving);
                continue;
            }
            let still_waits = |held: &&mut Box<Connection>| held.id == leaving.id && held.phase == Phase::Leaving;
            let entry = self.slots.get_mut(leaving.slot as usize);
            if entry.and_then(|entry| entry.connection.as_mut()).filter(still_waits).is_none() {
                continue;
            }
            let Some(connection) = self.take(leaving.slot) else { continue };
            match self.pass_on(&connection, index) {
                Passed::On => self.drop_connection(connection),
                passed @ (Passed::NoRoom | Passed::Scarce) => {
                    obstacle = Some(passed);
                    self.put_back(connection);
                    self.leaving.push_back(leaving);
                }
                Passed::Nowhere(reason) => self.put_off(connection, Some(index), &reason),
            }
        }
        if matches!(obstacle, Some(Passed::NoRoom)) {
            self.tell_when_writable(index);
        }
    }

    /// All places, for changes that no event tells of.
    pub(super) fn retry_all(&mut self) {
        let mut places: Vec<usize> = self.leaving.iter().map(|leaving| leaving.place).collect();
        places.sort_unstable();
        places.dedup();
        for index in places {
            self.retry(index);
        }
    }

    /// Takes connections that others have sent.
    pub(super) fn open_letters(&mut self, index: usize) {
        let is_alone = !self.hub.settings.multiprocess;
        self.open_up_to(if is_alone { MOST_LETTERS } else { MOST_LETTERS_BESIDE_OTHERS }, index);
    }

    pub(super) fn open_the_last_letters(&mut self) {
        for index in 0..self.watched_places {
            self.open_up_to(LAST_LETTERS, index);
        }
    }

    fn open_up_to(&mut self, most: usize, index: usize) {
        let Some(place) = self.place(index) else { return };
        let mut buffer = std::mem::take(&mut self.letter);
        buffer.resize(letter::LARGEST, 0);
        for _ in 0..most {
            if self.open >= self.hub.settings.max_connections {
                self.pause_accepting();
                break;
            }
            // A connection for which there is no descriptor would be lost with its letter. Others may have some.
            if fcntl_dupfd_cloexec(&place.end, 0).is_err() {
                self.pause_accepting();
                break;
            }
            match letter::receive(&place.end, &mut buffer) {
                Ok(Mail::Letter(socket, letter)) => {
                    place.count(Counter::ConnectionsTaken);
                    self.take_over(socket, &letter);
                }
                Ok(Mail::Junk) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Ok(Mail::End) | Err(_) => {
                    self.abandon(index);
                    break;
                }
            }
        }
        self.letter = buffer;
    }

    /// Goes on with a connection where another process has left it.
    fn take_over(&mut self, socket: OwnedFd, letter: &Letter<'_>) {
        let Some(post) = self.hub.post.as_ref() else { return };
        let settings = &self.hub.settings;
        let is_front = post.is_front();
        // A site is not believed about who its clients are, as long as the kernel knows.
        let peer = if is_front && !settings.proxy_protocol {
            // Without a peer the client has left; taken for none with an address it would be trusted as such.
            let Ok(peer) = getpeername(&socket) else { return };
            peer.and_then(|address| SocketAddr::try_from(address).ok())
        } else {
            letter.peer
        };
        // The front's connections do not block; a site may have changed that.
        if usize::from(letter.listener) >= settings.listeners
            || is_front && rustix::io::ioctl_fionbio(&socket, true).is_err()
        {
            return;
        }
        let peer = Peer::new(peer, &settings.trust);
        let Some(id) = self.admit(socket, peer, letter.listener, Phase::Head) else { return };
        self.hub.scoreboard.add(Counter::ConnectionsTaken, 1);
        let Some(mut connection) = self.take(id as u32) else { return };
        connection.is_placed = !is_front;
        if letter.bytes.is_empty() {
            connection.deadline = self.now + self.hub.settings.keep_alive_timeout;
            return self.put_back(connection);
        }
        match self.feed(&mut connection, letter.bytes) {
            Verdict::More => self.put_back(connection),
            Verdict::Complete(request) => self.dispatch(connection, request),
            Verdict::Refused(refusal) => self.refuse(connection, refusal),
            Verdict::Elsewhere(place) => self.hand_over(connection, place),
        }
    }
}
