//! What a file says about itself.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use ciphertune_backbone::Preprocess;
use ciphertune_ckks::container::{ContainerError, ContainerStream};
use ciphertune_head::column_names::{FEATURE_NAMES, LABEL_NAME};
use ciphertune_head::inference::InferencePlan;
use ciphertune_head::{FeatureTable, LabelColumn, Plan, Provenance, Recipe, TableFormat};
use serde_json::{Map, Value, json};

use crate::errors::{CliError, Result};
use crate::text::{Table, bytes, count, printable};
use ciphertune_session::InFile;
use ciphertune_session::files::{self, Source};

/// The metadata entry that holds a plan for inference, and the kind of its file.
const INFERENCE_PLAN: &str = "inference-plan";
/// The metadata entry of heads and records that names the backbone.
const PROVENANCE: &str = "provenance";

/// A file, read and checked.
pub struct Description {
    path: PathBuf,
    kind: String,
    version: Option<u32>,
    size: usize,
    metadata: Vec<(String, String)>,
    plan: Option<Plan>,
    inference: Option<InferencePlan>,
    tensors: Vec<Tensor>,
}

/// A tensor, with the widths of its limbs if it is packed.
struct Tensor {
    name: String,
    element: String,
    shape: Vec<usize>,
    widths: Vec<u32>,
}

impl Description {
    /// Reads a container, or a plan in JSON.
    pub fn read(path: &Path) -> Result<Self> {
        let mut source = Source::open(path)?;
        let unreadable = |error: std::io::Error| CliError::failure(error.to_string()).in_file(path);
        let size = source.content.seek(SeekFrom::End(0)).map_err(unreadable)? as usize;
        source.content.rewind().map_err(unreadable)?;
        let path_buf = path.to_owned();
        let mut first = [0];
        let begun = source.content.read(&mut first).map_err(unreadable)?;
        source.content.rewind().map_err(unreadable)?;
        if &first[..begun] == b"{" {
            let mut text = String::new();
            let read = source.content.read_to_string(&mut text);
            read.map_err(|error| CliError::input(format!("the file is no text: {error}")).in_file(path))?;
            let (kind, plan, inference) = match text.contains("\"inference_format\"") {
                false => ("plan", Some(Plan::from_json(&text).in_file(path)?), None),
                true => (INFERENCE_PLAN, None, Some(InferencePlan::from_json(&text).in_file(path)?)),
            };
            let (kind, metadata, tensors) = (kind.to_owned(), Vec::new(), Vec::new());
            return Ok(Self { path: path_buf, kind, version: None, size, metadata, plan, inference, tensors });
        }
        let mut stream = match ContainerStream::open_any(source.content) {
            // A table of features is no container of ours: other programs write it as well.
            Err(ContainerError::Foreign(key)) => {
                return Ok(Self::of_table(path)?.ok_or(ContainerError::Foreign(key)).in_file(path)?);
            }
            stream => stream.in_file(path)?,
        };
        let header = stream.header();
        let plan = match header.all_metadata().get("plan") {
            Some(text) => Some(Plan::from_json(text).in_file(path)?),
            None => None,
        };
        let inference = match header.all_metadata().get(INFERENCE_PLAN) {
            Some(text) => Some(InferencePlan::from_json(text).in_file(path)?),
            None => None,
        };
        let own = ["kind", "version", "packed", "row-digests", "digest", "plan", INFERENCE_PLAN];
        let entries = header.all_metadata().iter().filter(|(key, _)| !own.contains(&key.as_str()));
        let metadata = entries.map(|(key, value)| (key.clone(), value.clone())).collect();
        let tensors = header
            .shapes()
            .map(|(name, element, shape)| {
                let widths = header.packed(name).map_or(Vec::new(), |packed| packed.widths.to_vec());
                Tensor { name: name.to_owned(), element: element.to_string(), shape: shape.to_vec(), widths }
            })
            .collect();
        let (kind, version) = (header.kind().to_owned(), Some(header.version()));
        // Only for its digest.
        stream.read_rows(|_, _, _| Ok::<_, ContainerError>(())).in_file(path)?;
        Ok(Self { path: path_buf, kind, version, size, metadata, plan, inference, tensors })
    }

    /// A feature table in a safetensors file; none if the file is no such table.
    fn of_table(path: &Path) -> Result<Option<Self>> {
        let content = files::read(path)?;
        let parse = |labels| FeatureTable::parse(&content, TableFormat::Safetensors, labels);
        let Ok(table) = parse(LabelColumn::Present).or_else(|_| parse(LabelColumn::Absent)) else { return Ok(None) };
        let mut metadata = Vec::new();
        metadata.extend(table.provenance().map(|provenance| (PROVENANCE.to_owned(), provenance.to_json())));
        if let Some(names) = table.names() {
            metadata.push((FEATURE_NAMES.to_owned(), json!(names.features()).to_string()));
            metadata.extend(names.label().map(|label| (LABEL_NAME.to_owned(), label.to_owned())));
        }
        let mut classes = table.labels().unwrap_or_default().to_vec();
        classes.sort_unstable();
        classes.dedup();
        if !classes.is_empty() {
            metadata.push(("classes".to_owned(), json!(classes).to_string()));
        }
        let shape = vec![table.rows(), table.columns()];
        let tensor = Tensor { name: "features".into(), element: "floats".into(), shape, widths: Vec::new() };
        let (kind, size) = ("feature table".to_owned(), content.len());
        let (path, tensors) = (path.to_owned(), vec![tensor]);
        Ok(Some(Self { path, kind, version: None, size, metadata, plan: None, inference: None, tensors }))
    }

