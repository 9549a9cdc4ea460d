//! What an execution would do, for people.

use std::fmt::Write as _;
use std::path::Path;

use cogwheel_definition::Workflow;
use serde_json::Value;

use super::known::Decision;
use super::plan::{
    Does, Expressed, Plan, PlannedCase, PlannedConcurrency, PlannedForeach, PlannedStep, PlannedUntil, PlannedWait,
    Waves,
};
use crate::commands::validate;
use crate::output;

/// What is said of a value that only an execution can tell.
const LATER: &str = "decided when it runs";

/// The longest value that is shown whole, in characters.
const LONGEST_VALUE: usize = 60;

impl Plan {
    pub(super) fn to_text(&self, file: &Path, workflow: &Workflow) -> String {
        let mut sections = vec![format!("{}: ok, {}\n", file.display(), validate::summary(workflow))];
        sections.push(format!("{}\n", self.terms()));
        if !self.inputs.is_empty() {
            let rows: Vec<_> = self.inputs.iter().map(|(name, value)| vec![name.clone(), value.to_string()]).collect();
            sections.push(output::table(&["INPUT", "VALUE"], &rows));
        }
        sections.push(steps(&self.waves));
        for (title, waves) in [
            ("on_failure, when it fails, times out or is cancelled", &self.on_failure),
            ("finally, always at the end", &self.finally),
        ] {
            sections.extend(waves.as_ref().map(|waves| format!("{title}:\n{}", steps(waves))));
        }
        sections.extend(self.schedules.iter().map(super::PlannedSchedule::to_text));
        sections.extend(self.files.iter().map(super::files::PlannedWatch::to_text));
        sections.join("\n")
    }

    /// Under which terms it waits and runs.
    fn terms(&self) -> String {
        let mut text = format!("priority {}, may take {}", self.priority, written(self.timeout_ms));
        if let Some(limit) = self.queue_timeout_ms {
            let _ = write!(text, ", waits in the queue for {} at the most", written(limit));
        }
        if let Some(PlannedConcurrency { key, limit, overflow }) = &self.concurrency {
            let of = match key {
                Some(key) => format!("with the key {}", shown(key)),
                None => "of this workflow".to_owned(),
            };
            let _ = write!(text, "\nat most {limit} {of} at once; one more: {overflow}");
        }
        text
    }
}

fn steps(waves: &Waves) -> String {
    let mut rows = Vec::new();
    add_waves(waves, 0, "", &mut rows);
    output::table(&["WAVE", "STEP", "TYPE", "NEEDS", "TIMEOUT", "ATTEMPTS", "IF", "NOTES"], &rows)
}

fn add_waves(waves: &Waves, level: usize, prefix: &str, rows: &mut Vec<Vec<String>>) {
    for (wave, number) in waves.iter().zip(1..) {
        for step in wave {
            let place = format!("{prefix}{number}");
            rows.push(row(step, level, &place));
            match &step.does {
                None | Some(Does::Wait(_) | Does::Workflow { .. }) => {}
                Some(Does::Group(inner)) => add_waves(inner, level + 1, &format!("{place}."), rows),
                Some(Does::Switch { cases, default, .. }) => {
                    for case in cases.iter().chain(default) {
                        rows.push(case_row(case, level + 1));
                        add_waves(&case.waves, level + 2, &format!("{place}."), rows);
                    }
                }
            }
        }
    }
}

fn row(step: &PlannedStep, level: usize, place: &str) -> Vec<String> {
    let or_dash = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned());
    vec![
        place.to_owned(),
        format!("{}{}", "  ".repeat(level), step.id),
        step.step_type.to_owned(),
        or_dash(Some(step.needs.join(", "))),
        or_dash(step.timeout_ms.map(written)),
        step.attempts.to_string(),
        or_dash(step.condition.as_ref().map(plain)),
        notes(step),
    ]
}

