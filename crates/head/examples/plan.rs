//! Says what trainings would take, before there are any data: ring, traffic, memory, time and what a published head
//! would keep.
//!
//!     cargo run --release -p ciphertune-head --example plan

use std::error::Error;

use ciphertune_head::Recipe;
use ciphertune_head::layout::Shape;
use ciphertune_head::plan::cost::UnitCosts;
use ciphertune_head::plan::{self, Constraints};

fn main() -> Result<(), Box<dyn Error>> {
    let recipe = Recipe::default_for(2)?;
    for rows in [128, 1_024, 16_384] {
        let shape = Shape { rows, features: 768, classes: 10 };
        // A plan that does not fit is refused with the memory that it needs.
        let plan = plan::choose(shape, &recipe, &Constraints { memory: 8 << 30, ..Constraints::default() })?;
        let estimate = plan.estimate()?;
        println!(
            "{rows} rows: N = 2^{}, {} MB of keys, {} MB up, {} MB of memory, {:.1} s on one core, {:.1} bits of a logit",
            plan.literal().log_n,
            estimate.key_bytes / 1_000_000,
            estimate.upload_bytes / 1_000_000,
            estimate.server_bytes / 1_000_000,
            estimate.seconds(&plan, &UnitCosts::REFERENCE),
            estimate.logit_bits(&plan),
        );
    }
    Ok(())
}

#[test]
fn it_runs() -> Result<(), Box<dyn Error>> {
    main()
}
