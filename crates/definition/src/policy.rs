//! When a step runs, what follows when it fails, and how executions of a workflow get on with each other.

use std::time::Duration;

use globset::Glob;
use serde_json::{Value, json};

use crate::Template;
use crate::workflow::milliseconds;

/// The `if` of a step.
#[derive(Debug, Clone)]
pub struct Condition {
    /// One whole expression; it must give true or false.
    pub expression: Template,
    /// Whether it asks `success()`, `failure()` or `always()`: then it is asked even when a need did not complete.
    pub asks_for_status: bool,
}

/// Makes a step run once for each value of a list.
#[derive(Debug, Clone)]
pub struct Foreach {
    /// The list; at most [`MAX_ITEMS`] values.
    pub items: Template,
    /// How many of them may be under way at once, at least 1; without it, as many as the server runs side by side.
    pub max_parallel: Option<usize>,
}

/// The most values that a `foreach` takes.
pub const MAX_ITEMS: usize = 100_000;

/// Makes a step run again until something holds.
#[derive(Debug, Clone)]
pub struct Until {
    /// One whole expression; it must give true or false. It may read the step's own outputs.
    pub condition: Template,
    /// The pause between two rounds.
    pub every: Duration,
    /// How many rounds there may be in all, at least 1; the step has failed when it does not hold after the last.
    pub max_attempts: u32,
}

/// How many executions of one key may run side by side.
#[derive(Debug, Clone)]
pub struct Concurrency {
    /// The key, from inputs and the trigger; without it, the workflow as a whole.
    pub key: Option<Template>,
    /// How many, at least 1.
    pub limit: u32,
    /// What happens with one more.
    pub overflow: Overflow,
}

/// What happens with an execution that is started while as many of its key are live as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// It waits until one has ended.
    #[default]
    Queue,
    /// It is recorded as cancelled and never runs.
    Skip,
    /// The others are cancelled, and it runs once they have ended.
    Replace,
}

/// Which executions are taken from the queue first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// After everything else.
    Low,
    /// The ordinary rank.
    #[default]
    Normal,
    /// Before ordinary ones.
    High,
    /// Before everything else.
    Critical,
}

/// What of an execution is recorded as events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum History {
    /// What somebody waits for.
    #[default]
    OnDemand,
    /// Everything that becomes of it and of its steps.
    Full,
}

/// When a failed attempt is followed by another.
#[derive(Debug, Clone)]
pub struct Retry {
    /// How many attempts there may be in all, the first one included; at least 1.
    pub attempts: u32,
    /// How the pause grows.
    pub backoff: Backoff,
    /// The pause before the second attempt.
    pub delay: Duration,
    /// No pause is longer.
    pub max_delay: Duration,
    /// Whether each pause is shortened by a random part of up to its half, so that many do not come back at once.
    pub jitter: bool,
    /// No attempt begins later than this after the first one began.
    pub max_elapsed: Option<Duration>,
    /// Patterns over failure codes (`timeout`, `exit.7`, `http.5*`); empty: every failure that trying again may mend.
    pub on: Vec<String>,
}

impl Retry {
    /// Again and again, until it succeeds or a limit ends it.
    pub(crate) fn until_it_succeeds() -> Self {
        Self {
            attempts: u32::MAX,
            backoff: Backoff::Exponential,
            delay: Duration::from_secs(1),
            max_delay: Duration::from_mins(5),
            jitter: true,
            max_elapsed: None,
            on: Vec::new(),
        }
    }

    /// Whether a failure of this code is named by [`Self::on`]: by a pattern in which `*` stands for any run of
    /// characters, or by the class before its first dot.
    pub fn covers(&self, code: &str) -> bool {
        let class = code.split('.').next().unwrap_or(code);
        self.on.iter().any(|pattern| {
            pattern == class || Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(code))
        })
    }
}

/// How the pause between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backoff {
    /// It stays the same.
    Fixed,
    /// By the first pause each time.
    Linear,
    /// It doubles each time.
    #[default]
    Exponential,
}

/// What follows when the server died while a step ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLost {
    /// It is tried again.
    #[default]
    Retry,
    /// It has failed.
    Fail,
}

/// What makes executions of a workflow sagas: what they have done can be undone.
#[derive(Debug, Clone, Default)]
pub struct Saga {
    /// How long the steps may take, from the moment the execution leaves the queue, before all is undone.
    pub deadline: Option<Duration>,
    /// What follows when an undo has failed for good.
    pub on_undo_failure: OnUndoFailure,
}

/// What follows when an undo has failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUndoFailure {
    /// The execution stays where it is until an operator decides.
    #[default]
    Pause,
    /// The others are undone all the same, and the execution has failed.
    Fail,
}

impl OnUndoFailure {
    /// Every word.
    pub(crate) const ALL: [Self; 2] = [Self::Pause, Self::Fail];

    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Fail => "fail",
        }
    }
}

impl Saga {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "deadline_ms": self.deadline.map(milliseconds),
            "on_undo_failure": self.on_undo_failure.as_str(),
        })
    }
}

impl Backoff {
    /// Every word.
    pub(crate) const ALL: [Self; 3] = [Self::Fixed, Self::Linear, Self::Exponential];

    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Linear => "linear",
            Self::Exponential => "exponential",
        }
    }
}

impl OnLost {
    /// Every word.
    pub(crate) const ALL: [Self; 2] = [Self::Retry, Self::Fail];

    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Fail => "fail",
        }
    }
}

impl Retry {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "attempts": self.attempts,
            "backoff": self.backoff.as_str(),
            "delay_ms": milliseconds(self.delay),
            "max_delay_ms": milliseconds(self.max_delay),
            "jitter": self.jitter,
            "max_elapsed_ms": self.max_elapsed.map(milliseconds),
            "on": self.on,
        })
    }
}

impl Foreach {
    pub(crate) fn to_json(&self) -> Value {
        json!({ "items": self.items.source(), "max_parallel": self.max_parallel })
    }
}

impl Until {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "condition": self.condition.source(),
            "every_ms": milliseconds(self.every),
            "max_attempts": self.max_attempts,
        })
    }
}

impl Concurrency {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "key": self.key.as_ref().map(Template::source),
            "limit": self.limit,
            "overflow": self.overflow.as_str(),
        })
    }
}

impl Overflow {
    /// Every word.
    pub(crate) const ALL: [Self; 3] = [Self::Queue, Self::Skip, Self::Replace];

    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Skip => "skip",
            Self::Replace => "replace",
        }
    }
}

impl History {
    /// Every word.
    pub(crate) const ALL: [Self; 2] = [Self::OnDemand, Self::Full];

    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on_demand",
            Self::Full => "full",
        }
    }
}

impl Priority {
    /// Every word, in rising order.
    pub(crate) const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}
