//! What a call says, as expressions see it: JSON, a form, text, or bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cogwheel_machine::contains_nul;
use serde_json::{Map, Value, json};

use super::Call;

/// The body as a value, by the type that the call gives it; nothing is null.
///
/// # Errors
///
/// What is wrong with it, for the caller.
pub(super) fn value(call: &Call) -> Result<Value, String> {
    if call.body.is_empty() {
        return Ok(Value::Null);
    }
    let kind = call.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    let value = if kind == "application/json" || kind.ends_with("+json") {
        serde_json::from_slice(&call.body).map_err(|error| format!("the body is not JSON: {error}"))?
    } else if kind == "application/x-www-form-urlencoded" {
        let text = std::str::from_utf8(&call.body).map_err(|_| "the body is not a form: it is not UTF-8".to_owned())?;
        fields(text)
    } else {
        match std::str::from_utf8(&call.body) {
            Ok(text) if !text.contains('\0') => Value::String(text.to_owned()),
            _ => json!({ "base64": STANDARD.encode(&call.body) }),
        }
    };
    if contains_nul(&value) {
        return Err("the body holds the character U+0000, which cannot be stored".to_owned());
    }
    Ok(value)
}

/// The fields of a form or a query; one that is there more than once is a list.
pub(super) fn fields(text: &str) -> Value {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let value = Value::String(value.into_owned());
        match fields.entry(name.into_owned()) {
            serde_json::map::Entry::Vacant(place) => {
                place.insert(value);
            }
            serde_json::map::Entry::Occupied(mut place) => match place.get_mut() {
                Value::Array(values) => values.push(value),
                first => *first = json!([first.take(), value]),
            },
        }
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, body: &[u8]) -> Result<Value, String> {
        value(&Call {
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            body: body.to_vec(),
            ..Call::default()
        })
    }

    #[test]
    fn the_type_decides() {
        assert_eq!(read("application/json; charset=utf-8", b"{\"a\": [1]}"), Ok(json!({"a": [1]})));
        assert_eq!(read("application/cloudevents+json", b"1"), Ok(json!(1)));
        assert_eq!(
            read("application/x-www-form-urlencoded", b"a=1&b=x+y&a=%C3%A9"),
            Ok(json!({"a": ["1", "é"], "b": "x y"}))
        );
        assert_eq!(read("text/plain", b"hello"), Ok(json!("hello")));
        assert_eq!(read("", b"\xff\x00"), Ok(json!({"base64": "/wA="})));
        assert_eq!(read("application/json", b""), Ok(Value::Null));
    }

    #[test]
    fn what_is_not_what_it_says_is_refused() {
        assert!(read("application/json", b"{").unwrap_err().contains("not JSON"));
        assert!(read("application/json", b"\"\\u0000\"").unwrap_err().contains("U+0000"));
        assert!(read("application/x-www-form-urlencoded", b"a=%00").unwrap_err().contains("U+0000"));
        assert!(read("application/x-www-form-urlencoded", b"\xff").unwrap_err().contains("UTF-8"));
    }
}
