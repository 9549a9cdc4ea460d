//! Says what is wrong with a value, for whoever gave it.

use std::fmt::Write as _;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::LocationSegment;
use serde_json::Value;

use super::InputProblem;

/// More of a value is not shown.
const SHOWN: usize = 100;

/// What an error of the value `name` means: one problem, or one for each key that may not be there.
pub(crate) fn describe(name: &str, error: &ValidationError<'_>) -> Vec<InputProblem> {
    let mut path = vec![name.to_owned()];
    let mut place = name.to_owned();
    for segment in error.instance_path() {
        match &segment {
            LocationSegment::Property(key) => {
                place = join(&place, key);
                path.push(key.to_string());
            }
            LocationSegment::Index(at) => {
                let _ = write!(place, "[{at}]");
                path.push(at.to_string());
            }
        }
    }
    let below = |key: &str, what: &str| {
        let path = path.iter().cloned().chain([key.to_owned()]).collect();
        InputProblem { path, message: format!("`{}` {what}", join(&place, key)) }
    };
    match error.kind() {
        Kind::Required { property } => vec![below(property.as_str().unwrap_or_default(), "must be given")],
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            unexpected.iter().map(|key| below(key, "is not known here")).collect()
        }
        kind => {
            let message = format!("`{place}` {}", wrong(kind, error.instance()));
            vec![InputProblem { path, message }]
        }
    }
}

/// `place.key`, or with the key in quotes where it is no plain name.
fn join(place: &str, key: &str) -> String {
    let is_plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    if is_plain { format!("{place}.{key}") } else { format!("{place}[{}]", shown(&key.into())) }
}

/// What is wrong with `value`, to be put after its name.
pub(crate) fn wrong(kind: &Kind, value: &Value) -> String {
    let not = |must: String| format!("must {must}, not {}", shown(value));
    match kind {
        Kind::Type { kind: TypeKind::Single(word) } => not(format!("be of type {word}")),
        Kind::Type { kind: TypeKind::Multiple(words) } => {
            let mut words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            words.sort_by_key(|word| word == "null");
            not(format!("be of type {}", words.join(" or ")))
        }
        Kind::Enum { options } => {
            let options: Vec<String> = options.as_array().into_iter().flatten().map(shown).collect();
            not(format!("be one of {}", options.join(", ")))
        }
        Kind::Constant { expected_value } => not(format!("be {}", shown(expected_value))),
        Kind::Minimum { limit } => not(format!("be at least {limit}")),
        Kind::Maximum { limit } => not(format!("be at most {limit}")),
        Kind::ExclusiveMinimum { limit } => not(format!("be more than {limit}")),
        Kind::ExclusiveMaximum { limit } => not(format!("be less than {limit}")),
        Kind::MultipleOf { multiple_of } => not(format!("be a multiple of {multiple_of}")),
        Kind::Pattern { pattern } => not(format!("match the pattern `{pattern}`")),
        Kind::Format { format } => not(format!("have the format `{format}`")),
        Kind::MinLength { limit } => size("least", *limit, "characters", value),
        Kind::MaxLength { limit } => size("most", *limit, "characters", value),
        Kind::MinItems { limit } => size("least", *limit, "items", value),
        Kind::MaxItems { limit } => size("most", *limit, "items", value),
        Kind::MinProperties { limit } => size("least", *limit, "keys", value),
        Kind::MaxProperties { limit } => size("most", *limit, "keys", value),
        Kind::UniqueItems => "must not have the same item twice".to_owned(),
        Kind::Contains => "has too few or too many items of the kind that `contains` asks for".to_owned(),
        Kind::AdditionalItems { .. } | Kind::UnevaluatedItems { .. } => "has more items than it may".to_owned(),
        Kind::AnyOf { .. } => not("fit one of the shapes under `anyOf`".to_owned()),
        Kind::OneOfNotValid { .. } => not("fit one of the shapes under `oneOf`".to_owned()),
        Kind::OneOfMultipleValid { .. } => {
            format!("must fit one of the shapes under `oneOf`, but {} fits several", shown(value))
        }
        Kind::Not { .. } => format!("is excluded by `not`: {}", shown(value)),
        Kind::FalseSchema => "may not be given".to_owned(),
        Kind::PropertyNames { .. } => "has a key that `propertyNames` does not allow".to_owned(),
        kind => format!("does not fit `{}`: {}", kind.keyword(), shown(value)),
    }
}

fn size(bound: &str, limit: u64, unit: &str, value: &Value) -> String {
    let size = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(entries) => entries.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    format!("must have at {bound} {limit} {unit}, not {size}")
}

/// A value as JSON, shortened to what fits in a message.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
