//! An owner's folder: `identity.key`, and for every session a folder of what it keeps (`ciphertune_joint::party`).
//!
//! ```text
//! KEYS/                        mode 0700
//!   identity.key               name and keys, mode 0600
//!   sessions/ID/               mode 0700: what the owner keeps of a session, files of mode 0600
//!     scaler.safetensors       what comes out of it
//!     head.safetensors
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use ciphertune_joint::identity::Identity;
use ciphertune_joint::party::Earlier;
use ciphertune_joint::proposal::{self, Proposal};
use ciphertune_joint::store::Store;
use ciphertune_session::files::{self, NewFolder, Privacy};

use super::folder::FolderStore;
use crate::errors::{CliError, Result};

/// The file of an owner's name and keys.
pub const IDENTITY: &str = "identity.key";
const SESSIONS: &str = "sessions";

/// An owner's folder that exists.
pub struct OwnerFolder {
    path: PathBuf,
    /// Its keys.
    pub identity: Identity,
}

impl OwnerFolder {
    /// Opens it.
    pub fn open(path: &Path) -> Result<Self> {
        let file = path.join(IDENTITY);
        if !file.exists() {
            let message = "there are no keys for sessions here: make them with ciphertune joint join";
            return Err(CliError::input(message).in_file(path));
        }
        let identity = Identity::from_bytes(&files::read_secret(&file)?);
        Ok(Self { path: path.to_owned(), identity: identity.map_err(|error| CliError::from(error).in_file(&file))? })
    }

    /// Makes it, with new keys, for an owner of this name; opens it if it is there.
    pub fn open_or_make(path: &Path, name: Option<&str>) -> Result<Self> {
        if path.join(IDENTITY).exists() {
            let folder = Self::open(path)?;
            return match name {
                Some(name) if name != folder.identity.name() => {
                    let message = format!(
                        "these are the keys of {}: leave --name out, or name another folder",
                        folder.identity.name()
                    );
                    Err(CliError::input(message).in_file(path))
                }
                _ => Ok(folder),
            };
        }
        let name = name.ok_or_else(|| CliError::input("the first time an owner needs a name: give one with --name"))?;
        let folder = NewFolder::plan(path, Privacy::Private, false, &[], "nothing")?;
        let identity = Identity::generate(name)?;
        let filling = folder.fill()?;
        filling.write(IDENTITY, Privacy::Private, &identity.to_bytes()?)?;
        filling.finish()?;
        Ok(Self { path: path.to_owned(), identity })
    }

    /// Where the owner keeps what belongs to a session.
    pub fn session(&self, proposal: &Proposal) -> FolderStore {
        FolderStore::new(&self.session_path(proposal), Privacy::Private)
    }

    fn session_path(&self, proposal: &Proposal) -> PathBuf {
        self.path.join(SESSIONS).join(&proposal.digest().to_string()[..16])
    }

    /// What the owner remembers of its other sessions.
    pub fn earlier(&self, proposal: &Proposal) -> Result<Vec<Earlier>> {
        let (sessions, this) = (self.path.join(SESSIONS), self.session_path(proposal));
        let Ok(entries) = fs::read_dir(&sessions) else { return Ok(Vec::new()) };
        let mut earlier = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| CliError::failure(error.to_string()).in_file(&sessions))?.path();
            if path != this && path.is_dir() {
                let own = FolderStore::new(&path, Privacy::Private);
                let read = Earlier::read(&own, self.identity.name());
                earlier.extend(read.map_err(|error| CliError::from(error).in_file(&path))?);
            }
        }
        Ok(earlier)
    }
}

/// The folder that all owners share.
pub fn shared(path: &Path) -> Result<FolderStore> {
    if path.is_dir() {
        return Ok(FolderStore::new(path, Privacy::Public));
    }
    Err(CliError::input("there is no such folder: create it, where all owners can write").in_file(path))
}

/// The session that lies in a shared folder.
pub fn proposed(shared: &FolderStore) -> Result<Proposal> {
    let path = shared.file(proposal::NAME);
    let Some(json) = shared.get(proposal::NAME)? else {
        let message = "there is no session yet: the coordinator makes one with ciphertune joint new";
        return Err(CliError::input(message).in_file(&path));
    };
    Proposal::from_json(&json).map_err(|error| CliError::from(error).in_file(&path))
}
