//! The commands, one module each.

mod cache;
mod completions;
mod curves;
mod decrypt;
mod demo;
mod encrypt;
mod evaluate;
mod export;
mod extract;
mod infer;
mod inference;
mod inspect;
mod joint;
mod keygen;
mod manual;
mod merge;
mod plan;
mod predict;
mod publication;
mod refresh;
mod run;
mod scaler;
mod train;

use clap::Subcommand;

use crate::errors::Result;

/// What to do; each command's own documentation is its help.
#[derive(Subcommand)]
#[allow(missing_docs)]
pub enum Command {
    Demo(demo::Demo),
    Run(run::Run),
    Curves(curves::Curves),
    Extract(extract::Extract),
    Plan(plan::PlanCommand),
    Keygen(keygen::Keygen),
    Scaler(scaler::ScalerCommand),
    Encrypt(encrypt::Encrypt),
    Train(train::Train),
    Resume(train::Resume),
    Merge(merge::Merge),
    Refresh(refresh::Refresh),
    Decrypt(decrypt::Decrypt),
    Infer(infer::Infer),
    Evaluate(evaluate::Evaluate),
    Predict(predict::Predict),
    Export(export::Export),
    #[command(subcommand)]
    Joint(joint::Joint),
    Inspect(inspect::Inspect),
    Cache(cache::CacheCommand),
    Completions(completions::Completions),
    Manual(manual::Manual),
}

impl Command {
    /// Does it. `program` is the whole command line, for what describes it.
    pub fn execute(&self, program: fn() -> clap::Command) -> Result<()> {
        match self {
            Command::Demo(command) => command.execute(),
            Command::Run(command) => command.execute(),
            Command::Curves(command) => command.execute(),
            Command::Extract(command) => command.execute(),
            Command::Plan(command) => command.execute(),
            Command::Keygen(command) => command.execute(),
            Command::Scaler(command) => command.execute(),
            Command::Encrypt(command) => command.execute(),
            Command::Train(command) => command.execute(),
            Command::Resume(command) => command.execute(),
            Command::Merge(command) => command.execute(),
            Command::Refresh(command) => command.execute(),
            Command::Decrypt(command) => command.execute(),
            Command::Infer(command) => command.execute(),
            Command::Evaluate(command) => command.execute(),
            Command::Predict(command) => command.execute(),
            Command::Export(command) => command.execute(),
            Command::Joint(command) => command.execute(),
            Command::Inspect(command) => command.execute(),
            Command::Cache(command) => command.execute(),
            Command::Completions(command) => command.execute(program()),
            Command::Manual(command) => command.execute(program()),
        }
    }
}
