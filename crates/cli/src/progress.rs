//! Progress of long steps, with an estimate of the time left: on a terminal only.

use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ciphertune_session::Observer;
use ciphertune_session::observer::Step;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::text;

/// A bar on standard error for the step that runs, or nothing if that is no terminal; warnings and notes go there as
/// well.
#[derive(Default)]
pub struct Terminal {
    bar: Mutex<Option<ProgressBar>>,
}

impl Terminal {
    /// For one command.
    pub fn new() -> Self {
        Self::default()
    }

    fn bar(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints above the bar.
    fn print(&self, print: impl FnOnce()) {
        match &*self.bar() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Observer for Terminal {
    fn begin(&self, step: Step, units: Option<u64>) {
        if !stderr().is_terminal() {
            return;
        }
        let bar = ProgressBar::with_draw_target(units, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(template(step, units.is_some()));
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(name(step));
        bar.enable_steady_tick(Duration::from_millis(200));
        *self.bar() = Some(bar);
    }

    fn advance(&self, _step: Step, done: u64) {
        if let Some(bar) = &*self.bar() {
            bar.set_position(done);
        }
    }

    fn end(&self, _step: Step) {
        if let Some(bar) = self.bar().take() {
            bar.finish_and_clear();
        }
    }

    fn warn(&self, message: &str) {
        self.print(|| text::warn(message));
    }

    fn note(&self, message: &str) {
        self.print(|| text::note(message));
    }
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Planning => "planning",
        Step::Keys => "keys",
        Step::Features => "features",
        Step::Encrypting => "encrypting",
        Step::Reading => "reading",
        Step::Answering => "answering",
        Step::Training | Step::Tracing => "training",
    }
}

fn template(step: Step, known: bool) -> &'static str {
    match (step, known) {
        (Step::Features, true) => "{msg:<12} {bar:20} {pos}/{len} images  {per_sec}, {eta} left",
        (Step::Features, false) => "{msg:<12} {spinner} {pos} images  {per_sec}",
        (_, true) => "{msg:<12} {bar:32} {percent:>3} %  {elapsed}, {eta} left",
        (_, false) => "{msg:<12} {spinner} {elapsed}",
    }
}
