//! Text for people: numbers with units, and text of files that nobody vouches for.

/// Text of a file nobody vouches for, with control characters written out: a terminal would obey them.
pub fn printable(text: &str) -> String {
    // Marks of the writing direction are no control characters, but can make a line read as another.
    let misleads = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if misleads(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// The same for text whose line breaks are ours.
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Bytes with a unit, in powers of 1024.
pub fn bytes(bytes: usize) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" || value >= 100.0 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// Seconds, or a larger unit for what takes longer.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.0995 => format!("{:.0} ms", s * 1e3),
        s if s < 100.0 => format!("{s:.2} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// A whole number with commas between thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things, in the plural if it is not one.
pub fn count(number: usize, thing: &str) -> String {
    let ending = match number {
        1 => "",
        _ if ["s", "ch", "sh"].iter().any(|end| thing.ends_with(end)) => "es",
        _ => "s",
    };
    format!("{} {thing}{ending}", thousands(number as u64))
}

/// A share in per cent.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_what_a_reader_needs() {
        assert_eq!([bytes(0), bytes(1023), bytes(1536), bytes(300 << 20)], ["0 B", "1023 B", "1.5 KiB", "300 MiB"]);
        assert_eq!(
            [seconds(0.0123), seconds(1.5), seconds(600.0), seconds(9000.0)],
            ["12 ms", "1.50 s", "10 min", "2.5 h"]
        );
        assert_eq!([thousands(7), thousands(1234), thousands(1234567)], ["7", "1,234", "1,234,567"]);
        assert_eq!([count(1, "row"), count(4096, "row"), count(2, "class")], ["1 row", "4,096 rows", "2 classes"]);
    }

    #[test]
    fn control_characters_are_written_out_and_other_letters_kept() {
        assert_eq!(printable("a\u{1b}[2J\r\nü\u{9b}\u{202e}"), "a\\u{1b}[2J\\r\\nü\\u{9b}\\u{202e}");
        assert_eq!(printable_lines("a\tb\nc\n"), "a\\tb\nc\n");
    }
}
