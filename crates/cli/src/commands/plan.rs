//! `plan`: what a training will take.

mod report;

use ciphertune_head::plan::cost::UnitCosts;
use clap::Args;

use crate::errors::Result;
use crate::inputs::BackboneFlags;
use crate::options::{PlanFlags, RecipeFlags, ShapeFlags};
use crate::progress::Terminal;
use crate::text::say;
use report::Report;

/// Say what a training will take, before anything is encrypted
///
/// Finds the plan that keygen would make keys for, and prints ring, layout, sizes, operations, precision, the time that
/// training would take on this machine (timed with a few rotations in a small ring), and what the layout's alternatives
/// would take.
#[derive(Args)]
pub struct PlanCommand {
    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    shape: ShapeFlags,

    #[command(flatten)]
    backbone: BackboneFlags,

    #[command(flatten)]
    recipe: RecipeFlags,

    #[command(flatten)]
    plan: PlanFlags,
}

impl PlanCommand {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let terminal = Terminal::new();
        let recipe = self.recipe.recipe()?;
        let plan = self.shape.plan(&self.backbone, &recipe, &self.plan, &terminal)?;
        let costs = UnitCosts::measure()?;
        let alternatives = self.plan.alternatives(&plan, &terminal);
        let report = Report::new(&plan, self.plan.memory(), self.plan.upload_rate(), &alternatives, &costs)?;
        if self.json {
            say!("{}", serde_json::to_string_pretty(&report).map_err(std::io::Error::from)?)?;
        } else {
            say!("{}", report.text(&plan).trim_end())?;
        }
        Ok(())
    }
}
