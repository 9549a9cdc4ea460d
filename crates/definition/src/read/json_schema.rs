//! Reads a JSON Schema that stands in a document, and finds what is wrong with it.

use std::collections::HashMap;

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind as ErrorKind;
use jsonschema::paths::LocationSegment;
use serde_json::Value;

use crate::diagnostic::{Code, quoted};
use crate::inputs;
use crate::source::Span;
use crate::suggest;
use crate::tree::{Entry, Kind, Node};

use super::reader::Reader;

/// What stands under a keyword.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Something that says nothing of other values.
    Plain,
    /// A value that given ones are compared with, or take the place of.
    Value,
    /// A schema, for a part of the value.
    Part,
    /// A schema for the value itself.
    Same,
    /// Schemas for the value itself.
    ListOfSame,
    ListOfParts,
    MapOfParts,
    MapOfSame,
    /// Schemas that others refer to.
    Definitions,
}

use Holds::{Definitions, ListOfParts, ListOfSame, MapOfParts, MapOfSame, Part, Plain, Same};

/// The keywords of draft 2020-12.
const KEYWORDS: [(&str, Holds); 55] = [
    ("type", Plain),
    ("title", Plain),
    ("description", Plain),
    ("default", Holds::Value),
    ("enum", Holds::Value),
    ("const", Holds::Value),
    ("examples", Holds::Value),
    ("deprecated", Plain),
    ("readOnly", Plain),
    ("writeOnly", Plain),
    ("minimum", Plain),
    ("maximum", Plain),
    ("exclusiveMinimum", Plain),
    ("exclusiveMaximum", Plain),
    ("multipleOf", Plain),
    ("minLength", Plain),
    ("maxLength", Plain),
    ("pattern", Plain),
    ("format", Plain),
    ("contentEncoding", Plain),
    ("contentMediaType", Plain),
    ("contentSchema", Part),
    ("items", Part),
    ("prefixItems", ListOfParts),
    ("contains", Part),
    ("minContains", Plain),
    ("maxContains", Plain),
    ("minItems", Plain),
    ("maxItems", Plain),
    ("uniqueItems", Plain),
    ("unevaluatedItems", Part),
    ("properties", MapOfParts),
    ("patternProperties", MapOfParts),
    ("additionalProperties", Part),
    ("unevaluatedProperties", Part),
    ("propertyNames", Part),
    ("required", Plain),
    ("dependentRequired", Plain),
    ("dependentSchemas", MapOfSame),
    ("minProperties", Plain),
    ("maxProperties", Plain),
    ("allOf", ListOfSame),
    ("anyOf", ListOfSame),
    ("oneOf", ListOfSame),
    ("not", Same),
    ("if", Same),
    ("then", Same),
    ("else", Same),
    ("$ref", Plain),
    ("$defs", Definitions),
    ("definitions", Definitions),
    ("$comment", Plain),
    ("$id", Plain),
    ("$anchor", Plain),
    ("$schema", Plain),
];

/// Keywords that give a schema a name or a dialect of its own; here it has none.
const REFUSED: [&str; 6] = ["$id", "$anchor", "$schema", "$dynamicRef", "$dynamicAnchor", "$vocabulary"];

/// Schemas that check the same value one through another: the check descends for each of them, at each level of a value.
const MAX_CHAIN: usize = 20;

/// The types of JSON Schema.
const TYPES: [&str; 7] = ["string", "integer", "number", "boolean", "array", "object", "null"];

/// The formats of text that are checked.
const FORMATS: [&str; 18] = [
    "date-time",
    "date",
    "time",
    "duration",
    "email",
    "idn-email",
    "hostname",
    "ipv4",
    "ipv6",
    "uri",
    "uri-reference",
    "iri",
    "iri-reference",
    "uri-template",
    "uuid",
    "json-pointer",
    "relative-json-pointer",
    "regex",
];

/// The schemas inside of one, by their pointers, with those that look at the same value.
#[derive(Default)]
struct Walk {
    same: HashMap<String, Vec<String>>,
    references: Vec<(String, String, Span)>,
    is_good: bool,
}

