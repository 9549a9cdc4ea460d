//! Which statuses a step expects.

use cogwheel_engine::Failure;
use serde_json::Value;

use crate::input::malformed;

/// What an answer's status may be, such as `2xx`.
#[derive(Debug)]
pub(super) struct Expected(Vec<Pattern>);

/// A status whose digits are given from the first on; the others may be any.
#[derive(Debug)]
struct Pattern([Option<char>; 3]);

impl Expected {
    /// Reads one pattern or a list of them; without any, success is expected.
    pub(super) fn read(given: Option<&Value>) -> Result<Self, Failure> {
        let patterns = match given {
            None => vec![Pattern([Some('2'), None, None])],
            Some(Value::Array(patterns)) => patterns.iter().map(Pattern::read).collect::<Result<_, _>>()?,
            Some(pattern) => vec![Pattern::read(pattern)?],
        };
        if patterns.is_empty() {
            return Err(malformed("`expect` names no status"));
        }
        Ok(Self(patterns))
    }

    /// Whether `status` is one of them.
    pub(super) fn has(&self, status: u16) -> bool {
        let digits = format!("{status:03}");
        self.0.iter().any(|pattern| {
            pattern.0.iter().zip(digits.chars()).all(|(wanted, digit)| wanted.is_none_or(|wanted| wanted == digit))
        })
    }
}

impl Pattern {
    fn read(given: &Value) -> Result<Self, Failure> {
        let text = crate::input::scalar(given).unwrap_or_else(|| given.to_string());
        Self::parse(&text).ok_or_else(|| {
            malformed(format!("`expect`: `{text}` is no status and no pattern of one, such as `200`, `2xx` or `4*`"))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (digits, is_open) = text.strip_suffix('*').map_or((text, false), |digits| (digits, true));
        let mut pattern = [None; 3];
        let length = digits.chars().count();
        if length > 3 || (length < 3 && !is_open) || (length == 3 && is_open) {
            return None;
        }
        for (slot, character) in pattern.iter_mut().zip(digits.chars()) {
            *slot = match character {
                'x' | 'X' => None,
                digit if digit.is_ascii_digit() => Some(digit),
                _ => return None,
            };
        }
        pattern[0].is_none_or(|first| ('1'..='9').contains(&first)).then_some(Self(pattern))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_name_statuses() {
        let cases = [
            (json!(200), 200, true),
            (json!(200), 201, false),
            (json!("2xx"), 299, true),
            (json!("2XX"), 300, false),
            (json!("4*"), 404, true),
            (json!("40*"), 410, false),
            (json!("40x"), 404, true),
            (json!("*"), 503, true),
            (json!([200, "404"]), 404, true),
            (json!([200, "404"]), 500, false),
        ];
        for (given, status, expected) in cases {
            assert_eq!(Expected::read(Some(&given)).unwrap().has(status), expected, "{given} {status}");
        }
        let usual = Expected::read(None).unwrap();
        assert!(usual.has(204) && !usual.has(304));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for given in
            [json!("ok"), json!(20), json!("2000"), json!("200*"), json!("0xx"), json!([]), json!({}), json!([true])]
        {
            assert!(Expected::read(Some(&given)).is_err(), "{given}");
        }
    }
}
