//! What `train` and `resume` print.

use std::path::Path;

use ciphertune_head::Plan;
use ciphertune_head::job::part::Part;
use serde_json::{Value, json};

use crate::errors::Result;
use crate::text::{bytes, count, say, seconds, thousands};
use ciphertune_session::memory;
use ciphertune_session::server::{Residence, Trained};

/// What a training of all classes, or of a part of them, took, and what is next; with `json` one object.
pub fn report(plan: &Plan, part: Option<Part>, trained: &Trained, out: &Path, json: bool) -> Result<()> {
    if json {
        return Ok(say!("{:#}", describe(trained))?);
    }
    say_work(plan, trained)?;
    let Some(part) = part else { return say_model(out, trained.model.len()) };
    say!("  {}  {}, part {part} of the model", out.display(), bytes(trained.model.len()))?;
    say!("next, with the other parts:\n  ciphertune merge --part {} ... --out model.enc", out.display())?;
    Ok(())
}

/// Where a model of so many bytes is, and what its owner does with it.
pub fn say_model(out: &Path, size: usize) -> Result<()> {
    let model = out.display();
    say!("  {model}  {}, for the owner", bytes(size))?;
    say!("next, on the owner's side:\n  ciphertune decrypt --model {model} --keys KEYS/ --out head.safetensors")?;
    Ok(())
}

fn say_work(plan: &Plan, trained: &Trained) -> Result<()> {
    let (switches, products) = (trained.counts.key_switches as usize, trained.counts.products as usize);
    let work = format!("{}, {}", count(switches, "key switch"), count(products, "product"));
    let iterations = count(plan.recipe().iterations(), "iteration");
    let (load, took) = (seconds(trained.load_seconds), seconds(trained.train_seconds));
    let rows = plan.shape().rows;
    match trained.ended {
        false => say!("trained {iterations} on {rows} encrypted rows in {took}, after reading for {load}")?,
        true => say!("the owner ended the training on {rows} encrypted rows early: {took}, after reading for {load}")?,
    }
    say!("  {work}")?;
    let Residence { kept, ciphertexts, read_again } = trained.residence;
    if kept < ciphertexts {
        let (all, read) = (count(ciphertexts, "ciphertext"), thousands(read_again));
        say!("  {} of {all} kept in memory; {read} read again from the job", thousands(kept as u64))?;
    }
    if let Some(peak) = memory::peak() {
        say!("  peak memory {}", bytes(peak))?;
    }
    Ok(())
}

/// What a training took, in the words of `run --json`.
fn describe(trained: &Trained) -> Value {
    let Residence { kept, ciphertexts, read_again } = trained.residence;
    json!({
        "ended_early": trained.ended,
        "seconds": { "load": trained.load_seconds, "train": trained.train_seconds },
        "peak_memory_bytes": memory::peak(),
        "key_switches": trained.counts.key_switches,
        "products": trained.counts.products,
        "upload_ciphertexts": ciphertexts,
        "kept_ciphertexts": kept,
        "ciphertexts_read_again": read_again,
        "model_bytes": trained.model.len(),
    })
}
