//! The body of one request: in memory while it is small, then in a temporary file. Read whole before the call.
use rustix::io::pread;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Where a body's bytes are.
#[derive(Debug, Default)]
pub enum Body {
    /// There is none.
    #[default]
    Empty,
    /// Up to `body_memory` bytes.
    Memory(Vec<u8>),
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
            Body::Empty | Body::Memory(_) => {
                let mut spooled =
                    Spooled { file: tempfile::tempfile_in(directory)?, written: 0, unwritten: Vec::new() };
                if let Body::Memory(held) = std::mem::take(self) {
                    spooled.unwritten = held;
                }
                spooled.append(bytes)?;
                *self = Body::File(spooled);
            }
        }
        Ok(())
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
            Body::Empty => 0,
            Body::Memory(held) => held.len() as u64,
            Body::File(spooled) => spooled.written + spooled.unwritten.len() as u64,
        }
    }

    /// Copies bytes from `position` on into `target`; how many, 0 at the end.
    pub fn read_at(&self, position: u64, target: &mut [u8]) -> io::Result<usize> {
        match self {
            Body::Empty => Ok(0),
            Body::Memory(held) => {
                let rest = held.get(position as usize..).unwrap_or_default();
                let count = rest.len().min(target.len());
                target[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
            Body::File(spooled) => Ok(pread(&spooled.file, target, position)?),
        }
    }
}