impl Reader<'_, '_> {
    /// A JSON Schema and its compiled form.
    pub(crate) fn json_schema(&mut self, node: &Node, what: &str) -> Option<(Value, Validator)> {
        let mut walk = Walk { is_good: true, ..Walk::default() };
        self.walk_schema(node, what, "", &mut walk);
        self.check_references(&mut walk);
        if !walk.is_good {
            return None;
        }
        let schema = node.to_json();
        let mut is_valid = true;
        for error in jsonschema::draft202012::meta::validator().iter_errors(&schema) {
            is_valid = false;
            let (span, name) = place(node, error.instance_path().into_iter());
            let message = format!("{what}: `{name}` {}", inputs::wrong(error.kind(), error.instance()));
            self.report.add(Code::InvalidValue, span, message, None);
        }
        if !is_valid {
            return None;
        }
        match inputs::compile(&schema) {
            Ok(validator) => Some((schema, validator)),
            Err(error) => {
                let (span, _) = place(node, error.schema_path().into_iter());
                let (message, help) = match error.kind() {
                    ErrorKind::Format { format } if format == "regex" => {
                        let pattern = error.instance().as_str().unwrap_or_default();
                        let message = format!("{what}: the pattern {} cannot be read", quoted(pattern));
                        (message, Some("write a regular expression without look-around and back references".to_owned()))
                    }
                    _ => (format!("{what}: {error}"), None),
                };
                self.report.add(Code::InvalidValue, span, message, help);
                None
            }
        }
    }

    fn walk_schema(&mut self, node: &Node, what: &str, pointer: &str, walk: &mut Walk) {
        let entries = match &*node.kind {
            Kind::Map(entries) => entries.as_slice(),
            // `true` takes everything and `false` nothing; anything else is told by the check that follows.
            Kind::Scalar { .. } | Kind::List(_) => &[],
        };
        walk.same.entry(pointer.to_owned()).or_default();
        for Entry { key, key_span, value } in entries {
            let below = format!("{pointer}/{}", escaped(key));
            if key.starts_with("x-") {
                continue;
            }
            if REFUSED.contains(&key.as_str()) {
                walk.is_good = false;
                let message = format!("{what} cannot have `{key}`");
                let help = "a schema refers only to parts of itself: `$ref: '#/$defs/…'`".to_owned();
                self.report.add(Code::InvalidValue, *key_span, message, help);
                continue;
            }
            let Some((_, holds)) = KEYWORDS.iter().find(|(word, _)| word == key) else {
                walk.is_good = false;
                let message = format!("unknown key {} in {what}", quoted(key));
                let words = KEYWORDS.iter().map(|(word, _)| *word);
                let help = suggest::did_you_mean(key, words)
                    .unwrap_or_else(|| "the keys are those of JSON Schema, and `x-…` for your own".to_owned());
                self.report.add(Code::UnknownKey, *key_span, message, help);
                continue;
            };
            match key.as_str() {
                "type" => walk.is_good &= self.schema_types(value, what),
                "format" => walk.is_good &= self.word(value, "format", &FORMATS.map(|word| (word, ())), &[]).is_some(),
                "$ref" => walk.is_good &= self.reference(value, pointer, walk),
                "enum" if value.is_empty() => {
                    walk.is_good = false;
                    let message = format!("{what} can have no value: `enum` is empty");
                    self.report.add(Code::InvalidValue, value.span, message, None);
                }
                _ if *holds == Holds::Value => walk.is_good &= self.literal(value, &format!("`{key}`")).is_some(),
                _ => self.walk_below(value, what, pointer, below, *holds, walk),
            }
        }
    }

    fn walk_below(&mut self, node: &Node, what: &str, pointer: &str, below: String, holds: Holds, walk: &mut Walk) {
        let children: Vec<(String, &Node)> = match (holds, &*node.kind) {
            (Part | Same, _) => vec![(below, node)],
            (ListOfParts | ListOfSame, Kind::List(items)) => {
                items.iter().enumerate().map(|(at, item)| (format!("{below}/{at}"), item)).collect()
            }
            (MapOfParts | MapOfSame | Definitions, Kind::Map(entries)) => {
                entries.iter().map(|entry| (format!("{below}/{}", escaped(&entry.key)), &entry.value)).collect()
            }
            _ => return,
        };
        for (child, node) in children {
            if matches!(holds, Same | ListOfSame | MapOfSame) {
                walk.same.entry(pointer.to_owned()).or_default().push(child.clone());
            }
            self.walk_schema(node, what, &child, walk);
        }
    }

    fn schema_types(&mut self, node: &Node, what: &str) -> bool {
        if let Kind::List(items) = &*node.kind
            && items.is_empty()
        {
            let message = format!("{what} can be of no type: the list is empty");
            self.report.add(Code::InvalidValue, node.span, message, None);
            return false;
        }
        let words = TYPES.map(|word| (word, ()));
        let read: Vec<_> = Self::one_or_more(node).iter().map(|item| self.type_word(item, &words)).collect();
        read.into_iter().all(|is_good| is_good)
    }

