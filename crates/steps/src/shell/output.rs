//! Reads what a script wrote to the file named by `COGWHEEL_OUTPUT`.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use cogwheel_engine::{Failure, FailureKind};
use rustix::fs::{Mode, OFlags};
use serde_json::{Map, Value};

/// The largest output file, in bytes.
pub(super) const MAX_OUTPUT: usize = 256 * 1024;

/// Outputs that Cogwheel itself sets.
const RESERVED: [&str; 3] = ["stdout", "stdout_truncated", "exit_code"];

/// Reads the file and removes it. A file that the script removed puts out nothing.
pub(super) fn collect(path: &Path) -> Result<Map<String, Value>, Failure> {
    let content = match read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => return Err(failure("the step's output file cannot be read").with_detail(error.to_string())),
    };
    // The scratch folder goes with the execution; a file that stays until then does no harm.
    let _ = fs::remove_file(path);
    if content.len() > MAX_OUTPUT {
        let limit = MAX_OUTPUT / 1024;
        return Err(failure(format!("the step put out more than {limit} KiB"))
            .with_detail("leave large results as files in the folder `$COGWHEEL_ARTIFACTS`"));
    }
    parse(&content)
}

/// A script can put anything in place of the file: a pipe must not hang the server.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no longer a regular file"));
    }
    let mut content = Vec::new();
    file.take(MAX_OUTPUT as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// Later lines win over earlier ones of the same name.
fn parse(content: &[u8]) -> Result<Map<String, Value>, Failure> {
    let text = std::str::from_utf8(content).map_err(|error| {
        let line = content[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        malformed(line, "it is not UTF-8")
    })?;
    let mut outputs = Map::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        let (name, value) = match (line.find('='), line.find("<<")) {
            (equals, Some(block)) if equals.is_none_or(|equals| block < equals) => {
                let (name, delimiter) = (&line[..block], line[block + 2..].trim());
                (name, read_block(number, delimiter, &mut lines)?)
            }
            (Some(equals), _) => (&line[..equals], line[equals + 1..].to_owned()),
            (None, _) => return Err(malformed(number, "it has neither `=` nor `<<`; write `name=value`")),
        };
        check_name(number, name)?;
        let value = value_of(value);
        if has_nul(&value) {
            return Err(malformed(number, "its value contains the character U+0000, which cannot be stored"));
        }
        outputs.insert(name.to_owned(), value);
    }
    Ok(outputs)
}

fn read_block<'a>(
    number: usize,
    delimiter: &str,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<String, Failure> {
    if delimiter.is_empty() {
        return Err(malformed(number, "a block needs a word after `<<` that ends it"));
    }
    let mut block = Vec::new();
    for (_, line) in lines {
        if line == delimiter {
            return Ok(block.join("\n"));
        }
        block.push(line);
    }
    Err(malformed(number, &format!("the block that begins here is not ended by a line `{}`", shown(delimiter))))
}

fn check_name(number: usize, name: &str) -> Result<(), Failure> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let why = format!("`{}` is not a name; use letters, digits and `_`, no digit first, no spaces", shown(name));
        return Err(malformed(number, &why));
    }
    if RESERVED.contains(&name) {
        return Err(malformed(number, &format!("the output `{name}` is set by Cogwheel itself; use another name")));
    }
    Ok(())
}

/// JSON is parsed, everything else is text. Integers beyond 64 bits stay text, so that no digit is lost.
fn value_of(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(Value::Number(number)) if number.is_f64() && !text.contains(['.', 'e', 'E']) => Value::String(text),
        Ok(value) => value,
        Err(_) => Value::String(text),
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect::<String>().escape_debug().to_string()
}

fn malformed(line: usize, why: &str) -> Failure {
    failure(format!("line {line} of the step's output file: {why}"))
}

fn failure(title: impl Into<String>) -> Failure {
    Failure::permanent(FailureKind::Output, title)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn gives(content: &str, expected: &Value) {
        assert_eq!(Value::Object(parse(content.as_bytes()).unwrap()), *expected);
    }

    #[track_caller]
    fn refused(content: &[u8], parts: &[&str]) {
        let failure = parse(content).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Output);
        for part in parts {
            assert!(failure.title.contains(part), "{part:?} in {:?}", failure.title);
        }
    }

    #[test]
    fn lines_are_names_with_values() {
        gives("", &json!({}));
        gives("name=foo\n\nother=a=b<<c\r\nempty=", &json!({"name": "foo", "other": "a=b<<c", "empty": ""}));
        gives("a=1\na=2\n", &json!({"a": 2}));
        gives("spaced= kept as written \n", &json!({"spaced": " kept as written "}));
    }

    #[test]
    fn json_is_parsed_and_anything_else_is_text() {
        gives("rows=3\nshare=0.5\nok=true\nnone=null", &json!({"rows": 3, "share": 0.5, "ok": true, "none": null}));
        gives(r#"list=[1, "a"]"#, &json!({"list": [1, "a"]}));
        gives(r#"quoted="foo""#, &json!({"quoted": "foo"}));
        gives("zip=00123\nversion=1.2.3\nhalf={", &json!({"zip": "00123", "version": "1.2.3", "half": "{"}));
        gives("id=123456789012345678901234567890", &json!({"id": "123456789012345678901234567890"}));
    }

    #[test]
    fn blocks_keep_their_lines() {
        gives("text<<EOF\none\n\n  two=2\nEOF\nafter=1", &json!({"text": "one\n\n  two=2", "after": 1}));
        gives("none<<END\nEND\n", &json!({"none": ""}));
        gives("doc<<EOF\n{\n \"a\": 1}\nEOF", &json!({"doc": {"a": 1}}));
        gives("odd<<A=B\nx\nA=B\n", &json!({"odd": "x"}));
    }

    #[test]
    fn what_is_malformed_is_refused_with_its_line() {
        refused(b"ok=1\njust words\n", &["line 2", "name=value"]);
        refused(b"1st=x", &["line 1", "`1st`"]);
        refused(b"a b=x", &["`a b`"]);
        refused(b"=x", &["``"]);
        refused(b"a-b=x", &["`a-b`"]);
        refused(b"ok=1\ntext<<EOF\nnever ends\n", &["line 2", "`EOF`"]);
        refused(b"text<<\nx\n", &["line 1", "after `<<`"]);
        refused(b"ok=1\nbad=\xff\n", &["line 2", "UTF-8"]);
        refused(b"nul=a\0b", &["line 1", "U+0000"]);
        refused(b"nul=[\"\\u0000\"]", &["line 1", "U+0000"]);
        for name in RESERVED {
            refused(format!("{name}=1").as_bytes(), &["line 1", name]);
        }
    }

    #[test]
    fn the_file_is_bounded_and_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        fs::write(&path, format!("x={}", "y".repeat(MAX_OUTPUT - 2))).unwrap();
        assert_eq!(collect(&path).unwrap()["x"].as_str().unwrap().len(), MAX_OUTPUT - 2);
        assert!(!path.exists());

        fs::write(&path, format!("x={}", "y".repeat(MAX_OUTPUT))).unwrap();
        let failure = collect(&path).unwrap_err();
        assert!(failure.kind == FailureKind::Output && failure.title.contains("256 KiB"), "{failure:?}");
    }

    #[test]
    fn a_removed_file_is_empty_and_a_replaced_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        assert_eq!(collect(&path).unwrap(), Map::new());
        fs::create_dir(&path).unwrap();
        assert!(collect(&path).unwrap_err().detail.unwrap().contains("regular file"));
    }
}
