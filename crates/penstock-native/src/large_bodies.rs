//! Room that large request bodies share. A body that comes fast is received into pipes, or straight into one block of
//! memory; what must wait for room too long, or comes slowly, goes to a file as ever.
use crate::pipes::Pipe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What all bodies together may have of it: while the application reads one of 20 MB, the next ones come. With room for
/// one alone, client and server waited for each other: 130 a second instead of 200.
const MOST: usize = 64 * 1024 * 1024;

/// Longer bodies would keep the others waiting: they go to a file from the first megabyte on.
pub const LONGEST: u64 = 24 * 1024 * 1024;

/// Pipes of all bodies together. From a peer on the same machine each holds 5 MB and more.
const MOST_PIPES: usize = 16;

/// The room, lent body by body.
#[derive(Debug, Default)]
pub struct LargeBodies {
    state: Mutex<State>,
    /// Some has come back since somebody asked.
    has_returned: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    lent: usize,
    /// A block that came back: its pages need not be made anew. Given up, like the pipes, when nobody has asked for a
    /// while.
    spare: Option<Vec<u8>>,
    pipes: Vec<Pipe>,
    pipes_lent: usize,
    was_asked: bool,
}

impl LargeBodies {
    /// Room for so many bytes; false while others have too much.
    pub fn lend(&self, length: usize) -> bool {
        let mut state = self.state();
        state.was_asked = true;
        let fits = state.lent + length <= MOST;
        if fits {
            state.lent += length;
        }
        fits
    }

    /// A pipe for a body that has room; None when there are no more.
    pub fn lend_pipe(&self) -> Option<Pipe> {
        let mut state = self.state();
        if state.pipes_lent == MOST_PIPES {
            return None;
        }
        let pipe = state.pipes.pop().or_else(|| Pipe::new().ok())?;
        state.pipes_lent += 1;
        Some(pipe)
    }

    /// Memory for a body that has room for `length` bytes, all of it initialized; None when there is none.
    pub fn lend_block(&self, length: usize) -> Option<Vec<u8>> {
        // A much larger one would take more than the room that the body has.
        let fits = |spare: &Vec<u8>| (length..=2 * length).contains(&spare.len());
        if let Some(spare) = self.state().spare.take().filter(fits) {
            return Some(spare);
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).ok()?;
        bytes.resize(length, 0);
        Some(bytes)
    }

    /// The pipes of a body come back: the empty ones, and how many it had.
    pub fn take_pipes_back(&self, empty: impl Iterator<Item = Pipe>, lent: usize) {
        let mut state = self.state();
        state.pipes_lent -= lent;
        state.pipes.extend(empty);
    }

    /// A block comes back.
    pub fn take_block_back(&self, bytes: Vec<u8>) {
        self.state().spare = Some(bytes);
    }

    /// The room for so many bytes comes back.
    pub fn take_back(&self, length: usize) {
        self.state().lent -= length;
        self.has_returned.store(true, Ordering::SeqCst);
    }

    /// Whether room has come back since [`Self::take_news`].
    pub fn has_news(&self) -> bool {
        self.has_returned.load(Ordering::SeqCst)
    }

    /// Whether room has come back since the last time.
    pub fn take_news(&self) -> bool {
        self.has_returned.swap(false, Ordering::SeqCst)
    }

    /// Whether anything is kept for bodies to come.
    pub fn keeps_some(&self) -> bool {
        let state = self.state();
        state.spare.is_some() || !state.pipes.is_empty()
    }

    /// Gives up what is not in use when nobody has asked for room since the last time.
    pub fn tidy(&self) {
        let mut state = self.state();
        if !std::mem::take(&mut state.was_asked) {
            state.spare = None;
            state.pipes = Vec::new();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_more_is_lent_than_there_is() {
        let bodies = LargeBodies::default();
        assert!(bodies.lend(MOST - 10));
        assert!(!bodies.lend(11));
        assert!(!bodies.take_news());
        bodies.take_back(MOST - 10);
        assert!(bodies.take_news());
        assert!(bodies.lend(11));
    }

    #[test]
    fn a_block_that_came_back_is_used_again_until_nobody_asks() {
        let bodies = LargeBodies::default();
        assert!(bodies.lend(1000));
        bodies.take_block_back(bodies.lend_block(1000).unwrap());
        bodies.tidy();
        let same = bodies.lend_block(500).unwrap();
        assert_eq!(same.len(), 1000);
        bodies.take_block_back(same);
        bodies.tidy();
        assert_eq!(bodies.lend_block(500).unwrap().len(), 500);
    }

    #[test]
    fn a_block_is_at_most_twice_as_large_as_its_body() {
        let bodies = LargeBodies::default();
        bodies.take_block_back(vec![0; 1000]);
        assert_eq!(bodies.lend_block(499).unwrap().len(), 499);
    }

    #[test]
    fn what_is_kept_for_bodies_to_come_is_known_until_it_is_given_up() {
        let bodies = LargeBodies::default();
        assert!(!bodies.keeps_some());
        assert!(bodies.lend(1000));
        bodies.take_block_back(bodies.lend_block(1000).unwrap());
        let pipe = bodies.lend_pipe();
        bodies.take_pipes_back(pipe.into_iter(), 1);
        bodies.tidy();
        assert!(bodies.keeps_some());
        bodies.tidy();
        assert!(!bodies.keeps_some());
    }

    #[test]
    fn there_are_only_so_many_pipes() {
        let bodies = LargeBodies::default();
        let pipes: Vec<_> = std::iter::from_fn(|| bodies.lend_pipe()).collect();
        assert_eq!(pipes.len(), MOST_PIPES);
        bodies.take_pipes_back(pipes.into_iter(), MOST_PIPES);
        assert!(bodies.lend_pipe().is_some());
    }
}
