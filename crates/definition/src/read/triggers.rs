//! Reads what starts a workflow: `on`.

use std::collections::HashMap;
use std::time::Duration;

use chrono_tz::{TZ_VARIANTS, Tz};
use globset::GlobBuilder;
use serde_json::{Map, Value};

use crate::cron::Cron;
use crate::diagnostic::{Code, quoted};
use crate::source::Span;
use crate::suggest;
use crate::tree::Node;
use crate::{CatchUp, FileTrigger, Overlap, ScheduleTrigger, Triggers, keys};

use super::fields::Fields;
use super::inputs::ReadInputs;
use super::reader::Reader;

/// How long a file must be unchanged when the document does not say.
const DEFAULT_SETTLE: Duration = Duration::from_secs(1);

/// The longest text of a cron expression and of a pattern, as records keep them.
const MAX_TEXT: usize = 255;

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

    fn schedule(
        &mut self,
        index: usize,
        node: &Node,
        inputs: &ReadInputs,
        keys: &mut HashMap<String, Span>,
    ) -> Option<ScheduleTrigger> {
        let fields = self.fields(node, &keys::SCHEDULE)?;
        let key = self.key(&fields, format!("schedule-{index}"), keys);
        let timezone = match fields.get("timezone") {
            Some(node) => self.timezone(node),
            None => Some(Tz::UTC),
        };
        let catch_up = fields
            .get("catch_up")
            .and_then(|node| self.word(node, "catch_up", &CatchUp::ALL.map(|word| (word.as_str(), word)), &[]));
        let catch_up_window = fields.get("window").and_then(|node| self.timeout(node, "window"));
        let overlap = fields.get("overlap").and_then(|node| {
            let words = Overlap::ALL.map(|word| (word.as_str(), word));
            self.word(node, "overlap", &words, &["queue", "replace"])
        });
        let given = self.given_inputs(&fields, inputs);
        let cron = match fields.get("cron") {
            Some(node) => self.cron(node),
            // An interval, which this release does not run, takes the place of a cron expression.
            None if fields.get("every").is_some() => None,
            None => {
                self.missing(&fields, "cron", Code::MissingKey, "a schedule needs a `cron` expression");
                None
            }
        };
        Some(ScheduleTrigger {
            key,
            cron: cron?,
            timezone: timezone?,
            catch_up: catch_up.unwrap_or_default(),
            catch_up_window,
            overlap: overlap.unwrap_or_default(),
            inputs: given,
        })
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

    fn cron(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node, "cron")?;
        let problem = if text.len() > MAX_TEXT {
            Some(format!("it is longer than {MAX_TEXT} characters"))
        } else {
            Cron::parse(&text).err()
        };
        match problem {
            None => Some(text),
            Some(reason) => {
                let message = format!("the cron expression {} is not valid: {reason}", quoted(&text));
                let help = "for example `0 6 * * MON-FRI`: minute, hour, day, month, weekday".to_owned();
                self.report.add(Code::InvalidCron, node.span, message, help);
                None
            }
        }
    }

    fn timezone(&mut self, node: &Node) -> Option<Tz> {
        let text = self.text(node, "timezone")?;
        if let Ok(zone) = text.parse::<Tz>() {
            return Some(zone);
        }
        let message = format!("there is no time zone {}", quoted(&text));
        let help = suggest::did_you_mean(&text, TZ_VARIANTS.iter().map(|zone| zone.name()))
            .unwrap_or_else(|| "use an IANA name such as `Europe/Berlin` or `UTC`".to_owned());
        self.report.add(Code::UnknownTimezone, node.span, message, help);
        None
    }

    fn given_inputs(&mut self, fields: &Fields<'_>, inputs: &ReadInputs) -> Map<String, Value> {
        let node = fields.get("inputs");
        let given = match node {
            None => Map::new(),
            Some(node) => match (self.entries(node, "the inputs of a schedule"), self.literal(node, "an input")) {
                (Some(_), Some(Value::Object(given))) => given,
                _ => return Map::new(),
            },
        };
        if inputs.has_problems {
            return given;
        }
        for problem in inputs.inputs.check(given.clone()).err().unwrap_or_default() {
            let entry = node
                .and_then(|node| self.entries(node, "the inputs of a schedule"))
                .and_then(|entries| entries.iter().find(|entry| problem.path.first() == Some(&entry.key)));
            let span = entry.map_or_else(|| node.unwrap_or(fields.node).span, |entry| entry.key_span);
            let message = format!("this schedule cannot start the workflow: {}", problem.message);
            let help = "give the value under the schedule's `inputs`, or give the input a default".to_owned();
            self.report.add(Code::InvalidInput, span, message, help);
        }
        given
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
