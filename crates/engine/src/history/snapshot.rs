//! Snapshots: a state as one text, and the checksum that tells whether it still is what was kept.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cogwheel_machine::{ExecutionStatus, StepStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::fold::{ExecutionState, StepAt, TimeoutAt, UnwindAskedAt};
use crate::ports::{SagaRow, UndoRow};
use crate::triggers::checksum;

/// What the text is made of. Another form has another number, and is not read by this release.
const FORMAT: u8 = 1;

/// How many steps of a state must be paid for by one event before it is kept once more: what is kept of an execution with
/// many steps must not outgrow its events.
const STEPS_PER_EVENT: usize = 32;

/// A state as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Packed {
    format: u8,
    version: i64,
    at: Option<i64>,
    is_whole: bool,
    status: Option<ExecutionStatus>,
    saga: Option<SagaRow>,
    saga_version: i64,
    unwind_asked: Option<UnwindAskedAt>,
    steps: PackedSteps,
    undos: Vec<UndoRow>,
    timeouts: Vec<(Uuid, TimeoutAt)>,
}

/// Steps, column by column: there may be a hundred thousand, which are to be read in milliseconds.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackedSteps {
    ordinals: Vec<i32>,
    keys: Vec<String>,
    parents: Vec<Option<i32>>,
    /// All types there are; `types` has their places.
    type_names: Vec<String>,
    types: Vec<usize>,
    /// A letter each.
    statuses: String,
    attempts: Vec<i32>,
    /// Microseconds since that of the step before it, or since 1970.
    started_at: Vec<Option<i64>>,
    /// Microseconds since the begin of the step, or since 1970.
    completed_at: Vec<Option<i64>>,
    /// By ordinal, of those that have one.
    errors: BTreeMap<i32, Value>,
}

impl PackedSteps {
    fn of(steps: &BTreeMap<i32, StepAt>) -> Self {
        let mut packed = Self::default();
        let mut before = 0;
        for (&ordinal, step) in steps {
            packed.ordinals.push(ordinal);
            packed.keys.push(step.key.clone());
            packed.parents.push(step.parent);
            let known = packed.type_names.iter().position(|name| *name == step.step_type);
            packed.types.push(known.unwrap_or_else(|| {
                packed.type_names.push(step.step_type.clone());
                packed.type_names.len() - 1
            }));
            packed.statuses.push(letter(step.status));
            packed.attempts.push(step.attempt);
            let started = micros(step.started_at);
            packed.started_at.push(started.map(|at| at - before));
            before = started.unwrap_or(before);
            packed.completed_at.push(micros(step.completed_at).map(|at| at - started.unwrap_or_default()));
            if let Some(error) = &step.error {
                packed.errors.insert(ordinal, error.clone());
            }
        }
        packed
    }

    /// The steps; nothing where the columns do not belong together.
    fn unpack(mut self) -> Option<BTreeMap<i32, StepAt>> {
        let count = self.ordinals.len();
        let lengths = [
            self.keys.len(),
            self.parents.len(),
            self.types.len(),
            self.statuses.len(),
            self.attempts.len(),
            self.started_at.len(),
            self.completed_at.len(),
        ];
        if lengths.iter().any(|length| *length != count) {
            return None;
        }
        let mut before = 0_i64;
        let mut steps = Vec::with_capacity(count);
        let columns = self.keys.into_iter().zip(self.statuses.chars()).enumerate();
        for (place, (key, status)) in columns {
            let started = match self.started_at[place] {
                Some(since) => Some(before.checked_add(since)?),
                None => None,
            };
            before = started.unwrap_or(before);
            let completed = match self.completed_at[place] {
                Some(since) => Some(started.unwrap_or_default().checked_add(since)?),
                None => None,
            };
            let ordinal = self.ordinals[place];
            let step = StepAt {
                key,
                parent: self.parents[place],
                step_type: self.type_names.get(self.types[place])?.clone(),
                status: of_letter(status)?,
                attempt: self.attempts[place],
                started_at: instant(started),
                completed_at: instant(completed),
                error: self.errors.remove(&ordinal),
            };
            steps.push((ordinal, step));
        }
        Some(steps.into_iter().collect())
    }
}

const LETTERS: [(StepStatus, char); 9] = [
    (StepStatus::Pending, 'p'),
    (StepStatus::Running, 'r'),
    (StepStatus::Waiting, 'w'),
    (StepStatus::Retrying, 'a'),
    (StepStatus::Completed, 'c'),
    (StepStatus::Failed, 'f'),
    (StepStatus::Skipped, 's'),
    (StepStatus::Cancelled, 'x'),
    (StepStatus::TimedOut, 't'),
];

fn letter(status: StepStatus) -> char {
    LETTERS.iter().find(|(known, _)| *known == status).map_or('?', |(_, letter)| *letter)
}

fn of_letter(letter: char) -> Option<StepStatus> {
    LETTERS.iter().find(|(_, known)| *known == letter).map(|(status, _)| *status)
}

fn micros(at: Option<DateTime<Utc>>) -> Option<i64> {
    at.map(|at| at.timestamp_micros())
}

fn instant(micros: Option<i64>) -> Option<DateTime<Utc>> {
    micros.and_then(DateTime::from_timestamp_micros)
}

