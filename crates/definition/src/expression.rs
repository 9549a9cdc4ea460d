//! Evaluates expressions: no access to anything but the values they are given, and bounded in work.

use std::fmt;
use std::sync::{Arc, LazyLock};

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use serde_json::{Map, Number};

use crate::functions;
use crate::scan::{MAX_TOKENS, Scan};
use crate::seen::{Names, project, resolves};

/// Steps of evaluation an expression may take.
const FUEL: u64 = 100_000;

/// Bytes that the result of an expression may take.
const MAX_RESULT: usize = 16 * 1024 * 1024;

/// What a value takes beside its text.
const VALUE_SIZE: usize = 32;

/// Nesting of a result.
const MAX_DEPTH: usize = 100;

/// Brackets inside of one another: the evaluator's parser descends for each of them, and for each token, and must not
/// run out of stack.
const MAX_BRACKETS: usize = 30;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// The expression, without its `${{ }}`.
    pub expression: String,
    /// What is wrong.
    pub message: String,
}

impl std::error::Error for ExpressionError {}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`${{{{ {} }}}}`: {}", self.expression, self.message)
    }
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub(crate) struct Expression(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    text: String,
    paths: Vec<Vec<String>>,
    is_conditional: bool,
    code: minijinja::Expression<'static, 'static>,
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    functions::add(&mut environment);
    environment
});

impl Expression {
    /// Compiles `text`, in which `scan` found its names.
    ///
    /// # Errors
    ///
    /// What is wrong with its syntax.
    pub(crate) fn compile(text: &str, scan: Scan) -> Result<Self, String> {
        if scan.tokens > MAX_TOKENS || scan.brackets > MAX_BRACKETS {
            return Err("it is too long; compute parts of it in a `set` step".to_owned());
        }
        let code = ENVIRONMENT.compile_expression_owned(scan.code).map_err(|error| message(&error))?;
        let asks_for_needs = scan.words.iter().any(|word| functions::NEEDS.contains(&word.name.as_str()));
        let needs = asks_for_needs.then(|| vec![functions::NEEDS_ROOT.to_owned()]);
        Ok(Self(Arc::new(Compiled {
            text: text.to_owned(),
            paths: scan.references.into_iter().map(|reference| reference.path).chain(needs).collect(),
            is_conditional: scan.is_conditional,
            code,
        })))
    }

    /// The text as written, without its `${{ }}`.
    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }

    /// Its value among `names`.
    pub(crate) fn evaluate(&self, names: &dyn Names) -> Result<serde_json::Value, ExpressionError> {
        self.value(names).map_err(|message| ExpressionError { expression: self.text().to_owned(), message })
    }

    fn value(&self, names: &dyn Names) -> Result<serde_json::Value, String> {
        let Compiled { paths, is_conditional, code, .. } = &*self.0;
        if !is_conditional {
            paths.iter().try_for_each(|path| resolves(names, path))?;
        }
        let paths: Vec<&[String]> = paths.iter().map(Vec::as_slice).collect();
        let value = code.eval(project(names, &paths)).map_err(|error| message(&error))?;
        to_json(&value, &mut 0, 0)
    }
}

/// The text that a quoted literal stands for.
pub(crate) fn literal_text(literal: &str) -> Option<String> {
    let value = ENVIRONMENT.compile_expression(literal).and_then(|code| code.eval(())).ok()?;
    value.as_str().map(str::to_owned)
}

/// `value` as JSON; `size` counts what has been taken so far.
pub(crate) fn to_json(value: &Value, size: &mut usize, depth: usize) -> Result<serde_json::Value, String> {
    *size += VALUE_SIZE + value.as_str().map_or(0, str::len);
    if *size > MAX_RESULT || depth > MAX_DEPTH {
        return Err("the result is too large".to_owned());
    }
    match value.kind() {
        ValueKind::Undefined => Err("it refers to something that is not there".to_owned()),
        ValueKind::None => Ok(serde_json::Value::Null),
        ValueKind::Bool => Ok(value.is_true().into()),
        ValueKind::String => Ok(value.as_str().unwrap_or_default().into()),
        ValueKind::Number => number(value).map(Into::into).ok_or_else(|| format!("{value} has no JSON form")),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().map_err(|error| message(&error))?;
            items.map(|item| to_json(&item, size, depth + 1)).collect()
        }
        ValueKind::Map => {
            let keys = value.try_iter().map_err(|error| message(&error))?;
            let entries = keys.map(|key| {
                let entry = value.get_item(&key).map_err(|error| message(&error))?;
                Ok((key.to_string(), to_json(&entry, size, depth + 1)?))
            });
            entries.collect::<Result<Map<_, _>, String>>().map(Into::into)
        }
        kind => Err(format!("a value of kind {kind} has no JSON form")),
    }
}

fn number(value: &Value) -> Option<Number> {
    if value.is_integer() {
        let signed = i64::try_from(value.clone()).ok().map(Number::from);
        return signed.or_else(|| u64::try_from(value.clone()).ok().map(Number::from));
    }
    f64::try_from(value.clone()).ok().and_then(Number::from_f64)
}

