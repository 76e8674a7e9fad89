//! `joint new`: the coordinator's proposal.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use ciphertune_head::layout::Shape;
use ciphertune_head::plan::{self, Constraints, Gives};
use ciphertune_head::{Classes, LabelColumn, Plan, Recipe};
use ciphertune_joint::identity::Card;
use ciphertune_joint::proposal::{self, Contents, Features, Member, Mode, PooledScaler, Proposal, Role, Training};
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

    /// Names of the owners who have whole rows, in order
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required_unless_present = "features")]
    owners: Vec<String>,

    /// With --train server: names of owners who have features, whose labels others have
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "labels")]
    features: Vec<String>,

    /// With --train server: names of those who have the labels of these features, in the same order
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "features")]
    labels: Vec<String>,

    /// With --train server: how many rows every owner has, those of --owners first, then those of --features
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    rows: Vec<usize>,

    /// With --train server: who has the key that the model is encrypted under, and no data
    #[arg(long, value_name = "NAME")]
    holder: Option<String>,

    /// With --train server: who trains on the ciphertexts
    #[arg(long, value_name = "NAME")]
    server: Option<String>,

    /// With --train server: who repeats the training before the model is opened
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    verifiers: Vec<String>,

    /// With --features: do not compare the identifiers of features' and labels' rows
    #[arg(long)]
    without_ids: bool,

    /// A table like those of all owners: its columns, their names and, without --classes, its labels are taken over; no row
    /// of it is. With --features and --classes, a table of features alone
    #[arg(long, value_name = "FILE")]
    like: PathBuf,

    /// All classes that any owner has, in order [default: those of --like]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    classes: Option<Vec<String>>,

    /// Where to train: here, by sums of gradients while all owners are online; server, on ciphertexts, with a key holder;
    /// or no, for a scaler of all rows and nothing more
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
    /// On ciphertexts, at a server that none of the owners has to trust
    Server,
    /// Nowhere: the session ends with the scaler
    No,
}

impl New {
    /// Who takes part, and how; refuses flags of another way to train.
    fn roles(&self) -> Result<Vec<(Role, String)>> {
        let of = |role: Role, names: &[String]| names.iter().map(move |name| (role, name.clone())).collect::<Vec<_>>();
        let owners = of(Role::Rows, &self.owners);
        let apart = [of(Role::Features, &self.features), of(Role::Labels, &self.labels)].concat();
        let verifiers = of(Role::Verifier, &self.verifiers);
        if self.train != Train::Server {
            let others = self.holder.is_some() || self.server.is_some() || !self.rows.is_empty() || self.without_ids;
            if others || !apart.is_empty() || !verifiers.is_empty() {
                let message = "--features, --labels, --rows, --holder, --server, --verifiers and --without-ids belong to --train server: add that, or leave them out";
                return Err(CliError::input(message));
            }
            return Ok(owners);
        }
        let (Some(holder), Some(server)) = (&self.holder, &self.server) else {
            let message = "training at a server needs a key holder and a server: name them with --holder and --server";
            return Err(CliError::input(message));
        };
        let named = self.owners.len() + self.features.len();
        if self.rows.len() != named {
            let message = format!("{} numbers of rows for {named} owners: give one each with --rows", self.rows.len());
            return Err(CliError::input(message));
        }
        let others = vec![(Role::Holder, holder.clone()), (Role::Server, server.clone())];
        Ok([owners, apart, others, verifiers].concat())
    }

    /// Whether the table that the coordinator shows has labels.
    fn labels_of_like(&self) -> bool {
        self.features.is_empty() || self.classes.is_none()
    }

