//! `joint join`: an owner's card.

use std::path::PathBuf;

use ciphertune_joint::store::Store;
use clap::Args;

use super::keys::{IDENTITY, OwnerFolder, shared};
use crate::errors::Result;
use crate::text::say;

/// Make keys for sessions, and lay their public halves into the shared folder
///
/// The keys are made once and serve any number of sessions. KEYS/identity.key stays with the owner.
#[derive(Args)]
pub struct Join {
    /// Folder that all owners share
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,

    /// Folder of this owner's keys and of what it keeps of sessions; not one of keygen's
    #[arg(long, value_name = "KEYS/")]
    keys: PathBuf,

    /// This owner's name in sessions, of a-z, 0-9 and -; the first time
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

impl Join {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let shared = shared(&self.dir)?;
        let owner = OwnerFolder::open_or_make(&self.keys, self.name.as_deref())?;
        let card = owner.identity.card();
        let name = format!("card.{}", card.name);
        shared.put(&name, card.to_json().as_bytes())?;
        say!("{} takes part with the keys of {}", card.name, self.keys.join(IDENTITY).display())?;
        say!("  {}  name and public keys, for all", shared.file(&name).display())?;
        say!("next, the coordinator, when all cards are there:")?;
        say!("  ciphertune joint new --dir {} --owners {},... --like TABLE", self.dir.display(), card.name)?;
        Ok(())
    }
}
