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
    /// Larger: a file without a name, so that nothing is left behind whatever happens, and its length.
    File(File, u64),
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
            Body::File(file, written) => {
                file.write_all(bytes)?;
                *written = length;
            }
            Body::Empty | Body::Memory(_) => {
                let mut file = tempfile::tempfile_in(directory)?;
                if let Body::Memory(held) = self {
                    file.write_all(held)?;
                }
                file.write_all(bytes)?;
                *self = Body::File(file, length);
            }
        }
        Ok(())
    }

    /// Bytes in it.
    pub fn len(&self) -> u64 {
        match self {
            Body::Empty => 0,
            Body::Memory(held) => held.len() as u64,
            Body::File(_, length) => *length,
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
            Body::File(file, _) => Ok(pread(file, target, position)?),
        }
    }
}
