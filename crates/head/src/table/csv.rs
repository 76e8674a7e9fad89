//! Tables from comma-separated values.

use super::{FeatureTable, LabelColumn};
use crate::error::{HeadError, Result};
use crate::linalg::from_rows;
use csv::ByteRecord;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn parse(bytes: &[u8], labels: LabelColumn) -> Result<FeatureTable> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut record = ByteRecord::new();
    let mut lines: Option<Lines> = None;
    while reader.read_byte_record(&mut record).map_err(unreadable)? {
        let number = record.position().map_or(0, |position| line_number(bytes, position));
        match &mut lines {
            Some(lines) => lines.read(number, &record)?,
            None => {
                let mut first = Lines::new(&record, labels)?;
                if !first.is_header(&record) {
                    first.read(number, &record)?;
                }
                lines = Some(first);
            }
        }
    }
    let lines = lines.ok_or(HeadError::EmptyTable("rows"))?;
    let columns = lines.fields - usize::from(lines.labelled);
    let features = from_rows(lines.rows, columns, &lines.features);
    FeatureTable::new(features, lines.labelled.then_some(lines.labels))
}

/// The line a record starts on: the reader's position is that of the blank lines before it.
fn line_number(bytes: &[u8], position: &csv::Position) -> u64 {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let before = bytes.get(start..).unwrap_or_default().iter().take_while(|byte| [b'\r', b'\n'].contains(byte));
    position.line() + before.filter(|byte| **byte == b'\n').count() as u64
}

/// What was read so far; features row by row.
struct Lines {
    fields: usize,
    labelled: bool,
    rows: usize,
    features: Vec<f64>,
    labels: Vec<String>,
}

impl Lines {
    fn new(first: &ByteRecord, labels: LabelColumn) -> Result<Self> {
        let fields = first.len();
        if fields == 1
            && let Some(&separator) = first[0].iter().find(|byte| [b';', b'\t'].contains(byte))
        {
            let reason = format!("its fields are separated by {:?} instead of commas", separator as char);
            return Err(HeadError::UnreadableTable { format: "CSV", reason });
        }
        let labelled = match labels {
            LabelColumn::Present => true,
            LabelColumn::Absent => false,
            LabelColumn::Detect { features } => fields == features + 1,
        };
        if fields == usize::from(labelled) {
            return Err(HeadError::EmptyTable("features"));
        }
        Ok(Lines { fields, labelled, rows: 0, features: Vec::new(), labels: Vec::new() })
    }

    /// Whether the first line names its columns: no feature is a number, or the features are counted through
    /// (0, 1, 2, ... or 1, 2, 3, ..., as data frames do), which no real features are.
    fn is_header(&self, first: &ByteRecord) -> bool {
        let label = usize::from(self.labelled);
        let features = || first.iter().skip(label);
        if features().all(|field| number(field).is_none()) {
            return features().any(|field| !field.trim_ascii().is_empty());
        }
        let counted_from = |start: usize| {
            features().enumerate().all(|(index, field)| field.trim_ascii() == (start + index).to_string().as_bytes())
        };
        let word_first = self.labelled && number(&first[0]).is_none();
        let enough = if word_first { 3 } else { 8 };
        first.len() - label >= enough && (counted_from(0) || counted_from(1))
    }

    fn read(&mut self, line: u64, record: &ByteRecord) -> Result<()> {
        if record.len() != self.fields {
            return Err(HeadError::RaggedLine { line, found: record.len(), expected: self.fields });
        }
        let mut fields = record.iter().enumerate();
        if self.labelled
            && let Some((_, field)) = fields.next()
        {
            let label = std::str::from_utf8(field).ok().and_then(normalize_label);
            self.labels.push(label.ok_or_else(|| HeadError::InvalidLabel { line, text: printable(field) })?);
        }
        for (index, field) in fields {
            let column = index + 1;
            let value = number(field).ok_or_else(|| HeadError::NotNumeric { line, column, text: printable(field) })?;
            if !value.is_finite() {
                return Err(HeadError::NotFinite {
                    place: format!("line {line}, column {column}"),
                    value: printable(field),
                });
            }
            self.features.push(value);
        }
        self.rows += 1;
        Ok(())
    }
}

/// Whole numbers in one spelling, words as they are; no label for nothing, for fractions and for NaN.
fn normalize_label(text: &str) -> Option<String> {
    let text = text.trim();
    if let Ok(integer) = text.parse::<i128>() {
        return Some(integer.to_string());
    }
    match text.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && number.abs() < 2f64.powi(63) => Some((number as i64).to_string()),
        Ok(_) => None,
        Err(_) => (!text.is_empty()).then(|| text.to_owned()),
    }
}

fn number(field: &[u8]) -> Option<f64> {
    std::str::from_utf8(field).ok()?.trim().parse().ok()
}

/// A field for a message: at most 40 characters.
fn printable(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim().chars().take(40).collect()
}

fn unreadable(error: csv::Error) -> HeadError {
    HeadError::UnreadableTable { format: "CSV", reason: error.to_string() }
}
