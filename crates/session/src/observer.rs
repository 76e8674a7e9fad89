//! Observers: whoever waits for a long step sees how far it is, and can stop it.
//!
//! The steps of [`crate::owner`], [`crate::server`] and [`crate::examples`] take an [`Observer`]. A terminal draws bars
//! with it, a service keeps a job's progress in it, a notebook asks it whether the user pressed stop. [`Silent`] is for
//! who wants none of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How often a step that counts its own operations is asked how far it is.
const PERIOD: Duration = Duration::from_millis(100);

/// A long step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Anyone: looking for the best plan. Its length is not known.
    Planning,
    /// Owner: making keys. Its length is not known.
    Keys,
    /// Owner: images become features; a unit is an image.
    Features,
    /// Owner: a unit is a ciphertext.
    Encrypting,
    /// Server: job and keys are read and checked. Its length is not known.
    Reading,
    /// Server: a unit is about the time of a product of ciphertexts.
    Training,
    /// Server: encrypted rows get their logits; a unit is about the time of a product of ciphertexts.
    Answering,
    /// Owner: training in the clear; a unit is an iteration of a method.
    Tracing,
}

/// Sees the steps of a session. Every method may be called from several threads.
pub trait Observer: Sync {
    /// A step begins, of so many units where that is known.
    fn begin(&self, _step: Step, _units: Option<u64>) {}

    /// So many units of the step are done: from 0 up to all of them. What is told from several threads may come in
    /// another order.
    fn advance(&self, _step: Step, _done: u64) {}

    /// The step has ended, whether it succeeded or not.
    fn end(&self, _step: Step) {}

    /// So many iterations of a training are done, of so many.
    fn iterated(&self, _done: usize, _of: usize) {}

    /// Whether the work is to stop. It is asked many times a second; soon after the first `true` the step returns
    /// [`crate::Error`] with [`crate::Error::is_stopped`].
    fn is_stopped(&self) -> bool {
        false
    }

    /// Something that the user should know and may have to act upon.
    fn warn(&self, _message: &str) {}

    /// Something worth knowing.
    fn note(&self, _message: &str) {}
}

/// Sees nothing and never stops anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}

/// A step that was begun; it ends when this is dropped.
pub struct Running<'a> {
    observer: &'a dyn Observer,
    step: Step,
}

impl<'a> Running<'a> {
    /// Begins a step.
    pub fn new(observer: &'a dyn Observer, step: Step, units: Option<u64>) -> Self {
        observer.begin(step, units);
        Self { observer, step }
    }

    /// Units done.
    pub fn advance(&self, done: u64) {
        self.observer.advance(self.step, done);
    }

    /// Does `work` while another thread asks `done` how far it is, and the observer whether to stop: then `stop` is
    /// called, once.
    pub fn watch<T>(&self, done: impl Fn() -> u64 + Sync, stop: impl Fn() + Sync, work: impl FnOnce() -> T) -> T {
        let finished = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let mut stopped = false;
                while !finished.load(Ordering::Acquire) {
                    self.advance(done());
                    if !stopped && self.observer.is_stopped() {
                        stopped = true;
                        stop();
                    }
                    thread::park_timeout(PERIOD);
                }
            });
            // Also when `work` panics: the scope waits for the watcher.
            let _end = Finish { finished: &finished, watcher: watcher.thread().clone() };
            work()
        })
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.observer.end(self.step);
    }
}

struct Finish<'a> {
    finished: &'a AtomicBool,
    watcher: thread::Thread,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.finished.store(true, Ordering::Release);
        self.watcher.unpark();
    }
}
