//! The display on a terminal: a line for each step. Those that have ended scroll away, the others are redrawn in place.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{Write as _, stderr};
use std::time::Instant;

use cogwheel_engine::StepStatus;
use cogwheel_engine::views::{LogView, StepView};

use super::follow::Watcher;
use super::words;

/// How many lines of a step are shown when it fails.
const LAST_LINES: usize = 10;

/// What keeps long lines from going on in the next row, and what lets them again.
const CUT_LINES: &str = "\u{1b}[?7l";
const WRAP_LINES: &str = "\u{1b}[?7h";

/// The size that is taken where the terminal does not tell.
const DEFAULT_ROWS: usize = 24;

/// The display.
pub(super) struct Live {
    has_colours: bool,
    /// The steps that have not ended, in the order in which they began.
    open: Vec<Open>,
    /// What has to be printed above the open steps.
    done: String,
    /// How many lines of the display stand above the cursor.
    drawn: usize,
}

/// A step that has not ended.
struct Open {
    key: String,
    status: StepStatus,
    since: Instant,
    waits_for: String,
    last_lines: VecDeque<String>,
}

#[derive(Clone, Copy)]
enum Colour {
    Green,
    Red,
    Yellow,
    Cyan,
    Dim,
}

impl Live {
    pub(super) fn new(has_colours: bool) -> Self {
        Self { has_colours, open: Vec::new(), done: String::new(), drawn: 0 }
    }

    /// Prints a line above the display.
    pub(super) fn say(&mut self, text: &str) {
        let text = self.coloured(Colour::Yellow, text);
        self.add(&text);
        self.draw();
    }

    /// Draws the display anew.
    pub(super) fn draw(&mut self) {
        let room = rows().saturating_sub(2).max(1);
        let mut text = self.cleared();
        text.push_str(&self.done);
        self.done.clear();
        let shown = if self.open.len() > room { room - 1 } else { self.open.len() };
        // Enclosing steps come first and say the least.
        let hidden = self.open.len() - shown;
        if hidden > 0 {
            let _ = writeln!(text, "{}", self.coloured(Colour::Dim, &format!("… and {hidden} more")));
        }
        for open in &self.open[hidden..] {
            let _ = writeln!(text, "{}", self.line_of(open));
        }
        self.drawn = shown + usize::from(hidden > 0);
        if text.is_empty() {
            return;
        }
        print(&format!("{CUT_LINES}{text}{WRAP_LINES}"));
    }

    /// Prints what is left and takes the display away.
    pub(super) fn finish(&mut self) {
        let text = format!("{CUT_LINES}{}{}{WRAP_LINES}", self.cleared(), self.done);
        self.done.clear();
        self.open.clear();
        self.drawn = 0;
        print(&text);
    }

    /// What takes away the lines that were drawn.
    fn cleared(&self) -> String {
        if self.drawn == 0 { String::new() } else { format!("\u{1b}[{}A\r\u{1b}[J", self.drawn) }
    }

    fn add(&mut self, line: &str) {
        self.done.push_str(line);
        self.done.push('\n');
    }

    fn line_of(&self, open: &Open) -> String {
        let status = self.status(open.status);
        let told = open.last_lines.back().map_or(open.waits_for.as_str(), String::as_str);
        let told = self.coloured(Colour::Dim, told);
        format!("{status} {}  {}  {told}", open.key, words::duration(open.since.elapsed()))
    }

    fn status(&self, status: StepStatus) -> String {
        let colour = match status {
            StepStatus::Completed => Colour::Green,
            StepStatus::Failed | StepStatus::TimedOut => Colour::Red,
            StepStatus::Retrying | StepStatus::Waiting | StepStatus::Cancelled => Colour::Yellow,
            StepStatus::Pending | StepStatus::Running => Colour::Cyan,
            StepStatus::Skipped => Colour::Dim,
        };
        self.coloured(colour, &format!("{:<9}", words::step(status)))
    }

    fn coloured(&self, colour: Colour, text: &str) -> String {
        if !self.has_colours || text.is_empty() {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Green => "32",
            Colour::Red => "31",
            Colour::Yellow => "33",
            Colour::Cyan => "36",
            Colour::Dim => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

impl Watcher for Live {
    fn started(&mut self, key: &str) {
        self.open.push(Open {
            key: key.to_owned(),
            status: StepStatus::Running,
            since: Instant::now(),
            waits_for: String::new(),
            last_lines: VecDeque::new(),
        });
    }

    fn changed(&mut self, key: &str, step: &StepView) {
        if let Some(open) = self.open.iter_mut().find(|open| open.key == key) {
            open.status = step.status;
            open.waits_for = words::waits_for(step);
        }
    }

    fn line(&mut self, key: &str, line: &LogView) {
        if let Some(open) = self.open.iter_mut().find(|open| open.key == key) {
            if open.last_lines.len() == LAST_LINES {
                open.last_lines.pop_front();
            }
            open.last_lines.push_back(words::harmless(&line.message));
        }
    }

    fn ended(&mut self, key: &str, step: &StepView) {
        let at = self.open.iter().position(|open| open.key == key);
        let last_lines = at.map(|at| self.open.remove(at).last_lines).unwrap_or_default();
        let has_failed = matches!(step.status, StepStatus::Failed | StepStatus::TimedOut);
        let why = words::title(step.error.as_ref()).map(words::harmless);
        let told = why.or_else(|| last_lines.back().cloned()).unwrap_or_default();
        let took = step.execution_time_ms.map(words::milliseconds).unwrap_or_default();
        let told = self.coloured(if has_failed { Colour::Red } else { Colour::Dim }, &told);
        let line = format!("{} {key}  {took}  {told}", self.status(step.status));
        self.add(line.trim_end());
        if has_failed {
            for line in last_lines {
                self.add(&format!("          {line}"));
            }
        }
    }
}

fn rows() -> usize {
    let size = rustix::termios::tcgetwinsize(stderr()).ok();
    size.map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 0).unwrap_or(DEFAULT_ROWS)
}

fn print(text: &str) {
    let mut out = stderr().lock();
    // Nobody is left to tell when standard error is closed.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
