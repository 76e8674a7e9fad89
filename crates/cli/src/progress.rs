//! Progress of long steps, with an estimate of the time left: on a terminal only.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::text::seconds;

/// A bar on standard error, or nothing if that is no terminal. It disappears when dropped.
pub struct Progress {
    bar: ProgressBar,
    visible: bool,
}

impl Progress {
    /// A bar of `total` units.
    pub fn new(what: &'static str, total: u64) -> Self {
        Self::start(what, Some(total), "{msg:<12} {bar:32} {percent:>3} %  {elapsed}, {eta} left")
    }

    /// A bar of images, or a counter if nobody knows how many there are.
    pub fn images(total: Option<u64>) -> Self {
        match total {
            Some(_) => Self::start("", total, "features     {bar:20} {pos}/{len} images  {msg}"),
            None => Self::start("", None, "features     {spinner} {pos} images  {msg}"),
        }
    }

    /// Images done, at what pace, and the time left.
    pub fn set_images(&self, now: &ciphertune_backbone::Progress) {
        self.set(now.done as u64);
        let left = now.time_left().map_or_else(String::new, |left| format!(", {} left", seconds(left.as_secs_f64())));
        self.bar.set_message(format!("{:.0} a second{left}", now.images_per_second()));
    }

    /// A step whose length nobody knows.
    pub fn spinner(what: &'static str) -> Self {
        Self::start(what, None, "{msg:<12} {spinner} {elapsed}")
    }

    fn start(what: &'static str, total: Option<u64>, template: &str) -> Self {
        let visible = stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        if visible {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar, visible }
    }

    /// Units done.
    pub fn set(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Does `work` while another thread asks `done` how far it is.
    pub fn watch<T>(&self, done: impl Fn() -> u64 + Sync, work: impl FnOnce() -> T) -> T {
        if !self.visible {
            return work();
        }
        let finished = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                while !finished.load(Ordering::Acquire) {
                    self.set(done());
                    thread::park_timeout(Duration::from_millis(100));
                }
            });
            // Also when `work` panics: the scope waits for the watcher.
            let _end = End { finished: &finished, watcher: watcher.thread().clone() };
            work()
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

struct End<'a> {
    finished: &'a AtomicBool,
    watcher: thread::Thread,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.finished.store(true, Ordering::Release);
        self.watcher.unpark();
    }
}
