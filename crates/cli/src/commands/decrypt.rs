//! `decrypt`: a model becomes a head.

use std::path::{Path, PathBuf};

use ciphertune_ckks::container::Container;
use ciphertune_ckks::files::KEY_ID;
use ciphertune_head::job::owner::{Check, Course, Keys, Record};
use ciphertune_head::job::{self, JobId};
use ciphertune_head::{Head, LabelColumn};
use clap::Args;

use crate::commands::inference;
use crate::errors::{CliError, Result};
use crate::inputs::{BackboneFlags, ColumnFlags, part_or_test};
use crate::progress::Terminal;
use crate::text::{count, printable, say, seconds, thousands};
use ciphertune_session::InFile;
use ciphertune_session::examples::{Examples, Place, Reader};
use ciphertune_session::files::{Document, NewFile, Privacy};
use ciphertune_session::keys_folder::KeysFolder;
use ciphertune_session::publication::{CheckedOn, Published, Terms};
use ciphertune_session::rehearsal::timed;
use ciphertune_session::{owner, publication};

/// Owner: decrypt a model into a head for raw features
///
/// The head holds weights [classes, features] and biases for the features as the backbone gives them: the scaler is
/// folded in. If the model holds every iterate, the last becomes the head.
///
/// A model that is decrypted as it is carries noise that depends on the secret key. Show it to nobody, the server
/// included: the file is written for your eyes only (mode 0600). With --publish, noise is added that makes the head
/// safe to show (see SECURITY.md), and the head is checked on rows that you know: a server can return anything as the
/// model, your own data among it.
///
/// With --logits an answer of infer becomes a table of labels (mode 0600).
#[derive(Args)]
pub struct Decrypt {
    /// Model that the server sent back
    #[arg(long, value_name = "FILE", required_unless_present = "logits")]
    model: Option<PathBuf>,

    /// Keys that the job or the query was encrypted with
    #[arg(long, value_name = "KEYS/")]
    keys: PathBuf,

    /// File to write the head, or the labels, to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Add noise that makes the head safe to show to others
    #[arg(long)]
    publish: bool,

    /// How many models in all will be published of these keys: more need more noise each. KEYS/releases.json counts
    /// those that were
    #[arg(long, value_name = "Q", default_value_t = 1, requires = "publish", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    releases: u32,

    /// Publish a head even if less than half a bit of its logits is left above the noise
    #[arg(long, requires = "publish")]
    anyway: bool,

    /// Rows of your own, with labels, to check the head on before it is published: .csv (label first), .npz or
    /// .safetensors [default: up to 256 of the rows that were encrypted]
    #[arg(long, value_name = "TABLE", requires = "publish", conflicts_with = "unchecked")]
    check: Option<PathBuf>,

    /// Publish a head without checking it. If the server returned something else than the model, this may show your data
    #[arg(long, requires = "publish")]
    unchecked: bool,

    #[command(flatten)]
    columns: ColumnFlags,

    /// Answer of ciphertune infer, to be decrypted into labels instead
    #[arg(long, value_name = "FILE", help_heading = "Inference", conflicts_with_all = ["model", "publish", "releases", "anyway", "check", "unchecked", "label", "drop"])]
    logits: Option<PathBuf>,

    /// Write the logits beside the labels: raw decryptions, for your eyes only
    #[arg(long, help_heading = "Inference", requires = "logits", conflicts_with = "model")]
    scores: bool,

    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

impl Decrypt {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        if let Some(answer) = &self.logits {
            return inference::decrypt::decrypt(answer, self.scores, &self.keys, &self.out, self.force);
        }
        self.columns.refuse_without("--check", self.check.is_some())?;
        let privacy = if self.publish { Privacy::Public } else { Privacy::Private };
        let out = NewFile::plan(&self.out, privacy, self.force)?;
        let keys_folder = KeysFolder::open(&self.keys)?;
        let model = Document::read(self.model())?;
        let container = Container::parse(&model.bytes, job::MODEL, job::MODEL_FORMAT).in_file(self.model())?;
        let job = job::job_id_of(container.header()).in_file(self.model())?;
        let keys = keys_folder.keys()?;
        let (found, expected) = (container.metadata(KEY_ID).in_file(self.model())?, keys.id().to_string());
        if found != expected {
            let message = format!(
                "the model is encrypted under key {found}, {} holds key {expected}: use the keys that the job was encrypted with",
                self.keys.display()
            );
            return Err(CliError::input(message).in_file(self.model()));
        }
        drop(container);
        let record = keys_folder.record(&keys, job, self.model())?;
        let opened = Opened { keys, record, model, job };
        if self.publish { self.publish(&opened, &keys_folder, out) } else { self.keep(&opened, out) }
    }

