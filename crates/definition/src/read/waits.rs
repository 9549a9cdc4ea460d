//! Reads the steps that wait: for time, for a signal, for an event, for another workflow.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::Value;

use crate::diagnostic::{Code, quoted};
use crate::names::Scope;
use crate::source::Span;
use crate::tree::{Entry, Kind, Node};
use crate::{Action, AwaitedEvents, Template, Wait, duration, keys};

use super::fields::Fields;
use super::reader::Reader;

const KINDS: [&str; 4] = ["for", "until", "signal", "event"];

/// Values that say more about what is waited for, and to which of them they belong.
const COMPANIONS: [(&str, &[&str]); 3] =
    [("failure", &["event"]), ("subject", &["event"]), ("correlation", &["signal", "event"])];

impl Reader<'_, '_> {
    /// What a `wait` step waits for.
    pub(crate) fn wait(&mut self, with: &Node, scope: Scope) -> Option<Wait> {
        let fields = self.fields(with, &keys::WAIT)?;
        let mut given: Vec<&Entry> = KINDS.iter().filter_map(|kind| fields.entry(kind)).collect();
        given.sort_by_key(|entry| entry.key_span);
        let entry = match given.as_slice() {
            [entry] => *entry,
            [] => {
                if !KINDS.iter().any(|kind| fields.is_meant(kind)) {
                    let message = "`uses: wait` needs one of `for`, `until`, `signal` and `event`";
                    self.report.add(Code::MissingKey, with.span, message, None);
                }
                return None;
            }
            [first, second, ..] => {
                let message = format!("a step waits either `{}` or `{}`, not both", first.key, second.key);
                self.report.add(Code::InvalidValue, second.key_span, message, None);
                return None;
            }
        };
        for (companion, owners) in COMPANIONS {
            if let Some(given) = fields.entry(companion).filter(|_| !owners.contains(&entry.key.as_str())) {
                let owners = owners.join("` and `");
                let message = format!("`{companion}` belongs to `{owners}`, which this step does not have");
                self.report.add(Code::InvalidValue, given.key_span, message, None);
            }
        }
        match entry.key.as_str() {
            "for" => self.wait_for(&entry.value, scope).map(Wait::For),
            "until" => self.wait_until(&entry.value, scope).map(Wait::Until),
            "event" => self.wait_event(&entry.value, &fields, scope).map(Wait::Event),
            _ => {
                let name = self.name_template(&entry.value, "the signal", scope);
                let correlation = self.optional_text(&fields, "correlation", scope)?;
                Some(Wait::Signal { name: name?, correlation })
            }
        }
    }

    fn wait_event(&mut self, node: &Node, fields: &Fields<'_>, scope: Scope) -> Option<AwaitedEvents> {
        let types = self.own_event_types(node, "the event", &[]);
        let failures = match fields.get("failure") {
            Some(node) => self.own_event_types(node, "failure", types.as_deref().unwrap_or_default()),
            None => Some(Vec::new()),
        };
        let subject = self.optional_text(fields, "subject", scope)?;
        let correlation = self.optional_text(fields, "correlation", scope)?;
        Some(AwaitedEvents { types: types?, failures: failures?, subject, correlation })
    }

    /// One type of authors' own events or more, none of which is among the `others`.
    fn own_event_types(&mut self, node: &Node, what: &str, others: &[String]) -> Option<Vec<String>> {
        let mut types: Vec<String> = Vec::new();
        let given = self.texts(node, what);
        if given.is_empty() && matches!(&*node.kind, Kind::List(_)) {
            self.report.add(Code::InvalidValue, node.span, format!("{what} names no type"), None);
        }
        for (text, span) in given {
            if types.contains(&text) || others.contains(&text) {
                self.report.add(Code::InvalidValue, span, format!("{} stands here twice", quoted(&text)), None);
            } else if self.is_own_event_type(&text, span) {
                types.push(text);
            }
        }
        (!types.is_empty()).then_some(types)
    }

    /// A text that may contain expressions and may be left out; the outer `None` where it is wrong.
    #[expect(clippy::option_option, reason = "what is wrong is told apart from what is not there")]
    fn optional_text(&mut self, fields: &Fields<'_>, key: &str, scope: Scope) -> Option<Option<Template>> {
        match fields.get(key) {
            Some(node) => self.text_template(node, key, scope).map(Some),
            None => Some(None),
        }
    }

