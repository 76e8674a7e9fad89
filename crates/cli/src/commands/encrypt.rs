//! `encrypt`: a table becomes a job.

use std::path::PathBuf;

use ciphertune_head::plan::Refresh;
use ciphertune_head::{LabelColumn, Scaler};
use clap::Args;

use crate::commands::inference::encrypt::InferenceFlags;
use crate::commands::publication;
use crate::errors::Result;
use crate::inputs::{BackboneFlags, TrainFlags};
use crate::progress::Terminal;
use crate::text::{bytes, count, say, seconds};
use ciphertune_session::InFile;
use ciphertune_session::examples::Reader;
use ciphertune_session::files::{self, NewFolder, Privacy};
use ciphertune_session::job_folder::JOB_FILE;
use ciphertune_session::keys_folder::KeysFolder;
use ciphertune_session::owner;
use ciphertune_session::rehearsal::timed;

/// Owner: encrypt a training table into a job for the server
///
/// Fits the recipe's scaler to the features (never to the labels), scales them and encrypts features and labels. The
/// job holds ciphertexts and the public plan. Scaler and class names stay in KEYS/jobs.
///
/// With --for-inference rows of features become a query about a head, or with --head a head becomes one that a server
/// computes with unseen.
#[derive(Args)]
#[command(mut_group("training", |group| group.args(["features", "head"])))]
pub struct Encrypt {
    #[command(flatten)]
    train: TrainFlags,

    /// Keys that were made for a table of this shape
    #[arg(long, value_name = "KEYS/")]
    keys: PathBuf,

    /// A scaler that was fitted before, by ciphertune scaler fit, instead of one fitted to this table
    #[arg(long, value_name = "FILE")]
    scaler_file: Option<PathBuf>,

    /// Folder to write the job to
    #[arg(long, value_name = "JOB/")]
    out: PathBuf,

    /// Replace a job that is there
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    backbone: BackboneFlags,

    #[command(flatten)]
    inference: InferenceFlags,
}

impl Encrypt {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        if self.inference.for_inference {
            let place = self.train.place();
            return self.inference.encrypt(place, &self.backbone, &self.keys, &self.out, self.force);
        }
        let terminal = Terminal::new();
        let folder = NewFolder::plan(&self.out, Privacy::Public, self.force, &[JOB_FILE], "the old job")?;
        let keys_folder = KeysFolder::open(&self.keys)?;
        keys_folder.settle_records();
        let keys = keys_folder.keys()?;
        let place = self.train.place();
        let train =
            Reader::new(self.backbone.choice(), None, &[place], &terminal)?.read(&place, LabelColumn::Present)?;
        let scaler = match &self.scaler_file {
            Some(path) => {
                let scaler = Scaler::from_bytes(&files::read(path)?).in_file(path)?;
                owner::check_scaler(keys.plan(), &scaler).in_file(path)?;
                Some(scaler)
            }
            None => None,
        };
        let path = self.out.join(JOB_FILE);
        let mut filling = folder.fill()?;
        let (job, took) = timed(|| {
            filling.write_with(JOB_FILE, Privacy::Public, |out| {
                owner::encrypt(&keys, &train, scaler, out, &path, &terminal)
            })
        })?;
        // The record first: a job without its record could never be opened.
        let record = keys_folder.write_record(&job.record, &mut filling)?;
        match filling.place() {
            Ok(placed) => {
                record.keep()?;
                drop(placed);
            }
            Err(error) => {
                record.forget();
                return Err(error.into());
            }
        }

        let size = bytes(job.bytes as usize);
        let shape = keys.plan().shape();
        say!("encrypted {} as job {} in {}", count(shape.rows, "row"), job.record.job(), seconds(took))?;
        say!("  {}  {size} in {}, for the server", path.display(), count(job.ciphertexts, "ciphertext"))?;
        say!("{}", publication::expected(keys.plan().estimate()?.logit_bits(keys.plan())))?;
        let job = self.out.display();
        let state = if keys.plan().refresh() == Refresh::Never { "" } else { " --state STATE/" };
        say!(
            "next, on the server:\n  ciphertune train --job {job} --eval-keys evaluation.keys --out model.enc{state}"
        )?;
        Ok(())
    }
}
