//! Values of a document that may contain expressions.

use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::ExpressionError;
use crate::diagnostic::{Code, quoted};
use crate::expression::{Expression, literal_text};
use crate::functions::check_jq;
use crate::scan::{self, Reference, Word};
use crate::seen::Names;

/// A value of any JSON shape whose texts may contain `${{ … }}`. Checked when it was read; cheap to clone.
#[derive(Debug, Clone)]
pub struct Template(Arc<Shape>);

#[derive(Debug)]
enum Shape {
    Literal(Value),
    /// One expression and nothing else: keeps the type of its value.
    Whole(String, Expression),
    /// Text around expressions.
    Mixed(String, Vec<Part>),
    List(Vec<Template>),
    Map(Vec<(String, Template)>),
}

#[derive(Debug)]
enum Part {
    Text(String),
    Expression(Expression),
}

impl Template {
    /// A value without expressions.
    pub(crate) fn literal(value: Value) -> Self {
        Self(Arc::new(Shape::Literal(value)))
    }

    pub(crate) fn list(items: Vec<Self>) -> Self {
        Self(Arc::new(Shape::List(items)))
    }

    pub(crate) fn map(entries: Vec<(String, Self)>) -> Self {
        Self(Arc::new(Shape::Map(entries)))
    }

    /// Whether it is one expression and nothing else.
    pub(crate) fn is_one_expression(&self) -> bool {
        matches!(&*self.0, Shape::Whole(..))
    }

    /// Its value, where no part of it is an expression.
    pub(crate) fn as_literal(&self) -> Option<Value> {
        match &*self.0 {
            Shape::Literal(value) => Some(value.clone()),
            Shape::Whole(..) | Shape::Mixed(..) => None,
            Shape::List(items) => items.iter().map(Self::as_literal).collect(),
            Shape::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| Some((key.clone(), value.as_literal()?)));
                entries.collect::<Option<Map<_, _>>>().map(Value::Object)
            }
        }
    }

    /// The value as written, expressions as text.
    pub fn source(&self) -> Value {
        match &*self.0 {
            Shape::Literal(value) => value.clone(),
            Shape::Whole(text, _) | Shape::Mixed(text, _) => text.as_str().into(),
            Shape::List(items) => items.iter().map(Self::source).collect(),
            Shape::Map(entries) => {
                entries.iter().map(|(key, value)| (key.clone(), value.source())).collect::<Map<_, _>>().into()
            }
        }
    }

    /// The value with its expressions evaluated. A text that is one expression keeps the type of its value.
    ///
    /// # Errors
    ///
    /// The first expression that has no value.
    pub fn render(&self, names: &dyn Names) -> Result<Value, ExpressionError> {
        match &*self.0 {
            Shape::Literal(value) => Ok(value.clone()),
            Shape::Whole(_, expression) => expression.evaluate(names),
            Shape::Mixed(_, parts) => {
                let texts = parts.iter().map(|part| match part {
                    Part::Text(text) => Ok(text.clone()),
                    Part::Expression(expression) => as_text(expression, expression.evaluate(names)?),
                });
                texts.collect::<Result<String, _>>().map(Value::String)
            }
            Shape::List(items) => items.iter().map(|item| item.render(names)).collect(),
            Shape::Map(entries) => entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), value.render(names)?)))
                .collect::<Result<Map<_, _>, _>>()
                .map(Value::Object),
        }
    }

    /// The value as text: text as it is, everything else as JSON.
    ///
    /// # Errors
    ///
    /// The first expression that has no value, or whose value is null, which has no text.
    pub fn render_string(&self, names: &dyn Names) -> Result<String, ExpressionError> {
        match (&*self.0, self.render(names)?) {
            (Shape::Whole(_, expression), value) => as_text(expression, value),
            (_, Value::String(text)) => Ok(text),
            (_, value) => Ok(value.to_string()),
        }
    }
}

fn as_text(expression: &Expression, value: Value) -> Result<String, ExpressionError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Err(ExpressionError {
            expression: expression.text().to_owned(),
            message: "it is null, which has no text; `| default('…', true)` gives it one".to_owned(),
        }),
        value => Ok(value.to_string()),
    }
}

/// Something wrong with a text that contains expressions.
pub(crate) struct Problem {
    pub(crate) code: Code,
    /// Where, in the text.
    pub(crate) place: Range<usize>,
    pub(crate) message: String,
}

/// The names that a text's expressions use; the places are those in the text.
#[derive(Default)]
pub(crate) struct UsedNames {
    pub(crate) references: Vec<Reference>,
    pub(crate) words: Vec<Word>,
}

