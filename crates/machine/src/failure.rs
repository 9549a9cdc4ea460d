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
    /// A process could not be started.
    Spawn,
    /// An expression could not be evaluated.
    Expression,
    /// What the step put out is malformed or larger than the limit.
    Output,
    /// A time limit passed.
    Timeout,
    /// The server stopped while the attempt ran, more often than it is tried again.
    Lost,
    /// A step it needs did not complete.
    NeedNotMet,
    /// The step ended because the execution did.
    Cancelled,
    /// Cogwheel itself could not do its part; the detail says what.
    Internal,
}

/// A recorded failure, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its class.
    pub kind: FailureKind,
    /// One line for people.
    pub title: String,
    /// More, where there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The id of the step it began in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Whether trying again could help.
    pub retriable: bool,
}

impl Failure {
    /// A failure that trying again may mend.
    pub fn retriable(kind: FailureKind, title: impl Into<String>) -> Self {
        Self { kind, title: title.into(), detail: None, step: None, retriable: true }
    }

    /// A failure that stays the same however often it is tried.
    pub fn permanent(kind: FailureKind, title: impl Into<String>) -> Self {
        Self { kind, title: title.into(), detail: None, step: None, retriable: false }
    }

    /// The same failure with its detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn in_step(mut self, step: &str) -> Self {
        self.step = Some(step.to_owned());
        self
    }
}
