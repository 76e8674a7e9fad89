//! `encrypt --for-inference`: rows become a query, a head becomes one that a server computes with unseen.

use std::path::{Path, PathBuf};

use ciphertune_head::LabelColumn;
use ciphertune_head::inference::HeadForm;
use ciphertune_head::inference::client::Keys;
use clap::Args;

use crate::errors::Result;
use crate::inputs::{BackboneFlags, note_left_out};
use crate::progress::Terminal;
use crate::text::{bytes, count, say, seconds};
use ciphertune_session::examples::{Place, Reader};
use ciphertune_session::files::{self, NewFolder, Privacy};
use ciphertune_session::inference::client;
use ciphertune_session::inference::folder::{HEAD_FILE, InferenceFolder, QUERY_FILE};
use ciphertune_session::rehearsal::timed;

/// The flags of a query, or of an encrypted head.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Inference")]
pub struct InferenceFlags {
    /// Encrypt rows that a head is to be asked about, or with --head the head itself, with keys of keygen
    /// --for-inference
    #[arg(long, conflicts_with_all = ["train", "labels", "scaler_file"])]
    pub for_inference: bool,

    /// Rows of features to ask about: .csv, .npz or .safetensors; or give images with
    /// --images. Labels in a .csv are left out if they are words in the first column, or named with --label
    #[arg(long, value_name = "FILE", requires = "for_inference")]
    features: Option<PathBuf>,

    /// Head to encrypt, for a server that shall not see it
    #[arg(long, value_name = "FILE", requires = "for_inference", conflicts_with_all = [
        "rows", "label", "drop",
        "backbone", "weights", "output", "input_size", "preprocess", "shorter_side", "filter", "channels", "mean", "std",
        "skip_bad", "cache", "no_cache",
    ])]
    head: Option<PathBuf>,
}

impl InferenceFlags {
    /// Encrypts the rows at `place` or of `--features`, or the head, into the folder `out`.
    pub fn encrypt(
        &self,
        place: Place<'_>,
        backbone: &BackboneFlags,
        keys_path: &Path,
        out: &Path,
        force: bool,
    ) -> Result<()> {
        let (file, loss) = match self.head {
            Some(_) => (HEAD_FILE, "the old encrypted head"),
            None => (QUERY_FILE, "the old query"),
        };
        let folder = NewFolder::plan(out, Privacy::Public, force, &[file], loss)?;
        let keys_folder = InferenceFolder::open(keys_path)?;
        keys_folder.settle_records();
        let keys = keys_folder.keys()?;
        match &self.head {
            Some(head) => encrypt_head(&keys_folder, &keys, head, &folder, out),
            None => {
                let place = Place { table: self.features.as_deref(), ..place };
                encrypt_rows(&keys, place, backbone, &folder, out)
            }
        }
    }
}

fn encrypt_rows(keys: &Keys, place: Place<'_>, backbone: &BackboneFlags, folder: &NewFolder, out: &Path) -> Result<()> {
    let terminal = Terminal::new();
    let reader = Reader::new(backbone.choice(), None, &[place], &terminal)?;
    let rows = reader.read(&place, LabelColumn::Detect { features: keys.plan().features() })?;
    note_left_out(&place, &rows, &terminal);
    let path = out.join(QUERY_FILE);
    let filling = folder.fill()?;
    let (query, took) = timed(|| {
        filling.write_with(QUERY_FILE, Privacy::Public, |out| client::encrypt_rows(keys, &rows, out, &path, &terminal))
    })?;
    filling.finish()?;
    let number = rows.table.rows();
    say!("encrypted {} as query {} in {}", count(number, "row"), query.id, seconds(took))?;
    let ciphertexts = count(query.ciphertexts, "ciphertext");
    say!("  {}  {} in {ciphertexts}, for the server", path.display(), bytes(query.bytes as usize))?;
    let head = match keys.plan().head() {
        HeadForm::Clear => "head.safetensors",
        HeadForm::Encrypted => "HEAD/",
    };
    let query = out.display();
    say!("next, on the server:")?;
    say!("  ciphertune infer --query {query} --head {head} --eval-keys evaluation.keys --out answer.enc")?;
    Ok(())
}

fn encrypt_head(
    keys_folder: &InferenceFolder<'_>,
    keys: &Keys,
    from: &Path,
    folder: &NewFolder,
    out: &Path,
) -> Result<()> {
    let (head, _) = files::read_head(from)?;
    let path = out.join(HEAD_FILE);
    let mut filling = folder.fill()?;
    let ((record, size), took) = timed(|| {
        filling.write_with(HEAD_FILE, Privacy::Public, |out| client::encrypt_head(keys, &head, from, out, &path))
    })?;
    // The record first: without it nobody could tell the classes of an answer.
    let companion = keys_folder.write_record(&record, &mut filling)?;
    match filling.place() {
        Ok(placed) => {
            companion.keep()?;
            drop(placed);
        }
        Err(error) => {
            companion.forget();
            return Err(error.into());
        }
    }
    let shape = format!("{} x {}", count(head.classes().len(), "class"), count(head.features(), "feature"));
    say!("encrypted a head of {shape} as head {} in {}", record.id(), seconds(took))?;
    say!("  {}  {}, for the server", path.display(), bytes(size as usize))?;
    Ok(())
}
