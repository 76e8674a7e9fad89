//! `cache`: where features of images are kept.

use std::path::PathBuf;

use ciphertune_backbone::{cache_size, clear_cache};
use clap::{Args, Subcommand};

use crate::errors::{CliError, Result};
use crate::text::{bytes, count, say};
use ciphertune_session::cache;

/// Show or clear the features that were kept of images
///
/// Features of images are kept by content, for each backbone with its preprocessing, so that the same images are never
/// run through the same network twice. They are as confidential as the images; the files can be read by their owner
/// alone. The folder is the system's place for caches, or what the variable CIPHERTUNE_CACHE names. --no-cache keeps a
/// command from using it.
#[derive(Args)]
pub struct CacheCommand {
    #[command(subcommand)]
    action: Option<Action>,

    /// Another folder, if commands were given one with --cache
    #[arg(long, value_name = "DIR", global = true)]
    cache: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Action {
    /// Remove everything that was kept
    Clear,
}

impl CacheCommand {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let folder = self.cache.clone().or_else(cache::folder).ok_or_else(|| {
            CliError::input(format!(
                "this system names no place for caches: set {}, or give --cache DIR",
                cache::VARIABLE
            ))
        })?;
        match self.action {
            None => {
                let (files, size) = cache_size(&folder)?;
                say!("{}", folder.display())?;
                match files {
                    0 => say!("  nothing is kept")?,
                    _ => say!("  {} of {}", bytes(size as usize), count(files, "backbone"))?,
                }
            }
            Some(Action::Clear) => say!("{}\n  {} cleared", folder.display(), bytes(clear_cache(&folder)? as usize))?,
        }
        Ok(())
    }
}
