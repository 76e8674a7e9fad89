//! Tables from comma-separated values; or separated by semicolons (then with decimal commas, too) or tabs.

mod columns;

use super::{FeatureTable, LabelColumn};
use crate::error::{HeadError, Result};
use crate::linalg::from_rows;
pub use columns::Columns;
use columns::Order;
use csv::ByteRecord;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn parse(bytes: &[u8], labels: LabelColumn, columns: &Columns) -> Result<FeatureTable> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    check_text(bytes)?;
    let separator = separator(bytes);
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator).from_reader(bytes);
    let mut order: Option<Order> = None;
    let mut record = ByteRecord::new();
    let mut lines: Option<Lines> = None;
    while reader.read_byte_record(&mut record).map_err(unreadable)? {
        let number = record.position().map_or(0, |position| line_number(bytes, position));
        let order = match &order {
            Some(order) => order,
            None => order.insert(Order::new(columns, &record)?),
        };
        if record.len() != order.fields() {
            return Err(HeadError::RaggedLine { line: number, found: record.len(), expected: order.fields() });
        }
        let record = order.apply(&record);
        match &mut lines {
            Some(lines) => lines.read(number, &record, order)?,
            None => {
                let mut first = Lines::new(&record, labels, columns.label.is_some(), separator == b';')?;
                if !first.is_header(&record) {
                    first.read(number, &record, order)?;
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
    decimal_comma: bool,
    rows: usize,
    features: Vec<f64>,
    labels: Vec<String>,
}

impl Lines {
    fn new(first: &ByteRecord, labels: LabelColumn, label_named: bool, decimal_comma: bool) -> Result<Self> {
        let fields = first.len();
        let labelled = match labels {
            LabelColumn::Present => true,
            LabelColumn::Absent => false,
            LabelColumn::Detect { features } => label_named || fields == features + 1,
        };
        if fields == usize::from(labelled) {
            return Err(HeadError::EmptyTable("features"));
        }
        Ok(Lines { fields, labelled, decimal_comma, rows: 0, features: Vec::new(), labels: Vec::new() })
    }

    /// Whether the first line names its columns: no feature is a number, or the features are counted through
    /// (0, 1, 2, ... or 1, 2, 3, ..., as data frames do), which no real features are.
    fn is_header(&self, first: &ByteRecord) -> bool {
        let label = usize::from(self.labelled);
        let features = || first.iter().skip(label);
        if features().all(|field| self.number(field).is_none()) {
            return features().any(|field| !field.trim_ascii().is_empty());
        }
        let counted_from = |start: usize| {
            features().enumerate().all(|(index, field)| field.trim_ascii() == (start + index).to_string().as_bytes())
        };
        let word_first = self.labelled && self.number(&first[0]).is_none();
        let enough = if word_first { 3 } else { 8 };
        first.len() - label >= enough && (counted_from(0) || counted_from(1))
    }

    fn number(&self, field: &[u8]) -> Option<f64> {
        parse_number(field, self.decimal_comma)
    }

    fn read(&mut self, line: u64, record: &ByteRecord, order: &Order) -> Result<()> {
        let mut fields = record.iter().enumerate();
        if self.labelled
            && let Some((_, field)) = fields.next()
        {
            let label = std::str::from_utf8(field).ok().and_then(normalize_label);
            self.labels.push(label.ok_or_else(|| HeadError::InvalidLabel { line, text: printable(field) })?);
        }
        for (index, field) in fields {
            let column = order.column(index);
            let value =
                self.number(field).ok_or_else(|| HeadError::NotNumeric { line, column, text: printable(field) })?;
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

/// What is no text in UTF-8, or begins with what is no row, is named.
fn check_text(bytes: &[u8]) -> Result<()> {
    let refuse = |reason: &str| Err(HeadError::UnreadableTable { format: "CSV", reason: reason.to_owned() });
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || bytes.iter().take(64).any(|&b| b == 0) {
        return refuse("it is UTF-16: save it as UTF-8, which spreadsheets call \"CSV UTF-8\"");
    }
    let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let is_row = first.iter().any(|byte| [b',', b';', b'\t'].contains(byte));
    if first.starts_with(b"#") && !is_row {
        return refuse("it begins with a comment: remove the lines that begin with #");
    }
    Ok(())
}

/// The separator that the first line bears out: a tab if there is one; a semicolon if what stands between semicolons are
/// numbers, perhaps with decimal commas, or if there is no comma; else a comma.
fn separator(bytes: &[u8]) -> u8 {
    let first = bytes.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let has = |byte: u8| first.contains(&byte);
    let numbers = || first.split(|&byte| byte == b';').skip(1).all(|field| parse_number(field, true).is_some());
    match (has(b'\t'), has(b';')) {
        (true, _) => b'\t',
        (_, true) if !has(b',') || numbers() => b';',
        _ => b',',
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

fn parse_number(field: &[u8], decimal_comma: bool) -> Option<f64> {
    let text = std::str::from_utf8(field).ok()?.trim();
    match decimal_comma && text.contains(',') {
        true => text.replacen(',', ".", 1).parse().ok(),
        false => text.parse().ok(),
    }
}

/// A field for a message: at most 40 characters.
fn printable(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim().chars().take(40).collect()
}

fn unreadable(error: csv::Error) -> HeadError {
    HeadError::UnreadableTable { format: "CSV", reason: error.to_string() }
}
