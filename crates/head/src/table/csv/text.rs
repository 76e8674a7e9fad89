//! The text of a table: what it is written in, and what separates its fields.

use std::borrow::Cow;

use super::fields::parse_number;
use crate::error::{HeadError, Result};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Lines that are looked at to find the separator.
const SAMPLE: usize = 8;

/// Text in UTF-8 whose fields one byte separates.
pub(super) struct Text<'a> {
    pub bytes: Cow<'a, [u8]>,
    pub separator: u8,
    /// Whether the first line began with a #, which is left out here: names of columns, or a comment.
    pub begins_with_hash: bool,
}

impl<'a> Text<'a> {
    /// What is no text in UTF-8 is named.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let (utf16_marks, start) = ([&[0xff, 0xfe], &[0xfe, 0xff]], bytes.iter().take(64));
        if utf16_marks.iter().any(|mark| bytes.starts_with(*mark)) || start.into_iter().any(|&byte| byte == 0) {
            let reason = "it is UTF-16: save it as UTF-8, which spreadsheets call \"CSV UTF-8\"";
            return Err(HeadError::UnreadableTable { format: "CSV", reason: reason.to_owned() });
        }
        let sample: Vec<&[u8]> = lines(bytes).filter(|line| !line.is_empty()).take(SAMPLE).collect();
        let separator = separator(&sample);
        let (begins_with_hash, bytes) = match bytes.strip_prefix(b"#") {
            Some(rest) => (true, rest),
            None => (false, bytes),
        };
        Ok(match separator {
            Some(separator) => Self { bytes: bytes.into(), separator, begins_with_hash },
            None => Self { bytes: spaces_to_tabs(bytes).into(), separator: b'\t', begins_with_hash },
        })
    }

    /// Whether numbers may have decimal commas.
    pub(super) fn has_decimal_commas(&self) -> bool {
        self.separator == b';'
    }
}

/// Lines without the spaces around them.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii)
}

/// The separator that the first lines bear out, leaving comments aside: a tab if there is one, else a semicolon or a
/// comma; `None` if there is nothing but spaces between the fields.
fn separator(sample: &[&[u8]]) -> Option<u8> {
    let rows: Vec<&[u8]> = sample.iter().copied().filter(|line| !line.starts_with(b"#")).collect();
    let first = *rows.first().or(sample.first())?;
    let counts = |byte: u8| rows.iter().map(move |line| line.iter().filter(|&&found| found == byte).count());
    let same = |byte: u8| counts(byte).all(|count| Some(count) == counts(byte).next());
    let has = |byte: u8| first.contains(&byte);
    let is_decimal_comma = |field: &[u8]| field.contains(&b',') && parse_number(field, true).is_some();
    let decimal_commas = || rows.iter().any(|line| line.split(|&byte| byte == b';').any(is_decimal_comma));
    match (has(b'\t'), has(b';'), has(b',')) {
        (true, ..) => Some(b'\t'),
        (_, true, false) => Some(b';'),
        // As many semicolons in every line, and commas that are decimal or not as many in every line.
        (_, true, true) if same(b';') && (decimal_commas() || !same(b',')) => Some(b';'),
        (_, _, true) => Some(b','),
        (false, false, false) if first.contains(&b' ') => None,
        (false, false, false) => Some(b','),
    }
}

/// The same lines, with a tab for every run of spaces within one.
fn spaces_to_tabs(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    for (number, line) in lines(bytes).enumerate() {
        if number > 0 {
            text.push(b'\n');
        }
        let fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        for (place, field) in fields.enumerate() {
            if place > 0 {
                text.push(b'\t');
            }
            text.extend_from_slice(field);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn separator_of(text: &str) -> Option<u8> {
        let text = Text::new(text.as_bytes()).unwrap();
        (text.separator != b'\t' || text.bytes.contains(&b'\t')).then_some(text.separator)
    }

    #[test]
    fn separators_are_told_by_the_first_lines() {
        for (text, expected) in [
            ("1,2,3\n", b','),
            ("1;2;3\n", b';'),
            ("1\t2,5\t3\n", b'\t'),
            ("cat;0,5;1,5\ndog;2,5;3,5\n", b';'),
            ("0,5;cat;1,5\n2,5;dog;3,5\n", b';'),
            ("0,5;1,5;1,0\n", b';'),
            ("kind;height, cm;weight\ncat;1;2\ndog;3;4\n", b';'),
            ("kind;\"a, b\";c\ncat;1,5;2\n", b';'),
            // A semicolon in a word separates nothing.
            ("a;b,1\nc,2\n", b','),
            ("a;b,1\nc;d,2\n", b','),
            ("# made by x; y\n1,2\n", b','),
            ("# 2026\n1;2\n", b';'),
            ("1 2 3\n", b'\t'),
            ("oak\n", b','),
        ] {
            assert_eq!(separator_of(text), Some(expected), "{text}");
        }
        assert_eq!(&*Text::new(b"  1.5   2 \r\n\n 3 \t4").unwrap().bytes, b"1.5\t2\n\n3\t4".as_slice());
    }
}
