//! Reports: one self-contained HTML page with its numbers beside it.
//!
//! A page is rendered from the object that `--json` prints, which it also embeds. It loads nothing: style, figures and
//! pictures are in it.
//!
//! * [`ReportFolder`] is where a report is written;
//! * [`page`] is the frame of every page, [`chart`] draws curves, [`scores`] and [`specimens`] show what a head does;
//! * [`training`] is the page of a training and its twin, [`evaluation`] that of a head's scores, [`curves`] that of
//!   methods traced in the clear.

pub mod chart;
pub mod curves;
pub mod evaluation;
mod folder;
pub mod page;
pub mod scores;
pub mod specimens;
pub mod training;

pub use folder::ReportFolder;
