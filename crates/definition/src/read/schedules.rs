//! Reads schedules: `on.schedule`.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, Timelike, Utc};
use chrono_tz::Tz;
use serde_json::{Map, Value};

use crate::diagnostic::{Code, quoted};
use crate::schedule::{
    CatchUp, Cron, Dst, DstGap, DstOverlap, Exclusion, Overlap, Recurrence, ScheduleTrigger, Timing, parse_zone,
};
use crate::source::Span;
use crate::tree::Node;
use crate::{duration, keys};

use super::fields::Fields;
use super::inputs::ReadInputs;
use super::reader::Reader;

/// The longest time that starts may be put off by.
const MOST_JITTER: Duration = Duration::from_hours(24);

impl Reader<'_, '_> {
    pub(super) fn schedule(
        &mut self,
        index: usize,
        node: &Node,
        inputs: &ReadInputs,
        keys: &mut HashMap<String, Span>,
    ) -> Option<ScheduleTrigger> {
        let fields = self.fields(node, &keys::SCHEDULE)?;
        let key = self.key(&fields, format!("schedule-{index}"), keys);
        let timing = self.timing(&fields);
        let catch_up = fields
            .get("catch_up")
            .and_then(|node| self.word(node, "catch_up", &words(CatchUp::ALL, CatchUp::as_str), &[]));
        let catch_up_window = fields.get("window").and_then(|node| self.timeout(node, "window"));
        let overlap = fields
            .get("overlap")
            .and_then(|node| self.word(node, "overlap", &words(Overlap::ALL, Overlap::as_str), &[]));
        let jitter = fields.get("jitter").and_then(|node| self.jitter(node));
        let given = self.given_inputs(&fields, inputs);
        Some(ScheduleTrigger {
            key,
            timing: timing?,
            catch_up: catch_up.unwrap_or_default(),
            catch_up_window,
            overlap: overlap.unwrap_or_default(),
            jitter: jitter.unwrap_or_default(),
            inputs: given,
        })
    }

    /// Everything that decides when it comes due.
    fn timing(&mut self, fields: &Fields<'_>) -> Option<Timing> {
        let timezone = match fields.get("timezone") {
            Some(node) => self.timezone(node),
            None => Some(Tz::UTC),
        };
        let recurrence = self.recurrence(fields);
        let dst = fields.get("dst").map(|node| self.dst(node)).unwrap_or_default();
        let starts_at = fields.get("starts_at").and_then(|node| self.instant(node, "starts_at"));
        let ends_at = fields.get("ends_at").and_then(|node| self.instant(node, "ends_at"));
        if let (Some(starts), Some(ends), Some(node)) = (starts_at, ends_at, fields.get("ends_at"))
            && ends < starts
        {
            let message = "`ends_at` lies before `starts_at`, so that nothing is ever due";
            self.report.add(Code::InvalidValue, node.span, message, "swap the two".to_owned());
        }
        let exclude = fields.get("exclude").map(|node| self.exclusions(node)).unwrap_or_default();
        let timing = Timing { recurrence: recurrence?, timezone: timezone?, dst, starts_at, ends_at, exclude };
        Some(timing)
    }

    fn recurrence(&mut self, fields: &Fields<'_>) -> Option<Recurrence> {
        let anchor = fields.get("anchor").map(|node| (node, self.instant(node, "anchor")));
        match (fields.get("cron"), fields.entry("every")) {
            (Some(cron), None) => {
                if let Some((node, _)) = anchor {
                    let message = "`anchor` is what an interval counts from; a cron line counts from nothing";
                    let help = "remove it, or write `every` in place of `cron`".to_owned();
                    self.report.add(Code::InvalidValue, node.span, message, help);
                }
                self.cron(cron).map(Recurrence::Cron)
            }
            (None, Some(every)) => {
                if let Some(dst) = fields.entry("dst") {
                    let message = "`dst` concerns cron lines; an interval counts elapsed time whatever the clocks do";
                    self.report.add(Code::InvalidValue, dst.key_span, message, "remove it".to_owned());
                }
                let interval = self.interval(&every.value)?;
                Some(Recurrence::Every { interval, anchor: anchor.and_then(|(_, anchor)| anchor) })
            }
            (Some(cron), Some(every)) => {
                let message = "a schedule has a `cron` line or an interval `every`, not both";
                let help = "make two schedules of it, in a list".to_owned();
                self.report.add(Code::InvalidValue, every.key_span, message, help);
                self.cron(cron);
                self.interval(&every.value);
                None
            }
            (None, None) => {
                if !fields.is_meant("every") {
                    let message = "a schedule needs a `cron` expression, or an interval `every`";
                    self.missing(fields, "cron", Code::MissingKey, message);
                }
                None
            }
        }
    }

