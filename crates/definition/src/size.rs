//! Reads sizes: `512`, `64KiB`, `10MiB`, `1GB`.

const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// The bytes that `text` stands for: a whole number with a unit, or without one for bytes.
///
/// # Errors
///
/// What is wrong, for the author of the text.
pub fn parse(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let digits = trimmed.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = trimmed[digits.len()..].trim_start();
    let factor = match unit {
        "" => Some(1),
        unit => UNITS.iter().find(|(word, _)| word.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor),
    };
    digits
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .ok_or_else(|| format!("`{text}` is not a size; write a whole number with a unit, such as `64KiB` or `10MiB`"))
}

/// The size in the largest unit that it is a whole number of.
pub(crate) fn shown(bytes: u64) -> String {
    let unit = UNITS[..3].iter().rev().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
    unit.map_or_else(|| format!("{bytes} bytes"), |(word, factor)| format!("{} {word}", bytes / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("64KiB", 64 << 10),
            ("10 MiB", 10 << 20),
            ("1GiB", 1 << 30),
            ("2kb", 2000),
            ("3MB", 3_000_000),
            ("7 B", 7),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "1.5MiB", "-1", "10 potatoes", "99999999999GiB"] {
            assert!(parse(text).unwrap_err().contains("10MiB"), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_with_units() {
        assert_eq!([shown(16 << 20), shown(1 << 10), shown(1000)], ["16 MiB", "1 KiB", "1000 bytes"]);
    }
}
