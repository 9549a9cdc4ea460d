//! Triggers from outside the server: calls of inbound webhooks, and events.

use std::time::Duration;

use serde_json::{Value, json};

use crate::workflow::milliseconds;
use crate::{Condition, Template};

/// One address that calls come in at.
#[derive(Debug, Clone)]
pub struct WebhookTrigger {
    /// Unique among the workflow's triggers: the given id or `webhook-<index>`.
    pub key: String,
    /// The last part of the address, after the tenant's slug; one workflow of a tenant has it.
    pub path: String,
    /// How a call shows that it comes from where it should.
    pub signature: Signature,
    /// The name of the secret that the signature is made with; there unless anybody may call.
    pub secret: Option<String>,
    /// How far the time stamp of a call may lie from the server's clock.
    pub tolerance: Duration,
    /// The HTTP methods that are taken, in capitals.
    pub methods: Vec<Method>,
    /// The largest body, in bytes.
    pub max_body: u64,
    /// How long a call waits for the end of its execution, and is answered with its result; `None` answers at once.
    pub reply: Option<Duration>,
    /// The inputs of the executions it starts, by name; expressions read `trigger`.
    pub inputs: Vec<(String, Template)>,
}

/// How a call shows that it comes from where it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signature {
    /// By the headers of Standard Webhooks, else by that of GitHub.
    #[default]
    Any,
    /// By the headers `webhook-id`, `webhook-timestamp` and `webhook-signature` (<https://www.standardwebhooks.com>).
    Standard,
    /// By the header `x-hub-signature-256`, as GitHub signs.
    Github,
    /// By the secret itself, as `authorization: Bearer …`.
    Bearer,
    /// Not at all: anybody may call.
    None,
}

/// An HTTP method that a call may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`: a call without a body.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
}

/// Events that start the workflow.
#[derive(Debug, Clone)]
pub struct EventTrigger {
    /// Unique among the workflow's triggers: the given id or `event-<index>`.
    pub key: String,
    /// What their type must be like.
    pub pattern: EventPattern,
    /// What must hold of one; it reads `event`.
    pub condition: Option<Condition>,
    /// The inputs of the executions it starts, by name; expressions read `trigger`.
    pub inputs: Vec<(String, Template)>,
}

/// A type of events such as `workflow.failed`, or a pattern of types: `*` stands for any part without a dot, `**` for any
/// rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPattern(String);

impl Signature {
    /// Every word.
    pub(crate) const ALL: [Self; 5] = [Self::Any, Self::Standard, Self::Github, Self::Bearer, Self::None];

    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Standard => "standard",
            Self::Github => "github",
            Self::Bearer => "bearer",
            Self::None => "none",
        }
    }
}

/// Whether this is a type that an author may give events: `custom.` and one part or more of letters, digits, `_` and `-`,
/// with points between them, in at most 100 bytes.
pub fn is_own_event_type(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(is_letter);
    name.len() <= 100 && name.strip_prefix("custom.").is_some_and(|own| own.split('.').all(is_part))
}

impl Method {
    /// Every word.
    pub(crate) const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// The word of the language, which is that of HTTP.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl EventPattern {
    /// Checks a pattern.
    ///
    /// # Errors
    ///
    /// What is wrong, for the author of the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > 100 {
            return Err("is longer than 100 characters");
        }
        let parts: Vec<&str> = text.split('.').collect();
        if parts[..parts.len() - 1].contains(&"**") {
            return Err("has `**` before its end");
        }
        let is_part = |part: &str| {
            part == "**" || !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-*".contains(c))
        };
        if parts.iter().all(|part| is_part(part)) {
            Ok(Self(text.to_owned()))
        } else {
            Err("is not made of parts of letters, digits, `_`, `-` and `*` with dots between them")
        }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an event of this type is meant.
    pub fn matches(&self, event_type: &str) -> bool {
        let (mut parts, mut given) = (self.0.split('.'), event_type.split('.'));
        loop {
            match (parts.next(), given.next()) {
                (Some("**"), Some(_)) | (None, None) => return true,
                (Some(part), Some(word)) if part_matches(part.as_bytes(), word.as_bytes()) => {}
                _ => return false,
            }
        }
    }
}

/// Whether a word is like a part of a pattern, in which `*` stands for anything.
fn part_matches(part: &[u8], word: &[u8]) -> bool {
    match part.split_first() {
        None => word.is_empty(),
        Some((b'*', rest)) => (0..=word.len()).any(|skipped| part_matches(rest, &word[skipped..])),
        Some((byte, rest)) => word.split_first().is_some_and(|(first, word)| first == byte && part_matches(rest, word)),
    }
}

fn inputs_to_json(inputs: &[(String, Template)]) -> Value {
    Value::Object(inputs.iter().map(|(name, value)| (name.clone(), value.source())).collect())
}

impl WebhookTrigger {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "key": self.key,
            "path": self.path,
            "signature": self.signature.as_str(),
            "secret": self.secret,
            "tolerance_ms": milliseconds(self.tolerance),
            "methods": self.methods.iter().map(|method| method.as_str()).collect::<Vec<_>>(),
            "max_body": self.max_body,
            "reply_ms": self.reply.map(milliseconds),
            "inputs": inputs_to_json(&self.inputs),
        })
    }
}

impl EventTrigger {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "key": self.key,
            "type": self.pattern.as_str(),
            "if": self.condition.as_ref().map(|condition| condition.expression.source()),
            "inputs": inputs_to_json(&self.inputs),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_types_part_by_part() {
        for (pattern, matching, others) in [
            ("workflow.failed", vec!["workflow.failed"], vec!["workflow.failed.late", "workflow", "xworkflow.failed"]),
            (
                "workflow.*",
                vec!["workflow.failed", "workflow.completed"],
                vec!["workflow", "step.failed", "workflow.a.b"],
            ),
            ("*.failed", vec!["workflow.failed", "step.failed"], vec!["failed", "a.b.failed"]),
            ("custom.**", vec!["custom.a", "custom.a.b"], vec!["custom", "other.a"]),
            ("order-*.pa*d", vec!["order-1.paid", "order-.pad"], vec!["order.paid", "order-1.pay"]),
            ("**", vec!["a", "a.b.c"], vec![]),
        ] {
            let pattern = EventPattern::parse(pattern).unwrap();
            assert!(matching.iter().all(|word| pattern.matches(word)), "{pattern:?}");
            assert!(!others.iter().any(|word| pattern.matches(word)), "{pattern:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", ".", "a..b", "a b", "**.a", "a.b!", &"x".repeat(101)] {
            assert!(EventPattern::parse(text).is_err(), "{text}");
        }
    }
}