/// Compiles a text that may contain expressions.
pub(crate) fn compile(text: &str) -> Result<(Template, UsedNames), Problem> {
    let mut parts = Vec::new();
    let mut names = UsedNames::default();
    let mut at = 0;
    while let Some(open) = text[at..].find("${{").map(|found| at + found) {
        if open > at {
            parts.push(Part::Text(text[at..open].to_owned()));
        }
        let inner = open + 3;
        let problem = |place: Range<usize>, message: String| Problem { code: Code::ExpressionSyntax, place, message };
        let Some(length) = expression_length(&text[inner..]) else {
            return Err(problem(open..text.len(), "the expression is not closed by `}}`".to_owned()));
        };
        let end = inner + length;
        let expression = text[inner..end].trim();
        if expression.is_empty() {
            return Err(problem(open..end + 2, "the expression is empty".to_owned()));
        }
        let start = end - text[inner..end].trim_start().len();
        let place = start..start + expression.len();
        let mut found = scan::scan(expression);
        collect(&mut names, &found, start);
        found.references.dedup();
        let filters = std::mem::take(&mut found.filters);
        let compiled = Expression::compile(expression, found).map_err(|reason| {
            problem(place, format!("the expression {} cannot be read: {reason}", quoted(expression)))
        })?;
        for filter in filters {
            if let Err(reason) = literal_text(&expression[filter.clone()]).map_or(Ok(()), |text| check_jq(&text)) {
                let place = filter.start + start..filter.end + start;
                return Err(problem(place, format!("the jq filter cannot be read: {reason}")));
            }
        }
        parts.push(Part::Expression(compiled));
        at = end + 2;
    }
    if at < text.len() {
        parts.push(Part::Text(text[at..].to_owned()));
    }
    let shape = match (parts.pop(), parts.is_empty()) {
        (None, _) => Shape::Literal(text.into()),
        (Some(Part::Text(text)), true) => Shape::Literal(text.into()),
        (Some(Part::Expression(expression)), true) => Shape::Whole(text.to_owned(), expression),
        (Some(last), false) => {
            parts.push(last);
            Shape::Mixed(text.to_owned(), parts)
        }
    };
    Ok((Template(Arc::new(shape)), names))
}

fn collect(names: &mut UsedNames, found: &scan::Scan, start: usize) {
    let moved = |place: &Range<usize>| place.start + start..place.end + start;
    names.references.extend(found.references.iter().map(|reference| Reference {
        path: reference.path.clone(),
        places: reference.places.iter().map(moved).collect(),
    }));
    names.words.extend(found.words.iter().map(|word| Word { place: moved(&word.place), ..word.clone() }));
}

/// The length of an expression up to its `}}`; braces in quotes and of mappings inside do not end it.
fn expression_length(text: &str) -> Option<usize> {
    let mut at = 0;
    let mut braces = 0_usize;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' => {
                at += scan::quoted_length(&text[at..]);
                continue;
            }
            '{' => braces += 1,
            '}' if braces == 0 && text[at..].starts_with("}}") => return Some(at),
            '}' => braces = braces.saturating_sub(1),
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::compile;

    fn render(text: &str) -> Result<Value, String> {
        let (template, _) = compile(text).map_err(|problem| problem.message)?;
        assert_eq!(template.source(), json!(text));
        let context = json!({"inputs": {"n": 3, "s": "a", "null": null, "list": [1, "b"]}});
        template.render(&context).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_expression_keeps_its_type() {
        assert_eq!(render("${{ inputs.n }}"), Ok(json!(3)));
        assert_eq!(render("${{inputs.list}}"), Ok(json!([1, "b"])));
        assert_eq!(render("${{ {'a': {'b': 1}} }}"), Ok(json!({"a": {"b": 1}})));
        assert_eq!(render("${{ {'a':{'b':1}}}}"), Ok(json!({"a": {"b": 1}})));
        assert_eq!(render("plain"), Ok(json!("plain")));
        assert_eq!(render(""), Ok(json!("")));
    }

    #[test]
    fn inside_of_text_it_becomes_text() {
        assert_eq!(render("n=${{ inputs.n }} s=${{ inputs.s }}"), Ok(json!("n=3 s=a")));
        assert_eq!(render(" ${{ inputs.list }}"), Ok(json!(" [1,\"b\"]")));
        assert_eq!(render("a ${{ '}}' }} b ${{ '${{' }}"), Ok(json!("a }} b ${{")));
        assert_eq!(render("$ { {x} } }}"), Ok(json!("$ { {x} } }}")));
    }

    #[test]
    fn null_has_no_text() {
        assert!(render("x${{ inputs.null }}").unwrap_err().contains("it is null, which has no text"));
        assert_eq!(render("x${{ inputs.null | default('-', true) }}"), Ok(json!("x-")));
        let (template, _) = compile("${{ inputs.null }}").map_err(|problem| problem.message).unwrap();
        assert!(template.render_string(&json!({"inputs": {"null": null}})).is_err());
    }

    #[test]
    fn refuses_what_is_not_an_expression() {
        for text in ["${{", "${{ }}", "${{ 'x }}", "${{ 1 + }}", "${{ a b }}", "${{ {% if %} }}"] {
            assert!(render(text).is_err(), "{text}");
        }
    }
}
