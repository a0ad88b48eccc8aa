//! Numbers for requests: random ones, so that they never meet, in whichever worker, and cannot be guessed.
use rustix::rand::{getrandom, GetRandomFlags};

/// Asked of the kernel at once, because each time costs a system call.
const AT_ONCE: usize = 16 * size_of::<u128>();

/// A supply of random numbers. It is filled at the first use, which is after the fork of the worker.
#[derive(Default)]
pub struct RequestIds {
    supply: Vec<u8>,
}

impl RequestIds {
    /// The next one.
    pub fn next(&mut self) -> u128 {
        let mut number = [0; size_of::<u128>()];
        if self.supply.len() < number.len() {
            self.supply.resize(AT_ONCE, 0);
            // Up to 256 bytes it gives all or fails, which it does only before the machine has collected any randomness.
            let filled = getrandom(&mut self.supply[..], GetRandomFlags::empty()).unwrap_or(0);
            self.supply.truncate(filled);
        }
        if let Some(rest) = self.supply.len().checked_sub(number.len()) {
            number.copy_from_slice(&self.supply[rest..]);
            self.supply.truncate(rest);
        }
        u128::from_ne_bytes(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_comes_twice() {
        let (mut one, mut other) = (RequestIds::default(), RequestIds::default());
        let numbers: std::collections::HashSet<u128> = (0..100).flat_map(|_| [one.next(), other.next()]).collect();
        assert_eq!(numbers.len(), 200);
    }
}
