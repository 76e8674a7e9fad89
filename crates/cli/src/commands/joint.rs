//! `joint`: several owners, each with rows of its own.

mod folder;
mod forget;
mod join;
mod keys;
mod new;
mod next;
mod status;

use clap::Subcommand;

use crate::errors::Result;

/// Owners: whiten and train on the rows of several owners, none of whom shows any
///
/// Every owner runs join, then the coordinator new, then every owner next until it is done. They share one folder, such
/// as a network drive or one that is synchronised; nothing in it shows an owner's rows. docs/joint.md has an example.
#[derive(Subcommand)]
pub enum Joint {
    Join(join::Join),
    New(new::New),
    Next(next::Next),
    Status(status::Status),
    Forget(forget::Forget),
}

impl Joint {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        match self {
            Joint::Join(command) => command.execute(),
            Joint::New(command) => command.execute(),
            Joint::Next(command) => command.execute(),
            Joint::Status(command) => command.execute(),
            Joint::Forget(command) => command.execute(),
        }
    }
}
