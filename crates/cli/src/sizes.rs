//! Amounts as people write them.

/// Reads an amount of memory or data: `8G`, `500M`, `64k` (powers of 1024), or bytes.
pub fn parse_size(text: &str) -> std::result::Result<usize, String> {
    let wrong = || format!("{text:?} is no number of bytes: write it as 8G, 500M or in digits alone");
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.trim_end_matches('b').trim_end_matches('i');
    let (digits, shift) = match lower.strip_suffix(['k', 'm', 'g', 't']) {
        Some(digits) => (digits, 10 * (1 + "kmgt".find(&lower[digits.len()..]).ok_or_else(wrong)?)),
        None => (lower, 0),
    };
    let number: f64 = digits.trim().parse().map_err(|_| wrong())?;
    let bytes = number * (shift as f64).exp2();
    // 2^53 bytes are more than any machine has, and exact.
    if !(1.0..9e15).contains(&bytes) {
        return Err(wrong());
    }
    Ok(bytes as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_with_and_without_units() {
        assert_eq!(parse_size("8G"), Ok(8 << 30));
        assert_eq!(parse_size("1.5 MiB"), Ok(3 << 19));
        assert_eq!(parse_size("100mb"), Ok(100 << 20));
        assert_eq!(parse_size("4096"), Ok(4096));
        for wrong in ["", "G", "-1G", "nan", "1e300", "lots", "8X", "0"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