    fn plan(&self, features: usize, classes: usize, recipe: &Recipe) -> Result<Plan> {
        let (whole, apart) = self.rows.split_at(self.owners.len());
        let given = |gives, rows: &[usize]| rows.iter().map(|rows| (gives, *rows)).collect::<Vec<_>>();
        let given = [given(Gives::Rows, whole), given(Gives::Features, apart), given(Gives::Labels, apart)].concat();
        let rows = whole.iter().chain(apart).sum();
        Ok(plan::choose(Shape { rows, features, classes }, recipe, &Constraints { given, ..Constraints::default() })?)
    }

    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let shared = shared(&self.dir)?;
        let out = NewFile::plan(&shared.file(proposal::NAME), Privacy::Public, false)?;
        let roles = self.roles()?;
        let mut members = Vec::with_capacity(roles.len());
        for (role, owner) in roles {
            let path = shared.file(&format!("card.{owner}"));
            let Some(json) = shared.get(&format!("card.{owner}"))? else {
                let message = format!("{owner} has not joined: let it run ciphertune joint join --name {owner}");
                return Err(CliError::input(message).in_file(&path));
            };
            let card = Card::from_json(&json).map_err(|error| CliError::from(error).in_file(&path))?;
            if card.name != owner {
                return Err(CliError::input(format!("this is the card of {}: do not go on", card.name)).in_file(&path));
            }
            members.push(Member { role, card });
        }
        let place = Place {
            table: Some(&self.like),
            label: self.columns.label.as_deref(),
            drop: &self.columns.drop,
            ..Place::default()
        };
        let table = Reader::new(BackboneChoice::default(), None, &[place], &crate::progress::Terminal::new())?
            .read(&place, if self.labels_of_like() { LabelColumn::Present } else { LabelColumn::Absent })?
            .table;
        let recipe = self.recipe.recipe()?;
        let scaler = PooledScaler { kind: recipe.scaler(), lambda: recipe.lambda() };
        let training = match self.train {
            Train::No => None,
            Train::Here | Train::Server => {
                let classes = match &self.classes {
                    Some(classes) => classes.clone(),
                    None => Classes::from_labels(table.require_labels()?)?.names().to_vec(),
                };
                let plan = match self.train {
                    Train::Server => Some(self.plan(table.columns(), classes.len(), &recipe)?),
                    _ => None,
                };
                let compare_ids = !self.features.is_empty() && !self.without_ids;
                Some(Training { classes, recipe, plan, compare_ids })
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
            mode: if self.train == Train::Server { Mode::KeyHolder } else { Mode::SecureSum },
            members,
            features,
            scaler,
            training,
            accept_disclosure: self.accept_disclosure,
            deadline: now + self.hours * 3600,
        })?;
        out.write(&proposal.to_json())?;
        let owners = count(proposal.giving().len(), "owner");
        say!("proposed a session of {owners} and {}", count(proposal.features.count, "feature"))?;
        say!("  {}", shared.file(proposal::NAME).display())?;
        say!("  fingerprint {}", proposal.fingerprint())?;
        if let Some(plan) = proposal.training.as_ref().and_then(|training| training.plan.as_ref()) {
            let megabytes = |bytes: usize| format!("{:.1} MB", bytes as f64 / 1e6);
            for (place, contribution) in proposal.giving().into_iter().zip(plan.contributions()) {
                let (name, bytes) = (&proposal.members[place].card.name, plan.given_bytes(*contribution));
                say!("  {name} encrypts {} in {}", count(contribution.rows, "row"), megabytes(bytes))?;
            }
            let estimate = plan.estimate()?;
            say!(
                "  evaluation keys {}, server memory {}",
                megabytes(estimate.key_bytes),
                megabytes(estimate.server_bytes)
            )?;
            say!("  {:.1} bits of a logit are kept in the head", estimate.logit_bits(plan))?;
        }
        say!("read the fingerprint aloud to every owner, on the telephone; next, every owner, until it is done:")?;
        let dir = self.dir.display();
        say!(
            "  ciphertune joint next --dir {dir} --keys KEYS/ --train FILE --fingerprint \"{}\"",
            proposal.fingerprint()
        )?;
        Ok(())
    }
}