    fn type_word(&mut self, node: &Node, words: &[(&str, ())]) -> bool {
        if let Kind::Scalar { value: Value::Null, .. } = &*node.kind {
            let help = "put it in quotes: \"null\"".to_owned();
            self.report.add(Code::WrongType, node.span, "type must be text, not nothing", help);
            return false;
        }
        self.word(node, "type", words, &[]).is_some()
    }

    fn reference(&mut self, node: &Node, from: &str, walk: &mut Walk) -> bool {
        let Some(text) = self.text(node, "`$ref`") else {
            return false;
        };
        let Some(target) = text.strip_prefix('#').filter(|target| target.is_empty() || target.starts_with('/')) else {
            let message = format!("`$ref` can only point into its own schema, not to {}", quoted(&text));
            let help = "write for example `$ref: '#/$defs/address'`".to_owned();
            self.report.add(Code::InvalidValue, node.span, message, help);
            return false;
        };
        walk.same.entry(from.to_owned()).or_default().push(target.to_owned());
        walk.references.push((from.to_owned(), target.to_owned(), node.span));
        true
    }

    /// References that name no schema, or that lead in a circle without looking at a part of the value, so that their
    /// check would never end.
    fn check_references(&mut self, walk: &mut Walk) {
        let mut known = HashMap::new();
        let mut is_good = true;
        for (from, target, span) in &walk.references {
            let length = longest(&walk.same, from, &mut known);
            let (message, help) = if !walk.same.contains_key(target) {
                (format!("`$ref` points to {}, where there is no schema", quoted(&format!("#{target}"))), None)
            } else if length.is_none() {
                let help = "refer to it from a part of the value, under `properties` or `items`".to_owned();
                ("`$ref` leads in a circle, so that no value could ever be checked".to_owned(), Some(help))
            } else if length > Some(MAX_CHAIN) {
                (format!("`$ref` leads through more than {MAX_CHAIN} schemas"), None)
            } else {
                continue;
            };
            is_good = false;
            self.report.add(Code::InvalidValue, *span, message, help);
        }
        walk.is_good &= is_good;
    }
}

/// What is known of the ways from a schema through others that check the same value.
#[derive(Clone, Copy)]
enum Way {
    /// They are being walked.
    Open,
    /// The longest goes through so many schemas; none where one never ends.
    Longest(Option<usize>),
}

/// The longest way from a schema through others that check the same value; none where one never ends.
fn longest<'w>(
    same: &'w HashMap<String, Vec<String>>,
    from: &'w str,
    known: &mut HashMap<&'w str, Way>,
) -> Option<usize> {
    if let Some(Way::Longest(length)) = known.get(from) {
        return *length;
    }
    known.insert(from, Way::Open);
    let mut walk: Vec<(&str, usize, Option<usize>)> = vec![(from, 0, Some(0))];
    let mut ended = None;
    while let Some((pointer, at, length)) = walk.last_mut() {
        let below = same.get(*pointer).and_then(|below| below.get(*at));
        if let Some(below) = below {
            *at += 1;
            match known.get(below.as_str()) {
                None => {
                    known.insert(below, Way::Open);
                    walk.push((below, 0, Some(0)));
                }
                Some(Way::Open) => *length = None,
                Some(Way::Longest(further)) => *length = joined(*length, *further),
            }
        } else {
            let (pointer, length) = (*pointer, *length);
            known.insert(pointer, Way::Longest(length));
            walk.pop();
            match walk.last_mut() {
                Some((.., outer)) => *outer = joined(*outer, length),
                None => ended = length,
            }
        }
    }
    ended
}

/// The longer of a way so far and one that goes one schema further.
fn joined(so_far: Option<usize>, further: Option<usize>) -> Option<usize> {
    Some(so_far?.max(further? + 1))
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The node that lies nearest to a path, and the last key on the way.
fn place<'n, 'p>(node: &'n Node, path: impl Iterator<Item = LocationSegment<'p>>) -> (Span, &'n str) {
    let mut at = node;
    let mut name = "the schema";
    for segment in path {
        let next = match (&*at.kind, &segment) {
            (Kind::Map(entries), segment) => {
                let key = segment.to_string();
                entries.iter().find(|entry| entry.key == key).map(|entry| (entry.key.as_str(), &entry.value))
            }
            (Kind::List(items), LocationSegment::Index(index)) => items.get(*index).map(|item| (name, item)),
            _ => None,
        };
        let Some((key, below)) = next else { break };
        (name, at) = (key, below);
    }
    (at.span, name)
}
