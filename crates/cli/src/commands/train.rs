//! `train`: the server's command. Nothing here reads or needs what an owner keeps.

use std::path::PathBuf;

use ciphertune_head::Plan;
use ciphertune_head::train::Returned;
use clap::Args;
use serde_json::{Value, json};

use crate::errors::Result;
use crate::progress::Terminal;
use crate::sizes;
use crate::text::{bytes, count, say, seconds, thousands};
use ciphertune_session::files::{NewFile, Privacy, Source};
use ciphertune_session::job_folder::job_file;
use ciphertune_session::memory;
use ciphertune_session::server::{self, Residence, Trained};

/// Server: train on a job, without any secret
///
/// Everything that the training needs is in the job and in the evaluation keys. The model that it writes can be read by
/// the owner alone.
#[derive(Args)]
pub struct Train {
    /// Job: the folder that encrypt wrote, or the file in it
    #[arg(long, value_name = "JOB/")]
    job: PathBuf,

    /// The owner's evaluation keys
    #[arg(long, value_name = "FILE")]
    eval_keys: PathBuf,

    /// File to write the encrypted model to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Return every iterate, not only the last, so that the owner can follow the training
    #[arg(long)]
    trace: bool,

    /// Most memory that training may take, such as 8G; data for which it does not suffice are read again and again
    /// [default: what this machine has available]
    #[arg(long, value_name = "BYTES", value_parser = sizes::parse_size)]
    memory: Option<usize>,

    /// Replace a model that is there
    #[arg(long)]
    force: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Train {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let out = NewFile::plan(&self.out, Privacy::Public, self.force)?;
        let job_path = job_file(&self.job)?;
        let job = server::Job::open(Source::open(&job_path)?)?;
        let plan = job.plan().clone();
        let allotment = job.allot(memory::limit(self.memory))?;
        let returned = if self.trace { Returned::Every } else { Returned::Last };
        let keys = Source::open(&self.eval_keys)?;
        let trained = server::train(job, keys, returned, allotment.room, &Terminal::new())?;
        out.write(&trained.model)?;
        match self.json {
            true => Ok(say!("{:#}", describe(&trained))?),
            false => self.report(&plan, &trained),
        }
    }

    fn report(&self, plan: &Plan, trained: &Trained) -> Result<()> {
        let (switches, products) = (trained.counts.key_switches as usize, trained.counts.products as usize);
        let work = format!("{}, {}", count(switches, "key switch"), count(products, "product"));
        let iterations = count(plan.recipe().iterations(), "iteration");
        let (load, took) = (seconds(trained.load_seconds), seconds(trained.train_seconds));
        say!("trained {iterations} on {} encrypted rows in {took}, after reading for {load}", plan.shape().rows)?;
        say!("  {work}")?;
        let Residence { kept, ciphertexts, read_again } = trained.residence;
        if kept < ciphertexts {
            let (all, read) = (count(ciphertexts, "ciphertext"), thousands(read_again));
            say!("  {} of {all} kept in memory; {read} read again from the job", thousands(kept as u64))?;
        }
        if let Some(peak) = memory::peak() {
            say!("  peak memory {}", bytes(peak))?;
        }
        say!("  {}  {}, for the owner", self.out.display(), bytes(trained.model.len()))?;
        let model = self.out.display();
        say!("next, on the owner's side:\n  ciphertune decrypt --model {model} --keys KEYS/ --out head.safetensors")?;
        Ok(())
    }
}

/// What a training took, in the words of `run --json`.
fn describe(trained: &Trained) -> Value {
    let Residence { kept, ciphertexts, read_again } = trained.residence;
    json!({
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
