//! `joint forget`: a session's secrets go.

use std::fs;
use std::path::{Path, PathBuf};

use ciphertune_joint::held::SECRET_KEY;
use ciphertune_joint::party::{Party, SECRETS};
use ciphertune_joint::store::Store;
use ciphertune_session::files;
use ciphertune_session::memory;
use clap::Args;

use super::keys::{OwnerFolder, proposed, shared};
use super::next::now;
use crate::errors::{CliError, Result};
use crate::text::say;

/// The secrets' name while they are wiped: half of them must never be taken for secrets.
const WIPED: &str = "secrets.wiped";

/// Wipe the secrets that an owner keeps of a session
///
/// Scaler and head stay, and so does the digest of the table: a later session with other owners may not sum it again.
#[derive(Args)]
pub struct Forget {
    /// Folder that all owners share
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,

    /// Folder of this owner's keys
    #[arg(long, value_name = "KEYS/")]
    keys: PathBuf,

    /// Forget a session that is not over: it can never go on, for anyone
    #[arg(long)]
    anyway: bool,
}

impl Forget {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let (shared, owner) = (shared(&self.dir)?, OwnerFolder::open(&self.keys)?);
        let proposal = proposed(&shared)?;
        let own = owner.session(&proposal);
        let (path, wiped) = (own.file(SECRETS), own.file(WIPED));
        if wiped.exists() {
            overwrite(&wiped)?;
        }
        let key = own.file(SECRET_KEY);
        if own.get(SECRETS)?.is_none() && !key.exists() {
            say!("nothing is kept of this session's secrets")?;
            return Ok(());
        }
        if !self.anyway {
            let party = Party {
                identity: &owner.identity,
                shared: &shared,
                own: &own,
                now: now(),
                memory: memory::limit(None),
            };
            let progress = party.status(&proposal)?;
            if !progress.aborted && (progress.outcome.is_none() || !progress.waiting.is_empty()) {
                let waiting = progress.waiting.join(", ");
                let message = format!(
                    "the session is not over, it waits for {} of {waiting}: let it end, or forget it --anyway",
                    progress.round
                );
                return Err(CliError::input(message));
            }
        }
        // The key that rows or models are encrypted under first: what is left says that there was a session.
        if key.exists() {
            overwrite(&key)?;
        }
        if path.exists() {
            fs::rename(&path, &wiped).map_err(|error| files::cannot_write(&path, &error))?;
            overwrite(&wiped)?;
        }
        say!("forgot the secrets of the session; scaler, head and the digest of the table stay")?;
        Ok(())
    }
}

/// Overwrites a file, for file systems that write in place, and removes it.
fn overwrite(path: &Path) -> Result<()> {
    let length = fs::metadata(path).map_or(0, |metadata| metadata.len() as usize);
    let gone = fs::write(path, vec![0; length]).and_then(|()| fs::remove_file(path));
    Ok(gone.map_err(|error| files::cannot_write(path, &error))?)
}
