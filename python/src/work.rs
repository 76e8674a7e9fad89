//! Long work: on threads of its own, while the one that called waits for it without the GIL.
//!
//! The calling thread wakes a few times a second, lets Python handle signals (Ctrl-C arrives as the exception that it
//! always is), and calls the user's function with what was done since. So no other thread ever waits for the GIL, and
//! nothing here can stand still because somebody holds it.
//!
//! Every call has a pool of threads to itself ([`Pool`]).

mod pool;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ciphertune_session::observer::Step;
use ciphertune_session::{Observer, Result};
use pyo3::prelude::*;

use self::pool::Pool;
use crate::errors;

/// How long a signal waits at most.
const PERIOD: Duration = Duration::from_millis(50);

/// Something that the user may want to know.
enum Event {
    /// Of a step, so many units are done, of so many where that is known.
    Progress(Step, u64, Option<u64>),
    /// So many iterations are done, of so many.
    Iterated(usize, usize),
    /// To act upon.
    Warning(String),
    /// Worth knowing.
    Note(String),
}

/// What the two threads share.
#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    /// Units of the steps that run.
    units: Vec<(Step, Option<u64>)>,
    /// Whether something is to be told now, and not when the period is over.
    urgent: bool,
    finished: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happened since, and whether the work has ended.
    fn wait(&self) -> (VecDeque<Event>, bool) {
        let state = self.state();
        let idle = |state: &mut State| !state.finished && !state.urgent;
        let (mut state, _) = self.woken.wait_timeout_while(state, PERIOD, idle).unwrap_or_else(PoisonError::into_inner);
        state.urgent = false;
        (std::mem::take(&mut state.events), state.finished)
    }
}

/// Says when it is dropped that the work has ended, also by a panic.
struct Finish<'a>(&'a Shared);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.state().finished = true;
        self.0.woken.notify_all();
    }
}

impl Observer for Shared {
    fn begin(&self, step: Step, units: Option<u64>) {
        let mut state = self.state();
        state.units.push((step, units));
        state.events.push_back(Event::Progress(step, 0, units));
        state.urgent = true;
        self.woken.notify_all();
    }

    fn advance(&self, step: Step, done: u64) {
        let mut state = self.state();
        let of = state.units.iter().rfind(|(running, _)| *running == step).and_then(|(_, units)| *units);
        // Only the last of many is of interest, and what several threads tell may come in another order.
        match state.events.back_mut() {
            Some(Event::Progress(last, so_far, _)) if *last == step => *so_far = done.max(*so_far),
            _ => state.events.push_back(Event::Progress(step, done, of)),
        }
    }

    fn end(&self, step: Step) {
        self.state().units.retain(|(running, _)| *running != step);
    }

    fn iterated(&self, done: usize, of: usize) {
        let mut state = self.state();
        state.events.push_back(Event::Iterated(done, of));
        state.urgent = true;
        self.woken.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn warn(&self, message: &str) {
        self.state().events.push_back(Event::Warning(message.to_owned()));
    }

    fn note(&self, message: &str) {
        self.state().events.push_back(Event::Note(message.to_owned()));
    }
}

/// Does `work`. `progress` is called with a step's name, units done and units in all (None if that is not known), and for
/// every iteration with "iteration".
///
/// # Errors
///
/// The work's own as an exception; that of a signal's handler or of `progress`, which stop the work first.
pub fn run<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&dyn Observer) -> Result<T> + Send,
) -> PyResult<T> {
    let (shared, outcome, pool) = (Shared::default(), Mutex::new(None), Pool::take()?);
    let mut interrupted = None;
    let wait = || {
        pool.in_place_scope(|scope| {
            scope.spawn(|_| {
                let _finish = Finish(&shared);
                let made = work(&shared);
                *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
            });
            loop {
                let (events, finished) = py.detach(|| shared.wait());
                if interrupted.is_none()
                    && let Err(error) = py.check_signals().and_then(|()| deliver(py, progress, events))
                {
                    interrupted = Some(error);
                    shared.stopped.store(true, Ordering::Relaxed);
                }
                if finished {
                    return;
                }
            }
        });
    };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(wait)) {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
        return Err(errors::failed(format!("this is a bug in ciphertune, please report it: {text}")));
    }
    pool.give_back();
    if let Some(error) = interrupted {
        return Err(error);
    }
    let outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.expect("work that did not panic has an outcome").map_err(errors::python)
}

fn deliver(py: Python<'_>, progress: Option<&Bound<'_, PyAny>>, events: VecDeque<Event>) -> PyResult<()> {
    let tell = |name: &str, done: u64, of: Option<u64>| match progress {
        Some(progress) => progress.call1((name, done, of)).map(drop),
        None => Ok(()),
    };
    for event in events {
        match event {
            Event::Progress(step, done, of) => tell(name(step), done, of)?,
            Event::Iterated(done, of) => tell("iteration", done as u64, Some(of as u64))?,
            Event::Warning(message) => drop(py.import("ciphertune._warn")?.call_method1("warn", (message,))?),
            Event::Note(message) => {
                let logger = py.import("logging")?.call_method1("getLogger", ("ciphertune",))?;
                logger.call_method1("info", ("%s", message))?;
            }
        }
    }
    Ok(())
}

/// A step as Python calls it.
fn name(step: Step) -> &'static str {
    match step {
        Step::Planning => "planning",
        Step::Keys => "keys",
        Step::Features => "features",
        Step::Encrypting => "encrypting",
        Step::Reading => "reading",
        Step::Training => "training",
        Step::Answering => "answering",
        Step::Tracing => "tracing",
    }
}
