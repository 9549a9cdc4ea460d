//! Shows how an execution goes, on standard error: as a display on a terminal, else line by line.

use std::io::{IsTerminal as _, Write as _, stderr};

use cogwheel_engine::StepStatus;
use cogwheel_engine::views::{LogView, StepView};

use super::follow::Watcher;
use super::live::Live;
use super::words;
use crate::cli::Output;

/// How progress is shown.
pub(super) enum Progress {
    /// Not at all: a program waits for the answer.
    Quiet,
    /// A line for each thing that happens.
    Lines,
    /// A display that is redrawn.
    Live(Live),
}

impl Progress {
    pub(super) fn new(print: Output) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        match print {
            Output::Json => Self::Quiet,
            Output::Human if stderr().is_terminal() && !is_dumb => Self::Live(Live::new(has_colours())),
            Output::Human => Self::Lines,
        }
    }

    /// Draws the display anew.
    pub(super) fn draw(&mut self) {
        if let Self::Live(live) = self {
            live.draw();
        }
    }

    /// Says something about the command itself.
    pub(super) fn say(&mut self, text: &str) {
        match self {
            Self::Live(live) => live.say(text),
            Self::Quiet | Self::Lines => line(text),
        }
    }

    /// Leaves the terminal as it was found.
    pub(super) fn finish(&mut self) {
        if let Self::Live(live) = self {
            live.finish();
        }
    }
}

impl Watcher for Progress {
    fn started(&mut self, key: &str) {
        match self {
            Self::Quiet => {}
            Self::Lines => line(&format!("step {key} started")),
            Self::Live(live) => live.started(key),
        }
    }

    fn changed(&mut self, key: &str, step: &StepView) {
        match self {
            Self::Quiet => {}
            Self::Lines => {
                let why = match step.status {
                    StepStatus::Waiting => words::waits_for(step),
                    StepStatus::Retrying => format!("{} after attempt {}", words::waits_for(step), step.attempt),
                    _ => format!("attempt {}", step.attempt),
                };
                line(format!("step {key} {} {why}", words::step(step.status)).trim_end());
            }
            Self::Live(live) => live.changed(key, step),
        }
    }

    fn line(&mut self, key: &str, logged: &LogView) {
        match self {
            Self::Quiet => {}
            Self::Lines => line(&format!("{key}: {}", logged.message)),
            Self::Live(live) => live.line(key, logged),
        }
    }

    fn ended(&mut self, key: &str, step: &StepView) {
        match self {
            Self::Quiet => {}
            Self::Lines => line(&format!("step {key} {}", ending(step))),
            Self::Live(live) => live.ended(key, step),
        }
    }
}

/// How a step ended, in words.
fn ending(step: &StepView) -> String {
    let mut text = words::step(step.status).to_owned();
    if let Some(milliseconds) = step.execution_time_ms {
        text.push_str(" in ");
        text.push_str(&words::milliseconds(milliseconds));
    }
    if let Some(why) = words::title(step.error.as_ref()) {
        text.push_str(": ");
        text.push_str(why);
    }
    text
}

fn line(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(stderr(), "{text}");
}

fn has_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
