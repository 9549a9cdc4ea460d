//! Reads single values: text, names, durations, lists, templates.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use crate::diagnostic::{Code, Report, quoted};
use crate::names::{Scope, Used};
use crate::source::Span;
use crate::template::{self, Template, UsedNames};
use crate::tree::{Entry, Kind, Node};
use crate::{duration, suggest};

use super::Values;
use super::blocks::Drafts;
use super::steps::Defaults;

/// The longest id or name, in characters.
const MAX_NAME: usize = 100;

/// What the values of a document are read with.
pub(crate) struct Reader<'a, 'r> {
    pub(crate) report: &'r mut Report<'a>,
    /// What steps have that do not say otherwise.
    pub(crate) defaults: Defaults,
    /// The steps read so far.
    pub(crate) drafts: Drafts,
    /// Literal times that steps wait for, and where they stand.
    pub(crate) constant_waits: Vec<(Duration, Span)>,
    /// Whether what is read belongs to an undo.
    pub(crate) in_undo: bool,
    used: Vec<Used>,
}

impl<'a, 'r> Reader<'a, 'r> {
    pub(crate) fn new(report: &'r mut Report<'a>) -> Self {
        Self {
            report,
            defaults: Defaults::default(),
            drafts: Drafts::default(),
            constant_waits: Vec::new(),
            in_undo: false,
            used: Vec::new(),
        }
    }

    /// The report, the steps, and the names that expressions used.
    pub(crate) fn finish(self) -> (&'r mut Report<'a>, Drafts, Vec<Used>) {
        (self.report, self.drafts, self.used)
    }

    pub(crate) fn not_yet(&mut self, span: Span, word: &str) {
        let message = format!("`{word}` is part of the workflow language, but this release does not run it yet");
        self.report.add(Code::NotYet, span, message, "remove it".to_owned());
    }

    fn wrong_type(&mut self, node: &Node, what: &str, expected: &str) {
        let message = format!("{what} must be {expected}, not {}", node.describe());
        let help = match &*node.kind {
            Kind::Scalar { value: Value::Bool(_) | Value::Number(_), text } if expected == "text" => {
                Some(format!("put it in quotes: \"{text}\""))
            }
            _ => None,
        };
        self.report.add(Code::WrongType, node.span, message, help);
    }

    /// Text in which nothing is evaluated and nothing needs to be.
    pub(crate) fn prose(&mut self, node: &Node, what: &str) -> Option<String> {
        if let Kind::Scalar { value: Value::String(text), .. } = &*node.kind {
            return Some(text.clone());
        }
        self.wrong_type(node, what, "text");
        None
    }

