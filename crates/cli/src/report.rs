//! Reports: one self-contained HTML page with its numbers beside it, for `--report DIR`.
//!
//! A page is rendered from the object that `--json` prints, which it also embeds. It loads nothing: style, figures and
//! pictures are in it.
//!
//! * [`folder`] is where a report is written;
//! * [`page`] is the frame of every page, [`chart`] draws curves, [`scores`] and [`specimens`] show what a head does;
//! * [`training`] is the page of `run` and `demo`, [`evaluation`] that of `evaluate`; that of `curves` is with its
//!   command.

pub mod chart;
pub mod evaluation;
mod folder;
pub mod page;
pub mod scores;
pub mod specimens;
pub mod training;

pub use folder::ReportFlags;
