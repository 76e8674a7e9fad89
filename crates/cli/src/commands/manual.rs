//! `manual`: the help of every command as a manual page.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man;

use crate::errors::Result;
use crate::text::{count, say};
use ciphertune_session::files::{NewFile, NewFolder, Privacy};

/// Write manual pages, one for each command
///
/// Writes ciphertune.1, ciphertune-train.1 and so on, for man. In ~/.local/share/man/man1 they are found by
/// man ciphertune-train; elsewhere by man -l. They are for this version: write them again with --force after an update.
#[derive(Args)]
pub struct Manual {
    /// Folder to write them into; made if it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Replace pages that are there
    #[arg(long)]
    force: bool,
}

impl Manual {
    /// Runs the command, for the program's whole command line.
    pub fn execute(&self, mut program: Command) -> Result<()> {
        program = program.disable_help_subcommand(true);
        program.build();
        let mut pages = Vec::new();
        add_pages(&program, &mut pages)?;
        if self.folder.is_dir() {
            // Beside the pages of other programs. All are checked before the first is written.
            let planned = pages
                .iter()
                .map(|(name, page)| Ok((NewFile::plan(&self.folder.join(name), Privacy::Public, self.force)?, page)));
            for (file, page) in planned.collect::<Result<Vec<_>>>()? {
                file.write(page)?;
            }
        } else {
            let folder = NewFolder::plan(&self.folder, Privacy::Public, self.force, &[], "")?;
            let filling = folder.fill()?;
            for (name, page) in &pages {
                filling.write(name, Privacy::Public, page)?;
            }
            filling.finish()?;
        }
        say!("  {}  {}", self.folder.display(), count(pages.len(), "page"))?;
        Ok(())
    }
}

/// The name and content of a command's page and of those below it.
fn add_pages(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let source = concat!("ciphertune ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source).manual("Ciphertune Manual");
    let mut page = Vec::new();
    man.render(&mut page)?;
    pages.push((man.get_filename(), page));
    command.get_subcommands().try_for_each(|below| add_pages(below, pages))
}
