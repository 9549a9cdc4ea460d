//! Writes values in some format, as long as they stay within the limit.

use std::collections::HashSet;
use std::io::{Error, ErrorKind, Write};

use cogwheel_engine::Failure;
use csv::WriterBuilder;
use serde_json::{Map, Value};

use super::{Dialect, Format, MAX_OUTPUT, too_large};
use crate::input::{kind, malformed, scalar};

/// `value` in that format.
pub(super) fn text(value: &Value, format: Format, dialect: Dialect) -> Result<String, Failure> {
    match format {
        Format::Csv => csv(value, dialect),
        Format::Ndjson => match value {
            Value::Array(values) => lines(values),
            value => lines(std::slice::from_ref(value)),
        },
        Format::Json | Format::Text => json(value),
    }
}

/// Fails where `result` is larger than a step may put out.
pub(super) fn check_size(result: &Value) -> Result<(), Failure> {
    serde_json::to_writer(Bounded { kept: None, length: 0 }, result).map_err(|_| too_large())
}

fn json(value: &Value) -> Result<String, Failure> {
    let mut output = Bounded::keeping();
    serde_json::to_writer(&mut output, value).map_err(|_| too_large())?;
    output.into_text()
}

fn lines(values: &[Value]) -> Result<String, Failure> {
    let mut output = Bounded::keeping();
    for value in values {
        serde_json::to_writer(&mut output, value).map_err(|_| too_large())?;
        output.write_all(b"\n").map_err(|_| too_large())?;
    }
    output.into_text()
}

/// The columns of objects are all their names in the order of their first appearance; what an object has not is empty.
fn csv(value: &Value, dialect: Dialect) -> Result<String, Failure> {
    let rows = match value {
        Value::Array(rows) => rows,
        other => return Err(malformed(format!("for CSV, a list of rows is needed, not {}", kind(other)))),
    };
    let mut writer = WriterBuilder::new().delimiter(dialect.delimiter).flexible(true).from_writer(Bounded::keeping());
    if rows.iter().all(Value::is_array) {
        for (index, row) in rows.iter().filter_map(Value::as_array).enumerate() {
            let cells = row.iter().enumerate().map(|(column, cell)| text_of(cell, index, &format!("{}", column + 1)));
            let cells = cells.collect::<Result<Vec<_>, _>>()?;
            writer.write_record(cells).map_err(|_| too_large())?;
        }
    } else {
        let objects = rows.iter().enumerate().map(|(index, row)| row.as_object().ok_or_else(|| no_row(row, index)));
        let objects = objects.collect::<Result<Vec<_>, _>>()?;
        let columns = columns(&objects);
        if dialect.has_header {
            writer.write_record(&columns).map_err(|_| too_large())?;
        }
        for (index, row) in objects.into_iter().enumerate() {
            let cells = columns.iter().map(|column| text_of(row.get(*column).unwrap_or(&Value::Null), index, column));
            let cells = cells.collect::<Result<Vec<_>, _>>()?;
            writer.write_record(cells).map_err(|_| too_large())?;
        }
    }
    writer.into_inner().map_err(|_| too_large())?.into_text()
}

fn columns<'a>(objects: &[&'a Map<String, Value>]) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    objects.iter().flat_map(|object| object.keys()).map(String::as_str).filter(|name| seen.insert(*name)).collect()
}

fn text_of(cell: &Value, row: usize, column: &str) -> Result<String, Failure> {
    match cell {
        Value::Null => Ok(String::new()),
        cell => scalar(cell).ok_or_else(|| {
            malformed(format!("row {}, column `{column}` holds {}, which CSV cannot", row + 1, kind(cell)))
        }),
    }
}

fn no_row(row: &Value, index: usize) -> Failure {
    let wanted = "for CSV, all rows must be maps, or all lists";
    malformed(format!("{wanted}, but row {} is {}", index + 1, kind(row)))
}

/// Takes as much as a step may put out.
struct Bounded {
    /// What was written, where it is wanted.
    kept: Option<Vec<u8>>,
    length: usize,
}

impl Bounded {
    fn keeping() -> Self {
        Self { kept: Some(Vec::new()), length: 0 }
    }

    fn into_text(self) -> Result<String, Failure> {
        // Only text and ASCII are written.
        String::from_utf8(self.kept.unwrap_or_default()).map_err(|_| malformed("what was written is no text"))
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.length += bytes.len();
        if self.length > MAX_OUTPUT {
            return Err(Error::from(ErrorKind::FileTooLarge));
        }
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
