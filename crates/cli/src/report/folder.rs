//! The folder of a report: `report.html`, `report.json` and whatever else a command puts beside them, all or nothing.

use std::path::PathBuf;

use clap::Args;

use crate::errors::Result;
use crate::files::{NewFolder, Privacy};

/// The page.
pub const PAGE: &str = "report.html";

/// The object that `--json` prints.
const NUMBERS: &str = "report.json";

/// Every file that a report may hold. A folder with anything else in it is never replaced.
const OURS: [&str; 4] = [PAGE, NUMBERS, "curves.csv", "curves.svg"];

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
        let folder = NewFolder::plan(path, privacy, self.force, &OURS, "the report in it")?;
        Ok(Some(ReportFolder { path: path.clone(), folder, privacy }))
    }
}

/// A report's folder, checked before the work begins.
pub struct ReportFolder {
    path: PathBuf,
    folder: NewFolder,
    privacy: Privacy,
}

impl ReportFolder {
    /// Writes page, numbers and further files, all of them or none, and returns the page's path.
    pub fn write(&self, page: &str, json: &str, further: &[(&str, &str)]) -> Result<PathBuf> {
        let filling = self.folder.fill()?;
        for (name, text) in [(PAGE, page), (NUMBERS, json)].iter().chain(further) {
            filling.write(name, self.privacy, text.as_bytes())?;
        }
        filling.finish()?;
        Ok(self.path.join(PAGE))
    }
}
