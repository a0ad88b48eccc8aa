//! Bytes of a connection in, requests out. Keeps no bytes: what is incomplete stays with the caller.
use crate::framing::{chunk_size, CHUNK_LINE, TOO_LARGE};
use crate::head::{self, line_end, read_field, Progress, HEAD_TOO_LARGE, TOO_MANY_FIELDS};
use crate::{Limits, Refusal, RequestFraming, RequestHead};
use std::ops::Range;

/// What the next bytes hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Call again with the same unconsumed bytes and more behind them. Between chunks some may have been consumed.
    NeedMore,
    /// A head is complete; its spans count from the start of `input`.
    Head,
    /// Part of the body, as a place in `input`.
    Body(Range<usize>),
    /// The request is complete; the next byte belongs to the next request.
    End,
}

/// Decodes one connection. A refusal is final: every later call gives the same one.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    head: Progress,
    chunks: Chunks,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Head,
    /// Bytes of the body still to come.
    Length(u64),
    ChunkLine,
    /// Bytes of the chunk still to come.
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    Refused(Refusal),
}

/// What has been read of a chunked body; all of it is bounded.
#[derive(Clone, Copy, Debug, Default)]
struct Chunks {
    /// Bytes of all chunks so far, with the announced size of the present one.
    body: u64,
    /// Bytes of extensions.
    extensions: usize,
    /// Bytes of trailers, and how many fields they are.
    trailers: usize,
    trailer_fields: usize,
    /// Bytes of the incomplete line that hold no line end.
    searched: usize,
}

/// Extensions of a whole body in bytes. Without a bound, chunks of one byte would carry hundreds that nobody counts.
const EXTENSIONS: usize = 16 * 1024;

impl Decoder {
    /// A decoder at the start of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one event and says how many bytes of `input` it used.
    ///
    /// `head` is filled when the event is [`Event::Head`] and left alone by body events. Bytes that were not
    /// consumed must be at the start of `input` in the next call.
    pub fn decode(
        &mut self,
        input: &[u8],
        limits: &Limits,
        head: &mut RequestHead,
    ) -> Result<(usize, Event), Refusal> {
        let outcome = match self.state {
            State::Head => self.decode_head(input, limits, head),
            State::Length(0) => Ok(self.end(0)),
            State::Length(left) => Ok(match take(left, input.len()) {
                0 => (0, Event::NeedMore),
                length => {
                    self.state = State::Length(left - length as u64);
                    (length, Event::Body(0..length))
                }
            }),
            State::Refused(refusal) => return Err(refusal),
            _ => self.decode_chunks(input, limits),
        };
        if let Err(refusal) = outcome {
            self.state = State::Refused(refusal);
        }
        outcome
    }

    /// True between requests: nothing of a next one has been consumed.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// How many bytes of a body of known length are still to come; 0 anywhere else.
    pub fn expected(&self) -> u64 {
        if let State::Length(left) = self.state {
            left
        } else {
            0
        }
    }

    /// So many of the [`Self::expected`] bytes were received without being shown to [`Self::decode`].
    pub fn skip(&mut self, count: u64) {
        if let State::Length(left) = &mut self.state {
            *left = left.saturating_sub(count);
        }
    }

    fn decode_head(
        &mut self,
        input: &[u8],
        limits: &Limits,
        head: &mut RequestHead,
    ) -> Result<(usize, Event), Refusal> {
        if !head::read(input, limits, &mut self.head, head)? {
            return Ok((0, Event::NeedMore));
        }
        self.state = match head.framing {
            RequestFraming::None => State::Length(0),
            RequestFraming::Length(length) => State::Length(length),
            RequestFraming::Chunked => State::ChunkLine,
        };
        Ok((head.len as usize, Event::Head))
    }

    fn decode_chunks(&mut self, input: &[u8], limits: &Limits) -> Result<(usize, Event), Refusal> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            match self.state {
                State::ChunkLine => {
                    let Some(end) = self.chunks.line(rest, CHUNK_LINE, CHUNK_LINE_TOO_LONG)? else {
                        break;
                    };
                    used += end + 2;
                    let size = self.chunks.open(&rest[..end], limits)?;
                    self.state = if size == 0 { State::Trailers } else { State::ChunkData(size) };
                }
                State::ChunkData(left) => {
                    let length = take(left, rest.len());
                    if length == 0 {
                        break;
                    }
                    let left = left - length as u64;
                    self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData(left) };
                    return Ok((used + length, Event::Body(used..used + length)));
                }
                State::ChunkEnd => match rest {
                    [] | [b'\r'] => break,
                    [b'\r', b'\n', ..] => {
                        used += 2;
                        self.state = State::ChunkLine;
                    }
                    _ => return Err(Refusal::bad("a chunk is longer than its size")),
                },
                State::Trailers => {
                    let left = limits.head.saturating_sub(self.chunks.trailers);
                    let Some(end) = self.chunks.line(rest, left, HEAD_TOO_LARGE)? else {
                        break;
                    };
                    used += end + 2;
                    if end == 0 {
                        return Ok(self.end(used));
                    }
                    self.chunks.drop_trailer(&rest[..end], limits)?;
                }
                State::Head | State::Length(_) | State::Refused(_) => break,
            }
        }
        Ok((used, Event::NeedMore))
    }

    fn end(&mut self, used: usize) -> (usize, Event) {
        self.state = State::Head;
        self.chunks = Chunks::default();
        (used, Event::End)
    }
}

const CHUNK_LINE_TOO_LONG: Refusal = Refusal::bad("a chunk size line is too long");

impl Chunks {
    /// The length of the line at the start of `rest`; None while it is incomplete.
    fn line(&mut self, rest: &[u8], longest: usize, too_long: Refusal) -> Result<Option<usize>, Refusal> {
        let end = line_end(rest, 0, &mut self.searched, longest, too_long)?;
        if end.is_some() {
            self.searched = 0;
        }
        Ok(end)
    }

    /// Counts a chunk by the line that opens it; 0 is the last one.
    fn open(&mut self, line: &[u8], limits: &Limits) -> Result<u64, Refusal> {
        let (size, extension) = chunk_size(line)?;
        self.extensions += extension;
        if self.extensions > EXTENSIONS {
            return Err(Refusal::bad("the chunk extensions are too long"));
        }
        match self.body.checked_add(size) {
            Some(body) if body <= limits.body => self.body = body,
            _ => return Err(TOO_LARGE),
        }
        Ok(size)
    }

    /// Trailers must be well-formed and are dropped: WSGI has no place for them, and merged into the head
    /// they could pose as fields that were checked there (RFC 9110 6.5.1).
    fn drop_trailer(&mut self, line: &[u8], limits: &Limits) -> Result<(), Refusal> {
        read_field(line)?;
        self.trailers += line.len() + 2;
        self.trailer_fields += 1;
        if self.trailer_fields > limits.fields {
            return Err(TOO_MANY_FIELDS);
        }
        Ok(())
    }
}

/// How many of `available` bytes belong to what is `left`.
#[inline]
fn take(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
}
