//! The document as a tree of values that know where they stand.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Tag};
use serde_json::Value;

use crate::diagnostic::{Code, Report, quoted};
use crate::scalar;
use crate::source::Span;

/// Values in a document, each alias counted as what it stands for.
const MAX_NODES: usize = 100_000;

/// Nesting of lists and mappings.
const MAX_DEPTH: usize = 64;

/// A value and where it stands. Cheap to clone: an alias shares what it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) kind: Rc<Kind>,
    /// How many values it holds, itself included.
    size: usize,
    depth: usize,
}

/// What kind of value it is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Null, a boolean, a number or text.
    Scalar {
        /// The value by its notation.
        value: Value,
        /// The text before it was taken for a number or a boolean.
        text: String,
    },
    List(Vec<Node>),
    /// Keys are unique, in the order of the document.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    fn scalar(span: Span, value: Value, text: String) -> Self {
        let kind = Rc::new(Kind::Scalar { value, text });
        Self { span, kind, size: 1, depth: 0 }
    }

    /// Whether nothing is written here, or a collection without anything in it.
    pub(crate) fn is_empty(&self) -> bool {
        match &*self.kind {
            Kind::Scalar { value, text } => value.is_null() && text.is_empty(),
            Kind::List(items) => items.is_empty(),
            Kind::Map(entries) => entries.is_empty(),
        }
    }

    /// What it is, for messages.
    pub(crate) fn describe(&self) -> String {
        match &*self.kind {
            Kind::Scalar { value: Value::Null, .. } => "nothing".into(),
            Kind::Scalar { value: Value::Bool(_), text } => format!("the boolean `{text}`"),
            Kind::Scalar { value: Value::Number(_), text } => format!("the number {}", quoted(text)),
            Kind::Scalar { text, .. } => format!("the text {}", quoted(text)),
            Kind::List(_) => "a list".into(),
            Kind::Map(_) => "a mapping".into(),
        }
    }

    /// The value without its places.
    pub(crate) fn to_json(&self) -> Value {
        match &*self.kind {
            Kind::Scalar { value, .. } => value.clone(),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// Reads the one document of `report`'s source. Where there is no tree, the report says why.
pub(crate) fn read(report: &mut Report<'_>) -> Option<Node> {
    let mut options = Options::default();
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let text = report.source.text;
    if let Some(at) = text.find('\0') {
        report.add(Code::Syntax, Span::new(at, at + 1), "the character U+0000 cannot be part of a document", None);
        return None;
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let taken = match event {
            Ok((event, span)) => {
                builder.tag_at = span.tag_span().map(|tag| place(tag, text.len()));
                builder.take(event, place(span, text.len()), report)
            }
            Err(error) => Err(refused(&error, text.len())),
        };
        if let Err((code, span, message)) = taken {
            report.add(code, span, message, None);
            return None;
        }
    }
    if builder.root.is_none() {
        let help = "a workflow needs at least `steps`".to_owned();
        report.add(Code::Empty, Span::new(0, 0), "the file holds no workflow", help);
    }
    builder.root
}

fn refused(error: &ScanError, end: usize) -> Failure {
    let at = error.marker().byte_offset().unwrap_or(end);
    let span = Span::new(at, at + 1);
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(span),
        _ => (Code::Syntax, span, error.info().trim_end_matches('.').to_owned()),
    }
}

fn too_deep(span: Span) -> Failure {
    let message = format!("the document is nested more than {MAX_DEPTH} levels deep");
    (Code::TooComplex, span, message)
}

fn place(span: granit_parser::Span, end: usize) -> Span {
    let offset = |marker: granit_parser::Marker| marker.byte_offset().unwrap_or(end);
    Span::new(offset(span.start), offset(span.end))
}

type Failure = (Code, Span, String);

/// A collection whose end has not come yet.
struct Open {
    start: Span,
    anchor: usize,
    /// The keys and values of a mapping in turn.
    items: Vec<Node>,
    is_map: bool,
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    size: usize,
    /// Where the tag of the event at hand stands.
    tag_at: Option<Span>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span, report: &mut Report<'_>) -> Result<(), Failure> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                let message = "a second document starts here; one file holds one workflow";
                Err((Code::SeveralDocuments, span, message.into()))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = is_text(tag.as_deref(), self.tag_at.unwrap_or(span))? || style != ScalarStyle::Plain;
                let text = text.into_owned();
                if text.contains('\0') {
                    let message = "the text contains the character U+0000, which cannot be stored";
                    return Err((Code::Syntax, span, message.into()));
                }
                let value = if is_text { Value::String(text.clone()) } else { scalar::resolve(&text) };
                self.add(Node::scalar(span, value, text), anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => self.open(span, anchor, tag.as_deref(), false),
            Event::MappingStart(_, anchor, tag) => self.open(span, anchor, tag.as_deref(), true),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => {
                    let anchor = open.anchor;
                    self.add(close(open, span, report), anchor, 1)
                }
                None => Ok(()),
            },
            Event::Alias(id) => {
                let Some(target) = self.anchors.get(&id) else {
                    let message = "the alias stands inside of the value it refers to";
                    return Err((Code::TooComplex, span, message.into()));
                };
                let node = Node { span, ..target.clone() };
                let size = node.size;
                self.add(node, 0, size)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, start: Span, anchor: usize, tag: Option<&Tag>, is_map: bool) -> Result<(), Failure> {
        is_text(tag, self.tag_at.unwrap_or(start))?;
        self.open.push(Open { start, anchor, items: Vec::new(), is_map });
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Failure> {
        self.size += size;
        if self.size > MAX_NODES {
            let message =
                format!("the document has more than {MAX_NODES} values, each alias counted as what it stands for");
            return Err((Code::TooComplex, node.span, message));
        }
        if self.open.len() + node.depth > MAX_DEPTH {
            return Err(too_deep(node.span));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            Some(open) => open.items.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }
}

fn close(open: Open, end: Span, report: &mut Report<'_>) -> Node {
    let span = Span::new(open.start.start, end.end);
    let size = 1 + open.items.iter().map(|item| item.size).sum::<usize>();
    let depth = 1 + open.items.iter().map(|item| item.depth).max().unwrap_or(0);
    let kind = if open.is_map { Kind::Map(entries(open.items, report)) } else { Kind::List(open.items) };
    Node { span, kind: Rc::new(kind), size, depth }
}

fn entries(items: Vec<Node>, report: &mut Report<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::with_capacity(items.len() / 2);
    let mut seen = HashMap::new();
    let mut items = items.into_iter();
    while let (Some(key_node), Some(value)) = (items.next(), items.next()) {
        let key_span = key_node.span;
        let Kind::Scalar { text: key, .. } = &*key_node.kind else {
            let message = format!("a key must be text, not {}", key_node.describe());
            report.add(Code::WrongType, key_span, message, None);
            continue;
        };
        if key == "<<" {
            let help = "write the keys out, or give an alias as a whole value".to_owned();
            report.add(Code::UnknownKey, key_span, "merge keys (`<<`) are not part of YAML 1.2", help);
        } else if let Some(first) = seen.insert(key.clone(), key_span) {
            let (line, _) = report.source.position(first.start);
            let message = format!("the key {} stands here a second time", quoted(key));
            report.add(Code::DuplicateKey, key_span, message, format!("it stands first on line {line}"));
        } else {
            // A value that is not written down stands nowhere; its key does.
            let is_absent = value.span.start >= value.span.end;
            let span = if is_absent { key_span } else { value.span };
            entries.push(Entry { key: key.clone(), key_span, value: Node { span, ..value } });
        }
    }
    entries
}

/// Whether a tag asks for text; other tags than those of the core schema are refused.
fn is_text(tag: Option<&Tag>, span: Span) -> Result<bool, Failure> {
    match tag.map(|tag| (tag, tag.core_suffix())) {
        None => Ok(false),
        Some((_, Some(suffix))) => Ok(suffix == "str"),
        Some((tag, None)) => {
            let message = format!("the tag {} is not known", quoted(&tag.original()));
            Err((Code::Syntax, span, message))
        }
    }
}
