//! What still has to leave on one connection: bytes, bytes that Python owns, parts of files. Never waits.
use rustix::fs::sendfile;
use rustix::io::{pwrite, retry_on_intr, Errno};
use rustix::net::{send, sendmsg, SendAncillaryBuffer, SendFlags};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

/// Bytes that somebody else keeps alive, such as a Python bytes object.
pub trait SharedBytes: AsRef<[u8]> + Send + Sync {}
impl<T: AsRef<[u8]> + Send + Sync> SharedBytes for T {}

enum Segment {
    Bytes {
        bytes: Vec<u8>,
        sent: usize,
    },
    Shared {
        bytes: Box<dyn SharedBytes>,
        sent: usize,
    },
    /// `is_spool`: bytes that [`Output::spill`] has put there.
    File {
        file: Arc<OwnedFd>,
        offset: u64,
        length: u64,
        is_spool: bool,
    },
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

    /// The memory that it keeps.
    fn occupied(&self) -> usize {
        match self {
            Segment::Bytes { bytes, .. } => bytes.len(),
            Segment::Shared { bytes, .. } => (**bytes).as_ref().len(),
            Segment::File { .. } => 0,
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
    /// How many of them somebody has asked for.
    counted: u64,
    /// The head of the current response has been appended.
    pub has_begun: bool,
    /// The body of the current response is not complete, and only the end of the connection tells where it ends.
    pub is_open_ended: bool,
    /// The request has passed its deadline: what the application still says is not for the client.
    pub is_cut: bool,
}

/// A kept-alive connection gives back buffers that are larger than this.
const KEPT_CAPACITY: usize = 32 * 1024;

/// Larger pieces are not copied but kept where they are until they have left.
pub const COPIED_PIECE: usize = 8 * 1024;

/// A temporary file that has this much in it gets no more: what has left of one is given back when all of it has.
const LARGEST_SPOOL: u64 = 64 * 1024 * 1024;

/// What one sendfile call may move, so that one fast reader of a large file leaves time for others.
const FILE_STEP: u64 = 1024 * 1024;

impl Output {
    /// Nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.sent == self.buffer.len() && self.rest.is_empty()
    }

    /// Memory that it occupies: a piece of which the last byte has not left is there as a whole.
    pub fn held_in_memory(&self) -> usize {
        self.buffer.len() + self.rest.iter().map(Segment::occupied).sum::<usize>()
    }

    /// Bytes that have not left, wherever they are.
    pub fn pending(&self) -> u64 {
        let rest = self.rest.iter().map(|segment| match segment {
            Segment::File { length, .. } => *length,
            segment => segment.memory().len() as u64,
        });
        (self.buffer.len() - self.sent) as u64 + rest.sum::<u64>()
    }

    /// Bytes that have left since the last time that this was asked.
    pub fn take_uncounted(&mut self) -> u64 {
        self.total_sent - std::mem::replace(&mut self.counted, self.total_sent)
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
            self.rest.push_back(Segment::File { file: Arc::new(file), offset, length, is_spool: false });
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
                Some(Segment::File { file, offset, length, .. }) => {
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

    /// The temporary file that waits to be sent, and where it ends, while it is not too large for more. A file for each
    /// time would use up the descriptors when an application is far ahead of its reader.
    fn spool(&self) -> Option<(Arc<OwnedFd>, u64)> {
        let last = self.rest.iter().rev().find_map(|segment| match segment {
            Segment::File { file, offset, length, is_spool: true } => Some((file, offset + length)),
            _ => None,
        });
        last.filter(|(_, end)| *end < LARGEST_SPOOL).map(|(file, end)| (file.clone(), end))
    }

    /// Moves what is held in memory to a temporary file, so that a slow reader costs neither memory nor a thread.
    /// When that fails everything stays where it was.
    pub fn spill(&mut self, directory: &Path) -> io::Result<()> {
        let (file, begin) = match self.spool() {
            Some(spool) => spool,
            None => (Arc::new(OwnedFd::from(tempfile::tempfile_in(directory)?)), 0),
        };
        let mut end = begin;
        for piece in std::iter::once(&self.buffer[self.sent..]).chain(self.rest.iter().map(Segment::memory)) {
            let mut left = piece;
            while !left.is_empty() {
                let count = retry_on_intr(|| pwrite(&file, left, end))?;
                left = &left[count..];
                end += count as u64;
            }
        }
        // From here on nothing can fail.
        let mut moved = Run { file, offset: begin, length: (self.buffer.len() - self.sent) as u64 };
        let mut kept = VecDeque::new();
        for segment in self.rest.drain(..) {
            if matches!(segment, Segment::File { .. }) {
                kept.extend(moved.take());
                kept.push_back(segment);
            } else {
                moved.length += segment.memory().len() as u64;
            }
        }
        kept.extend(moved.take());
        self.rest = kept;
        self.buffer = Vec::new();
        self.sent = 0;
        Ok(())
    }
}

/// Neighbouring bytes in a temporary file.
struct Run {
    file: Arc<OwnedFd>,
    offset: u64,
    length: u64,
}

impl Run {
    /// What has come together, as a segment; the next run begins behind it.
    fn take(&mut self) -> Option<Segment> {
        let (offset, length) = (self.offset, std::mem::take(&mut self.length));
        self.offset += length;
        (length > 0).then(|| Segment::File { file: self.file.clone(), offset, length, is_spool: true })
    }
}

fn send_two(socket: BorrowedFd<'_>, first: &[u8], second: &[u8]) -> Result<usize, Errno> {
    let parts = [IoSlice::new(first), IoSlice::new(second)];
    sendmsg(socket, &parts, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    fn mixed() -> (Output, Vec<u8>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut output = Output::default();
        output.push_bytes(b"head ");
        output.push_shared(Box::new(b"shared ".to_vec()), 7);
        output.push_file(file.into(), 2, 5);
        output.push_bytes(b" tail");
        output.push_shared(Box::new(b" cut off".to_vec()), 4);
        (output, b"head shared 23456 tail cut".to_vec())
    }

    fn sent(mut output: Output) -> Vec<u8> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        assert_eq!(output.flush(ours.as_fd()), Ok(Flushed::Whole));
        assert!(output.is_empty());
        drop(ours);
        let mut bytes = Vec::new();
        theirs.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn everything_leaves_in_order() {
        let (output, expected) = mixed();
        assert_eq!(output.pending(), expected.len() as u64);
        assert_eq!(sent(output), expected);
    }

    #[test]
    fn what_was_moved_to_a_file_leaves_in_the_same_order() {
        let (mut output, expected) = mixed();
        output.spill(&std::env::temp_dir()).unwrap();
        assert_eq!(output.held_in_memory(), 0);
        assert_eq!(output.pending(), expected.len() as u64);
        assert_eq!(sent(output), expected);
    }

    #[test]
    fn what_is_moved_again_and_again_goes_to_the_same_file_until_that_is_large() {
        let mut output = Output::default();
        let mut expected = Vec::new();
        for number in 0..5_u8 {
            output.push_bytes(&[number; 1000]);
            output.push_shared(Box::new(vec![number; 2000]), 2000);
            expected.extend([number; 3000]);
            output.spill(&std::env::temp_dir()).unwrap();
        }
        let files = |output: &Output| -> Vec<_> {
            let names = output.rest.iter().filter_map(|segment| match segment {
                Segment::File { file, .. } => Some(file.as_raw_fd()),
                _ => None,
            });
            names.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
        };
        assert_eq!(files(&output).len(), 1);
        assert_eq!(sent(output), expected);
        let mut output = Output::default();
        for _ in 0..3 {
            output.push_shared(Box::new(vec![0; LARGEST_SPOOL as usize]), LARGEST_SPOOL as usize);
            output.spill(&std::env::temp_dir()).unwrap();
        }
        assert_eq!(files(&output).len(), 3);
    }

    #[test]
    fn what_could_not_be_moved_stays() {
        let (mut output, expected) = mixed();
        assert!(output.spill(Path::new("/nowhere/at/all")).is_err());
        assert_eq!(sent(output), expected);
    }

    #[test]
    fn a_segment_that_was_begun_and_left_empty_does_no_harm() {
        let (mut output, expected) = mixed();
        output.tail();
        assert_eq!(sent(output), expected);
    }
}
