//! `transform`: reshapes a value with a jq filter and converts text between formats.

mod read;
#[cfg(test)]
mod tests;
mod write;

use async_trait::async_trait;
use cogwheel_engine::ports::{StepContext, StepType, jq};
use cogwheel_engine::{Failure, FailureKind, Outcome};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::input::{Fields, kind, listed, malformed};

/// How much it may put out, in bytes of JSON.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;

const KNOWN: [&str; 6] = ["input", "jq", "from", "to", "delimiter", "header"];

/// Input: `input`, and at least one of `from`, `jq` and `to`, which are applied in this order. `delimiter` and `header`
/// say how CSV is read and written. Output: `result`.
///
/// A filter with exactly one result gives that value, any other the list of its results. What is converted to a format
/// is text.
pub(crate) struct Transform;

#[async_trait]
impl StepType for Transform {
    fn name(&self) -> &'static str {
        "transform"
    }

    fn only_computes(&self) -> bool {
        true
    }

    async fn run(&self, _context: StepContext, input: Value) -> Outcome {
        // A filter may compute for seconds: the server's own threads have others to serve.
        let transformed = spawn_blocking(move || transform(&input)).await;
        let transformed = transformed.unwrap_or_else(|panic| {
            let failure = Failure::permanent(FailureKind::Internal, "the transformation failed inside");
            Err(failure.with_detail(panic.to_string()))
        });
        match transformed {
            Ok(result) => Outcome::Completed { output: json!({ "result": result }) },
            Err(failure) => Outcome::Failed { failure, output: None },
        }
    }
}

/// A format that text can be in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Json,
    Ndjson,
    Text,
}

/// How CSV is written.
#[derive(Clone, Copy)]
struct Dialect {
    delimiter: u8,
    /// Whether the first line names the columns.
    has_header: bool,
}

fn transform(input: &Value) -> Result<Value, Failure> {
    let fields = Fields::of(input, &KNOWN)?;
    let from = format(
        &fields,
        "from",
        &[("csv", Format::Csv), ("json", Format::Json), ("ndjson", Format::Ndjson), ("text", Format::Text)],
    )?;
    let to = format(&fields, "to", &[("csv", Format::Csv), ("json", Format::Json), ("ndjson", Format::Ndjson)])?;
    let dialect = dialect(&fields, [from, to].contains(&Some(Format::Csv)))?;
    let filter = fields.text("jq")?;
    if from.is_none() && to.is_none() && filter.is_none() {
        return Err(malformed("there is nothing to do: `jq`, `from` and `to` are missing"));
    }
    let given = fields.value("input").ok_or_else(|| malformed("`input` is missing"))?;

    let read = match from {
        None => None,
        Some(from) => Some(read::value(source(given)?, from, dialect)?),
    };
    let filtered = match filter {
        None => read,
        Some(filter) => Some(filtered(filter, read.as_ref().unwrap_or(given))?),
    };
    let result = match to {
        None => filtered.unwrap_or_else(|| given.clone()),
        Some(to) => Value::String(write::text(filtered.as_ref().unwrap_or(given), to, dialect)?),
    };
    write::check_size(&result)?;
    Ok(result)
}

/// The filter's only result, or the list of them.
fn filtered(filter: &str, value: &Value) -> Result<Value, Failure> {
    let mut results = jq(filter, value).map_err(|problem| malformed(format!("`jq`: {problem}")))?;
    Ok(if results.len() == 1 { results.remove(0) } else { Value::Array(results) })
}

fn source(given: &Value) -> Result<&str, Failure> {
    given.as_str().ok_or_else(|| malformed(format!("with `from`, `input` must be text, but is {}", kind(given))))
}

fn format(fields: &Fields<'_>, name: &str, known: &[(&str, Format)]) -> Result<Option<Format>, Failure> {
    let Some(word) = fields.text(name)? else { return Ok(None) };
    let format = known.iter().find(|(known, _)| *known == word).map(|(_, format)| *format);
    let words: Vec<_> = known.iter().map(|(word, _)| *word).collect();
    format.map(Some).ok_or_else(|| malformed(format!("`{name}` is one of {}, not `{word}`", listed(&words))))
}

fn dialect(fields: &Fields<'_>, has_csv: bool) -> Result<Dialect, Failure> {
    let (delimiter, header) = (fields.text("delimiter")?, fields.flag("header")?);
    if !has_csv && (delimiter.is_some() || header.is_some()) {
        return Err(malformed("`delimiter` and `header` are for CSV, but neither `from` nor `to` is `csv`"));
    }
    let delimiter = match delimiter.unwrap_or(",").as_bytes() {
        [delimiter] if delimiter.is_ascii() && !b"\"\r\n\0".contains(delimiter) => *delimiter,
        _ => return Err(malformed("`delimiter` must be one ASCII character, and neither a quote nor a line end")),
    };
    Ok(Dialect { delimiter, has_header: header.unwrap_or(true) })
}

fn too_large() -> Failure {
    Failure::permanent(FailureKind::Output, format!("the result is larger than {MAX_OUTPUT} bytes"))
}
