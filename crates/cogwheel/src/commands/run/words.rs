//! How what happens is put for people.

use std::fmt::Write as _;
use std::time::Duration;

use cogwheel_engine::views::StepView;
use cogwheel_engine::{ExecutionStatus, StepStatus};
use serde_json::Value;

/// A duration as short as it can be understood: `350ms`, `1.2s`, `2m05s`, `3h07m`.
pub(super) fn duration(duration: Duration) -> String {
    let (seconds, milliseconds) = (duration.as_secs(), duration.as_millis());
    match seconds {
        0 => format!("{milliseconds}ms"),
        1..60 => format!("{}.{}s", seconds, milliseconds % 1_000 / 100),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// The same of recorded milliseconds.
pub(super) fn milliseconds(milliseconds: i64) -> String {
    duration(Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default()))
}

/// The words for where an execution stands.
pub(super) fn execution(status: ExecutionStatus) -> &'static str {
    match status {
        ExecutionStatus::TimedOut => "timed out",
        other => other.as_str(),
    }
}

/// The words for where a step stands.
pub(super) fn step(status: StepStatus) -> &'static str {
    match status {
        StepStatus::TimedOut => "timed out",
        other => other.as_str(),
    }
}

/// What a step that has not ended waits for.
pub(super) fn waits_for(step: &StepView) -> String {
    let mut text = match (&step.wait_signal_name, step.wake_at) {
        (Some(signal), _) => format!("for the signal {signal}"),
        (None, Some(at)) => format!("until {}", at.format("%Y-%m-%dT%H:%M:%SZ")),
        (None, None) => String::new(),
    };
    if let (Some(_), Some(correlation)) = (&step.wait_signal_name, &step.wait_correlation_key) {
        let _ = write!(text, " with the correlation {correlation}");
    }
    text
}

/// The line for people in a recorded failure.
pub(super) fn title(error: Option<&Value>) -> Option<&str> {
    error?.get("title")?.as_str()
}

/// A line of somebody else's text, safe to put on a terminal: without escape sequences and other control characters.
pub(super) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                // Of the many kinds of sequences, colours and cursor movements are what programs print.
                if rest.next_if_eq(&'[').is_some() {
                    while rest.next_if(|c| !('\u{40}'..='\u{7e}').contains(c)).is_some() {}
                    rest.next();
                }
            }
            '\t' => harmless.push(' '),
            c if c.is_control() => {}
            c => harmless.push(c),
        }
    }
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (milliseconds, text) in
            [(0, "0ms"), (350, "350ms"), (1_250, "1.2s"), (59_999, "59.9s"), (125_000, "2m05s"), (11_220_000, "3h07m")]
        {
            assert_eq!(duration(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn what_programs_print_cannot_move_the_cursor() {
        assert_eq!(harmless("\u{1b}[1;31mred\u{1b}[0m\tand\r \u{1b}[2Jmore\u{7}"), "red and more");
        assert_eq!(harmless("\u{1b}"), "");
        assert_eq!(harmless("ünïcode ✓"), "ünïcode ✓");
    }
}