/// Why a snapshot is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotFault {
    /// It is not in the form of this release.
    #[error("it cannot be read: {0}")]
    Form(String),
    /// It is not what was kept.
    #[error("its checksum is {kept}, what it holds gives {computed}")]
    Checksum {
        /// As kept.
        kept: String,
        /// Of what is there.
        computed: String,
    },
}

/// Whether a state of so many steps is to be kept once more, so many events after it was last.
pub(crate) fn is_due(events: usize, steps: usize, every: usize) -> bool {
    events >= every.max(steps / STEPS_PER_EVENT)
}

/// A state as a text, with its checksum.
pub(crate) fn pack(state: &ExecutionState) -> Result<(String, String), serde_json::Error> {
    let packed = Packed {
        format: FORMAT,
        version: state.version,
        at: micros(state.at),
        is_whole: state.is_whole,
        status: state.status,
        saga: state.saga.clone(),
        saga_version: state.saga_version,
        unwind_asked: state.unwind_asked.clone(),
        steps: PackedSteps::of(&state.steps),
        undos: state.undos.values().cloned().collect(),
        timeouts: state.timeouts.iter().map(|(id, timeout)| (*id, timeout.clone())).collect(),
    };
    let text = serde_json::to_string(&packed)?;
    let checksum = checksum(&text);
    Ok((text, checksum))
}

/// The state that a snapshot holds.
///
/// # Errors
/// When it is not what was kept.
pub fn unpack(text: &str, kept: &str) -> Result<ExecutionState, SnapshotFault> {
    let packed: Packed = serde_json::from_str(text).map_err(|error| SnapshotFault::Form(error.to_string()))?;
    if packed.format != FORMAT {
        return Err(SnapshotFault::Form(format!("its form is {}, not {FORMAT}", packed.format)));
    }
    // A database may keep a document in another order of its names, so that the text is made anew.
    let text = serde_json::to_string(&packed).map_err(|error| SnapshotFault::Form(error.to_string()))?;
    let computed = checksum(&text);
    if computed != kept {
        return Err(SnapshotFault::Checksum { kept: kept.to_owned(), computed });
    }
    let steps = packed.steps.unpack();
    let steps = steps.ok_or_else(|| SnapshotFault::Form("its steps do not belong together".to_owned()))?;
    Ok(ExecutionState {
        version: packed.version,
        at: instant(packed.at),
        is_whole: packed.is_whole,
        status: packed.status,
        saga: packed.saga,
        saga_version: packed.saga_version,
        unwind_asked: packed.unwind_asked,
        steps,
        undos: packed.undos.into_iter().map(|undo| ((undo.unwind_number, undo.step_ordinal), undo)).collect(),
        timeouts: packed.timeouts.into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state() -> ExecutionState {
        let at = |micros| DateTime::from_timestamp_micros(1_800_000_000_000_000 + micros);
        let steps = LETTERS.iter().zip(0..).map(|((status, _), ordinal)| {
            let step = StepAt {
                key: format!("each[{ordinal}].one"),
                parent: (ordinal % 2 == 1).then_some(0),
                step_type: if ordinal == 0 { "foreach" } else { "http" }.to_owned(),
                status: *status,
                attempt: ordinal,
                started_at: at(i64::from(ordinal * ordinal)).filter(|_| ordinal != 4),
                completed_at: at(5000 - i64::from(ordinal)).filter(|_| ordinal > 3),
                error: (ordinal == 5).then(|| json!({ "kind": "exit", "title": "exit code 7", "step": null })),
            };
            (ordinal * 3, step)
        });
        let (status, at) = (Some(ExecutionStatus::Running), at(77));
        ExecutionState { version: 40, at, is_whole: true, status, steps: steps.collect(), ..ExecutionState::default() }
    }

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        for state in [state(), ExecutionState::default()] {
            let (text, checksum) = pack(&state).unwrap();
            assert_eq!(unpack(&text, &checksum), Ok(state));
        }
    }

    #[test]
    fn the_order_of_names_does_not_matter_and_every_change_does() {
        let (text, checksum) = pack(&state()).unwrap();
        let Value::Object(fields) = serde_json::from_str(&text).unwrap() else { panic!("an object") };
        let reversed: Vec<String> =
            fields.iter().rev().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
        let reversed = format!("{{{}}}", reversed.join(", "));
        assert_ne!(reversed, text);
        assert_eq!(unpack(&reversed, &checksum), Ok(state()));
        for (from, to) in
            [("each[3].one", "each[4].one"), ("\"version\":40", "\"version\":41"), ("\"prwacfsxt\"", "\"prwaffsxt\"")]
        {
            let changed = text.replace(from, to);
            assert_ne!(changed, text, "{from}");
            assert!(matches!(unpack(&changed, &checksum), Err(SnapshotFault::Checksum { .. })), "{from}");
        }
        let longer = text.replace("\"prwacfsxt\"", "\"prwacfsxtc\"");
        assert!(unpack(&longer, &super::checksum(&longer)).is_err());
        let later = text.replace("\"format\":1", "\"format\":2");
        assert!(matches!(unpack(&later, &super::checksum(&later)), Err(SnapshotFault::Form(_))));
    }

    #[test]
    fn what_is_large_is_kept_less_often() {
        assert!(!is_due(99, 10, 100) && is_due(100, 10, 100) && is_due(100, 3200, 100));
        assert!(!is_due(999, 32_000, 100) && is_due(1000, 32_000, 100));
    }
}
