//! The one way a signal reaches the executions that wait for it.

use chrono::TimeDelta;
use cogwheel_machine::{ExecutionId, ExecutionStatus, contains_nul};
use serde_json::Value;

use crate::Engine;
use crate::ports::{NewSignal, SignalAnswer, StoreError};

/// The longest name, correlation and idempotency key of a signal, in characters.
const LONGEST_TEXT: usize = 255;

/// How long a signal is kept for somebody to take it, where the sender does not say.
const KEPT: TimeDelta = TimeDelta::days(30);

/// A signal to send.
#[derive(Clone, Debug)]
pub struct SignalRequest {
    /// Its name.
    pub name: String,
    /// The only execution that may take it. Without it, a correlation is needed.
    pub execution: Option<ExecutionId>,
    /// What tells those with the same name apart.
    pub correlation: Option<String>,
    /// What it says.
    pub payload: Value,
    /// The same key of the same name is the same signal.
    pub idempotency_key: Option<String>,
}

/// What the names of signals begin with that answer a step.
const ANSWER: &str = "callback.";

impl SignalRequest {
    /// The later answer to a step of an execution, of which there is one however often it comes: a signal to that
    /// execution, named `callback.` and the step's key.
    pub fn answer(execution: ExecutionId, step: &str, payload: Value) -> Self {
        Self {
            name: format!("{ANSWER}{step}"),
            execution: Some(execution),
            correlation: None,
            payload,
            idempotency_key: Some(format!("callback/{execution}")),
        }
    }

    /// Whether a step has a key that such a signal can be named after.
    pub fn can_answer(step: &str) -> bool {
        ANSWER.len() + step.chars().count() <= LONGEST_TEXT
    }
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentSignal {
    /// Whether this request made it; `false` when it was received before.
    pub is_new: bool,
    /// How many executions that wait for it were woken; of them one takes it. With none it is kept until one waits.
    pub woken: usize,
}

/// Why a signal was not taken in.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignalError {
    /// A value of it cannot be used.
    #[error("`{field}` {why}")]
    Invalid {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No such execution.
    #[error("there is no execution {id}")]
    UnknownExecution {
        /// As asked for.
        id: ExecutionId,
    },
    /// Nobody will take it.
    #[error("the execution has ended {}", status.as_str())]
    Ended {
        /// How it ended.
        status: ExecutionStatus,
    },
    /// The store could not record it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Takes a signal in. It is durable when it returns, whether or not anybody waits for it already; exactly one step
    /// takes it.
    ///
    /// # Errors
    ///
    /// Why it was not taken in.
    pub async fn signal(&self, request: SignalRequest) -> Result<SentSignal, SignalError> {
        check(&request)?;
        let at = self.clock().now();
        let SignalRequest { name, execution, correlation, payload, idempotency_key } = request;
        let signal = NewSignal {
            id: self.clock().new_id(),
            tenant: self.tenant(),
            name,
            correlation,
            execution,
            payload,
            idempotency_key,
            at,
            expires_at: Some(at + KEPT),
        };
        match self.store().send_signal(signal).await? {
            SignalAnswer::Kept(woken) => {
                for execution in &woken {
                    self.runner().tell(*execution).await;
                }
                Ok(SentSignal { is_new: true, woken: woken.len() })
            }
            SignalAnswer::Duplicate => Ok(SentSignal { is_new: false, woken: 0 }),
            SignalAnswer::Ended(status) => Err(SignalError::Ended { status }),
            SignalAnswer::UnknownExecution => match execution {
                Some(id) => Err(SignalError::UnknownExecution { id }),
                None => Err(StoreError::Bug("a signal to no execution found none".to_owned()).into()),
            },
        }
    }
}

fn check(request: &SignalRequest) -> Result<(), SignalError> {
    let texts = [
        ("name", Some(&request.name)),
        ("correlation", request.correlation.as_ref()),
        ("idempotencyKey", request.idempotency_key.as_ref()),
    ];
    for (field, text) in texts {
        let Some(text) = text else { continue };
        let why = if text.is_empty() {
            "is empty"
        } else if text.contains('\0') {
            "holds the character U+0000, which cannot be stored"
        } else if text.chars().count() > LONGEST_TEXT {
            "is longer than 255 characters"
        } else {
            continue;
        };
        return Err(SignalError::Invalid { field, why });
    }
    if contains_nul(&request.payload) {
        let why = "holds the character U+0000, which cannot be stored";
        return Err(SignalError::Invalid { field: "payload", why });
    }
    if request.execution.is_none() && request.correlation.is_none() {
        let why = "must be given where no execution is named";
        return Err(SignalError::Invalid { field: "correlation", why });
    }
    Ok(())
}
