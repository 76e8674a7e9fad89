//! Tables from comma-separated values; or separated by semicolons (then with decimal commas, too), tabs or spaces.

mod columns;
mod fields;
mod text;

use super::{FeatureTable, LabelColumn};
use crate::error::{HeadError, Result};
use crate::linalg::from_rows;
pub use columns::Columns;
use columns::Order;
use csv::ByteRecord;
use fields::{normalize_label, parse_number, printable};
use text::Text;

pub(super) fn parse(bytes: &[u8], labels: LabelColumn, columns: &Columns) -> Result<FeatureTable> {
    let text = Text::new(bytes)?;
    let bytes = &*text.bytes;
    let reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(text.separator).from_reader(bytes);
    let mut records = reader.into_byte_records().map(|record| record.map_err(unreadable)).peekable();
    let first = records.next().transpose()?.ok_or(HeadError::EmptyTable("rows"))?;
    let second = records.peek().and_then(|record| record.as_ref().ok());
    let comment = HeadError::CommentLine { line: 1 };
    // Names of columns after a #, as NumPy writes them, are as many as the fields of a row.
    if text.begins_with_hash && second.is_some_and(|second| second.len() != first.len()) {
        return Err(comment);
    }
    let order = Order::new(columns, labels, (&first, second), text.has_decimal_commas())?;
    if text.begins_with_hash && !order.has_header() {
        return Err(comment);
    }
    if order.features().is_empty() {
        return Err(HeadError::EmptyTable("features"));
    }
    let names = order.names(&first)?;
    let row_at_first = (!order.has_header()).then_some(first);
    let mut lines = Lines::new(&order, labels, text.has_decimal_commas());
    for record in row_at_first.into_iter().map(Ok).chain(records) {
        let record = record?;
        let number = record.position().map_or(0, |position| line_number(bytes, position));
        if record.get(0) == Some(b"#") {
            return Err(HeadError::CommentLine { line: number });
        }
        // A word may begin with a #: only what is no row is a comment.
        let comment = |error| match record.get(0) {
            Some(field) if field.starts_with(b"#") => HeadError::CommentLine { line: number },
            _ => error,
        };
        lines.read(number, &record).map_err(comment)?;
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
            self.labels.push(label.ok_or_else(|| self.no_label(line, record))?);
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

    /// What stands where the label should be; the only other column with a word may be it.
    fn no_label(&self, line: u64, record: &ByteRecord) -> HeadError {
        let (place, text) = (self.label.unwrap_or(0), printable(&record[self.label.unwrap_or(0)]));
        let is_word = |place: &&usize| parse_number(&record[**place], self.decimal_comma).is_none();
        let mut words = self.order.features().iter().filter(is_word).map(|place| place + 1);
        let word = words.next().filter(|_| words.next().is_none());
        HeadError::InvalidLabel { line, column: place + 1, text, word }
    }
}

fn unreadable(error: csv::Error) -> HeadError {
    HeadError::UnreadableTable { format: "CSV", reason: error.to_string() }
}
