//! Memory that large request bodies share. A body that comes fast is received straight into it; what must wait for it
//! too long, or comes slowly, goes to a file as ever.
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What all bodies together may have of it. One of 20 MB is received and read in 5 ms, so taking turns costs nothing,
/// and more would not help: on one CPU they cannot be received at once.
const MOST: usize = 32 * 1024 * 1024;

/// Longer bodies would keep the others waiting: they go to a file from the first megabyte on.
pub const LONGEST: u64 = 24 * 1024 * 1024;

/// The memory, lent in blocks.
#[derive(Debug, Default)]
pub struct LargeBodies {
    state: Mutex<State>,
    /// Blocks have come back since somebody asked.
    has_returned: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    lent: usize,
    /// A block that came back: its pages need not be made anew. Given up when nobody has asked for a while.
    spare: Option<Vec<u8>>,
    was_asked: bool,
}

impl LargeBodies {
    /// So many bytes or more, all of them initialized; None while others have too much.
    pub fn lend(&self, length: usize) -> Option<Vec<u8>> {
        let mut state = self.state();
        state.was_asked = true;
        if state.lent + length > MOST {
            return None;
        }
        let room = MOST - state.lent;
        let fits = |spare: &Vec<u8>| (length..=room).contains(&spare.len());
        let bytes = match state.spare.take().filter(fits) {
            Some(spare) => spare,
            None => {
                let mut bytes = Vec::new();
                bytes.try_reserve_exact(length).ok()?;
                bytes.resize(length, 0);
                bytes
            }
        };
        state.lent += bytes.len();
        Some(bytes)
    }

    /// A block comes back.
    pub fn take_back(&self, bytes: Vec<u8>) {
        let mut state = self.state();
        state.lent -= bytes.len();
        state.spare = Some(bytes);
        drop(state);
        self.has_returned.store(true, Ordering::SeqCst);
    }

    /// Whether a block has come back since [`Self::take_news`].
    pub fn has_news(&self) -> bool {
        self.has_returned.load(Ordering::SeqCst)
    }

    /// Whether a block has come back since the last time.
    pub fn take_news(&self) -> bool {
        self.has_returned.swap(false, Ordering::SeqCst)
    }

    /// Gives up the spare block when nobody has asked for one since the last time.
    pub fn tidy(&self) {
        let mut state = self.state();
        if !std::mem::take(&mut state.was_asked) {
            state.spare = None;
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
        let first = bodies.lend(MOST - 10).unwrap();
        assert!(bodies.lend(11).is_none());
        assert!(!bodies.take_news());
        bodies.take_back(first);
        assert!(bodies.take_news());
        assert!(bodies.lend(11).is_some());
    }

    #[test]
    fn a_block_that_came_back_is_used_again_until_nobody_asks() {
        let bodies = LargeBodies::default();
        bodies.take_back(bodies.lend(1000).unwrap());
        bodies.tidy();
        let same = bodies.lend(500).unwrap();
        assert_eq!(same.len(), 1000);
        bodies.take_back(same);
        bodies.tidy();
        bodies.tidy();
        assert_eq!(bodies.lend(500).unwrap().len(), 500);
    }
}