    fn wait_for(&mut self, node: &Node, scope: Scope) -> Option<Template> {
        let what = "the time to wait";
        let template = match &*node.kind {
            // A number without a unit is refused as everywhere in a document.
            Kind::Scalar { value: Value::Number(_), text } => Template::literal(text.as_str().into()),
            _ => self.text_template(node, what, scope)?,
        };
        let Some(Value::String(text)) = template.as_literal() else {
            return Some(template);
        };
        match duration::parse(&text) {
            Err(reason) => {
                self.report.add(Code::InvalidDuration, node.span, format!("{what}: {reason}"), None);
                None
            }
            Ok(wait) => {
                self.constant_waits.push((wait, node.span));
                Some(template)
            }
        }
    }

    fn wait_until(&mut self, node: &Node, scope: Scope) -> Option<Template> {
        let template = self.text_template(node, "the instant to wait for", scope)?;
        if let Some(Value::String(text)) = template.as_literal()
            && let Err(error) = DateTime::parse_from_rfc3339(text.trim())
        {
            let message = format!("{} is not an RFC 3339 instant: {error}", quoted(&text));
            let help = "write for example `2026-03-01T06:00:00Z`".to_owned();
            self.report.add(Code::InvalidValue, node.span, message, help);
            return None;
        }
        Some(template)
    }

    /// `uses: workflow`.
    pub(crate) fn child(&mut self, with: &Node, scope: Scope) -> Option<Action> {
        let fields = self.fields(with, &keys::CHILD)?;
        let wait = match fields.get("wait") {
            Some(node) => self.truth(node, "wait"),
            None => Some(true),
        };
        let inputs = match fields.get("inputs") {
            Some(node) => self.child_inputs(node, scope),
            None => Some(BTreeMap::new()),
        };
        let name = self.required(&fields, "name", "workflow")?;
        let name = self.name_template(name, "the workflow's name", scope);
        Some(Action::Workflow { name: name?, inputs: inputs?, wait: wait? })
    }

    /// `uses: ./name`.
    pub(crate) fn named_child(&mut self, name: String, fields: &Fields<'_>, scope: Scope) -> Option<Action> {
        let inputs = match fields.get("with") {
            Some(node) => self.child_inputs(node, scope)?,
            None => BTreeMap::new(),
        };
        Some(Action::Workflow { name: Template::literal(name.into()), inputs, wait: true })
    }

    fn child_inputs(&mut self, node: &Node, scope: Scope) -> Option<BTreeMap<String, Template>> {
        let mut inputs = BTreeMap::new();
        let mut is_whole = true;
        for Entry { key, key_span, value } in self.entries(node, "the inputs of a workflow")? {
            is_whole &= self.check_id(*key_span, key, "the input");
            match self.template(value, scope) {
                Some(template) => {
                    inputs.insert(key.clone(), template);
                }
                None => is_whole = false,
            }
        }
        is_whole.then_some(inputs)
    }

    /// A name that may contain expressions; a literal one follows the rules for names.
    fn name_template(&mut self, node: &Node, what: &str, scope: Scope) -> Option<Template> {
        let template = self.text_template(node, what, scope)?;
        match template.as_literal() {
            Some(Value::String(name)) => self.is_title(node.span, &name, what).then_some(template),
            _ => Some(template),
        }
    }

    /// Constant waits that cannot end within the time that the workflow has.
    pub(crate) fn check_waits(&mut self, timeout: std::time::Duration, is_given: bool) {
        let too_long: Vec<Span> =
            self.constant_waits.iter().filter(|(wait, _)| *wait >= timeout).map(|&(_, span)| span).collect();
        for span in too_long {
            let limit = duration::shown(timeout);
            let message = format!("this waits as long as the whole execution may take, or longer: {limit}");
            let help = if is_given {
                "raise the workflow's `timeout`".to_owned()
            } else {
                format!("give the workflow a `timeout`; without one it is {limit}")
            };
            self.report.add(Code::InvalidDuration, span, message, help);
        }
    }
}
