//! Brings a state back: the newest good snapshot, then the events after it.

use cogwheel_machine::ExecutionId;
use tracing::warn;

use super::fold::{ExecutionState, UnreadableEvent};
use super::{pack, unpack};
use crate::ports::{EventLog, NewSnapshot, StoreError, Stream};
use crate::{Engine, TenantId};

/// Events that are read at once.
const PAGE: usize = 1000;

/// Why there is no state.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Nothing is recorded of such an execution.
    #[error("no event is recorded of an execution {execution}")]
    Unknown {
        /// As asked for.
        execution: ExecutionId,
    },
    /// The execution has no such event.
    #[error("the execution has the events 1 to {last}: there is no event {asked}")]
    NoSuchVersion {
        /// As asked for.
        asked: i64,
        /// Its last event.
        last: i64,
    },
    /// Its events do not tell the state.
    #[error(
        "the events of the execution do not tell every change: that is so for sagas, and for workflows that say \
         `history: full`"
    )]
    Partial,
    /// The events cannot be understood.
    #[error("the events of the execution cannot be used: {0}")]
    Unreadable(#[from] UnreadableEvent),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// The state of an execution after the event of this version of its stream; after its last one without.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn execution_at(
        &self,
        tenant: TenantId,
        execution: ExecutionId,
        version: Option<i64>,
    ) -> Result<ExecutionState, HistoryError> {
        execution_at(&**self.store(), tenant, execution, version).await
    }
}

/// As [`Engine::execution_at`], of a store.
///
/// # Errors
/// Why there is none.
pub async fn execution_at(
    store: &dyn EventLog,
    tenant: TenantId,
    execution: ExecutionId,
    version: Option<i64>,
) -> Result<ExecutionState, HistoryError> {
    let asked = version.unwrap_or(i64::MAX);
    let state = rebuild(store, tenant, execution, asked.max(0)).await?;
    if version.is_some_and(|asked| asked != state.version || asked < 1) {
        let last = rebuild(store, tenant, execution, i64::MAX).await?.version;
        return Err(if last == 0 {
            HistoryError::Unknown { execution }
        } else {
            HistoryError::NoSuchVersion { asked, last }
        });
    }
    if state.version == 0 {
        return Err(HistoryError::Unknown { execution });
    }
    if state.is_whole { Ok(state) } else { Err(HistoryError::Partial) }
}

/// The state after the last event up to this version; the state before all events where there is none.
pub(crate) async fn rebuild(
    store: &dyn EventLog,
    tenant: TenantId,
    execution: ExecutionId,
    up_to: i64,
) -> Result<ExecutionState, HistoryError> {
    let mut state = newest(store, tenant, execution, up_to).await?;
    let stream = Stream::execution(execution);
    while state.version < up_to {
        let most = usize::try_from(up_to - state.version).unwrap_or(PAGE).min(PAGE);
        let events = store.stream_events(tenant, stream.name(), state.version, most).await?;
        for event in &events {
            state.apply(event)?;
        }
        if events.len() < most {
            break;
        }
    }
    Ok(state)
}

/// The newest snapshot that is what was kept, of a version up to this one.
async fn newest(
    store: &dyn EventLog,
    tenant: TenantId,
    execution: ExecutionId,
    mut up_to: i64,
) -> Result<ExecutionState, StoreError> {
    while let Some(snapshot) = store.snapshot(tenant, execution, up_to).await? {
        match unpack(&snapshot.data, &snapshot.checksum) {
            Ok(state) => return Ok(state),
            Err(fault) => {
                warn!(%execution, version = snapshot.version, %fault, "a snapshot is of no use, and is passed over");
                up_to = snapshot.stream_version - 1;
            }
        }
    }
    Ok(ExecutionState::default())
}

/// Keeps the state of a saga as it is by now.
pub(crate) async fn keep_snapshot(
    store: &dyn EventLog,
    tenant: TenantId,
    execution: ExecutionId,
) -> Result<(), HistoryError> {
    let state = rebuild(store, tenant, execution, i64::MAX).await?;
    let (Some(saga), Some(at)) = (&state.saga, state.at) else { return Ok(()) };
    let (data, checksum) = pack(&state).map_err(|error| StoreError::Bug(error.to_string()))?;
    let snapshot = NewSnapshot {
        execution,
        tenant,
        stream_version: state.version,
        status: saga.status,
        current_step: saga.current_step,
        data,
        checksum,
        at,
    };
    store.keep_snapshot(snapshot).await?;
    Ok(())
}
