//! The flags that ask for a report.

use std::path::PathBuf;

use ciphertune_report::ReportFolder;
use ciphertune_session::files::Privacy;
use clap::Args;

use crate::errors::Result;

/// Where a report goes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Report")]
pub struct ReportFlags {
    /// Folder to write a report to: report.html, one page that needs nothing else, and its numbers as report.json
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,

    /// Replace an older report in that folder
    #[arg(long, requires = "report")]
    pub force: bool,
}

impl ReportFlags {
    /// Checks before the work that the report can be written, if one is wanted.
    pub fn plan(&self, privacy: Privacy) -> Result<Option<ReportFolder>> {
        let Some(path) = &self.report else { return Ok(None) };
        Ok(Some(ReportFolder::plan(path, privacy, self.force)?))
    }
}
