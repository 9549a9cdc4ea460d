//! Reads what starts a workflow from outside the server: `on.webhook` and `on.event`.

use std::collections::HashMap;
use std::time::Duration;

use crate::diagnostic::{Code, quoted};
use crate::names::Scope;
use crate::source::Span;
use crate::tree::{Kind, Node};
use crate::{EventPattern, EventTrigger, Method, Signature, Template, WebhookTrigger, keys, size};

use super::fields::Fields;
use super::inputs::ReadInputs;
use super::reader::Reader;

/// How far a call's time stamp may be off when the document does not say; Standard Webhooks recommends it.
const DEFAULT_TOLERANCE: Duration = Duration::from_mins(5);
/// The farthest that it may be: what is older must have ended by then, so that a repeated call finds it.
const MAX_TOLERANCE: Duration = Duration::from_hours(24);

/// The largest body when the document does not say, and the largest that it may say, in bytes.
const DEFAULT_MAX_BODY: u64 = 1024 * 1024;
const MAX_MAX_BODY: u64 = 16 * 1024 * 1024;

/// How long a call that is replied to waits when the document does not say, and the longest that it may say.
const DEFAULT_REPLY: Duration = Duration::from_secs(30);
const MAX_REPLY: Duration = Duration::from_mins(5);

/// The longest path, as its column holds it.
const MAX_PATH: usize = 255;

impl Reader<'_, '_> {
    pub(super) fn webhook(
        &mut self,
        index: usize,
        node: &Node,
        inputs: &ReadInputs,
        keys: &mut HashMap<String, Span>,
    ) -> Option<WebhookTrigger> {
        let fields = self.fields(node, &keys::WEBHOOK)?;
        let key = self.key(&fields, format!("webhook-{index}"), keys);
        let path = self
            .needed(&fields, "path", "a webhook needs the `path` that calls come in at")
            .and_then(|node| self.hook_path(node));
        let given = fields.get("signature");
        let signature = match given {
            Some(node) => self.word(node, "signature", &Signature::ALL.map(|word| (word.as_str(), word)), &[]),
            None => Some(Signature::default()),
        };
        let secret = fields.get("secret").and_then(|node| self.id(node, "the secret"));
        match (signature, fields.get("secret")) {
            (Some(Signature::None), Some(node)) => {
                let help = "leave out one of the two".to_owned();
                self.report.add(Code::InvalidValue, node.span, "a `secret` signs nothing with `signature: none`", help);
            }
            (Some(Signature::None), None) | (None, _) | (_, Some(_)) => {}
            (Some(_), None) if fields.is_meant("secret") => {}
            (Some(_), None) => {
                let help = "name the secret that calls are signed with, or write `signature: none` if anybody may call";
                self.report.add(Code::MissingKey, node.span, "a webhook needs a `secret`", help.to_owned());
            }
        }
        let tolerance = match fields.get("tolerance") {
            Some(node) => self.timeout(node, "tolerance").and_then(|given| self.at_most(node, given, MAX_TOLERANCE)),
            None => Some(DEFAULT_TOLERANCE),
        };
        let methods = match fields.get("methods") {
            Some(node) => self.methods(node),
            None => vec![Method::Post],
        };
        let max_body = match fields.get("max_body") {
            Some(node) => self.size(node, "max_body", MAX_MAX_BODY),
            None => Some(DEFAULT_MAX_BODY),
        };
        let waits = match fields.get("reply") {
            Some(node) => self.truth(node, "reply"),
            None => Some(false),
        };
        let reply = match fields.get("reply_timeout") {
            Some(node) => self.timeout(node, "reply_timeout").and_then(|given| self.at_most(node, given, MAX_REPLY)),
            None => Some(DEFAULT_REPLY),
        };
        if let (Some(false), Some(node)) = (waits, fields.get("reply_timeout")) {
            let message = "`reply_timeout` is of no use without `reply: true`";
            self.report.add(Code::InvalidValue, node.span, message, None);
        }
        Some(WebhookTrigger {
            key,
            path: path?,
            signature: signature?,
            secret,
            tolerance: tolerance?,
            methods,
            max_body: max_body?,
            reply: waits?.then_some(reply?),
            inputs: self.trigger_inputs(&fields, "a webhook", inputs),
        })
    }

