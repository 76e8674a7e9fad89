//! `joint next`: an owner's turn.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ciphertune_head::LabelColumn;
use ciphertune_joint::party::{Outcome, Party, Progress, Turn};
use ciphertune_joint::proposal::{Mode, Proposal, Role};
use ciphertune_session::examples::Reader;
use ciphertune_session::files::{self, NewFile, Privacy};
use ciphertune_session::memory;
use clap::Args;

use super::folder::FolderStore;
use super::keys::{OwnerFolder, proposed, shared};
use crate::errors::{CliError, Result};
use crate::inputs::{BackboneFlags, TrainFlags};
use crate::progress::Terminal;
use crate::sizes::parse_size;
use crate::text::{count, say};

/// The scaler that comes out of a session.
pub const SCALER: &str = "scaler.safetensors";
/// The head that comes out of a session.
pub const HEAD: &str = "head.safetensors";

/// Take this owner's turn in the session of the shared folder, whatever it is
///
/// The first time, give the fingerprint that the coordinator read aloud. Run it again until it says that the session is
/// done: it never does anything twice, and says for whom it waits. It may be stopped at any time.
#[derive(Args)]
#[command(mut_group("training", |group| group.required(false)))]
pub struct Next {
    /// Folder that all owners share
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,

    /// Folder of this owner's keys
    #[arg(long, value_name = "KEYS/")]
    keys: PathBuf,

    /// The session's fingerprint, as the coordinator read it aloud; the first time
    #[arg(long, value_name = "DIGITS")]
    fingerprint: Option<String>,

    /// Wait so many seconds for the others, and take every turn meanwhile
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,

    /// For who has labels only: a text file with one label a line, in the order of the features' rows
    #[arg(long, value_name = "FILE", conflicts_with_all = ["train", "images"])]
    only_labels: Option<PathBuf>,

    /// For who has features or labels only: a text file with the identifier of every row, one a line
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,

    /// Most memory that a server or verifier may take, such as 8G [default: what is free]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory: Option<usize>,

    #[command(flatten)]
    train: TrainFlags,

    #[command(flatten)]
    backbone: BackboneFlags,
}

/// The lines of a text file, without the spaces around them; empty ones at its end do not count.
fn lines(path: &Path) -> Result<Vec<String>> {
    let text = String::from_utf8(files::read(path)?)
        .map_err(|_| CliError::input("this is no text in UTF-8: write one entry a line").in_file(path))?;
    let lines: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    match lines.iter().position(String::is_empty) {
        Some(line) => Err(CliError::input(format!("line {} is empty: write one entry a line", line + 1)).in_file(path)),
        None => Ok(lines),
    }
}

/// Seconds since 1970-01-01, UTC.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

impl Next {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let terminal = Terminal::new();
        let (shared, owner) = (shared(&self.dir)?, OwnerFolder::open(&self.keys)?);
        let proposal = proposed(&shared)?;
        let own = owner.session(&proposal);
        let memory = memory::limit(self.memory);
        let party = |now| Party { identity: &owner.identity, shared: &shared, own: &own, now, memory };
        match &self.fingerprint {
            Some(fingerprint) => drop(party(now()).agree(fingerprint)?),
            None if party(now()).agreed()?.is_none() => {
                let message = "this session is new here: ask the coordinator for its fingerprint, on the telephone, and give it with --fingerprint";
                return Err(CliError::input(message));
            }
            None => {}
        }
        let role = proposal.members[proposal.place(&owner.identity.card())?].role;
        let place = self.train.place();
        let table = match place.table.or(place.images) {
            None => None,
            Some(_) => {
                let provenance = proposal.features.provenance.as_ref();
                let reader = Reader::new(self.backbone.choice(), provenance, &[place], &terminal)?;
                let labels = if role == Role::Features { LabelColumn::Absent } else { LabelColumn::Present };
                Some(reader.read(&place, labels)?.table)
            }
        };
        let [labels, ids] = [&self.only_labels, &self.ids].map(|path| path.as_deref().map(lines).transpose());
        let (labels, ids) = (labels?, ids?);
        let turn = Turn { table: table.as_ref(), labels: labels.as_deref(), ids: ids.as_deref() };
        let earlier = owner.earlier(&proposal)?;
        let begin = Instant::now();
        loop {
            let progress = party(now()).next(&proposal, &turn, &earlier)?;
            for sent in &progress.sent {
                say!("sent {sent}")?;
            }
            let is_open = progress.outcome.is_none() && !progress.aborted;
            if is_open && self.wait_for(&shared, &progress, begin) {
                continue;
            }
            write_outcome(&own, progress.outcome.as_ref())?;
            return tell(&proposal, &own, &progress);
        }
    }

    /// Waits until all that is missing is there; false if the time is over before.
    fn wait_for(&self, shared: &FolderStore, progress: &Progress, begin: Instant) -> bool {
        let is_missing = |owner: &String| !shared.file(&format!("{}.{owner}", progress.round)).exists();
        while begin.elapsed() < Duration::from_secs(self.wait) {
            if !progress.waiting.iter().any(is_missing) {
                return true;
            }
            sleep(Duration::from_millis(100));
        }
        false
    }
}

/// Writes what came out, if it is not there.
fn write_outcome(own: &FolderStore, outcome: Option<&Outcome>) -> Result<()> {
    let Some(outcome) = outcome else { return Ok(()) };
    let write = |name: &str, bytes: Vec<u8>| match own.file(name).exists() {
        true => Ok(()),
        false => NewFile::plan(&own.file(name), Privacy::Private, false)?.write(&bytes),
    };
    if let Some(scaler) = &outcome.scaler {
        write(SCALER, scaler.to_bytes()?)?;
    }
    if let Some(head) = &outcome.head {
        write(HEAD, head.to_bytes()?)?;
    }
    Ok(())
}

/// Says where the session stands, and what is next.
pub fn tell(proposal: &Proposal, own: &FolderStore, progress: &Progress) -> Result<()> {
    let waiting = progress.waiting.join(", ");
    if progress.aborted {
        let message = format!(
            "the deadline is past and {} of {waiting} is missing, so the session is void: make a new session with the others, by ciphertune joint new in another folder",
            progress.round
        );
        return Err(CliError::input(message));
    }
    let Some(outcome) = &progress.outcome else {
        say!("waiting for {} of {waiting}", progress.round)?;
        let left = proposal.deadline.saturating_sub(now()) / 60;
        say!("  until the deadline, in {} h {:02} min; run the same command again", left / 60, left % 60)?;
        return Ok(());
    };
    say!("done: {} of {}", count(outcome.rows, "row"), count(proposal.giving().len(), "owner"))?;
    if outcome.scaler.is_some() {
        say!("  {}  the scaler of all rows", own.file(SCALER).display())?;
    }
    if outcome.head.is_some() {
        say!("  {}  the head, for all owners the same", own.file(HEAD).display())?;
    }
    match waiting.is_empty() {
        true if proposal.mode == Mode::KeyHolder => {
            say!("all have read the same; next: ciphertune joint forget wipes the secrets of this session")?;
        }
        true => say!("all owners have the same sums; next: ciphertune joint forget wipes the secrets of this session")?,
        false => say!("waiting for the last word of {waiting}: that all have read the same")?,
    }
    Ok(())
}
