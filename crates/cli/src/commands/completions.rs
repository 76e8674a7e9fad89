//! `completions`: what a shell needs to complete commands, flags and names of files.

use std::io::Write as _;

use clap::{Args, Command, ValueHint};
use clap_complete::Shell;

use crate::errors::Result;

/// Print a script that lets a shell complete commands, flags and names of files
///
/// Where to send the script, for shells that are started from then on:
///
/// bash: ~/.local/share/bash-completion/completions/ciphertune
///
/// zsh: _ciphertune in a folder of $fpath
///
/// fish: ~/.config/fish/completions/ciphertune.fish
///
/// powershell: the end of $PROFILE
///
/// elvish: the end of ~/.config/elvish/rc.elv
///
/// It is for this version: write it again after an update.
#[derive(Args)]
pub struct Completions {
    /// Shell to write for
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Runs the command, for the program's whole command line.
    pub fn execute(&self, program: Command) -> Result<()> {
        let mut script = Vec::new();
        let name = program.get_name().to_owned();
        clap_complete::generate(self.shell, &mut with_hints(program), name, &mut script);
        Ok(std::io::stdout().write_all(&script)?)
    }
}

/// Says of every value whether it names a file or a folder, which its own name tells: FILE, DIR, JOB/.
fn with_hints(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let names: Vec<&str> = arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect();
        let parts: Vec<&str> = names.iter().flat_map(|name| name.split('|')).collect();
        let file = parts.iter().any(|part| *part == "FILE" || part.starts_with("FILE."));
        let folder = parts.iter().any(|part| *part == "DIR" || part.ends_with('/'));
        match (file, folder) {
            (true, true) => arg.value_hint(ValueHint::AnyPath),
            (true, false) => arg.value_hint(ValueHint::FilePath),
            (false, true) => arg.value_hint(ValueHint::DirPath),
            (false, false) => arg,
        }
    });
    command.mut_subcommands(with_hints)
}
