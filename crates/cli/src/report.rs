//! Reports: one self-contained HTML page with its numbers beside it, for `--report DIR`.
//!
//! A page is rendered from the object that `--json` prints, which it also embeds. It loads nothing: style, figures and pictures are in it.
//!
//! * [`folder`] is where a report is written;
//! * [`page`] is the frame of every page, [`chart`] draws curves.

pub mod chart;
mod folder;
pub mod page;

pub use folder::ReportFlags;
