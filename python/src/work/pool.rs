//! Pools of threads, each for one call at a time.
//!
//! Rayon's own pool for the whole process would be gone after a fork: the child has its queue and none of its threads,
//! and whoever gives it work waits forever. And two calls that share a pool would take each other's work from it, while
//! they hold locks. So every call has one to itself. A pool that was used is kept for the next call in the same process,
//! because starting threads takes longer than predicting a row.

use std::ops::Deref;
use std::process;
use std::sync::Mutex;

use pyo3::PyResult;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::errors;

/// A pool that nobody uses, and the process that its threads belong to.
static IDLE: Mutex<Option<Pool>> = Mutex::new(None);

/// A pool of threads.
pub struct Pool {
    threads: Option<ThreadPool>,
    process: u32,
}

impl Pool {
    /// One that nobody else uses, with a thread a core, or as many as RAYON_NUM_THREADS says.
    pub fn take() -> PyResult<Self> {
        // Never waited for: it may have been locked when this process was forked from another, and is so forever.
        let idle = IDLE.try_lock().ok().and_then(|mut idle| idle.take());
        if let Some(pool) = idle.filter(|pool| pool.process == process::id()) {
            return Ok(pool);
        }
        let threads = ThreadPoolBuilder::new().thread_name(|index| format!("ciphertune-{index}")).build();
        let threads = threads.map_err(|error| errors::failed(format!("threads cannot be started: {error}")))?;
        Ok(Self { threads: Some(threads), process: process::id() })
    }

    /// Keeps it for the next call, if none is kept.
    pub fn give_back(self) {
        if let Ok(mut idle) = IDLE.try_lock()
            && idle.is_none()
        {
            *idle = Some(self);
        }
    }
}

impl Deref for Pool {
    type Target = ThreadPool;

    fn deref(&self) -> &ThreadPool {
        self.threads.as_ref().expect("it is there until the pool is dropped")
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // The threads of another process cannot be told to end.
        if let Some(threads) = self.threads.take_if(|_| self.process != process::id()) {
            std::mem::forget(threads);
        }
    }
}
