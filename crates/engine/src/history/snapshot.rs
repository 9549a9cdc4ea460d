//! Snapshots: a state as one text, and the checksum that tells whether it still is what was kept.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chrono::{DateTime, Utc};
use cogwheel_machine::{ExecutionStatus, StepStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::fold::{ExecutionState, StepAt, TimeoutAt, TimeoutStatus, UnwindAskedAt};
use crate::ports::{SagaRow, TimeoutKind, UndoRow};
use crate::triggers::checksum;

/// What the text is made of. Another form has another number, and is not read by this release.
const FORMAT: u8 = 1;

/// How many steps of a state must be paid for by one event before it is kept once more: what is kept of an execution with
/// many steps must not outgrow its events.
const STEPS_PER_EVENT: usize = 64;

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
    timeouts: PackedTimeouts,
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
            packed.statuses.push(letter(&LETTERS, step.status));
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
                status: of_letter(&LETTERS, status)?,
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

/// Time limits, column by column: there are about as many as steps.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackedTimeouts {
    /// Their ids one after the other, base64.
    ids: String,
    /// The keys of the steps that they limit, as places in the list of steps.
    steps: Vec<Option<usize>>,
    /// By place, the keys of those that are in no list.
    other_keys: BTreeMap<usize, String>,
    /// A letter each.
    kinds: String,
    /// Microseconds since the one before, or since 1970.
    timeout_at: Vec<i64>,
    /// A letter each.
    statuses: String,
    /// By place, in microseconds since 1970.
    fired_at: BTreeMap<usize, i64>,
}

impl PackedTimeouts {
    fn of(timeouts: &BTreeMap<Uuid, TimeoutAt>, keys: &[String]) -> Self {
        let places: HashMap<&str, usize> = keys.iter().enumerate().map(|(place, key)| (key.as_str(), place)).collect();
        let mut packed = Self::default();
        let mut ids = Vec::with_capacity(16 * timeouts.len());
        let mut before = 0;
        for (place, (id, timeout)) in timeouts.iter().enumerate() {
            ids.extend_from_slice(id.as_bytes());
            let step = timeout.step_key.as_deref().and_then(|key| places.get(key).copied());
            packed.steps.push(step);
            if let (None, Some(key)) = (step, &timeout.step_key) {
                packed.other_keys.insert(place, key.clone());
            }
            packed.kinds.push(letter(&KINDS, timeout.kind));
            let at = timeout.timeout_at.timestamp_micros();
            packed.timeout_at.push(at - before);
            before = at;
            packed.statuses.push(letter(&TIMEOUT_STATUSES, timeout.status));
            if let Some(fired) = timeout.fired_at {
                packed.fired_at.insert(place, fired.timestamp_micros());
            }
        }
        packed.ids = STANDARD_NO_PAD.encode(ids);
        packed
    }

    /// The time limits; nothing where the columns do not belong together.
    fn unpack(mut self, keys: &[String]) -> Option<BTreeMap<Uuid, TimeoutAt>> {
        let ids = STANDARD_NO_PAD.decode(&self.ids).ok()?;
        let (ids, rest) = ids.as_chunks::<16>();
        let lengths = [self.steps.len(), self.kinds.len(), self.timeout_at.len(), self.statuses.len()];
        if !rest.is_empty() || lengths.iter().any(|length| *length != ids.len()) {
            return None;
        }
        let mut before = 0_i64;
        let mut timeouts = Vec::with_capacity(ids.len());
        for (place, (kind, status)) in self.kinds.chars().zip(self.statuses.chars()).enumerate() {
            before = before.checked_add(self.timeout_at[place])?;
            let timeout = TimeoutAt {
                step_key: match self.steps[place] {
                    Some(step) => Some(keys.get(step)?.clone()),
                    None => self.other_keys.remove(&place),
                },
                kind: of_letter(&KINDS, kind)?,
                timeout_at: DateTime::from_timestamp_micros(before)?,
                status: of_letter(&TIMEOUT_STATUSES, status)?,
                fired_at: instant(self.fired_at.get(&place).copied()),
            };
            timeouts.push((Uuid::from_bytes(ids[place]), timeout));
        }
        Some(timeouts.into_iter().collect())
    }
}

const KINDS: [(TimeoutKind, char); 3] =
    [(TimeoutKind::Saga, 'g'), (TimeoutKind::Step, 's'), (TimeoutKind::Compensation, 'c')];

const TIMEOUT_STATUSES: [(TimeoutStatus, char); 3] =
    [(TimeoutStatus::Pending, 'p'), (TimeoutStatus::Fired, 'f'), (TimeoutStatus::Cancelled, 'x')];

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

fn letter<T: Copy + PartialEq>(letters: &[(T, char)], word: T) -> char {
    letters.iter().find(|(known, _)| *known == word).map_or('?', |(_, letter)| *letter)
}

fn of_letter<T: Copy>(letters: &[(T, char)], letter: char) -> Option<T> {
    letters.iter().find(|(_, known)| *known == letter).map(|(word, _)| *word)
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
    let steps = PackedSteps::of(&state.steps);
    let timeouts = PackedTimeouts::of(&state.timeouts, &steps.keys);
    let packed = Packed {
        format: FORMAT,
        version: state.version,
        at: micros(state.at),
        is_whole: state.is_whole,
        status: state.status,
        saga: state.saga.clone(),
        saga_version: state.saga_version,
        unwind_asked: state.unwind_asked.clone(),
        steps,
        undos: state.undos.values().cloned().collect(),
        timeouts,
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
    let timeouts = packed.timeouts.unpack(&packed.steps.keys);
    let (Some(steps), Some(timeouts)) = (packed.steps.unpack(), timeouts) else {
        return Err(SnapshotFault::Form("its columns do not belong together".to_owned()));
    };
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
        timeouts,
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
        let timeout = |step: Option<&str>, kind, status| TimeoutAt {
            step_key: step.map(str::to_owned),
            kind,
            timeout_at: DateTime::from_timestamp_micros(1_800_000_000_000_900).unwrap(),
            status,
            fired_at: (status == TimeoutStatus::Fired).then(|| at(1000)).flatten(),
        };
        let timeouts = [
            timeout(Some("each[3].one"), TimeoutKind::Step, TimeoutStatus::Cancelled),
            timeout(None, TimeoutKind::Saga, TimeoutStatus::Pending),
            timeout(Some("untold"), TimeoutKind::Compensation, TimeoutStatus::Fired),
        ];
        let timeouts =
            timeouts.into_iter().zip(1..).map(|(timeout, id)| (Uuid::from_u128(id << 64), timeout)).collect();
        let (status, at) = (Some(ExecutionStatus::Running), at(77));
        let steps = steps.collect();
        ExecutionState { version: 40, at, is_whole: true, status, steps, timeouts, ..ExecutionState::default() }
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
        assert!(!is_due(99, 10, 100) && is_due(100, 10, 100) && is_due(100, 6400, 100));
        assert!(!is_due(999, 64_000, 100) && is_due(1000, 64_000, 100));
    }
}
