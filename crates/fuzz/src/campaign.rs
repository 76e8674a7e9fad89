//! Many damaged files in child processes, whose memory and time are bounded and whose end is noticed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::formats::Format;
use crate::worker::damaged;

/// The most memory that a child may have, in KiB of its address space.
const MOST_KIB: u64 = 2 << 20;
/// The longest that a file may be read.
const PATIENCE: Duration = Duration::from_secs(20);

/// A campaign's settings.
pub struct Campaign<'a> {
    /// This program, which reads in child processes when it is called with `--worker`.
    pub program: PathBuf,
    /// Where files that failed are kept.
    pub keep: &'a Path,
}

/// What became of the files of a format.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Files that were refused.
    pub refused: u64,
    /// Files that were read.
    pub accepted: u64,
    /// What failed: the file's number and how.
    pub failed: Vec<(u64, String)>,
    /// The longest that one took.
    pub longest: Duration,
    /// The largest peak of a child's memory, in KiB; zero where the system does not say.
    pub peak_kib: u64,
}

impl Totals {
    /// Adds another round's.
    pub fn add(&mut self, other: Self) {
        self.refused += other.refused;
        self.accepted += other.accepted;
        self.failed.extend(other.failed);
        self.longest = self.longest.max(other.longest);
        self.peak_kib = self.peak_kib.max(other.peak_kib);
    }
}

impl Campaign<'_> {
    /// Reads the damaged files of these numbers; a child that ends or hangs is replaced and the rest goes on.
    ///
    /// # Errors
    ///
    /// A sentence if children cannot be started or refuse the undamaged file, or failed files cannot be kept.
    pub fn run(&self, format: &Format, numbers: std::ops::Range<u64>) -> Result<Totals, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut totals = Totals::default();
        let mut next = numbers.start;
        while next < numbers.end {
            next = self.child(format, folder.path(), next..numbers.end, &mut totals)?;
        }
        Ok(totals)
    }

    /// One child. Returns the number to go on with.
    fn child(
        &self,
        format: &Format,
        folder: &Path,
        numbers: std::ops::Range<u64>,
        totals: &mut Totals,
    ) -> Result<u64, String> {
        let mut child = self.start(format, folder, &numbers).map_err(|error| format!("a child: {error}"))?;
        let lines = lines_of(&mut child);
        let mut current = None;
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let fields: Vec<&str> = line.splitn(5, ' ').collect();
                    let Some(number) = fields.get(1).and_then(|field| field.parse::<u64>().ok()) else { continue };
                    if fields[0] == ">" {
                        current = Some(number);
                        continue;
                    }
                    current = None;
                    let took = fields.get(3).and_then(|field| field.parse().ok()).map(Duration::from_micros);
                    totals.longest = totals.longest.max(took.unwrap_or_default());
                    totals.peak_kib = totals.peak_kib.max(peak_kib(&child));
                    match fields[2] {
                        "refused" => totals.refused += 1,
                        "accepted" => totals.accepted += 1,
                        how => {
                            let how = format!("{how} {}", fields.get(4).copied().unwrap_or_default());
                            self.fail(format, number, how.trim_end().to_owned(), totals)?;
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
                    let number = current.unwrap_or(numbers.start);
                    self.fail(format, number, format!("took more than {} s", PATIENCE.as_secs()), totals)?;
                    return Ok(number + 1);
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = child.wait().map_err(|error| error.to_string())?;
                    let Some(number) = current else {
                        return if status.success() {
                            Ok(numbers.end)
                        } else {
                            Err(format!("{}: the child ended before it read anything ({status})", format.name))
                        };
                    };
                    self.fail(format, number, format!("ended the process ({status})"), totals)?;
                    return Ok(number + 1);
                }
            }
        }
    }

    /// The child under a limit on its address space.
    fn start(&self, format: &Format, folder: &Path, numbers: &std::ops::Range<u64>) -> std::io::Result<Child> {
        Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -v {MOST_KIB}; exec \"$0\" \"$@\""))
            .arg(&self.program)
            .args(["--worker", "--format", format.name])
            .args(["--from", &numbers.start.to_string(), "--to", &numbers.end.to_string()])
            .arg("--folder")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
    }

    fn fail(&self, format: &Format, number: u64, how: String, totals: &mut Totals) -> Result<(), String> {
        let text = |error: std::io::Error| format!("{}: {error}", self.keep.display());
        // Made again from its number: a child goes on to the next.
        let kept = self.keep.join(format!("{}-{number}", format.name));
        std::fs::create_dir_all(&kept).map_err(text)?;
        let name = Path::new(format.file).file_name().expect("a file's name");
        std::fs::write(kept.join(name), damaged(format, number).0).map_err(text)?;
        totals.failed.push((number, how));
        Ok(())
    }
}

fn lines_of(child: &mut Child) -> Receiver<String> {
    let out = BufReader::new(child.stdout.take().expect("the child's output is piped"));
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}

/// The peak of a process's memory so far, where the system says.
fn peak_kib(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}
