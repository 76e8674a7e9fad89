//! A headless Chromium, and a look at the document that it made of a page.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than any of these pages takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Nothing but the page: no sandbox (tests may run as root), no first-run chores, no requests of the browser's own.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// A browser that is installed.
pub struct Browser {
    program: &'static str,
}

impl Browser {
    /// The first of the usual names that runs.
    pub fn find() -> Option<Self> {
        let runs = |program: &&str| {
            let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        };
        let program = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(runs)?;
        Some(Self { program })
    }

    /// The document after the page was read, as HTML. Panics if the page asked for something that its policy forbids.
    pub fn dom(&self, page: &Path) -> String {
        let (out, log) = self.open(page, &["--dump-dom", "--enable-logging=stderr"]);
        assert!(!log.contains("Content Security Policy"), "{log}");
        assert!(out.contains("</html>"), "no document: {out}{log}");
        out
    }

    /// A picture of the page, as a PNG file.
    pub fn screenshot(&self, page: &Path) -> Vec<u8> {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("page.png");
        let (_, log) = self.open(page, &["--window-size=1000,1600", &format!("--screenshot={}", file.display())]);
        fs::read(&file).unwrap_or_else(|error| panic!("no screenshot ({error}): {log}"))
    }

    /// Standard output and error of the browser, once it has ended.
    fn open(&self, page: &Path, flags: &[&str]) -> (String, String) {
        let folder = TempDir::new().expect("a temporary folder");
        let [out, log] = ["out", "log"].map(|name| folder.path().join(name));
        let create = |path: &Path| fs::File::create(path).expect("a file in a temporary folder");
        let mut child = Command::new(self.program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .args(flags)
            .arg(format!("file://{}", page.display()))
            .stdout(create(&out))
            .stderr(create(&log))
            .spawn()
            .expect("the browser runs: it told its version");
        let start = Instant::now();
        while child.try_wait().expect("a child's state").is_none() {
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("the browser did not end: {}", read(&log));
            }
            sleep(Duration::from_millis(50));
        }
        (read(&out), read(&log))
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The text of the element with an identifier, up to its first child or end.
pub fn text_of<'a>(dom: &'a str, id: &str) -> &'a str {
    let rest = after(dom, &format!("id=\"{id}\""));
    rest.split_once('<').expect("an element ends").0
}

/// The texts of a table's data cells, by the rows of its body.
pub fn cells_of(dom: &str, id: &str) -> Vec<Vec<String>> {
    let body = after(dom, &format!("id=\"{id}\"")).split_once("<tbody>").expect("a body").1;
    let rows = body.split_once("</tbody>").expect("a body ends").0.split("</tr>");
    let cells = |row: &str| -> Vec<String> {
        let texts = row.split("<td").skip(1).map(|cell| after(cell, "").split_once('<').expect("a cell ends").0);
        texts.map(str::to_owned).collect()
    };
    rows.map(cells).filter(|cells: &Vec<String>| !cells.is_empty()).collect()
}

/// What follows the tag in which a mark stands.
fn after<'a>(dom: &'a str, mark: &str) -> &'a str {
    let at = dom.find(mark).unwrap_or_else(|| panic!("no {mark}"));
    dom[at..].split_once('>').expect("a tag ends").1
}
