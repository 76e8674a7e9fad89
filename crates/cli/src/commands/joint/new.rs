//! `joint new`: the coordinator's proposal.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use ciphertune_head::{Classes, LabelColumn};
use ciphertune_joint::identity::Card;
use ciphertune_joint::proposal::{self, Contents, Features, PooledScaler, Proposal, Training};
use ciphertune_joint::store::Store;
use ciphertune_session::files::NewFile;
use ciphertune_session::files::Privacy;
use clap::{Args, ValueEnum};

use super::keys::shared;
use crate::errors::{CliError, Result};
use crate::inputs::ColumnFlags;
use crate::options::RecipeFlags;
use crate::text::{count, say};
use ciphertune_session::examples::{BackboneChoice, Place, Reader};

/// Coordinator: propose a session to the owners whose cards are in the shared folder
///
/// The session says who takes part, what a row is, which classes there are, the recipe and the deadline. Prints a
/// fingerprint: read it aloud to every owner, on the telephone, since who can exchange a card takes an owner's place.
#[derive(Args)]
pub struct New {
    /// Folder that all owners share
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,

    /// The owners' names, in order
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
    owners: Vec<String>,

    /// A table like those of all owners: its columns, their names and, without --classes, its labels are taken over; no row
    /// of it is
    #[arg(long, value_name = "FILE")]
    like: PathBuf,

    /// All classes that any owner has, in order [default: those of --like]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    classes: Option<Vec<String>>,

    /// Where to train: here, by sums of gradients while all owners are online, or no, for a scaler of all rows and nothing
    /// more
    #[arg(long, value_enum, default_value_t)]
    train: Train,

    /// What the session is called
    #[arg(long, value_name = "TEXT", default_value = "")]
    title: String,

    /// How long owners wait for each other
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=8760))]
    hours: u64,

    /// All owners accept that the sums tell much of single ones: of two owners, each learns the other's exactly, and of less
    /// than ten rows a feature, they tell of rows
    #[arg(long)]
    accept_disclosure: bool,

    #[command(flatten)]
    columns: ColumnFlags,

    #[command(flatten)]
    recipe: RecipeFlags,
}

/// Where training happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Train {
    /// At the owners, who are all online
    #[default]
    Here,
    /// Nowhere: the session ends with the scaler
    No,
}

impl New {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let shared = shared(&self.dir)?;
        let out = NewFile::plan(&shared.file(proposal::NAME), Privacy::Public, false)?;
        let mut cards = Vec::with_capacity(self.owners.len());
        for owner in &self.owners {
            let path = shared.file(&format!("card.{owner}"));
            let Some(json) = shared.get(&format!("card.{owner}"))? else {
                let message = format!("{owner} has not joined: let it run ciphertune joint join --name {owner}");
                return Err(CliError::input(message).in_file(&path));
            };
            let card = Card::from_json(&json).map_err(|error| CliError::from(error).in_file(&path))?;
            if card.name != *owner {
                return Err(CliError::input(format!("this is the card of {}: do not go on", card.name)).in_file(&path));
            }
            cards.push(card);
        }
        let place = Place {
            table: Some(&self.like),
            label: self.columns.label.as_deref(),
            drop: &self.columns.drop,
            ..Place::default()
        };
        let table = Reader::new(BackboneChoice::default(), None, &[place], &crate::progress::Terminal::new())?
            .read(&place, LabelColumn::Present)?
            .table;
        let recipe = self.recipe.recipe()?;
        let scaler = PooledScaler { kind: recipe.scaler(), lambda: recipe.lambda() };
        let training = match self.train {
            Train::No => None,
            Train::Here => {
                let classes = match &self.classes {
                    Some(classes) => classes.clone(),
                    None => Classes::from_labels(table.require_labels()?)?.names().to_vec(),
                };
                Some(Training { classes, recipe })
            }
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let features = Features {
            count: table.columns(),
            names: table.names().map(|names| names.features().to_vec()),
            provenance: table.provenance().cloned(),
        };
        let proposal = Proposal::new(Contents {
            title: self.title.clone(),
            cards,
            features,
            scaler,
            training,
            accept_disclosure: self.accept_disclosure,
            deadline: now + self.hours * 3600,
        })?;
        out.write(&proposal.to_json())?;
        let owners = count(proposal.owners.len(), "owner");
        say!("proposed a session of {owners} and {}", count(proposal.features.count, "feature"))?;
        say!("  {}", shared.file(proposal::NAME).display())?;
        say!("  fingerprint {}", proposal.fingerprint())?;
        say!("read the fingerprint aloud to every owner, on the telephone; next, every owner, until it is done:")?;
        let dir = self.dir.display();
        say!(
            "  ciphertune joint next --dir {dir} --keys KEYS/ --train FILE --fingerprint \"{}\"",
            proposal.fingerprint()
        )?;
        Ok(())
    }
}
