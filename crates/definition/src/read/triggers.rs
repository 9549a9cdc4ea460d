//! Reads what starts a workflow: `on`.

use std::collections::HashMap;

use crate::diagnostic::Code;
use crate::names::KnownFiles;
use crate::source::Span;
use crate::tree::Node;
use crate::{Triggers, keys};

use super::fields::Fields;
use super::inputs::ReadInputs;
use super::reader::Reader;

/// The triggers as far as they could be read.
#[derive(Default)]
pub(crate) struct ReadTriggers {
    pub(crate) triggers: Triggers,
    /// The kinds that the document has, readable or not.
    pub(crate) kinds: Vec<&'static str>,
    /// What file triggers the document has, readable or not.
    pub(crate) files: KnownFiles,
}

impl Reader<'_, '_> {
    pub(crate) fn triggers(&mut self, node: &Node, inputs: &ReadInputs) -> ReadTriggers {
        let mut read = ReadTriggers {
            kinds: keys::ON.known.to_vec(),
            files: KnownFiles { alone: true, batched: true },
            ..ReadTriggers::default()
        };
        let Some(fields) = self.fields(node, &keys::ON) else {
            return read;
        };
        read.kinds.retain(|kind| fields.get(kind).is_some() || fields.is_meant(kind));
        if !fields.is_meant("file") {
            let has_batch = |node: &Node| Self::keys(node).iter().any(|(key, _)| key == "batch");
            let files = fields.get("file").map(Self::one_or_more).unwrap_or_default();
            read.files = KnownFiles { alone: !files.iter().all(has_batch), batched: files.iter().any(has_batch) };
        }
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
}