    pub(super) fn event(
        &mut self,
        index: usize,
        node: &Node,
        inputs: &ReadInputs,
        keys: &mut HashMap<String, Span>,
    ) -> Option<EventTrigger> {
        let fields = self.fields(node, &keys::EVENT)?;
        let key = self.key(&fields, format!("event-{index}"), keys);
        let pattern = self
            .needed(&fields, "type", "an event trigger needs the `type` of the events")
            .and_then(|node| self.event_pattern(node));
        let condition = fields.get("if").map(|node| self.condition(node, Scope::Event));
        let inputs = self.trigger_inputs(&fields, "an event", inputs);
        let condition = match condition {
            Some(condition) => Some(condition?),
            None => None,
        };
        Some(EventTrigger { key, pattern: pattern?, condition, inputs })
    }

    fn hook_path(&mut self, node: &Node) -> Option<String> {
        let path = self.text(node, "path")?;
        let is_part = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        };
        if path.len() <= MAX_PATH && path.split('/').all(is_part) {
            return Some(path);
        }
        let message = format!("the path {} cannot be part of an address", quoted(&path));
        let help = format!(
            "use letters, digits, `_`, `-` and `.`, with `/` between parts, such as `orders/new`; at most {MAX_PATH} of them"
        );
        self.report.add(Code::InvalidValue, node.span, message, help);
        None
    }

    fn event_pattern(&mut self, node: &Node) -> Option<EventPattern> {
        let text = self.text(node, "type")?;
        EventPattern::parse(&text)
            .map_err(|problem| {
                let message = format!("the type {} {problem}", quoted(&text));
                let help = "for example `workflow.failed`, `workflow.*` or `custom.**`".to_owned();
                self.report.add(Code::InvalidPattern, node.span, message, help);
            })
            .ok()
    }

    fn methods(&mut self, node: &Node) -> Vec<Method> {
        let items = match &*node.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        if items.is_empty() {
            self.report.add(
                Code::InvalidValue,
                node.span,
                "methods names no method",
                "leave it out to take `POST`".to_owned(),
            );
        }
        let words = Method::ALL.map(|word| (word.as_str(), word));
        items.iter().filter_map(|item| self.word(item, "a method", &words, &[])).collect()
    }

    /// Bytes, from 1 to `most`.
    pub(super) fn size(&mut self, node: &Node, what: &str, most: u64) -> Option<u64> {
        let text = match &*node.kind {
            Kind::Scalar { text, .. } => text.as_str(),
            Kind::List(_) | Kind::Map(_) => "",
        };
        let problem = match size::parse(text) {
            Ok(0) => "it must be more than nothing".to_owned(),
            Ok(bytes) if bytes > most => format!("it is more than {}, the most there may be", size::shown(most)),
            Ok(bytes) => return Some(bytes),
            Err(problem) => problem,
        };
        self.report.add(Code::InvalidValue, node.span, format!("{what}: {problem}"), None);
        None
    }

    fn at_most(&mut self, node: &Node, given: Duration, most: Duration) -> Option<Duration> {
        if given <= most {
            return Some(given);
        }
        let message = format!("this is longer than {} minutes, the longest it may be", most.as_secs() / 60);
        self.report.add(Code::InvalidDuration, node.span, message, None);
        None
    }

    /// The inputs that a trigger gives: values whose texts may read `trigger`.
    pub(super) fn trigger_inputs(
        &mut self,
        fields: &Fields<'_>,
        what: &str,
        inputs: &ReadInputs,
    ) -> Vec<(String, Template)> {
        let node = fields.get("inputs");
        let entries = match node {
            None => &[],
            Some(node) => match self.entries(node, "the inputs of a trigger") {
                Some(entries) => entries,
                None => return Vec::new(),
            },
        };
        let mut given = Vec::with_capacity(entries.len());
        for entry in entries {
            if !inputs.has_problems {
                self.is_input(entry.key_span, &entry.key, inputs);
            }
            if let Some(template) = self.template(&entry.value, Scope::Trigger) {
                given.push((entry.key.clone(), template));
            }
        }
        if inputs.has_problems {
            return given;
        }
        for field in inputs.inputs.fields.iter().filter(|field| field.is_required()) {
            if !entries.iter().any(|entry| entry.key == field.name) {
                let message =
                    format!("{what} cannot start the workflow: nothing gives the input `{}` a value", field.name);
                let help = format!("give it under the trigger's `inputs`, or give `{}` a default", field.name);
                self.report.add(Code::InvalidInput, node.unwrap_or(fields.node).span, message, help);
            }
        }
        given
    }

    fn is_input(&mut self, span: Span, name: &str, inputs: &ReadInputs) {
        if !inputs.names.iter().any(|known| known == name) {
            let message = format!("there is no input {}", quoted(name));
            let help = crate::suggest::did_you_mean(name, inputs.names.iter().map(String::as_str))
                .unwrap_or_else(|| "declare it under `inputs`".to_owned());
            self.report.add(Code::InvalidInput, span, message, help);
        }
    }
}
