//! What still has to leave on one connection: bytes, bytes that Python owns, parts of files. Never waits.
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{send, sendmsg, SendAncillaryBuffer, SendFlags};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Bytes that somebody else keeps alive, such as a Python bytes object.
pub trait SharedBytes: AsRef<[u8]> + Send + Sync {}
impl<T: AsRef<[u8]> + Send + Sync> SharedBytes for T {}

enum Segment {
    Bytes { bytes: Vec<u8>, sent: usize },
    Shared { bytes: Box<dyn SharedBytes>, sent: usize },
    File { file: OwnedFd, offset: u64, length: u64 },
}

impl Segment {
    /// What of it is in memory and has not left.
    fn memory(&self) -> &[u8] {
        match self {
            Segment::Bytes { bytes, sent } => &bytes[*sent..],
            Segment::Shared { bytes, sent } => &(**bytes).as_ref()[*sent..],
            Segment::File { .. } => &[],
        }
    }
}

/// How a flush ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Everything has left.
    Whole,
    /// The client reads slowly; the socket will say when there is room.
    Partly,
    /// Much has left and the socket may take more, but others want their turn: flush again soon, no edge will come.
    Paused,
}

/// The queue of one connection.
#[derive(Default)]
pub struct Output {
    /// The first bytes to leave; most responses are nothing else.
    buffer: Vec<u8>,
    sent: usize,
    rest: VecDeque<Segment>,
    /// Bytes that have left since the connection began.
    pub total_sent: u64,
    /// The head of the current response has been appended.
    pub has_begun: bool,
    /// The request has passed its deadline: what the application still says is not for the client.
    pub is_cut: bool,
}

/// A kept-alive connection gives back buffers that are larger than this.
const KEPT_CAPACITY: usize = 32 * 1024;

/// Larger pieces are not copied but kept where they are until they have left.
pub const COPIED_PIECE: usize = 8 * 1024;

/// What one sendfile call may move, so that one fast reader of a large file leaves time for others.
const FILE_STEP: u64 = 1024 * 1024;

