//! Which column of a table is the label, which are features, and what they are called.

use csv::ByteRecord;

use super::super::LabelColumn;
use super::fields::{parse_number, printable};
use crate::column_names::ColumnNames;
use crate::error::{HeadError, Result};

/// Columns by their name in the first line, or by their number, counted from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// The label's column; without it, see `known`.
    pub label: Option<String>,
    /// Columns that are neither label nor feature.
    pub drop: Vec<String>,
    /// The names of the columns that a head was trained on. The label's is found by its name, where nothing else is said;
    /// without names it is the first column.
    pub known: Option<ColumnNames>,
}

impl Columns {
    /// Whether no column is chosen.
    pub fn is_empty(&self) -> bool {
        self.label.is_none() && self.drop.is_empty()
    }
}

/// What the fields of a line are. Columns count from 0.
pub(super) struct Order {
    fields: usize,
    label: Option<usize>,
    features: Vec<usize>,
    header: Option<Header>,
    decimal_comma: bool,
}

/// A first line that is no row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    /// It names the columns.
    Names,
    /// It counts them: 0, 1, 2, ... or 1, 2, 3, ..., as data frames do, which no real features are.
    Counts,
}

impl Order {
    /// Finds the columns in the first line; the second helps where the first one says nothing.
    pub(super) fn new(
        columns: &Columns,
        labels: LabelColumn,
        (first, second): (&ByteRecord, Option<&ByteRecord>),
        decimal_comma: bool,
    ) -> Result<Self> {
        let find = |wanted: &str| find(wanted, first);
        let label = columns.label.as_deref().map(find).transpose()?;
        let dropped = columns.drop.iter().map(|wanted| find(wanted)).collect::<Result<Vec<_>>>()?;
        if let Some(place) = label.filter(|place| dropped.contains(place)) {
            let name = format!("column {} is the label and cannot be dropped", place + 1);
            return Err(HeadError::Columns(name));
        }
        let features = (0..first.len()).filter(|place| !dropped.contains(place)).collect();
        let all = Self { fields: first.len(), label: None, features, header: None, decimal_comma };
        let known = columns.known.as_ref();
        let by_name = known.and_then(|names| all.find_known_label(names, first));
        let label = match (label.or(by_name.filter(|_| labels != LabelColumn::Absent)), labels) {
            (Some(place), _) => Some(place),
            (None, LabelColumn::Present) => all.features.first().copied(),
            (None, LabelColumn::Absent) => None,
            // The names tell what is too many.
            (None, LabelColumn::Detect { .. }) if known.is_some() && all.header(first) == Some(Header::Names) => None,
            (None, LabelColumn::Detect { features }) => all.detect_label(features, first, second)?,
        };
        let order = all.with_label(label);
        let header = order.header(first);
        Ok(Self { header, ..order })
    }

    fn with_label(&self, label: Option<usize>) -> Self {
        let features = self.features.iter().copied().filter(|place| Some(*place) != label).collect();
        Self { features, label, ..*self }
    }

    /// The one column that is called as a head's label was, in a line of names.
    fn find_known_label(&self, known: &ColumnNames, first: &ByteRecord) -> Option<usize> {
        let name = known.label().filter(|name| !known.features().iter().any(|feature| feature == name))?;
        let mut places = self.features.iter().copied().filter(|&place| first[place].trim_ascii() == name.as_bytes());
        let place = places.next().filter(|_| places.next().is_none())?;
        (self.with_label(Some(place)).header(first) == Some(Header::Names)).then_some(place)
    }

    /// The label among columns without names that may be one more than a head's features: the first, if it is the only
    /// one that holds a word. Of numbers nobody knows which is the label.
    fn detect_label(&self, features: usize, first: &ByteRecord, second: Option<&ByteRecord>) -> Result<Option<usize>> {
        let columns = self.features.len();
        if columns != features + 1 {
            return Ok(None);
        }
        let candidate = self.with_label(self.features.first().copied());
        let row = if candidate.header(first).is_some() { second } else { Some(first) };
        let Some(row) = row.filter(|row| row.len() == self.fields) else { return Ok(None) };
        let words: Vec<usize> = self.features.iter().copied().filter(|&place| !self.is_number(&row[place])).collect();
        match words[..] {
            [place] if Some(place) == candidate.label => Ok(candidate.label),
            [place] => Err(HeadError::Columns(format!(
                "the table has {columns} columns, one more than the head has features, and column {} holds words: if it \
                 is the label, say so with --label {0}, or leave it out with --drop {0}",
                place + 1
            ))),
            _ => Err(HeadError::Columns(format!(
                "the table has {columns} columns, one more than the head has features: if the label was left in, name its \
                 column with --label (a name in the first line, or a number), or leave another one out with --drop"
            ))),
        }
    }

    /// What the first line is, if it is no row: no feature is a number, or they are counted through.
    fn header(&self, first: &ByteRecord) -> Option<Header> {
        let features = || self.features.iter().map(|&place| first[place].trim_ascii());
        if features().all(|field| !self.is_number(field)) {
            return features().any(|field| !field.is_empty()).then_some(Header::Names);
        }
        let counted_from =
            |start: usize| features().enumerate().all(|(index, field)| field == (start + index).to_string().as_bytes());
        let word_first = self.label.is_some_and(|place| !self.is_number(&first[place]));
        let enough = if word_first { 3 } else { 8 };
        (self.features.len() >= enough && (counted_from(0) || counted_from(1))).then_some(Header::Counts)
    }

    fn is_number(&self, field: &[u8]) -> bool {
        parse_number(field, self.decimal_comma).is_some()
    }

    /// The fields that every line has.
    pub(super) fn fields(&self) -> usize {
        self.fields
    }

    /// The label's column.
    pub(super) fn label(&self) -> Option<usize> {
        self.label
    }

    /// The features' columns.
    pub(super) fn features(&self) -> &[usize] {
        &self.features
    }

    /// Whether the first line is no row.
    pub(super) fn has_header(&self) -> bool {
        self.header.is_some()
    }

    /// What the first line calls the columns that are taken.
    pub(super) fn names(&self, first: &ByteRecord) -> Result<Option<ColumnNames>> {
        if self.header != Some(Header::Names) {
            return Ok(None);
        }
        let name = |&place: &usize| match std::str::from_utf8(&first[place]) {
            Ok(name) => Ok(name.trim().to_owned()),
            Err(_) => Err(HeadError::Columns(format!(
                "the name of column {}, {:?}, is not in UTF-8: save the table as UTF-8",
                place + 1,
                printable(&first[place])
            ))),
        };
        let features = self.features.iter().map(name).collect::<Result<_>>()?;
        let label = self.label.as_ref().map(name).transpose()?.filter(|name| !name.is_empty());
        ColumnNames::new(features, label).map(Some)
    }
}

fn find(wanted: &str, first: &ByteRecord) -> Result<usize> {
    let named = first.iter().position(|name| name.trim_ascii() == wanted.trim().as_bytes());
    let numbered =
        || wanted.trim().parse().ok().filter(|number| (1..=first.len()).contains(number)).map(|n: usize| n - 1);
    // A number that happens to stand in the first line is no name.
    let by_name = named.filter(|_| wanted.trim().parse::<f64>().is_err());
    by_name.or_else(numbered).ok_or_else(|| {
        let names: Vec<_> = first.iter().take(8).map(printable).collect();
        HeadError::Columns(format!(
            "no column is {wanted:?}: give a name in the first line, which begins {}, or a number from 1 to {}",
            names.join(", "),
            first.len()
        ))
    })
}
