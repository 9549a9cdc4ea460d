//! Takes values into a filter and out again.

use jaq_json::{Num, Val};
use serde_json::{Map, Number, Value};

/// The largest whole number up to which a floating-point number tells each from the next.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// `value` as the evaluator has it.
pub(super) fn read(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::from(*value),
        Value::Number(number) => {
            let whole = number.as_i64().map(Num::from_integral).or_else(|| number.as_u64().map(Num::from_integral));
            whole.map_or_else(|| Val::from(number.as_f64().unwrap_or(f64::NAN)), Val::Num)
        }
        Value::String(text) => Val::from(text.clone()),
        Value::Array(values) => values.iter().map(read).collect(),
        Value::Object(fields) => {
            Val::obj(fields.iter().map(|(name, value)| (Val::from(name.clone()), read(value))).collect())
        }
    }
}

/// `value` as JSON; the evaluator has keys that JSON has not.
pub(super) fn write(value: &Val) -> Result<Value, String> {
    Ok(match value {
        Val::Null => Value::Null,
        Val::Bool(value) => Value::Bool(*value),
        Val::Num(number) => write_number(number),
        Val::TStr(text) | Val::BStr(text) => Value::String(readable(text)),
        Val::Arr(values) => Value::Array(values.iter().map(write).collect::<Result<_, _>>()?),
        Val::Obj(fields) => Value::Object(fields.iter().map(write_field).collect::<Result<Map<_, _>, _>>()?),
    })
}

fn write_field((name, value): (&Val, &Val)) -> Result<(String, Value), String> {
    match name {
        Val::TStr(text) | Val::BStr(text) => Ok((readable(text), write(value)?)),
        name => Err(format!("{} is a key, which only text can be", super::one_line(&name.to_string()))),
    }
}

fn write_number(number: &Num) -> Value {
    match number {
        Num::Int(number) => Value::from(*number),
        Num::Float(number) => write_float(*number),
        // The evaluator's own text of both is a number that Rust reads.
        Num::BigInt(number) => {
            let text = number.to_string();
            text.parse::<u64>().map_or_else(|_| write_float(text.parse().unwrap_or(f64::NAN)), Value::from)
        }
        Num::Dec(text) => write_float(text.parse().unwrap_or(f64::NAN)),
    }
}

/// A whole number has no fraction, infinity is the largest number, and what is no number is null: as jq writes them.
fn write_float(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < MAX_WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "whole and small enough")]
        return Value::from(number as i64);
    }
    let number = number.clamp(f64::MIN, f64::MAX);
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn readable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
