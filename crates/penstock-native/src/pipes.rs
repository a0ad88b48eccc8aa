//! Bytes of a large request body that stay in the kernel. Pages pass from the socket into pipes without being copied,
//! so the application's own read is the only copy there is: one less than through memory.
use crate::large_bodies::LargeBodies;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::{read, Errno};
use rustix::pipe::{fcntl_setpipe_size, pipe_with, splice, PipeFlags, SpliceFlags};
use std::os::fd::{AsFd, OwnedFd};

/// Bytes of ordinary pages, each of which may stand for 32 KiB: as much as any user may ask for (pipe-max-size).
const SIZE: usize = 1024 * 1024;

/// A full pipe with less in it holds many small pieces, as a network card delivers them: then memory is better.
const WORTHWHILE: usize = 2 * SIZE;

/// What is drawn at once where somebody looks ahead.
const STEP: usize = 64 * 1024;

/// One pipe, and how much is in it.
#[derive(Debug)]
pub struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    held: usize,
}

impl Pipe {
    /// An empty one; an error where this user has too many already.
    pub fn new() -> Result<Self, Errno> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        fcntl_setpipe_size(&writer, SIZE)?;
        Ok(Self { reader, writer, held: 0 })
    }

    /// It can be used again.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    fn is_full(&self) -> Result<bool, Errno> {
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        Ok(poll(&mut [PollFd::new(&self.writer, PollFlags::OUT)], Some(&at_once))? == 0)
    }
}

/// The bytes of one body: those that were in memory already, then those in pipes.
#[derive(Debug, Default)]
pub struct Pipes {
    /// In memory: the beginning of the body, or what was looked at ahead.
    front: Vec<u8>,
    /// Where in the body the front begins.
    front_at: u64,
    pipes: Vec<Pipe>,
    /// The first pipe that may hold something.
    current: usize,
}

impl Pipes {
    pub fn new(front: Vec<u8>) -> Self {
        Self { front, ..Self::default() }
    }

