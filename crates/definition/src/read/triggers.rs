//! Reads what starts a workflow: `on`.

use std::collections::HashMap;
use std::time::Duration;

use globset::GlobBuilder;

use crate::diagnostic::{Code, quoted};
use crate::source::Span;
use crate::tree::Node;
use crate::{FileTrigger, Triggers, keys};

use super::fields::Fields;
use super::inputs::ReadInputs;
use super::reader::Reader;

/// How long a file must be unchanged when the document does not say.
const DEFAULT_SETTLE: Duration = Duration::from_secs(1);

/// The triggers as far as they could be read.
#[derive(Default)]
pub(crate) struct ReadTriggers {
    pub(crate) triggers: Triggers,
    /// The kinds that the document has, readable or not.
    pub(crate) kinds: Vec<&'static str>,
}

impl Reader<'_, '_> {
    pub(crate) fn triggers(&mut self, node: &Node, inputs: &ReadInputs) -> ReadTriggers {
        let mut read = ReadTriggers { kinds: keys::ON.known.to_vec(), ..ReadTriggers::default() };
        let Some(fields) = self.fields(node, &keys::ON) else {
            return read;
        };
        read.kinds.retain(|kind| fields.get(kind).is_some() || fields.is_meant(kind));
        let mut keys = HashMap::new();
        let schedules = fields.get("schedule").map(Self::one_or_more).unwrap_or_default();
        for (index, node) in schedules.iter().enumerate() {
            read.triggers.schedules.extend(self.schedule(index, node, inputs, &mut keys));
        }
        let files = fields.get("file").map(Self::one_or_more).unwrap_or_default();
        for (index, node) in files.iter().enumerate() {
            read.triggers.files.extend(self.file(index, node, inputs, &mut keys));
        }
        let webhooks = fields.get("webhook").map(Self::one_or_more).unwrap_or_default();
        for (index, node) in webhooks.iter().enumerate() {
            read.triggers.webhooks.extend(self.webhook(index, node, inputs, &mut keys));
        }
        let events = fields.get("event").map(Self::one_or_more).unwrap_or_default();
        for (index, node) in events.iter().enumerate() {
            read.triggers.events.extend(self.event(index, node, inputs, &mut keys));
        }
        read
    }

    /// The trigger's id; each may be used once.
    pub(super) fn key(&mut self, fields: &Fields<'_>, default: String, keys: &mut HashMap<String, Span>) -> String {
        let node = fields.get("id");
        let key = node.and_then(|node| self.id(node, "the trigger's id")).unwrap_or(default);
        let span = node.unwrap_or(fields.node).span;
        if let Some(first) = keys.insert(key.clone(), span) {
            let (line, _) = self.report.source.position(first.start);
            let message = format!("two triggers have the id `{key}`");
            self.report.add(Code::DuplicateId, span, message, format!("the other one is on line {line}"));
        }
        key
    }

    fn file(
        &mut self,
        index: usize,
        node: &Node,
        inputs: &ReadInputs,
        keys: &mut HashMap<String, Span>,
    ) -> Option<FileTrigger> {
        let fields = self.fields(node, &keys::FILE)?;
        let key = self.key(&fields, format!("file-{index}"), keys);
        let include = match fields.get("match") {
            Some(node) => self.patterns(node, "match"),
            None => vec!["*".to_owned()],
        };
        let ignore = fields.get("ignore").map(|node| self.patterns(node, "ignore")).unwrap_or_default();
        let settle = fields.get("settle").and_then(|node| self.duration(node, "settle"));
        let required = inputs.inputs.fields.iter().find(|field| field.is_required());
        if let Some(field) = required.filter(|_| !inputs.has_problems) {
            let message = format!("a file cannot start the workflow: nothing gives the input `{}` a value", field.name);
            let help = format!("give `{}` a default", field.name);
            self.report.add(Code::InvalidInput, fields.node.span, message, help);
        }
        let path = match fields.get("path") {
            Some(node) => self.folder(node),
            None if fields.get("source").is_some() => None,
            None => {
                self.missing(&fields, "path", Code::MissingKey, "a file trigger needs the `path` of a folder");
                None
            }
        };
        let recursive = include.iter().any(|pattern| pattern.contains('/'));
        Some(FileTrigger { key, path: path?, include, ignore, recursive, settle: settle.unwrap_or(DEFAULT_SETTLE) })
    }

    fn folder(&mut self, node: &Node) -> Option<String> {
        let path = self.text(node, "path")?;
        if path.contains("://") {
            self.not_yet(node.span, "an object store as `path`");
            return None;
        }
        let (problem, help) = if path.contains('*') {
            ("names a pattern, not a folder", "put the folder here and the pattern under `match`")
        } else if path.contains('\0') || path.len() > 4096 {
            ("cannot be a folder", "use a shorter path without control characters")
        } else {
            return Some(path);
        };
        let message = format!("the path {} {problem}", quoted(&path));
        self.report.add(Code::InvalidValue, node.span, message, help.to_owned());
        None
    }

    fn patterns(&mut self, node: &Node, what: &str) -> Vec<String> {
        let mut patterns = Vec::new();
        let read = self.texts(node, what);
        if read.is_empty() && Self::one_or_more(node).is_empty() && what == "match" {
            self.report.add(
                Code::InvalidValue,
                node.span,
                "match names no pattern",
                "leave it out to take every file".to_owned(),
            );
        }
        for (pattern, span) in read {
            let problem = match GlobBuilder::new(&pattern).literal_separator(true).build() {
                Err(error) => Some(error.kind().to_string()),
                Ok(_) if pattern.starts_with('/') => {
                    Some("patterns are matched below the folder, without a leading `/`".to_owned())
                }
                Ok(_) => None,
            };
            if let Some(reason) = problem {
                let message = format!("the pattern {} is not valid: {reason}", quoted(&pattern));
                self.report.add(Code::InvalidPattern, span, message, None);
            }
            patterns.push(pattern);
        }
        patterns
    }
}
