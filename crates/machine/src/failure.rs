//! Why a step or an execution did not complete.

use serde::{Deserialize, Serialize};

/// The class of a failure; what retries and handlers match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A process ended with a code other than 0.
    Exit,
    /// A process was ended by a signal that Cogwheel did not send.
    Signal,
    /// A process was killed because memory ran out.
    Memory,
    /// A process could not be started.
    Spawn,
    /// An expression could not be evaluated.
    Expression,
    /// What the step was given is malformed.
    Input,
    /// What the step put out is malformed or larger than the limit.
    Output,
    /// An HTTP exchange did not come about or had an answer that was not expected.
    Http,
    /// A time limit passed.
    Timeout,
    /// The server stopped while the attempt ran, more often than it is tried again.
    Lost,
    /// The workflow that it ran did not complete.
    Workflow,
    /// An event that it waited for told that something failed.
    Event,
    /// What it was repeated for did not come to hold.
    Loop,
    /// A step it needs did not complete.
    NeedNotMet,
    /// Its `if` was false.
    ConditionFalse,
    /// The step ended because the execution did.
    Cancelled,
    /// Cogwheel itself could not do its part; the detail says what.
    Internal,
}

impl FailureKind {
    /// The word that retries match and the database and the API show.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Memory => "memory",
            Self::Spawn => "spawn",
            Self::Expression => "expression",
            Self::Input => "input",
            Self::Output => "output",
            Self::Http => "http",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
            Self::Workflow => "workflow",
            Self::Event => "event",
            Self::Loop => "loop",
            Self::NeedNotMet => "need_not_met",
            Self::ConditionFalse => "condition_false",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// A recorded failure, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its class.
    pub kind: FailureKind,
    /// What exactly, where the class has finer shades: `exit.7`, `signal.9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Box<str>>,
    /// One line for people.
    pub title: String,
    /// More, where there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The key of the step it began in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Whether trying again could help.
    pub retriable: bool,
    /// What was done and is not undone, by the keys of the steps; behind a step and `/` those of the execution that it
    /// started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_undone: Vec<String>,
}

impl Failure {
    /// A failure that trying again may mend.
    pub fn retriable(kind: FailureKind, title: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            title: title.into(),
            detail: None,
            step: None,
            retriable: true,
            not_undone: Vec::new(),
        }
    }

    /// A failure that stays the same however often it is tried.
    pub fn permanent(kind: FailureKind, title: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            title: title.into(),
            detail: None,
            step: None,
            retriable: false,
            not_undone: Vec::new(),
        }
    }

    /// What retries match: the code, or the class where there is no finer one.
    pub fn code(&self) -> &str {
        self.code.as_deref().unwrap_or(self.kind.as_str())
    }

    /// The same failure with the finer shade of its class: of `Exit` and 7, `exit.7`.
    #[must_use]
    pub fn with_code(mut self, shade: impl std::fmt::Display) -> Self {
        self.code = Some(format!("{}.{shade}", self.kind.as_str()).into());
        self
    }

    /// The same failure with its detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same failure as one of this step, unless it began in a step inside of it.
    pub(crate) fn in_step(mut self, step: &str) -> Self {
        self.step.get_or_insert_with(|| step.to_owned());
        self
    }
}