    fn cron(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node, "cron")?;
        let Err(problems) = Cron::parse(&text) else { return Some(text) };
        for problem in problems {
            let message = format!("the cron expression {} is not valid: {}", quoted(&text), problem.message);
            let help = problem
                .help
                .or_else(|| Some("for example `0 6 * * MON-FRI`: minute, hour, day, month, weekday".to_owned()));
            let span = self.place(node, &text, problem.range.start, problem.range.len());
            self.report.add(Code::InvalidCron, span, message, help);
        }
        None
    }

    /// Where a part of a text stands, where it is written as it is read. What is wrong from its beginning on is marked from
    /// the beginning of the value, with its quotes.
    fn place(&self, node: &Node, text: &str, start: usize, length: usize) -> Span {
        let raw = self.report.source.slice(node.span);
        match raw.find(text) {
            Some(at) if (1..text.trim().len()).contains(&length) => {
                let begin = if start == 0 { 0 } else { at + start };
                Span::new(node.span.start + begin, node.span.start + at + start + length)
            }
            _ => node.span,
        }
    }

    fn interval(&mut self, node: &Node) -> Option<Duration> {
        let interval = self.timeout(node, "every")?;
        if interval.subsec_nanos() == 0 {
            return Some(interval);
        }
        let message = format!("an interval counts whole seconds, not {}", duration::shown(interval));
        self.report.add(Code::InvalidDuration, node.span, message, "write at least `1s`".to_owned());
        None
    }

    fn jitter(&mut self, node: &Node) -> Option<Duration> {
        let jitter = self.duration(node, "jitter")?;
        if jitter <= MOST_JITTER {
            return Some(jitter);
        }
        let message = format!("jitter is at most {}, not {}", duration::shown(MOST_JITTER), duration::shown(jitter));
        self.report.add(Code::InvalidDuration, node.span, message, "for example `30s`".to_owned());
        None
    }

    fn dst(&mut self, node: &Node) -> Dst {
        let Some(fields) = self.fields(node, &keys::DST) else { return Dst::default() };
        let gap = fields.get("gap").and_then(|node| self.word(node, "gap", &words(DstGap::ALL, DstGap::as_str), &[]));
        let overlap = fields
            .get("overlap")
            .and_then(|node| self.word(node, "overlap", &words(DstOverlap::ALL, DstOverlap::as_str), &[]));
        Dst { gap: gap.unwrap_or_default(), overlap: overlap.unwrap_or_default() }
    }

    fn timezone(&mut self, node: &Node) -> Option<Tz> {
        let text = self.text(node, "timezone")?;
        parse_zone(&text)
            .map_err(|(message, help)| self.report.add(Code::UnknownTimezone, node.span, message, help))
            .ok()
    }

    /// An instant in whole seconds.
    fn instant(&mut self, node: &Node, what: &str) -> Option<DateTime<Utc>> {
        let text = self.text(node, what)?;
        let instant = text.parse::<DateTime<FixedOffset>>().ok().filter(|instant| instant.nanosecond() == 0);
        if instant.is_none() {
            let message = format!("{what} must be an instant in whole seconds, not {}", quoted(&text));
            let help = "write it as in RFC 3339, with its offset: `2026-01-01T06:00:00Z`".to_owned();
            self.report.add(Code::InvalidValue, node.span, message, help);
        }
        instant.map(|instant| instant.to_utc())
    }

    fn exclusions(&mut self, node: &Node) -> Vec<Exclusion> {
        let mut dates = Vec::new();
        for (text, span) in self.texts(node, "exclude") {
            match Exclusion::parse(&text) {
                Ok(date) => dates.push(date),
                Err((message, help)) => self.report.add(Code::InvalidValue, span, message, help),
            }
        }
        dates
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

fn words<W: Copy>(all: &[W], as_str: fn(W) -> &'static str) -> Vec<(&'static str, W)> {
    all.iter().map(|word| (as_str(*word), *word)).collect()
}
