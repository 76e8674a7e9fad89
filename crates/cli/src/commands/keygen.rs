//! `keygen`: the owner's keys.

use std::path::PathBuf;

use ciphertune_head::job::owner::Keys;
use clap::Args;

use crate::commands::inference::keygen::{InferenceFlags, keygen};
use crate::commands::publication;
use crate::errors::Result;
use crate::inputs::BackboneFlags;
use crate::options::{PlanFlags, RecipeFlags, ShapeFlags};
use crate::progress::Terminal;
use crate::text::{Table, bytes, say, seconds};
use ciphertune_session::Error;
use ciphertune_session::keys_folder::{EVALUATION, NewKeysFolder, SECRET};
use ciphertune_session::rehearsal::timed;

/// Owner: make a secret key, and evaluation keys for the server
///
/// Plans a training for a table's shape (its rows, features and classes; nothing else of it is used) and makes the keys
/// of that plan.
///
/// KEYS/secret.key stays with the owner. KEYS/evaluation.keys goes to the server, once for any number of jobs of this
/// shape and recipe. KEYS/plan.json says what was planned. KEYS/jobs will hold a record of every encrypted job, which
/// decrypt needs.
///
/// With --for-inference the keys are for asking a head about encrypted rows: any number of queries of any number of rows.
/// KEYS/inference.json says what was planned.
#[derive(Args)]
pub struct Keygen {
    /// Folder to write the keys to
    #[arg(long, value_name = "KEYS/")]
    out: PathBuf,

    /// Replace a folder of keys: models that are encrypted under the old ones are lost
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    shape: ShapeFlags,

    #[command(flatten)]
    backbone: BackboneFlags,

    #[command(flatten)]
    recipe: RecipeFlags,

    #[command(flatten)]
    plan: PlanFlags,

    #[command(flatten)]
    inference: InferenceFlags,
}

impl Keygen {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        if self.inference.for_inference {
            return keygen(&self.inference, self.shape.features_and_classes(), &self.out, self.force);
        }
        self.inference.refuse_for_training()?;
        let terminal = Terminal::new();
        let folder = NewKeysFolder::plan(&self.out, self.force)?;
        let recipe = self.recipe.recipe()?;
        let plan = self.shape.plan(&self.backbone, &recipe, &self.plan, &terminal)?;
        let ((id, size), took) = timed(|| {
            let keys = Keys::generate(&plan)?;
            Ok::<_, Error>((keys.id(), folder.write(&keys, &terminal)? as usize))
        })?;

        let out = self.out.display();
        say!("made key {id} in {}", seconds(took))?;
        let mut table = Table::default();
        let secret = self.out.join(SECRET);
        table.row(&secret.display().to_string(), "keep it: whoever has it can read data and models");
        let evaluation = self.out.join(EVALUATION);
        table.row(&evaluation.display().to_string(), format!("{}, for the server", bytes(size)));
        say!("{}", table.render().trim_end())?;
        say!("{}", publication::expected(plan.estimate()?.logit_bits(&plan)))?;
        say!("next:\n  ciphertune encrypt {} --keys {out} --out JOB/", self.shape.place().training_flags())?;
        Ok(())
    }
}
