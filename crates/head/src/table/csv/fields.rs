//! Single fields of a line: numbers and labels.

/// Whole numbers in one spelling, words as they are; no label for nothing, for fractions and for NaN.
pub(super) fn normalize_label(text: &str, decimal_comma: bool) -> Option<String> {
    let text = text.trim();
    if let Ok(integer) = text.parse::<i128>() {
        return Some(integer.to_string());
    }
    match parse_number(text.as_bytes(), decimal_comma) {
        Some(number) if number.fract() == 0.0 && number.abs() < 2f64.powi(63) => Some((number as i64).to_string()),
        Some(_) => None,
        None => (!text.is_empty()).then(|| text.to_owned()),
    }
}

/// A decimal number, if it is one.
pub(super) fn parse_number(field: &[u8], decimal_comma: bool) -> Option<f64> {
    let text = std::str::from_utf8(field).ok()?.trim();
    match decimal_comma && text.contains(',') {
        true => text.replacen(',', ".", 1).parse().ok(),
        false => text.parse().ok(),
    }
}

/// A field for a message: at most 40 characters.
pub(super) fn printable(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim().chars().take(40).collect()
}
