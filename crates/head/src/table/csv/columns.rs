//! Which column of a table is the label, and which are left out.

use csv::ByteRecord;

use crate::error::{HeadError, Result};

/// Columns by their name in the first line, or by their number, counted from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The label's column; the first one if nothing is said.
    pub label: Option<String>,
    /// Columns that are neither label nor feature.
    pub drop: Vec<String>,
}

impl Columns {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.label.is_none() && self.drop.is_empty()
    }
}

/// The order in which a line's fields are taken: the label first.
pub(super) struct Order {
    fields: usize,
    taken: Vec<usize>,
}

impl Order {
    /// Finds the columns in the first line.
    pub(super) fn new(columns: &Columns, first: &ByteRecord) -> Result<Self> {
        let fields = first.len();
        let find = |wanted: &str| find(wanted, first);
        let label = columns.label.as_deref().map(find).transpose()?;
        let dropped = columns.drop.iter().map(|wanted| find(wanted)).collect::<Result<Vec<_>>>()?;
        if let Some(place) = label.filter(|place| dropped.contains(place)) {
            let name = format!("column {} is the label and cannot be dropped", place + 1);
            return Err(HeadError::Columns(name));
        }
        let features = (0..fields).filter(|place| Some(*place) != label && !dropped.contains(place));
        Ok(Self { fields, taken: label.into_iter().chain(features).collect() })
    }

    /// The fields that every line has.
    pub(super) fn fields(&self) -> usize {
        self.fields
    }

    /// The column of the file, counted from 1, from which the field at this place is taken.
    pub(super) fn column(&self, place: usize) -> usize {
        self.taken[place] + 1
    }

    /// The fields of a line that are taken.
    pub(super) fn apply(&self, record: &ByteRecord) -> ByteRecord {
        self.taken.iter().map(|&place| &record[place]).collect()
    }
}

fn find(wanted: &str, first: &ByteRecord) -> Result<usize> {
    let named = first.iter().position(|name| name.trim_ascii() == wanted.trim().as_bytes());
    let numbered =
        || wanted.trim().parse().ok().filter(|number| (1..=first.len()).contains(number)).map(|n: usize| n - 1);
    // A number that happens to stand in the first line is no name.
    let by_name = named.filter(|_| wanted.trim().parse::<f64>().is_err());
    by_name.or_else(numbered).ok_or_else(|| {
        let names: Vec<_> = first.iter().take(8).map(String::from_utf8_lossy).collect();
        HeadError::Columns(format!(
            "no column is {wanted:?}: give a name in the first line, which begins {}, or a number from 1 to {}",
            names.join(", "),
            first.len()
        ))
    })
}
