//! `evaluate`: a head's scores.

use std::path::PathBuf;

use ciphertune_head::LabelColumn;
use ciphertune_head::metrics::{Evaluation, accuracy_interval};
use clap::{ArgGroup, Args};
use serde_json::json;

use crate::errors::Result;
use crate::inputs::{BackboneFlags, ColumnFlags, PartName, part_or_test};
use crate::progress::Terminal;
use crate::report::ReportFlags;
use crate::text::{Table, percent, printable, say, thousands, warn_if_private};
use ciphertune_report::evaluation::About;
use ciphertune_session::InFile;
use ciphertune_session::examples::{Place, Reader};
use ciphertune_session::files;
use ciphertune_session::specimens::Specimens;

/// More columns than this do not fit on a screen.
const WIDEST_CONFUSION: usize = 12;

/// Score a head on a table with labels, or on labelled images
#[derive(Args)]
#[command(group = ArgGroup::new("examples").required(true).args(["test", "images"]))]
pub struct Evaluate {
    /// Head that decrypt wrote
    #[arg(long, value_name = "FILE")]
    head: PathBuf,

    /// Test table: .csv (label first), .npz or .safetensors (features, labels)
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,

    /// Test images, instead of a table: a folder with a sub-folder a class, a .csv of path and label, idx files (.gz),
    /// CIFAR-10's binary batches, an .npz of images and labels
    #[arg(long, value_name = "DIR|FILE", alias = "test-images")]
    images: Option<PathBuf>,

    /// Labels that belong to idx images
    #[arg(long, value_name = "FILE", requires = "images", alias = "test-labels")]
    labels: Option<PathBuf>,

    /// Part of an .npz that holds several, as MedMNIST's and Keras' do: train, val or test [default: test]
    #[arg(long, value_enum, value_name = "PART")]
    split: Option<PartName>,

    /// Only the first N rows of the table, or N images, every class of a folder in turn
    #[arg(long, value_name = "N")]
    rows: Option<usize>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    columns: ColumnFlags,

    #[command(flatten)]
    backbone: BackboneFlags,

    #[command(flatten)]
    report: ReportFlags,
}

impl Evaluate {
    /// Runs the command.
    pub fn execute(&self) -> Result<()> {
        let terminal = Terminal::new();
        let (head, privacy) = files::read_head(&self.head)?;
        let folder = self.report.plan(privacy)?;
        let place = Place {
            table: self.test.as_deref(),
            images: self.images.as_deref(),
            labels: self.labels.as_deref(),
            rows: self.rows,
            label: self.columns.label.as_deref(),
            drop: &self.columns.drop,
            known: head.names(),
            split: part_or_test(self.split, self.test.as_deref().or(self.images.as_deref())),
        };
        let test = Reader::new(self.backbone.choice(), head.provenance(), &[place], &terminal)?
            .read(&place, LabelColumn::Present)?;
        let evaluation = head.evaluate(&test.table).in_file(&test.path)?;
        let names = head.classes().names();
        let specimens = Specimens::choose(&head, &test)?;
        let mut object = serde_json::to_value(&evaluation).map_err(std::io::Error::from)?;
        object["classes"] = json!(names);
        object["accuracy_interval"] = json!(accuracy_interval(evaluation.right, evaluation.rows));
        object["specimens"] = json!(specimens);
        let object = format!("{object:#}");
        let written = match folder {
            Some(folder) => {
                let recipe = head.recipe().map(|recipe| (recipe.name(), recipe.iterations()));
                let (features, provenance) = (head.features(), head.provenance());
                let about = About { names, features, recipe, provenance, privacy };
                let page = ciphertune_report::evaluation::page(&about, &evaluation, &specimens, &test, &object)?;
                Some(folder.write(&page, &object, &[])?)
            }
            None => None,
        };
        warn_if_private(privacy, "scores");
        if self.json {
            say!("{object}")?;
            return Ok(());
        }
        say!("{}", text(&evaluation, names).trim_end())?;
        if let Some(path) = written {
            say!("\nreport: {}", path.display())?;
        }
        Ok(())
    }
}

fn text(evaluation: &Evaluation, names: &[String]) -> String {
    let mut table = Table::default();
    let right = format!("{} of {} right", thousands(evaluation.right as u64), thousands(evaluation.rows as u64));
    table.row("accuracy", format!("{}  ({right})", percent(evaluation.accuracy)));
    table.row("SLE", format!("{:.2}  (the paper's score; 0 is perfect)", evaluation.sle));
    table.row("log-likelihood", format!("{:.2}  (of a softmax)", evaluation.log_likelihood));
    let text = table.render();
    if names.len() > WIDEST_CONFUSION {
        return text;
    }
    format!("{text}\n{}", confusion(evaluation, names))
}

/// Rows by true class, columns by predicted class.
fn confusion(evaluation: &Evaluation, names: &[String]) -> String {
    let short = |name: &String| printable(&name.chars().take(6).collect::<String>());
    let largest = evaluation.confusion.iter().flatten().map(|n| n.to_string().len()).max().unwrap_or(1);
    let width = names.iter().map(|name| short(name).chars().count()).max().unwrap_or(1).max(largest);
    let line = |first: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!(" {cell:>width$}")).collect();
        format!("  {first:>width$} |{cells}\n")
    };
    let header = line("", names.iter().map(short).collect());
    // Zeros would hide what matters.
    let cell = |&n: &usize| if n == 0 { ".".to_owned() } else { n.to_string() };
    let rows: String = names
        .iter()
        .zip(&evaluation.confusion)
        .map(|(name, counts)| line(&short(name), counts.iter().map(cell).collect()))
        .collect();
    format!("  true class down, predicted class across\n{header}{rows}")
}