fn case_row(case: &PlannedCase, level: usize) -> Vec<String> {
    let name = match case.when.as_slice() {
        [] => "default".to_owned(),
        when => format!("case {}", when.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
    };
    let note = match case.runs {
        Some(true) => "runs",
        Some(false) => "does not run",
        None => LATER,
    };
    let mut row = vec![String::new(); 8];
    (row[1], row[7]) = (format!("{}{name}", "  ".repeat(level)), note.to_owned());
    row
}

/// What there is to say beyond the columns.
fn notes(step: &PlannedStep) -> String {
    let mut notes = Vec::new();
    match (step.runs, &step.problem) {
        (_, Some(why)) => notes.push(format!("fails: its `if` has no value: {why}")),
        (Some(false), None) => notes.push("skipped".to_owned()),
        (Some(true), None) => notes.push("its `if` is true".to_owned()),
        (None, None) if step.condition.is_some() => notes.push(format!("its `if` is {LATER}")),
        (None, None) => {}
    }
    notes.extend(step.foreach.as_ref().map(foreach_note));
    if let Some(PlannedUntil { condition, every_ms, max_attempts }) = &step.until {
        let (condition, pause) = (plain(condition), written(*every_ms));
        notes.push(format!("again every {pause} until {condition}, at most {max_attempts} times"));
    }
    notes.extend(step.does.as_ref().and_then(does_note));
    if step.continue_on_error {
        notes.push("the execution goes on if it fails".to_owned());
    }
    notes.join("; ")
}

fn foreach_note(foreach: &PlannedForeach) -> String {
    let at_once = foreach.max_parallel.map_or_else(String::new, |most| format!(", {most} at a time"));
    match &foreach.items.decision {
        Decision::Now(Value::Array(items)) => {
            let plural = if items.len() == 1 { "" } else { "s" };
            format!("for {} value{plural}{at_once}: {}", items.len(), shown(&foreach.items))
        }
        _ => format!("for each of {}{at_once}", shown(&foreach.items)),
    }
}

fn does_note(does: &Does) -> Option<String> {
    Some(match does {
        Does::Wait(PlannedWait::For(duration)) => format!("waits for {}", shown(duration)),
        Does::Wait(PlannedWait::Until(instant)) => format!("waits until {}", shown(instant)),
        Does::Wait(PlannedWait::Signal { signal, correlation: None }) => {
            format!("waits for the signal {} to this execution", shown(signal))
        }
        Does::Wait(PlannedWait::Signal { signal, correlation: Some(correlation) }) => {
            format!("waits for the signal {} with the correlation {}", shown(signal), shown(correlation))
        }
        Does::Wait(PlannedWait::Event { event, failure, subject, correlation }) => {
            let types: Vec<&str> = event.iter().chain(failure).map(String::as_str).collect();
            let subject = subject.as_ref().map(|subject| format!(" about {}", shown(subject))).unwrap_or_default();
            let correlation = correlation.as_ref().map(|it| format!(" with the correlation {}", shown(it)));
            format!("waits for the event {}{subject}{}", types.join(" or "), correlation.unwrap_or_default())
        }
        Does::Workflow { name, wait: true, .. } => format!("runs the workflow {} to its end", shown(name)),
        Does::Workflow { name, wait: false, .. } => format!("starts the workflow {}", shown(name)),
        Does::Switch { on, .. } => format!("chooses by {}", shown(on)),
        Does::Group(_) => return None,
    })
}

/// A value with what it comes to.
fn shown(expressed: &Expressed) -> String {
    let source = plain(&expressed.written);
    match &expressed.decision {
        Decision::Now(value) if *value == expressed.written => shortened(&plain(value)),
        Decision::Now(value) => format!("{} ({source})", shortened(&value.to_string())),
        Decision::Later => format!("{source} ({LATER})"),
        Decision::Never(why) => format!("{source} (fails: {why})"),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LONGEST_VALUE {
        return text.to_owned();
    }
    text.chars().take(LONGEST_VALUE).chain("…".chars()).collect()
}

/// Milliseconds as the language writes them: `1h30m`.
pub(super) fn written(milliseconds: u64) -> String {
    const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = milliseconds;
    let mut text = String::new();
    for (unit, length) in UNITS {
        if rest >= length {
            // Writing to a text cannot fail.
            let _ = write!(text, "{}{unit}", rest / length);
            rest %= length;
        }
    }
    if text.is_empty() { "0".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn durations_are_written_as_the_language_reads_them() {
        for text in ["0", "250ms", "30s", "1h", "1h30m", "2d", "1d1h1m1s1ms"] {
            let duration = cogwheel_definition::parse_duration(text).unwrap();
            assert_eq!(written(u64::try_from(duration.as_millis()).unwrap()), text);
        }
    }
}
