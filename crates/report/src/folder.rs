//! The folder of a report: `report.html`, `report.json` and whatever else a command puts beside them, all or nothing.

use std::path::{Path, PathBuf};

use ciphertune_session::Result;
use ciphertune_session::files::{NewFolder, Privacy};

/// The page.
pub const PAGE: &str = "report.html";

/// The object that `--json` prints.
const NUMBERS: &str = "report.json";

/// Every file that a report may hold. A folder with anything else in it is never replaced.
const OURS: [&str; 4] = [PAGE, NUMBERS, "curves.csv", "curves.svg"];

/// A report's folder, checked before the work begins.
pub struct ReportFolder {
    path: PathBuf,
    folder: NewFolder,
    privacy: Privacy,
}

impl ReportFolder {
    /// Checks before the work that the report can be written; `force` replaces an older report.
    pub fn plan(path: &Path, privacy: Privacy, force: bool) -> Result<Self> {
        let folder = NewFolder::plan(path, privacy, force, &OURS, "the report in it")?;
        Ok(Self { path: path.to_owned(), folder, privacy })
    }

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
