//! Tables from comma-separated values; or separated by semicolons (then with decimal commas, too) or tabs.

mod columns;
mod fields;

use super::{FeatureTable, LabelColumn};
use crate::error::{HeadError, Result};
use crate::linalg::from_rows;
pub use columns::Columns;
use columns::Order;
use csv::ByteRecord;
use fields::{normalize_label, parse_number, printable};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn parse(bytes: &[u8], labels: LabelColumn, columns: &Columns) -> Result<FeatureTable> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    check_text(bytes)?;
    let separator = separator(bytes);
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator).from_reader(bytes);
    let mut records = reader.into_byte_records().map(|record| record.map_err(unreadable)).peekable();
    let first = records.next().transpose()?.ok_or(HeadError::EmptyTable("rows"))?;
    let second = records.peek().and_then(|record| record.as_ref().ok());
    let order = Order::new(columns, labels, (&first, second), separator == b';')?;
    if order.features().is_empty() {
        return Err(HeadError::EmptyTable("features"));
    }
    let names = order.names(&first)?;
    let row_at_first = (!order.has_header()).then_some(first);
    let mut lines = Lines::new(&order, labels, separator == b';');
    for record in row_at_first.into_iter().map(Ok).chain(records) {
        let record = record?;
        let number = record.position().map_or(0, |position| line_number(bytes, position));
        lines.read(number, &record)?;
    }
    let features = from_rows(lines.rows, order.features().len(), &lines.features);
    let table = FeatureTable::new(features, lines.label.map(|_| lines.labels))?;
    match names {
        Some(names) => table.with_names(names),
        None => Ok(table),
    }
}

/// The line a record starts on: the reader's position is that of the blank lines before it.
fn line_number(bytes: &[u8], position: &csv::Position) -> u64 {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let before = bytes.get(start..).unwrap_or_default().iter().take_while(|byte| [b'\r', b'\n'].contains(byte));
    position.line() + before.filter(|byte| **byte == b'\n').count() as u64
}

/// What was read so far; features row by row.
struct Lines<'a> {
    order: &'a Order,
    label: Option<usize>,
    decimal_comma: bool,
    rows: usize,
    features: Vec<f64>,
    labels: Vec<String>,
}

impl<'a> Lines<'a> {
    fn new(order: &'a Order, labels: LabelColumn, decimal_comma: bool) -> Self {
        let label = order.label().filter(|_| labels != LabelColumn::Absent);
        Lines { order, label, decimal_comma, rows: 0, features: Vec::new(), labels: Vec::new() }
    }

    fn read(&mut self, line: u64, record: &ByteRecord) -> Result<()> {
        if record.len() != self.order.fields() {
            return Err(HeadError::RaggedLine { line, found: record.len(), expected: self.order.fields() });
        }
        if let Some(place) = self.label {
            let field = &record[place];
            let label = std::str::from_utf8(field).ok().and_then(|text| normalize_label(text, self.decimal_comma));
            self.labels.push(label.ok_or_else(|| HeadError::InvalidLabel { line, text: printable(field) })?);
        }
        for &place in self.order.features() {
            let (field, column) = (&record[place], place + 1);
            let value = parse_number(field, self.decimal_comma).ok_or_else(|| HeadError::NotNumeric {
                line,
                column,
                text: printable(field),
            })?;
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

fn unreadable(error: csv::Error) -> HeadError {
    HeadError::UnreadableTable { format: "CSV", reason: error.to_string() }
}
