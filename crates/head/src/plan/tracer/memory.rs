//! Memory that a traced circuit would hold: how much is alive, and the most that was.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that count as alive until dropped.
#[derive(Debug)]
pub(super) struct Held {
    bytes: usize,
    memory: Arc<Memory>,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Memory {
    /// The most bytes that were alive at one time.
    pub(super) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// [`Self::peak`] from here on.
    pub(super) fn restart(&self) {
        self.peak.store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Held {
    pub(super) fn new(bytes: usize, memory: &Arc<Memory>) -> Self {
        let now = memory.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        memory.peak.fetch_max(now, Ordering::Relaxed);
        Self { bytes, memory: memory.clone() }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.now.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
