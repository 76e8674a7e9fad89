//! `joint status`: where a session stands.

use std::path::PathBuf;

use ciphertune_joint::party::Party;
use ciphertune_session::memory;
use clap::Args;

use super::keys::{OwnerFolder, proposed, shared};
use super::next::{now, tell};
use crate::errors::Result;
use crate::text::{count, printable, say};

/// Say who takes part in the session of the shared folder, and for whom it waits; sends nothing
#[derive(Args)]
pub struct Status {
    /// Folder that all owners share
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,

    /// Folder of this owner's keys
    #[arg(long, value_name = "KEYS/")]
    keys: PathBuf,
}

impl Status {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let (shared, owner) = (shared(&self.dir)?, OwnerFolder::open(&self.keys)?);
        let proposal = proposed(&shared)?;
        let names: Vec<&str> = proposal.names().collect();
        say!("session {:?} of {}", printable(&proposal.title), names.join(", "))?;
        say!("  {}, scaler {}", count(proposal.features.count, "feature"), proposal.scaler.kind)?;
        if let Some(training) = &proposal.training {
            let iterations = count(training.recipe.iterations(), "iteration");
            say!("  {}, recipe {}, {iterations}", count(training.classes.len(), "class"), training.recipe.name())?;
        }
        let own = owner.session(&proposal);
        let party =
            Party { identity: &owner.identity, shared: &shared, own: &own, now: now(), memory: memory::limit(None) };
        if party.agreed()?.is_none() {
            say!("this owner has not agreed to it yet; next: ciphertune joint next with the fingerprint")?;
            return Ok(());
        }
        tell(&proposal, &own, &party.status(&proposal)?)
    }
}