    /// Takes at most `most` bytes from the socket; 0 at its end. None when pipes are not the place for this body: what
    /// has come stays readable.
    pub fn receive(&mut self, socket: impl AsFd, most: usize, bodies: &LargeBodies) -> Result<Option<usize>, Errno> {
        loop {
            if let Some(pipe) = self.pipes.last_mut() {
                let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
                match splice(&socket, None, &pipe.writer, None, most, flags) {
                    Ok(count) => {
                        pipe.held += count;
                        return Ok(Some(count));
                    }
                    Err(Errno::AGAIN) if !pipe.is_full()? => return Err(Errno::AGAIN),
                    Err(Errno::AGAIN) if pipe.held >= WORTHWHILE => {}
                    Err(Errno::AGAIN | Errno::INVAL) => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
            let Some(pipe) = bodies.lend_pipe() else { return Ok(None) };
            self.pipes.push(pipe);
        }
    }

    /// Takes bytes out from `position` on, where the last call has ended; how many, 0 at the end.
    pub fn read_at(&mut self, position: u64, target: &mut [u8]) -> Result<usize, Errno> {
        let count = self.copy_front(position, target);
        if count > 0 {
            return Ok(count);
        }
        self.front_at += self.front.len() as u64;
        self.front = Vec::new();
        let count = self.draw(target)?;
        self.front_at += count as u64;
        Ok(count)
    }

    /// Looks at bytes from `position` on, which is not before what has been taken out; fewer only at the end.
    pub fn peek_at(&mut self, position: u64, target: &mut [u8]) -> Result<usize, Errno> {
        let read = usize::try_from(position - self.front_at).unwrap_or(usize::MAX);
        // Seldom, because what is left moves.
        if (STEP..=self.front.len()).contains(&read) {
            self.front.drain(..read);
            self.front_at = position;
        }
        let end = position + target.len() as u64;
        while self.front_at + (self.front.len() as u64) < end {
            let known = self.front.len();
            self.front.resize(known + STEP, 0);
            let mut front = std::mem::take(&mut self.front);
            let drawn = self.draw(&mut front[known..]);
            front.truncate(known + *drawn.as_ref().unwrap_or(&0));
            self.front = front;
            if drawn? == 0 {
                break;
            }
        }
        Ok(self.copy_front(position, target))
    }

    /// How many pipes it has.
    pub fn count(&self) -> usize {
        self.pipes.len()
    }

    /// The pipes that can be used again.
    pub fn into_empty(self) -> impl Iterator<Item = Pipe> {
        self.pipes.into_iter().filter(Pipe::is_empty)
    }

    fn copy_front(&self, position: u64, target: &mut [u8]) -> usize {
        let skipped = usize::try_from(position - self.front_at).unwrap_or(usize::MAX);
        let known = self.front.get(skipped..).unwrap_or_default();
        let count = known.len().min(target.len());
        target[..count].copy_from_slice(&known[..count]);
        count
    }

    fn draw(&mut self, target: &mut [u8]) -> Result<usize, Errno> {
        while let Some(pipe) = self.pipes.get_mut(self.current) {
            if pipe.is_empty() {
                self.current += 1;
                continue;
            }
            let most = pipe.held.min(target.len());
            let count = read(&pipe.reader, &mut target[..most])?;
            pipe.held -= count;
            return Ok(count);
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    /// Sends `pieces` of `length` bytes one by one, each received before the next; the pipes, and all bytes.
    fn received(front: &[u8], pieces: usize, length: usize) -> (Pipes, Vec<u8>) {
        let bodies = LargeBodies::default();
        let (mut client, server) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        let mut pipes = Pipes::new(front.to_vec());
        let mut sent = front.to_vec();
        for piece in 0..pieces {
            let start = sent.len();
            sent.extend((0..length).map(|index| (piece + index) as u8));
            client.write_all(&sent[start..]).unwrap();
            let mut left = length;
            while left > 0 {
                left -= pipes.receive(&server, left, &bodies).unwrap().unwrap();
            }
        }
        assert_eq!(pipes.receive(&server, 1, &bodies), Err(Errno::AGAIN));
        (pipes, sent)
    }

    fn read_all(pipes: &mut Pipes, mut position: u64, step: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let mut part = vec![0; step];
        loop {
            let count = pipes.read_at(position, &mut part).unwrap();
            if count == 0 {
                return all;
            }
            all.extend_from_slice(&part[..count]);
            position += count as u64;
        }
    }

    #[test]
    fn bytes_come_out_as_they_went_in_through_as_many_pipes_as_it_takes() {
        let (mut pipes, sent) = received(b"what was in memory already", 300, 50_000);
        assert!(pipes.count() > 1, "{} pipes", pipes.count());
        assert!(read_all(&mut pipes, 0, 65_536) == sent);
        let count = pipes.count();
        assert_eq!(pipes.into_empty().count(), count);
    }

    #[test]
    fn what_was_looked_at_ahead_is_read_afterwards() {
        let (mut pipes, sent) = received(b"front", 100, 10_000);
        let mut part = vec![0; 8192];
        for position in [0, 3, 150_000, 400_000] {
            assert_eq!(pipes.peek_at(position, &mut part), Ok(8192));
            assert!(part == sent[position as usize..][..8192]);
        }
        assert!(read_all(&mut pipes, 400_000, 30_000) == sent[400_000..]);
        let end = sent.len() as u64;
        assert_eq!(pipes.peek_at(end, &mut part), Ok(0));
    }

    #[test]
    fn a_look_ahead_ends_with_the_body() {
        let (mut pipes, sent) = received(b"", 1, 100);
        let mut part = vec![0; 8192];
        assert_eq!(pipes.peek_at(60, &mut part), Ok(40));
        assert_eq!(part[..40], sent[60..]);
    }

    #[test]
    fn many_small_pieces_are_refused_and_stay_readable() {
        let bodies = LargeBodies::default();
        let (mut client, server) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        let mut pipes = Pipes::new(Vec::new());
        let mut taken = 0;
        loop {
            client.write_all(b"small piece").unwrap();
            match pipes.receive(&server, 11, &bodies).unwrap() {
                Some(count) => taken += count,
                None => break,
            }
        }
        assert_eq!(read_all(&mut pipes, 0, 100), b"small piece".repeat(taken / 11));
    }

    #[test]
    fn the_end_of_the_socket_is_told() {
        let (client, server) = UnixStream::pair().unwrap();
        drop(client);
        assert_eq!(Pipes::default().receive(&server, 1, &LargeBodies::default()), Ok(Some(0)));
    }

    #[test]
    fn only_empty_pipes_are_used_again() {
        let (mut pipes, _) = received(b"", 1, 100);
        pipes.read_at(0, &mut [0; 99]).unwrap();
        assert_eq!(pipes.into_empty().count(), 0);
    }
}