impl Output {
    /// Nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.sent == self.buffer.len() && self.rest.is_empty()
    }

    /// Bytes in memory that have not left.
    pub fn held_in_memory(&self) -> usize {
        self.buffer.len() - self.sent + self.rest.iter().map(|segment| segment.memory().len()).sum::<usize>()
    }

    /// Bytes that have not left, wherever they are.
    pub fn pending(&self) -> u64 {
        let files: u64 =
            self.rest.iter().map(|segment| if let Segment::File { length, .. } = segment { *length } else { 0 }).sum();
        self.held_in_memory() as u64 + files
    }

    /// A vector to append bytes to, which leave after everything before them.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        if self.rest.is_empty() {
            return &mut self.buffer;
        }
        if !matches!(self.rest.back(), Some(Segment::Bytes { .. })) {
            self.rest.push_back(Segment::Bytes { bytes: Vec::new(), sent: 0 });
        }
        match self.rest.back_mut() {
            Some(Segment::Bytes { bytes, .. }) => bytes,
            _ => &mut self.buffer,
        }
    }

    /// Appends a copy.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        self.tail().extend_from_slice(bytes);
    }

    /// Appends bytes that are kept alive by `bytes`; only the first `length` leave.
    pub fn push_shared(&mut self, bytes: Box<dyn SharedBytes>, length: usize) {
        if length < (*bytes).as_ref().len() {
            let copy = (*bytes).as_ref()[..length].to_vec();
            self.rest.push_back(Segment::Bytes { bytes: copy, sent: 0 });
            return;
        }
        self.rest.push_back(Segment::Shared { bytes, sent: 0 });
    }

    /// Appends part of a file.
    pub fn push_file(&mut self, file: OwnedFd, offset: u64, length: u64) {
        if length > 0 {
            self.rest.push_back(Segment::File { file, offset, length });
        }
    }

    /// Sends what the socket takes.
    pub fn flush(&mut self, socket: BorrowedFd<'_>) -> Result<Flushed, Errno> {
        let mut file_budget = FILE_STEP * 2;
        loop {
            if self.sent < self.buffer.len() {
                let head = &self.buffer[self.sent..];
                let result = match self.rest.front() {
                    None => send(socket, head, SendFlags::NOSIGNAL),
                    Some(Segment::File { .. }) => send(socket, head, SendFlags::NOSIGNAL | SendFlags::MORE),
                    Some(segment) => send_two(socket, head, segment.memory()),
                };
                match result {
                    Ok(count) => self.advance(count),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return Ok(Flushed::Partly),
                    Err(error) => return Err(error),
                }
                continue;
            }
            let result = match self.rest.front_mut() {
                None => {
                    self.buffer.clear();
                    self.sent = 0;
                    if self.buffer.capacity() > KEPT_CAPACITY {
                        self.buffer = Vec::new();
                    }
                    return Ok(Flushed::Whole);
                }
                Some(Segment::File { file, offset, length }) => {
                    if file_budget == 0 {
                        return Ok(Flushed::Paused);
                    }
                    let step = (*length).min(file_budget).min(FILE_STEP);
                    match sendfile(socket, file.as_fd(), Some(offset), step as usize) {
                        // The file became shorter than was announced: the response cannot be completed.
                        Ok(0) => Err(Errno::PIPE),
                        Ok(count) => {
                            *length -= count as u64;
                            file_budget = file_budget.saturating_sub(count as u64);
                            self.total_sent += count as u64;
                            if *length == 0 {
                                self.rest.pop_front();
                            }
                            continue;
                        }
                        Err(error) => Err(error),
                    }
                }
                Some(segment) if segment.memory().is_empty() => {
                    // Begun with tail(), and nothing came.
                    self.rest.pop_front();
                    continue;
                }
                Some(segment) => send(socket, segment.memory(), SendFlags::NOSIGNAL),
            };
            match result {
                Ok(count) => self.advance(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(Flushed::Partly),
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes note that `count` bytes of memory have left.
    fn advance(&mut self, mut count: usize) {
        self.total_sent += count as u64;
        let first = count.min(self.buffer.len() - self.sent);
        self.sent += first;
        count -= first;
        while count > 0 {
            let Some(segment) = self.rest.front_mut() else { return };
            let left = segment.memory().len();
            let step = count.min(left);
            match segment {
                Segment::Bytes { sent, .. } | Segment::Shared { sent, .. } => *sent += step,
                Segment::File { .. } => return,
            }
            count -= step;
            if step == left {
                self.rest.pop_front();
            }
        }
    }

    /// Moves what is held in memory to a temporary file, so that a slow reader costs neither memory nor a thread.
    pub fn spill(&mut self, directory: &Path) -> io::Result<()> {
        let mut file: Option<(File, u64)> = None;
        let mut kept = VecDeque::new();
        let first = Segment::Bytes { bytes: std::mem::take(&mut self.buffer), sent: std::mem::take(&mut self.sent) };
        for segment in std::iter::once(first).chain(self.rest.drain(..)) {
            if matches!(segment, Segment::File { .. }) {
                if let Some((file, length)) = file.take() {
                    kept.push_back(Segment::File { file: file.into(), offset: 0, length });
                }
                kept.push_back(segment);
                continue;
            }
            let memory = segment.memory();
            if memory.is_empty() {
                continue;
            }
            let (target, length) = match &mut file {
                Some(open) => open,
                None => file.insert((tempfile::tempfile_in(directory)?, 0)),
            };
            target.write_all(memory)?;
            *length += memory.len() as u64;
        }
        if let Some((file, length)) = file {
            kept.push_back(Segment::File { file: file.into(), offset: 0, length });
        }
        self.rest = kept;
        Ok(())
    }
}

fn send_two(socket: BorrowedFd<'_>, first: &[u8], second: &[u8]) -> Result<usize, Errno> {
    let parts = [IoSlice::new(first), IoSlice::new(second)];
    sendmsg(socket, &parts, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
}
