//! Reads when a step runs, and what follows when it fails: `if`, `retry`, `on_lost`, `continue_on_error`.

use std::time::Duration;

use serde_json::Value;

use crate::diagnostic::{Code, quoted};
use crate::functions::STATUS;
use crate::names::Scope;
use crate::scan::{Word, WordKind};
use crate::suggest;
use crate::template::UsedNames;
use crate::tree::{Kind, Node};
use crate::{Backoff, Condition, OnLost, Retry, Template, keys};

use super::reader::Reader;

pub(crate) const MAX_ATTEMPTS: u64 = 100;
const DEFAULT_ATTEMPTS: u32 = 3;
const DEFAULT_DELAY: Duration = Duration::from_secs(1);
const DEFAULT_MAX_DELAY: Duration = Duration::from_mins(1);
/// Classes of failures after which another attempt can be asked for.
const CLASSES: [&str; 9] = ["exit", "signal", "memory", "spawn", "output", "http", "workflow", "timeout", "internal"];

impl Reader<'_, '_> {
    /// An `if`: one expression, with or without its `${{ }}`, or a truth value.
    pub(crate) fn condition(&mut self, node: &Node, scope: Scope) -> Option<Condition> {
        if let Kind::Scalar { value: Value::Bool(value), .. } = &*node.kind {
            return Some(Condition { expression: Template::literal((*value).into()), asks_for_status: false });
        }
        let (text, expression, names) = self.expression(node, "if", "if: ${{ inputs.count > 0 }}")?;
        let asks = |word: &Word| word.kind == WordKind::Function && STATUS.contains(&word.name.as_str());
        let asks_for_status = names.words.iter().any(asks);
        self.note(node, &text, scope, names, true);
        Some(Condition { expression, asks_for_status })
    }

    /// One expression, with or without its `${{ }}`: its text with it, its compiled form, and the names it uses.
    pub(crate) fn expression(
        &mut self,
        node: &Node,
        what: &str,
        example: &str,
    ) -> Option<(String, Template, UsedNames)> {
        let Kind::Scalar { value: Value::String(text), .. } = &*node.kind else {
            let message = format!("`{what}` must be an expression, not {}", node.describe());
            self.report.add(Code::WrongType, node.span, message, format!("write `{example}`"));
            return None;
        };
        let text = text.trim();
        let text = if text.contains("${{") { text.to_owned() } else { format!("${{{{ {text} }}}}") };
        let (expression, names) = self.compiled(node, &text)?;
        if !expression.is_one_expression() {
            let message = format!("`{what}` must be one expression, with nothing around it");
            self.report.add(Code::InvalidValue, node.span, message, format!("for example `{example}`"));
            return None;
        }
        Some((text, expression, names))
    }

    /// A `retry` that says nothing.
    pub(crate) fn plain_retry() -> Retry {
        Retry {
            attempts: DEFAULT_ATTEMPTS,
            backoff: Backoff::default(),
            delay: DEFAULT_DELAY,
            max_delay: DEFAULT_MAX_DELAY,
            jitter: true,
            max_elapsed: None,
            on: Vec::new(),
        }
    }

    /// A `retry`: a number of attempts, or a mapping.
    pub(crate) fn retry(&mut self, node: &Node) -> Option<Retry> {
        let mut retry = Self::plain_retry();
        if let Kind::Scalar { value: Value::Number(_), .. } = &*node.kind {
            retry.attempts = self.attempts(node)?;
            return Some(retry);
        }
        let fields = self.fields(node, &keys::RETRY)?;
        // What cannot be read has been reported and keeps its default, so that the rest is still looked at.
        if let Some(attempts) = fields.get("attempts").and_then(|node| self.attempts(node)) {
            retry.attempts = attempts;
        }
        if let Some(node) = fields.get("backoff") {
            let words = Backoff::ALL.map(|word| (word.as_str(), word));
            retry.backoff = self.word(node, "backoff", &words, &[]).unwrap_or_default();
        }
        if let Some(delay) = fields.get("delay").and_then(|node| self.duration(node, "delay")) {
            retry.delay = delay;
            retry.max_delay = retry.max_delay.max(retry.delay);
        }
        if let Some(node) = fields.get("max_delay")
            && let Some(max_delay) = self.duration(node, "max_delay")
        {
            retry.max_delay = max_delay;
            if retry.max_delay < retry.delay {
                let message = "`max_delay` is shorter than `delay`";
                self.report.add(Code::InvalidValue, node.span, message, None);
            }
        }
        if let Some(jitter) = fields.get("jitter").and_then(|node| self.truth(node, "jitter")) {
            retry.jitter = jitter;
        }
        retry.max_elapsed = fields.get("max_elapsed").and_then(|node| self.timeout(node, "max_elapsed"));
        if let Some(node) = fields.get("on") {
            retry.on = self.failure_codes(node);
        }
        Some(retry)
    }

    pub(crate) fn on_lost(&mut self, node: &Node) -> Option<OnLost> {
        self.word(node, "on_lost", &OnLost::ALL.map(|word| (word.as_str(), word)), &[])
    }

    fn attempts(&mut self, node: &Node) -> Option<u32> {
        let number = match &*node.kind {
            Kind::Scalar { value, .. } => value.as_u64().filter(|number| (1..=MAX_ATTEMPTS).contains(number)),
            Kind::List(_) | Kind::Map(_) => None,
        };
        if number.is_none() {
            let message = format!("attempts must be a whole number from 1 to {MAX_ATTEMPTS}, not {}", node.describe());
            self.report.add(Code::InvalidValue, node.span, message, "`attempts` counts the first one too".to_owned());
        }
        number.and_then(|number| u32::try_from(number).ok())
    }

    fn failure_codes(&mut self, node: &Node) -> Vec<String> {
        let patterns = self.texts(node, "on");
        for (pattern, span) in &patterns {
            let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '*');
            let class = pattern.split(['.', '*']).next().unwrap_or_default();
            let is_open = pattern.starts_with('*');
            if pattern.is_empty() || !pattern.chars().all(is_word) || !(is_open || CLASSES.contains(&class)) {
                let message = format!("{} names no failure that could be tried again", quoted(pattern));
                let help = suggest::did_you_mean(class, CLASSES)
                    .unwrap_or_else(|| format!("use {}, a code such as `exit.75`, or `*`", CLASSES.join(", ")));
                self.report.add(Code::InvalidValue, *span, message, help);
            }
        }
        patterns.into_iter().map(|(pattern, _)| pattern).collect()
    }
}