    /// As one JSON object.
    pub fn to_json(&self) -> Value {
        let metadata: Map<String, Value> =
            self.metadata.iter().map(|(key, value)| (key.clone(), parsed(value))).collect();
        let tensors: Map<String, Value> = self
            .tensors
            .iter()
            .map(|Tensor { name, element, shape, widths }| {
                let mut entry = json!({ "type": element, "shape": shape });
                if !widths.is_empty() {
                    entry["packed"] = json!(widths);
                }
                (name.clone(), entry)
            })
            .collect();
        let literal = self.plan.as_ref().map(Plan::literal).or(self.inference.as_ref().map(InferencePlan::literal));
        let security = self.plan.as_ref().map(Plan::security_bits);
        json!({
            "file": self.path.to_string_lossy(),
            "kind": self.kind,
            "version": self.version,
            "bytes": self.size,
            "metadata": metadata,
            "plan": self.plan.as_ref().map(|plan| parsed(&plan.to_json())),
            "inference_plan": self.inference.as_ref().map(|plan| parsed(&plan.to_json())),
            "log_n": literal.map(|literal| literal.log_n),
            "log_qp": literal.map(|literal| literal.log_qp()),
            "security_bits": security.or(self.inference.as_ref().map(InferencePlan::security_bits)),
            "tensors": tensors,
        })
    }

    /// As a table.
    pub fn text(&self, all_tensors: bool) -> String {
        let mut table = Table::default();
        let version = self.version.map_or(String::new(), |version| format!(", format version {version}"));
        table.row("kind", format!("{}{version}", printable(&self.kind)));
        table.row("size", bytes(self.size));
        for (key, value) in &self.metadata {
            table.row(&printable(&key.replace(['-', '_'], " ")), printable(&readable(key, value)));
        }
        if let Some(plan) = &self.plan {
            let shape = plan.shape();
            let (rows, features) = (count(shape.rows, "row"), count(shape.features, "feature"));
            table.row("table", format!("{rows} x {features}, {}", count(shape.classes, "class")));
            table.row("recipe", recipe_text(plan.recipe()));
            table.row("layout", plan.layout_kind().to_string());
            let (log_n, log_qp) = (plan.literal().log_n, plan.literal().log_qp());
            table
                .row("ring", format!("N = 2^{log_n}, log QP = {log_qp:.1}: {} bits of security", plan.security_bits()));
            table.row("levels", format!("{}, {} left after training", plan.top_level(), plan.levels_left()));
        }
        if let Some(plan) = &self.inference {
            let shape = format!("{} x {}", count(plan.classes(), "class"), count(plan.features(), "feature"));
            table.row("head", format!("{shape}, {}", plan.head()));
            let (log_n, log_qp) = (plan.literal().log_n, plan.literal().log_qp());
            table
                .row("ring", format!("N = 2^{log_n}, log QP = {log_qp:.1}: {} bits of security", plan.security_bits()));
        }
        if !self.tensors.is_empty() {
            table.row("tensors", self.tensor_text(all_tensors));
        }
        format!("{}\n{}", self.path.display(), table.render())
    }

    fn tensor_text(&self, all: bool) -> String {
        const FEW: usize = 8;
        let line = |Tensor { name, element, shape, widths }: &Tensor| {
            let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
            let packed = match widths.len() {
                0 => String::new(),
                limbs => format!(", {} packed", count(limbs, "limb")),
            };
            format!("{} {element} [{}]{packed}", printable(name), shape.join(", "))
        };
        if all || self.tensors.len() <= FEW {
            return self.tensors.iter().map(line).collect::<Vec<_>>().join("\n");
        }
        format!("{}: list them with --tensors", count(self.tensors.len(), "tensor"))
    }
}

fn recipe_text(recipe: &Recipe) -> String {
    format!("{}, {}, scaler {}", recipe.name(), count(recipe.iterations(), "iteration"), recipe.scaler())
}

/// The backbone, and the preprocessing in words where it is this program's.
fn provenance_text(value: &str) -> String {
    let Ok(provenance) = Provenance::from_json(value) else { return value.to_owned() };
    let settings: Option<Preprocess> = serde_json::from_str(&provenance.preprocess).ok();
    let settings = settings.map_or_else(|| provenance.preprocess.clone(), |settings| settings.to_string());
    format!("{provenance}; {settings}")
}

/// JSON where it is JSON: lists, objects and numbers; identifiers stay text.
fn parsed(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Array(_) | Value::Object(_))) => value,
        Ok(value @ Value::Number(_)) if text.len() < 20 => value,
        _ => json!(text),
    }
}

/// A metadata entry for people.
fn readable(key: &str, value: &str) -> String {
    const MOST: usize = 60;
    let text = match (key, parsed(value)) {
        (PROVENANCE, _) => provenance_text(value),
        ("recipe", _) => Recipe::from_json(value).map_or(value.to_owned(), |recipe| recipe_text(&recipe)),
        ("published", Value::Number(bits)) => {
            format!("{:.1} bits of precision left", bits.as_f64().unwrap_or(f64::NAN))
        }
        (_, Value::Array(list)) => {
            let words: Vec<String> = list.iter().map(|x| x.as_str().map_or(x.to_string(), str::to_owned)).collect();
            words.join(", ")
        }
        _ => value.to_owned(),
    };
    if !["recipe", PROVENANCE].contains(&key) && text.chars().count() > MOST {
        let start: String = text.chars().take(MOST - 3).collect();
        return format!("{start}...");
    }
    text
}
