//! The commands, one module each.

mod decrypt;
mod demo;
mod encrypt;
mod evaluate;
mod export;
mod inspect;
mod keygen;
mod plan;
mod predict;
mod run;
mod scaler;
mod train;

use clap::Subcommand;

use crate::errors::Result;

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Train on encrypted handwritten digits, playing every role, and say what happened
    Demo(demo::Demo),
    /// Play every role in one process on your own table, and compare with training in the clear
    Run(run::Run),
    /// Say what a training will take, before anything is encrypted
    Plan(plan::PlanCommand),
    /// Owner: make a secret key, and evaluation keys for the server
    Keygen(keygen::Keygen),
    /// Owner: fit a scaler on other data, to be shared by several owners
    Scaler(scaler::ScalerCommand),
    /// Owner: encrypt a training table into a job for the server
    Encrypt(encrypt::Encrypt),
    /// Server: train on a job, without any secret
    Train(train::Train),
    /// Owner: decrypt a model into a head for raw features
    Decrypt(decrypt::Decrypt),
    /// Score a head on a table with labels
    Evaluate(evaluate::Evaluate),
    /// Label rows of features with a head
    Predict(predict::Predict),
    /// Write a head as ONNX or JSON
    Export(export::Export),
    /// Say what a file of Ciphertune holds, after checking that it is whole
    Inspect(inspect::Inspect),
}

impl Command {
    /// Does it.
    pub fn execute(&self) -> Result<()> {
        match self {
            Command::Demo(command) => command.execute(),
            Command::Run(command) => command.execute(),
            Command::Plan(command) => command.execute(),
            Command::Keygen(command) => command.execute(),
            Command::Scaler(command) => command.execute(),
            Command::Encrypt(command) => command.execute(),
            Command::Train(command) => command.execute(),
            Command::Decrypt(command) => command.execute(),
            Command::Evaluate(command) => command.execute(),
            Command::Predict(command) => command.execute(),
            Command::Export(command) => command.execute(),
            Command::Inspect(command) => command.execute(),
        }
    }
}
