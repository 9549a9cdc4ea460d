//! Reads what starts a workflow: `on`.

use std::collections::HashMap;

use chrono_tz::{TZ_VARIANTS, Tz};
use serde_json::{Map, Value};

use crate::cron::Cron;
use crate::diagnostic::{Code, quoted};
use crate::names::KnownFiles;
use crate::source::Span;
use crate::suggest;
use crate::tree::Node;
use crate::{CatchUp, Overlap, ScheduleTrigger, Triggers, keys};

use super::fields::Fields;
use super::inputs::ReadInputs;
use super::reader::Reader;

/// The longest text of a cron expression, as records keep it.
const MAX_TEXT: usize = 255;

/// The triggers as far as they could be read.
#[derive(Default)]
pub(crate) struct ReadTriggers {
    pub(crate) triggers: Triggers,
    /// What file triggers the document has, readable or not.
    pub(crate) files: KnownFiles,
    pub(crate) has_schedules: bool,
}

impl Reader<'_, '_> {
    pub(crate) fn triggers(&mut self, node: &Node, inputs: &ReadInputs) -> ReadTriggers {
        let mut read = ReadTriggers {
            files: KnownFiles { alone: true, batched: true },
            has_schedules: true,
            ..ReadTriggers::default()
        };
        let Some(fields) = self.fields(node, &keys::ON) else {
            return read;
        };
        read.has_schedules = fields.get("schedule").is_some() || fields.is_meant("schedule");
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
}
