//! The identity of an execution.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Names one execution; a version 7 UUID, so ids sort by creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionId(pub Uuid);

impl ExecutionId {
    /// The id of what an attempt of a step makes: the same however often it is asked for, so that it is made once. Its
    /// time is that of the step's begin, so that it sorts like every other id.
    pub fn of_attempt(self, ordinal: i32, attempt: i32, began_at: DateTime<Utc>) -> Uuid {
        let mut hash = Sha256::new();
        hash.update(self.0.as_bytes());
        hash.update(ordinal.to_be_bytes());
        hash.update(attempt.to_be_bytes());
        let hash = hash.finalize();
        let mut random = [0; 10];
        random.copy_from_slice(&hash[..10]);
        Builder::from_unix_timestamp_millis(u64::try_from(began_at.timestamp_millis()).unwrap_or(0), &random)
            .into_uuid()
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