    /// Text without expressions, and not empty.
    pub(crate) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.prose(node, what)?;
        if text.trim().is_empty() {
            self.report.add(Code::InvalidValue, node.span, format!("{what} is empty"), None);
            return None;
        }
        self.is_literal(node, &text, what).then_some(text)
    }

    fn is_literal(&mut self, node: &Node, text: &str, what: &str) -> bool {
        let has_expression = text.contains("${{");
        if has_expression {
            let span = self.locate(node, text, text.find("${{").unwrap_or(0), 3);
            let message = format!("{what} must be literal; expressions are not evaluated here");
            self.report.add(Code::ExpressionNotAllowed, span, message, None);
        }
        !has_expression
    }

    /// A value of any shape without expressions.
    pub(crate) fn literal(&mut self, node: &Node, what: &str) -> Option<Value> {
        let is_literal = match &*node.kind {
            Kind::Scalar { text, .. } => self.is_literal(node, text, what),
            Kind::List(items) => items.iter().all(|item| self.literal(item, what).is_some()),
            Kind::Map(entries) => entries.iter().all(|entry| self.literal(&entry.value, what).is_some()),
        };
        is_literal.then(|| node.to_json())
    }

    /// A name for people.
    pub(crate) fn title(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.text(node, what)?;
        self.is_title(node.span, &text, what).then_some(text)
    }

    pub(crate) fn is_title(&mut self, span: Span, text: &str, what: &str) -> bool {
        let problem = title_problem(text);
        if let Some(problem) = &problem {
            let message = format!("{what} {} {problem}", quoted(text));
            self.report.add(Code::InvalidName, span, message, None);
        }
        problem.is_none()
    }

    /// An id as expressions and records use it.
    pub(crate) fn id(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.text(node, what)?;
        self.check_id(node.span, &text, what).then_some(text)
    }

    pub(crate) fn check_id(&mut self, span: Span, text: &str, what: &str) -> bool {
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let goes_on_well = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        let is_valid = starts_well && goes_on_well && text.len() <= MAX_NAME;
        if !is_valid {
            let message = format!("{what} {} is not a valid name", quoted(text));
            let help = format!("use letters, digits, `_` and `-`, a letter or `_` first, at most {MAX_NAME} of them");
            self.report.add(Code::InvalidName, span, message, help);
        }
        is_valid
    }

    pub(crate) fn duration(&mut self, node: &Node, what: &str) -> Option<Duration> {
        let Kind::Scalar { value: Value::String(_) | Value::Number(_), text } = &*node.kind else {
            self.wrong_type(node, what, "a duration such as `30s`");
            return None;
        };
        if !self.is_literal(node, text, what) {
            return None;
        }
        duration::parse(text)
            .map_err(|reason| self.report.add(Code::InvalidDuration, node.span, format!("{what}: {reason}"), None))
            .ok()
    }

    /// A duration that is not zero.
    pub(crate) fn timeout(&mut self, node: &Node, what: &str) -> Option<Duration> {
        let duration = self.duration(node, what)?;
        if duration.is_zero() {
            let message = format!("{what} must be longer than nothing");
            self.report.add(Code::InvalidDuration, node.span, message, None);
            return None;
        }
        Some(duration)
    }

    /// A whole number of a range.
    pub(crate) fn whole_number(&mut self, node: &Node, what: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let number = match &*node.kind {
            Kind::Scalar { value, .. } => value.as_u64().filter(|number| range.contains(number)),
            Kind::List(_) | Kind::Map(_) => None,
        };
        if number.is_none() {
            let (least, most) = range.into_inner();
            let message = format!("{what} must be a whole number from {least} to {most}, not {}", node.describe());
            self.report.add(Code::InvalidValue, node.span, message, None);
        }
        number
    }

    /// True or false.
    pub(crate) fn truth(&mut self, node: &Node, what: &str) -> Option<bool> {
        if let Kind::Scalar { value: Value::Bool(value), .. } = &*node.kind {
            return Some(*value);
        }
        self.wrong_type(node, what, "true or false");
        None
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        node: &Node,
        what: &str,
        words: &[(&str, T)],
        not_yet: &[&str],
    ) -> Option<T> {
        let text = self.text(node, what)?;
        if let Some(&(_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(value);
        }
        if not_yet.contains(&text.as_str()) {
            self.not_yet(node.span, &format!("{what}: {text}"));
            return None;
        }
        let names: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
        let message = format!("{what} must be one of {}, not {}", names.join(", "), quoted(&text));
        self.report.add(Code::InvalidValue, node.span, message, suggest::did_you_mean(&text, names));
        None
    }

    /// A list of texts, or a single one.
    pub(crate) fn texts(&mut self, node: &Node, what: &str) -> Vec<(String, Span)> {
        let items = match &*node.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut read = |item: &Node| self.text(item, what).map(|text| (text, item.span));
        items.iter().filter_map(&mut read).collect()
    }

    /// A list of mappings, or a single one.
    pub(crate) fn one_or_more(node: &Node) -> &[Node] {
        match &*node.kind {
            Kind::List(items) => items,
            _ => std::slice::from_ref(node),
        }
    }

    pub(crate) fn labels(&mut self, node: &Node) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for Entry { key, value, .. } in self.entries(node, "labels").unwrap_or_default() {
            let what = format!("the label {}", quoted(key));
            match &*value.kind {
                Kind::Scalar { value: Value::Null, .. } | Kind::List(_) | Kind::Map(_) => {
                    self.wrong_type(value, &what, "text");
                }
                Kind::Scalar { text, .. } => {
                    if self.is_literal(value, text, &what) {
                        labels.insert(key.clone(), text.clone());
                    }
                }
            }
        }
        labels
    }

    /// Environment variables.
    pub(crate) fn env(&mut self, node: &Node, scope: Scope) -> Values {
        let Some(entries) = self.entries(node, "`env`") else {
            return Values::default();
        };
        let mut values = BTreeMap::new();
        for Entry { key, key_span, value } in entries {
            self.check_variable(*key_span, key);
            let read = match &*value.kind {
                Kind::Scalar { value: Value::String(_), .. } => self.template(value, scope),
                Kind::Scalar { value: Value::Bool(_) | Value::Number(_), text } => {
                    Some(Template::literal(text.as_str().into()))
                }
                _ => {
                    self.wrong_type(value, &format!("the variable {}", quoted(key)), "text");
                    None
                }
            };
            values.insert(key.clone(), read.unwrap_or_else(|| Template::literal(Value::Null)));
        }
        Values { values, is_whole: true }
    }

    fn check_variable(&mut self, span: Span, name: &str) {
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let message = format!("{} cannot be the name of an environment variable", quoted(name));
        if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let help = "use letters, digits and `_`, a letter or `_` first".to_owned();
            self.report.add(Code::InvalidName, span, message, help);
        } else if name.starts_with("COGWHEEL_") {
            let help = "names that start with `COGWHEEL_` are set for every step".to_owned();
            self.report.add(Code::InvalidName, span, message, help);
        }
    }

    /// Named values of any shape.
    pub(crate) fn outputs(&mut self, node: &Node, scope: Scope) -> Values {
        let Some(entries) = self.entries(node, "named values") else {
            return Values::default();
        };
        let mut values = BTreeMap::new();
        for Entry { key, key_span, value } in entries {
            self.check_id(*key_span, key, "the output");
            if let Some(template) = self.template(value, scope) {
                values.insert(key.clone(), template);
            }
        }
        Values { values, is_whole: true }
    }

    /// A value of any shape whose texts may contain expressions.
    pub(crate) fn template(&mut self, node: &Node, scope: Scope) -> Option<Template> {
        match &*node.kind {
            Kind::Scalar { value: Value::String(text), .. } => self.compile(node, text, scope),
            Kind::Scalar { value, .. } => Some(Template::literal(value.clone())),
            Kind::List(items) => {
                let read = items.iter().map(|item| self.template(item, scope)).collect::<Vec<_>>();
                read.into_iter().collect::<Option<Vec<_>>>().map(Template::list)
            }
            Kind::Map(entries) => {
                let read: Vec<_> = entries
                    .iter()
                    .map(|entry| Some((entry.key.clone(), self.template(&entry.value, scope)?)))
                    .collect();
                read.into_iter().collect::<Option<Vec<_>>>().map(Template::map)
            }
        }
    }

    /// Text that may contain expressions.
    pub(crate) fn text_template(&mut self, node: &Node, what: &str, scope: Scope) -> Option<Template> {
        let text = self.prose(node, what)?;
        if text.trim().is_empty() {
            self.report.add(Code::InvalidValue, node.span, format!("{what} is empty"), None);
            return None;
        }
        self.template(node, scope)
    }

    fn compile(&mut self, node: &Node, text: &str, scope: Scope) -> Option<Template> {
        let (template, names) = self.compiled(node, text)?;
        self.note(node, text, scope, names, false);
        Some(template)
    }

    /// A text that may contain expressions, and the names that they use.
    pub(crate) fn compiled(&mut self, node: &Node, text: &str) -> Option<(Template, UsedNames)> {
        template::compile(text)
            .map_err(|problem| {
                let span = self.locate(node, text, problem.place.start, problem.place.len());
                self.report.add(problem.code, span, problem.message, None);
            })
            .ok()
    }

    /// Keeps the names of a text for when all that they may mean is known.
    pub(crate) fn note(&mut self, node: &Node, text: &str, scope: Scope, names: UsedNames, in_condition: bool) {
        for reference in names.references {
            let spans =
                reference.places.iter().map(|place| self.locate(node, text, place.start, place.len())).collect();
            self.used.push(Used::Value { path: reference.path, spans, scope });
        }
        for word in names.words {
            let span = self.locate(node, text, word.place.start, word.place.len());
            self.used.push(Used::Word { name: word.name, kind: word.kind, span, in_condition });
        }
    }

    /// Where a piece of a scalar's text stands in the source. Escapes and folded lines may lie between the two, so
    /// the piece is looked for from the `${{` that it belongs to; where it is not there, that mark is the answer.
    pub(crate) fn locate(&self, node: &Node, text: &str, start: usize, length: usize) -> Span {
        let source = self.report.source;
        let raw = source.slice(node.span);
        let open = text[..text.floor_char_boundary(start + 3)].rfind("${{").unwrap_or(0);
        let nth = text[..open].matches("${{").count();
        let Some((mark, _)) = raw.match_indices("${{").nth(nth) else {
            return node.span;
        };
        let wanted = &text[start..start + length];
        let offset = mark + start.saturating_sub(open);
        let is_there = raw.get(offset..).is_some_and(|rest| rest.starts_with(wanted));
        let (at, length) = if is_there { (offset, length) } else { (mark, 3) };
        Span::new(node.span.start + at, node.span.start + at + length)
    }
}

/// What is wrong with a name for people, if anything is.
pub(crate) fn title_problem(text: &str) -> Option<String> {
    if text.trim() != text || text.is_empty() {
        Some("starts or ends with a space, or is empty".to_owned())
    } else if text.chars().any(char::is_control) {
        Some("contains a control character".to_owned())
    } else if text.chars().count() > MAX_NAME {
        Some(format!("is longer than {MAX_NAME} characters"))
    } else {
        None
    }
}
