//! How the warden sleeps while nothing is to be watched, without missing that there is something again.
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Where one thread sleeps, and any other wakes it: asking costs one exchange while it is awake.
#[derive(Debug, Default)]
pub struct Doze {
    is_asleep: AtomicBool,
    bed: Mutex<()>,
    woken: Condvar,
}

impl Doze {
    /// Sleeps until it is woken, as long as nothing is to be done. That is asked when everybody can see that this
    /// thread sleeps: whoever brings something and finds it awake has brought it before the question.
    pub fn sleep_if(&self, nothing_to_do: impl FnOnce() -> bool) {
        // An exchange, because it sees what the last one who called wake() has done before.
        self.is_asleep.swap(true, Ordering::SeqCst);
        if !nothing_to_do() {
            self.is_asleep.store(false, Ordering::SeqCst);
            return;
        }
        let bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
        let _up = self
            .woken
            .wait_while(bed, |()| self.is_asleep.load(Ordering::SeqCst))
            .unwrap_or_else(PoisonError::into_inner);
    }

    /// There is something to do.
    pub fn wake(&self) {
        if self.is_asleep.swap(false, Ordering::SeqCst) {
            let _bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
            self.woken.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn who_has_something_to_do_does_not_sleep() {
        Doze::default().sleep_if(|| false);
    }

    #[test]
    fn what_comes_between_the_question_and_the_sleep_is_not_missed() {
        let doze = Doze::default();
        doze.sleep_if(|| {
            doze.wake();
            true
        });
    }

    #[test]
    fn a_sleeper_is_woken_each_time() {
        let (doze, work) = (Arc::new(Doze::default()), Arc::new(AtomicBool::new(false)));
        let (for_sleeper, done) = ((doze.clone(), work.clone()), std::sync::mpsc::channel());
        let sleeper = std::thread::spawn(move || {
            for _ in 0..1000 {
                while !for_sleeper.1.swap(false, Ordering::SeqCst) {
                    for_sleeper.0.sleep_if(|| !for_sleeper.1.load(Ordering::SeqCst));
                }
                let _ = done.0.send(());
            }
        });
        for _ in 0..1000 {
            work.store(true, Ordering::SeqCst);
            doze.wake();
            assert!(done.1.recv().is_ok());
        }
        assert!(sleeper.join().is_ok());
    }
}
