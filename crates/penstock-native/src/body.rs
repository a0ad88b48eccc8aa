//! The body of one request: in memory while it is small, then in a temporary file. Read whole before the call.
use crate::hub::Hub;
use crate::pipes::Pipes;
use rustix::io::{pread, Errno};
use rustix::net::{recv, RecvFlags};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

/// Where a body's bytes are.
#[derive(Debug, Default)]
pub enum Body {
    /// There is none.
    #[default]
    Empty,
    /// Up to `body_memory` bytes.
    Memory(Vec<u8>),
    /// Larger, and quick: in room that such bodies share.
    Large(LargeBody),
    /// Larger: a file without a name, so that nothing is left behind whatever happens.
    File(Spooled),
}

/// A body in a file, and the end of it that has not been written yet.
#[derive(Debug)]
pub struct Spooled {
    file: File,
    written: u64,
    unwritten: Vec<u8>,
}

/// What is written at once. Large writes get large pages: 64 KiB at a time took a third longer.
const WRITE: usize = 512 * 1024;

impl Spooled {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.unwritten.extend_from_slice(bytes);
        if self.unwritten.len() >= WRITE {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write_all(&self.unwritten)?;
        self.written += self.unwritten.len() as u64;
        self.unwritten.clear();
        Ok(())
    }
}

/// A body that comes fast, in the room that such bodies share. The room comes back when it is dropped.
pub struct LargeBody {
    place: Place,
    /// Bytes of the whole body: so much room it has.
    length: usize,
    filled: usize,
    hub: Arc<Hub>,
}

enum Place {
    Pipes(Pipes),
    /// All of it is initialized, so that the kernel may write anywhere.
    Memory(Vec<u8>),
}

impl LargeBody {
    /// Receives at most `most` bytes of the body; 0 when the client has closed. `NOMEM`: it must go to a file.
    pub fn receive(&mut self, socket: impl AsFd, most: usize) -> Result<usize, Errno> {
        if let Place::Pipes(pipes) = &mut self.place {
            if let Some(count) = pipes.receive(&socket, most, &self.hub.large_bodies)? {
                self.filled += count;
                return Ok(count);
            }
            self.move_to_memory()?;
        }
        let Place::Memory(bytes) = &mut self.place else { return Err(Errno::NOMEM) };
        let end = self.length.min(self.filled.saturating_add(most));
        let (_, count) = recv(&socket, &mut bytes[self.filled..end], RecvFlags::empty())?;
        self.filled += count;
        Ok(count)
    }

    /// Many small pieces would fill too many pipes.
    fn move_to_memory(&mut self) -> Result<(), Errno> {
        let mut bytes = self.hub.large_bodies.lend_block(self.length).ok_or(Errno::NOMEM)?;
        let mut position = 0;
        while position < self.filled {
            let count = self.read_at(position as u64, &mut bytes[position..self.filled])?;
            if count == 0 {
                return Err(Errno::IO);
            }
            position += count;
        }
        self.put(Place::Memory(bytes));
        Ok(())
    }

    /// Copies bytes from `position` on, where the last call has ended.
    fn read_at(&mut self, position: u64, target: &mut [u8]) -> Result<usize, Errno> {
        match &mut self.place {
            Place::Pipes(pipes) => pipes.read_at(position, target),
            Place::Memory(bytes) => Ok(copy(&bytes[..self.filled], position, target)),
        }
    }

    fn in_memory(&self) -> Option<&[u8]> {
        match &self.place {
            Place::Pipes(_) => None,
            Place::Memory(bytes) => Some(&bytes[..self.filled]),
        }
    }

    /// Gives what it was in back.
    fn put(&mut self, place: Place) {
        match std::mem::replace(&mut self.place, place) {
            Place::Pipes(pipes) => {
                let lent = pipes.count();
                self.hub.large_bodies.take_pipes_back(pipes.into_empty(), lent);
            }
            Place::Memory(bytes) => self.hub.large_bodies.take_block_back(bytes),
        }
    }
}

impl Drop for LargeBody {
    fn drop(&mut self) {
        self.put(Place::Memory(Vec::new()));
        self.hub.large_bodies.take_back(self.length);
        // Another body may be waiting for it.
        self.hub.wake();
    }
}

