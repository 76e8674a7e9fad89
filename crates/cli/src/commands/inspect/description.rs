//! What a file says about itself.

use std::path::{Path, PathBuf};

use ciphertune_ckks::container::Container;
use ciphertune_head::{Plan, Recipe};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::errors::{InFile, Result};
use crate::files;
use crate::text::{Table, bytes, count, printable};

/// A file, read and checked.
pub struct Description {
    path: PathBuf,
    kind: String,
    version: Option<u32>,
    size: usize,
    metadata: Vec<(String, String)>,
    plan: Option<Plan>,
    tensors: Vec<(String, String, Vec<usize>)>,
}

impl Description {
    /// Reads a container, or a plan in JSON.
    pub fn read(path: &Path) -> Result<Self> {
        // It may be the secret key.
        let content: Zeroizing<Vec<u8>> = files::read_secret(path)?;
        let size = content.len();
        let path_buf = path.to_owned();
        if content.first() == Some(&b'{') {
            let text = String::from_utf8_lossy(&content);
            let plan = Plan::from_json(&text).in_file(path)?;
            let (kind, metadata, tensors) = ("plan".to_owned(), Vec::new(), Vec::new());
            return Ok(Self { path: path_buf, kind, version: None, size, metadata, plan: Some(plan), tensors });
        }
        let container = Container::parse_any(content.as_slice()).in_file(path)?;
        let plan = match container.all_metadata().get("plan") {
            Some(text) => Some(Plan::from_json(text).in_file(path)?),
            None => None,
        };
        let own = ["kind", "version", "packed", "digest", "plan"];
        let entries = container.all_metadata().iter().filter(|(key, _)| !own.contains(&key.as_str()));
        let metadata = entries.map(|(key, value)| (key.clone(), value.clone())).collect();
        let names: Vec<String> = container.tensor_names().map(str::to_owned).collect();
        let mut tensors = Vec::new();
        for name in names {
            let tensor = container.tensor(&name).in_file(path)?;
            tensors.push((name.clone(), tensor.element_type().to_string(), tensor.shape().to_vec()));
        }
        let (kind, version) = (container.kind().to_owned(), Some(container.version()));
        Ok(Self { path: path_buf, kind, version, size, metadata, plan, tensors })
    }

    /// As one JSON object.
    pub fn to_json(&self) -> Value {
        let metadata: Map<String, Value> =
            self.metadata.iter().map(|(key, value)| (key.clone(), parsed(value))).collect();
        let tensors: Map<String, Value> = self
            .tensors
            .iter()
            .map(|(name, element, shape)| (name.clone(), json!({ "type": element, "shape": shape })))
            .collect();
        json!({
            "file": self.path.to_string_lossy(),
            "kind": self.kind,
            "version": self.version,
            "bytes": self.size,
            "metadata": metadata,
            "plan": self.plan.as_ref().map(|plan| parsed(&plan.to_json())),
            "log_n": self.plan.as_ref().map(|plan| plan.literal().log_n),
            "log_qp": self.plan.as_ref().map(|plan| plan.literal().log_qp()),
            "security_bits": self.plan.as_ref().map(Plan::security_bits),
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
            table.row(&printable(&key.replace('-', " ")), printable(&readable(key, value)));
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
        if !self.tensors.is_empty() {
            table.row("tensors", self.tensor_text(all_tensors));
        }
        format!("{}\n{}", self.path.display(), table.render())
    }

    fn tensor_text(&self, all: bool) -> String {
        const FEW: usize = 8;
        let line = |(name, element, shape): &(String, String, Vec<usize>)| {
            let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
            format!("{} {element} [{}]", printable(name), shape.join(", "))
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
    if key != "recipe" && text.chars().count() > MOST {
        let start: String = text.chars().take(MOST - 3).collect();
        return format!("{start}...");
    }
    text
}
