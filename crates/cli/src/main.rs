//! `ciphertune`: train a classifier head on encrypted features, from the command line.
//!
//! One module a command in [`commands`]; what they share in the modules beside it. What the commands do is in the crate
//! `ciphertune_session`: here are flags, words and tables.

mod commands;
mod errors;
mod inputs;
mod interrupt;
mod options;
mod progress;
mod report;
mod sizes;
mod text;

use std::io::Write;
use std::panic;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use commands::Command;

/// Train a classifier head on features that the training machine never sees.
///
/// The owner makes keys and encrypts a table of features; a server trains on the ciphertexts with the evaluation keys;
/// the owner decrypts the model. Each step is a command and talks through files. Start with `ciphertune demo`.
#[derive(Parser)]
#[command(name = "ciphertune", version, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic is a bug of ours; it still ends in one sentence and a deliberate code.
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
        let text = info.payload_as_str().unwrap_or("unknown");
        complain(&format!("this is a bug in ciphertune{place}, please report it: {text}"));
    }));
    interrupt::watch();
    let outcome = panic::catch_unwind(|| {
        ciphertune_ring::kernels::check_choice()?;
        arguments.command.execute(Arguments::command)
    });
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            if let Some(message) = error.message() {
                complain(message);
            }
            ExitCode::from(error.exit_code())
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(message: &str) {
    // Nobody to tell if standard error is closed.
    let _ = writeln!(std::io::stderr(), "error: {}", text::printable(message));
}
