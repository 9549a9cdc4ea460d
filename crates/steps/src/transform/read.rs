//! Reads text that is in some format.

use std::collections::HashSet;

use cogwheel_engine::Failure;
use csv::{ReaderBuilder, StringRecord};
use serde_json::{Map, Value};

use super::{Dialect, Format};
use crate::input::malformed;

/// The value that `text` stands for.
pub(super) fn value(text: &str, format: Format, dialect: Dialect) -> Result<Value, Failure> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    match format {
        Format::Csv => csv(text, dialect),
        Format::Json => serde_json::from_str(text).map_err(|error| malformed(format!("`input` is no JSON: {error}"))),
        Format::Ndjson => ndjson(text),
        Format::Text => Ok(Value::String(text.to_owned())),
    }
}

/// One value a line; empty lines are none.
fn ndjson(text: &str) -> Result<Value, Failure> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let values = lines.map(|(index, line)| {
        serde_json::from_str(line).map_err(|error| {
            // Each line is a document of its own, whose line is always the first.
            let problem = error.to_string().replace(" at line 1 column ", ", column ");
            malformed(format!("line {} of `input` is no JSON: {problem}", index + 1))
        })
    });
    values.collect::<Result<_, _>>().map(Value::Array)
}

/// A list of objects by the names in the first line, or of lists. All values are text.
fn csv(text: &str, dialect: Dialect) -> Result<Value, Failure> {
    let mut reader = ReaderBuilder::new()
        .delimiter(dialect.delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut rows = reader.records().map(|row| row.map_err(|error| malformed(format!("`input` is no CSV: {error}"))));
    if !dialect.has_header {
        return rows.map(|row| Ok(row?.iter().map(Value::from).collect::<Value>())).collect();
    }
    let Some(header) = rows.next().transpose()? else { return Ok(Value::Array(Vec::new())) };
    let mut names = HashSet::new();
    if let Some(name) = header.iter().find(|name| !names.insert(*name)) {
        return Err(malformed(format!("two columns of `input` are named `{name}`")));
    }
    rows.map(|row| Ok(Value::Object(object(&header, &row?)?))).collect()
}

fn object(header: &StringRecord, row: &StringRecord) -> Result<Map<String, Value>, Failure> {
    if row.len() != header.len() {
        let line = row.position().map_or(0, csv::Position::line);
        let (fields, columns) = (row.len(), header.len());
        return Err(malformed(format!("line {line} of `input` has {fields} fields, but there are {columns} columns")));
    }
    Ok(header.iter().map(str::to_owned).zip(row.iter().map(Value::from)).collect())
}
