//! A training that the owner refreshes: the server's part of every round.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ciphertune_head::Plan;
use ciphertune_head::job::server::{self as head, Refreshed};
use ciphertune_head::layout::upload::Room;

use super::{Job, Loaded, Residence, Trained, done, load, units};
use crate::error::{InFile, Result};
use crate::files::{ReadSeek, Source};
use crate::observer::{Observer, Running, Step};

/// A job that is ready for any number of gradients.
pub struct Refreshing<'a> {
    path: PathBuf,
    refreshed: Refreshed<Box<dyn ReadSeek>>,
    observer: &'a dyn Observer,
    running: Running<'a>,
    /// Units of the gradients that this process does not compute, because another has.
    before: u64,
    kept: (usize, usize),
    read_again: Arc<AtomicU64>,
    load_seconds: f64,
    train_seconds: f64,
}

/// What goes back to the owner.
pub enum Reply {
    /// A request, to be answered before training goes on.
    Request(Vec<u8>),
    /// The model, and what it took.
    Model(Trained),
}

impl<'a> Refreshing<'a> {
    /// Reads a job and its keys, and takes apart what travelled together. Of all gradients, `computed` were computed before.
    ///
    /// # Errors
    ///
    /// As [`super::train`]; for a job whose plan has no refreshes.
    pub fn new(
        job: Job,
        evaluation_keys: Source,
        room: Room,
        computed: usize,
        observer: &'a dyn Observer,
    ) -> Result<Self> {
        let Loaded { path, trainer, seconds: load_seconds } = load(job, evaluation_keys, room, observer)?;
        let all = units(trainer.plan())?;
        let before = all * computed as u64 / trainer.plan().recipe().iterations() as u64;
        let running = Running::new(observer, Step::Training, Some(all));
        let (evaluator, kept, read_again) = (trainer.evaluator(), trainer.kept(), trainer.read_again());
        let start = Instant::now();
        let progress = || before + done(&evaluator);
        let refreshed = running.watch(progress, || evaluator.stop(), || trainer.into_refreshed()).in_file(&path)?;
        let train_seconds = start.elapsed().as_secs_f64();
        Ok(Self { path, refreshed, observer, running, before, kept, read_again, load_seconds, train_seconds })
    }

    /// The plan of the job.
    pub fn plan(&self) -> &Plan {
        self.refreshed.plan()
    }

    /// The first gradient.
    ///
    /// # Errors
    ///
    /// [`Error::is_stopped`](crate::Error::is_stopped) soon after the observer asks for it.
    pub fn first(&mut self) -> Result<Reply> {
        self.reply(1, Refreshed::first)
    }

    /// The gradient at the weights of an answer to the request of iteration `t`.
    ///
    /// # Errors
    ///
    /// As [`Self::first`]; for an answer that does not belong to the request, or is damaged.
    pub fn after(&mut self, t: usize, request: &[u8], answer: &[u8]) -> Result<Reply> {
        self.reply(t + 1, |refreshed| refreshed.after(request, answer))
    }

    /// Checks that an answer is one to a request.
    ///
    /// # Errors
    ///
    /// As [`Self::after`].
    pub fn check(&self, request: &[u8], answer: &[u8]) -> Result<()> {
        Ok(self.refreshed.check(request, answer)?)
    }

    fn reply(
        &mut self,
        iteration: usize,
        work: impl FnOnce(&Refreshed<Box<dyn ReadSeek>>) -> ciphertune_head::Result<head::Reply>,
    ) -> Result<Reply> {
        let (refreshed, before, evaluator) = (&self.refreshed, self.before, self.refreshed.evaluator());
        let start = Instant::now();
        let progress = || before + done(&evaluator);
        let reply = self.running.watch(progress, || evaluator.stop(), || work(refreshed))?;
        let reply = match reply {
            head::Reply::Request(request) => Reply::Request(request),
            head::Reply::Model(model) => {
                let (counts, ended) = (model.counts(), model.is_ended());
                let model = model.to_bytes().in_file(&self.path)?;
                let (kept, ciphertexts) = self.kept;
                let residence = Residence { kept, ciphertexts, read_again: self.read_again.load(Ordering::Relaxed) };
                let (load_seconds, train_seconds) = (self.load_seconds, self.train_seconds);
                Reply::Model(Trained { model, ended, counts, residence, load_seconds, train_seconds })
            }
        };
        self.train_seconds += start.elapsed().as_secs_f64();
        self.observer.iterated(iteration, self.refreshed.plan().recipe().iterations());
        Ok(match reply {
            Reply::Model(trained) => Reply::Model(Trained { train_seconds: self.train_seconds, ..trained }),
            request => request,
        })
    }
}
