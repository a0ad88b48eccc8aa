//! Bytes of a connection in, requests out.
use crate::{Limits, Refusal, RequestHead};
use std::ops::Range;

/// What the next bytes hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Call again with the same unconsumed bytes and more behind them.
    NeedMore,
    /// A head is complete; its spans count from the start of `input`.
    Head,
    /// Part of the body, as a place in `input`.
    Body(Range<usize>),
    /// The request is complete; the next byte belongs to the next request.
    End,
}

/// Decodes one connection. A refusal is final: nothing after it may be decoded.
#[derive(Debug, Default)]
pub struct Decoder {}

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
        _input: &[u8],
        _limits: &Limits,
        _head: &mut RequestHead,
    ) -> Result<(usize, Event), Refusal> {
        todo!()
    }

    /// True between requests: nothing of a next one has been consumed.
    pub fn is_idle(&self) -> bool {
        todo!()
    }
}