/// The evaluator's message without its kind's name and place.
fn message(error: &Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, _) => "it refers to something that is not there".to_owned(),
        (ErrorKind::OutOfFuel, _) => "it takes too long to evaluate".to_owned(),
        (_, Some(detail)) => detail.to_owned(),
        (kind, None) => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ENVIRONMENT, Expression};
    use crate::functions::{FILTERS, FUNCTIONS, TESTS};
    use crate::scan::scan;

    fn evaluate(text: &str) -> Result<Value, String> {
        let context = json!({
            "inputs": {"n": 3, "region": "eu", "list": [1, 2], "nothing": null},
            "steps": {"step-1": {"outputs": {"rows": 2}, "status": "completed", "error": null}},
            "trigger": {"file": {"path": "/in/a.tar.gz"}},
        });
        Expression::compile(text, scan(text))?.evaluate(&context).map_err(|error| error.message)
    }

    #[test]
    fn keeps_types() {
        for (text, value) in [
            ("inputs.n + 1", json!(4)),
            ("inputs.n > 2", json!(true)),
            ("inputs.n / 2", json!(1.5)),
            ("inputs.list", json!([1, 2])),
            ("inputs.nothing", json!(null)),
            ("steps.step-1.outputs.rows - 1", json!(1)),
            ("steps['step-1'].outputs", json!({"rows": 2})),
            ("{'a': inputs.list, 'b': {'c': inputs.region}}", json!({"a": [1, 2], "b": {"c": "eu"}})),
            ("'big' if inputs.n > 2 else inputs.missing", json!("big")),
            ("inputs.missing | default(7)", json!(7)),
            ("inputs.missing is defined", json!(false)),
            ("inputs.region | upper", json!("EU")),
            ("basename(trigger.file.path)", json!("a.tar.gz")),
            ("trigger.file.path | stem", json!("a.tar")),
            ("dirname(trigger.file.path)", json!("/in")),
            ("json(inputs.list)", json!("[1,2]")),
            ("from_json('{\"a\": [1]}').a[0]", json!(1)),
            ("jq(inputs.list, 'add')", json!(3)),
            ("inputs.list | jq('.[]')", json!([1, 2])),
            ("inputs.list | jq('empty')", json!(null)),
            ("inputs.list | jq(\"map({\\\"n\\\": .})\") | first", json!({"n": 1})),
            ("sha256('abc')", json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")),
        ] {
            assert_eq!(evaluate(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn never_takes_nothing_for_something() {
        for (text, message) in [
            ("inputs.regoin", "`inputs` has no `regoin`; did you mean `region`?"),
            ("inputs.missing == 1", "`inputs` has no `missing`; there is list, n, nothing, region"),
            ("steps.step-1.error.code", "`steps.step-1.error` is null and has no `code`"),
            ("[inputs.missing if true else 1]", "it refers to something that is not there"),
            ("inputs.n + inputs.region", "tried to use + operator on unsupported types number and string"),
            ("from_json('{')", "not JSON: EOF while parsing an object at line 1 column 1"),
        ] {
            assert_eq!(evaluate(text), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn is_bounded() {
        assert_eq!(evaluate("'x' * 99999999").unwrap_err(), "the result is too large");
        assert!(evaluate("range(100000) | map('string') | list | length > 1").is_ok());
        assert_eq!(evaluate("[1] * 99999999").unwrap_err(), "the result is too large");
        for (open, inner, close) in [
            ("(", "1", ")"),
            ("[", "1", "]"),
            ("{'a': ", "1", "}"),
            ("json(", "1", ")"),
            ("not ", "1", ""),
            ("-", "1", ""),
            ("1+", "1", ""),
            ("1 if 1 else ", "1", ""),
            ("", "1", "|abs"),
            ("", "inputs", "['n']"),
            ("1 and ", "1", ""),
            ("1 < ", "1", ""),
            ("2**", "1", ""),
        ] {
            for times in [10, 25, 100, 1_000, 100_000] {
                let text = format!("{}{inner}{}", open.repeat(times), close.repeat(times));
                let outcome = evaluate(&text);
                assert!(times < 1_000 || outcome.is_err(), "{open}{close}");
            }
        }
    }

    #[test]
    fn lists_only_words_the_evaluator_has() {
        for filter in FILTERS {
            let error = ENVIRONMENT.empty_state().apply_filter(filter, &["x".into()]).err();
            assert!(error.is_none_or(|error| error.kind() != minijinja::ErrorKind::UnknownFilter), "{filter}");
        }
        for test in TESTS {
            let error = ENVIRONMENT.empty_state().perform_test(test, &["x".into()]).err();
            assert!(error.is_none_or(|error| error.kind() != minijinja::ErrorKind::UnknownTest), "{test}");
        }
        for function in FUNCTIONS {
            assert!(
                evaluate(&format!("{function}()")).is_err_and(|error| !error.contains("unknown")) || function == "dict"
            );
        }
    }
}