impl std::fmt::Debug for LargeBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} of {} bytes", self.filled, self.length)
    }
}

impl Body {
    /// Adds decoded bytes; changes to a temporary file in `directory` when more than `in_memory` come together.
    pub fn append(&mut self, bytes: &[u8], in_memory: u64, directory: &Path) -> io::Result<()> {
        let length = self.len() + bytes.len() as u64;
        match self {
            Body::Empty if length <= in_memory => *self = Body::Memory(bytes.to_vec()),
            Body::Memory(held) if length <= in_memory => {
                held.try_reserve(bytes.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
                held.extend_from_slice(bytes);
            }
            Body::File(spooled) => spooled.append(bytes)?,
            Body::Empty | Body::Memory(_) | Body::Large(_) => {
                self.move_to_file(directory)?;
                return self.append(bytes, in_memory, directory);
            }
        }
        Ok(())
    }

    /// From now on it is in a temporary file.
    pub fn move_to_file(&mut self, directory: &Path) -> io::Result<()> {
        let mut spooled = Spooled { file: tempfile::tempfile_in(directory)?, written: 0, unwritten: Vec::new() };
        match std::mem::take(self) {
            Body::Empty => {}
            Body::Memory(held) => spooled.unwritten = held,
            Body::Large(mut large) => {
                let mut part = vec![0; WRITE];
                let mut position = 0;
                while position < large.filled {
                    let count = large.read_at(position as u64, &mut part)?;
                    spooled.append(&part[..count])?;
                    position += count;
                }
            }
            file @ Body::File(_) => {
                *self = file;
                return Ok(());
            }
        }
        *self = Body::File(spooled);
        Ok(())
    }

    /// Moves it to where a large body of `length` bytes in all comes fast. False when there is no room now.
    pub fn move_to_shared_room(&mut self, length: u64, hub: &Arc<Hub>) -> bool {
        let Ok(length) = usize::try_from(length) else { return false };
        if !hub.large_bodies.lend(length) {
            return false;
        }
        let held = if let Body::Memory(held) = std::mem::take(self) { held } else { Vec::new() };
        let filled = held.len();
        *self = Body::Large(LargeBody { place: Place::Pipes(Pipes::new(held)), length, filled, hub: hub.clone() });
        true
    }

    /// All of it, where it is in memory.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match self {
            Body::Empty => Some(&[]),
            Body::Memory(held) => Some(held),
            Body::Large(large) => large.in_memory(),
            Body::File(_) => None,
        }
    }

    /// All of it has come: what waits to be written is written.
    pub fn complete(&mut self) -> io::Result<()> {
        if let Body::File(spooled) = self {
            spooled.write()?;
            spooled.unwritten = Vec::new();
        }
        Ok(())
    }

    /// Bytes in it.
    pub fn len(&self) -> u64 {
        match self {
            Body::File(spooled) => spooled.written + spooled.unwritten.len() as u64,
            Body::Large(large) => large.filled as u64,
            Body::Memory(held) => held.len() as u64,
            Body::Empty => 0,
        }
    }

    /// Copies bytes from `position` on, where the last call has ended, into `target`; how many, 0 at the end.
    pub fn read_at(&mut self, position: u64, target: &mut [u8]) -> io::Result<usize> {
        match self {
            Body::Large(large) => Ok(large.read_at(position, target)?),
            body => body.peek_at(position, target),
        }
    }

    /// The same, from `position` on or behind it, without taking anything out.
    pub fn peek_at(&mut self, position: u64, target: &mut [u8]) -> io::Result<usize> {
        match self {
            Body::File(spooled) => Ok(pread(&spooled.file, target, position)?),
            Body::Large(LargeBody { place: Place::Pipes(pipes), .. }) => Ok(pipes.peek_at(position, target)?),
            body => Ok(copy(body.in_memory().unwrap_or_default(), position, target)),
        }
    }
}

fn copy(bytes: &[u8], position: u64, target: &mut [u8]) -> usize {
    let rest = usize::try_from(position).ok().and_then(|position| bytes.get(position..)).unwrap_or_default();
    let count = rest.len().min(target.len());
    target[..count].copy_from_slice(&rest[..count]);
    count
}