    /// The model's file.
    fn model(&self) -> &Path {
        self.model.as_deref().unwrap_or(Path::new(""))
    }

    /// Writes a head for the owner alone.
    fn keep(&self, from: &Opened, out: NewFile) -> Result<()> {
        let (opened, took) = timed(|| owner::decrypt(&from.keys, &from.record, &from.model))?;
        let head = opened.decrypted.last();
        out.write(&head.to_bytes()?)?;
        self.say_written(from, head, took)?;
        let iterates = opened.decrypted.heads.len();
        if iterates > 1 {
            say!("  the model holds {iterates} iterates: the last was written")?;
        }
        if from.record.is_within_plan() {
            say!("  precision: weights are right to {:.1} bits of the largest one", opened.precision_bits)?;
        } else {
            say!("  precision: not known, because the features are larger than the plan takes for granted")?;
        }
        say!("  for your eyes only: before you show it to anyone, decrypt it with --publish")?;
        self.say_next()
    }

    /// Writes a head for anyone: with noise, checked, and counted.
    fn publish(&self, from: &Opened, folder: &KeysFolder, out: NewFile) -> Result<()> {
        let table = self.check.as_deref().map(|path| self.read_table(path, &from.record)).transpose()?;
        let check = match &table {
            Some(table) => CheckedOn::Table(table),
            None if self.unchecked => CheckedOn::Nothing,
            None => CheckedOn::KeptRows,
        };
        let terms = Terms { releases: self.releases, anyway: self.anyway, check };
        let publish = || publication::publish(folder, &from.keys, &from.record, &from.model, &terms);
        let (Published { released, which }, took) = timed(publish)?;
        out.write(&released.head.to_bytes()?)?;

        self.say_written(from, &released.head, took)?;
        say!("  {}", checked(released.check.as_ref(), table.is_some()))?;
        let shown = match self.releases {
            1 => "safe to show, as the only model of these keys".to_owned(),
            releases => format!("safe to show, as release {which} of {releases} that its noise covers"),
        };
        say!("  {shown}")?;
        let release = released.release;
        say!("  precision: {:.1} bits of the largest weight are left above the noise", release.precision_bits)?;
        say!("  precision: {:.1} bits of a logit are left above the noise", release.logit_bits())?;
        if !release.cleaned {
            say!("  the noise was not cleaned up: the job's record does not hold what that takes")?;
        }
        self.say_next()
    }

    /// The rows of `--check`.
    fn read_table(&self, path: &Path, record: &Record) -> Result<Examples> {
        let place = Place {
            table: Some(path),
            images: None,
            labels: None,
            rows: None,
            label: self.columns.label.as_deref(),
            drop: &self.columns.drop,
            known: record.names(),
            split: part_or_test(None, Some(path)),
        };
        let terminal = Terminal::new();
        let reader = Reader::new(BackboneFlags::default().choice(), record.provenance(), &[place], &terminal)?;
        Ok(reader.read(&place, LabelColumn::Present)?)
    }

    fn say_written(&self, from: &Opened, head: &Head, took: f64) -> Result<()> {
        say!("decrypted the model of job {} in {}", from.job, seconds(took))?;
        let shape = format!("{} x {}", count(head.classes().len(), "class"), count(head.features(), "feature"));
        let ended = from.record.course().and_then(Course::ended);
        let all = from.keys.plan().recipe().iterations();
        let iterations = count(ended.map_or(all, |best| best.iteration), "iteration");
        say!("  {}  {shape}, after {iterations}", self.out.display())?;
        Ok(())
    }

    fn say_next(&self) -> Result<()> {
        say!("next:\n  ciphertune evaluate --head {} --test FILE", self.out.display())?;
        Ok(())
    }
}

/// A model with what it takes to read it.
struct Opened {
    keys: Keys,
    record: Record,
    model: Document,
    job: JobId,
}

/// What a published head was checked by.
fn checked(check: Option<&Check>, own: bool) -> String {
    let Some(check) = check else {
        return "NOT checked: if the server returned something else than the model, it may show your data".to_owned();
    };
    let which = if own { "rows" } else { "kept rows" };
    format!(
        "checked: {} of {} {which} right; always saying '{}' would have {} right",
        thousands(check.right as u64),
        thousands(check.rows as u64),
        printable(&check.most_frequent),
        thousands(check.most_frequent_rows as u64)
    )
}
