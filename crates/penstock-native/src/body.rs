//! The body of one request: in memory while it is small, then in a temporary file. Read whole before the call.
use crate::hub::Hub;
use rustix::io::pread;
use std::fs::File;
use std::io::{self, Write};
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
    /// Larger, and quick: in memory that such bodies share.
    Large(Block),
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

/// The bytes of one body, with room for the rest of it. Comes back when it is dropped.
pub struct Block {
    /// All of it is initialized, so that the kernel may write anywhere.
    bytes: Vec<u8>,
    filled: usize,
    hub: Arc<Hub>,
}

impl Block {
    /// What has come.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Where the next bytes belong: at most `most` of them.
    pub fn room(&mut self, most: usize) -> &mut [u8] {
        let end = self.bytes.len().min(self.filled.saturating_add(most));
        &mut self.bytes[self.filled..end]
    }

    /// So many bytes were written into [`Self::room`].
    pub fn fill(&mut self, count: usize) {
        self.filled = self.bytes.len().min(self.filled + count);
    }

    /// Adds a copy of those bytes; what goes beyond the block is an error of the caller and left out.
    pub fn append(&mut self, bytes: &[u8]) {
        let room = self.room(bytes.len());
        let count = room.len();
        room.copy_from_slice(&bytes[..count]);
        self.fill(count);
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.hub.large_bodies.take_back(std::mem::take(&mut self.bytes));
        // Another body may be waiting for it.
        self.hub.wake();
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "a block with {} of {} bytes", self.filled, self.bytes.len())
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
            Body::Large(block) => block.append(bytes),
            Body::File(spooled) => spooled.append(bytes)?,
            Body::Empty | Body::Memory(_) => {
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
            Body::Large(block) => spooled.append(block.filled())?,
            file @ Body::File(_) => {
                *self = file;
                return Ok(());
            }
        }
        *self = Body::File(spooled);
        Ok(())
    }

    /// Moves it into a block with room for `length` bytes in all. False when there is none now.
    pub fn move_to_block(&mut self, length: u64, hub: &Arc<Hub>) -> bool {
        let Some(bytes) = usize::try_from(length).ok().and_then(|length| hub.large_bodies.lend(length)) else {
            return false;
        };
        let mut block = Block { bytes, filled: 0, hub: hub.clone() };
        block.append(self.in_memory().unwrap_or_default());
        *self = Body::Large(block);
        true
    }

    /// All of it, where it is in memory.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match self {
            Body::Empty => Some(&[]),
            Body::Memory(held) => Some(held),
            Body::Large(block) => Some(block.filled()),
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
            body => body.in_memory().map_or(0, |held| held.len() as u64),
        }
    }

    /// Copies bytes from `position` on into `target`; how many, 0 at the end.
    pub fn read_at(&self, position: u64, target: &mut [u8]) -> io::Result<usize> {
        if let Body::File(spooled) = self {
            return Ok(pread(&spooled.file, target, position)?);
        }
        let rest = self.in_memory().unwrap_or_default().get(position as usize..).unwrap_or_default();
        let count = rest.len().min(target.len());
        target[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}
