//! Changing schedules, and making up for their past.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use cogwheel_engine::{BackfillError, BackfillRequest, PauseScheduleError};

use super::user_error::{UserError, UserErrorCode, not_started};
use crate::Services;
use crate::errors::store_failed;
use crate::ids::{GlobalId, schedule_id};
use crate::loaders::load;
use crate::types::{Instant, Schedule};

/// The most execution ids in one answer.
const MOST_IDS: usize = 100;

/// What changes schedules.
#[derive(Default)]
pub(super) struct ScheduleMutations;

/// What changes schedules.
#[Object]
impl ScheduleMutations {
    /// Switches one schedule off or on; new versions of the workflow leave it so. While it is off, its due instants are
    /// recorded as skipped. Executions that are live go on. In force, and durable, when it answers.
    async fn set_schedule_enabled(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which schedule, and whether it fires.")] input: SetScheduleEnabledInput,
    ) -> Result<SetScheduleEnabledPayload> {
        let id = schedule_id(&input.id)?;
        match ctx.data::<Arc<dyn Services>>()?.set_schedule_enabled(id, input.enabled).await {
            Ok(()) => {
                let schedule = load(ctx, id).await?.map(Schedule::from);
                Ok(SetScheduleEnabledPayload { schedule, user_errors: Vec::new() })
            }
            Err(refused @ PauseScheduleError::UnknownSchedule { .. }) => {
                let user_errors = vec![UserError::at("id", UserErrorCode::UnknownSchedule, refused.to_string())];
                Ok(SetScheduleEnabledPayload { schedule: None, user_errors })
            }
            Err(PauseScheduleError::Store(error)) => Err(store_failed(&error)),
        }
    }

    /// Starts the workflow of a schedule for each due instant of a past range that has no outcome yet, so that each has one
    /// afterwards. Asking again changes nothing: an instant is never run twice. At most 10 000 due instants at once.
    async fn backfill_schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which schedule, and which range.")] input: BackfillScheduleInput,
    ) -> Result<BackfillSchedulePayload> {
        let schedule = schedule_id(&input.id)?;
        let request = BackfillRequest { schedule, from: input.from.into(), until: input.until.into() };
        let done = match ctx.data::<Arc<dyn Services>>()?.backfill(request).await {
            Ok(done) => done,
            Err(refused) => {
                return Ok(BackfillSchedulePayload { user_errors: not_filled(&refused)?, ..Default::default() });
            }
        };
        let ids =
            done.started.iter().take(MOST_IDS).map(|(_, execution)| GlobalId::WorkflowExecution(*execution).encode());
        Ok(BackfillSchedulePayload {
            due: Some(done.due),
            started: Some(done.started.len()),
            already_decided: Some(done.known),
            excluded: Some(done.excluded),
            execution_ids: Some(ids.collect()),
            user_errors: Vec::new(),
        })
    }
}

/// Which schedule, and whether it fires.
#[derive(InputObject)]
struct SetScheduleEnabledInput {
    /// The schedule's id.
    id: ID,
    /// Whether its due instants start something from now on.
    enabled: bool,
}

/// What came of switching a schedule off or on.
#[derive(SimpleObject)]
struct SetScheduleEnabledPayload {
    /// The schedule as it stands; null when there are errors.
    schedule: Option<Schedule>,
    /// What the caller can mend; empty when it is done.
    user_errors: Vec<UserError>,
}

/// Which schedule, and which range of its past.
#[derive(InputObject)]
struct BackfillScheduleInput {
    /// The schedule's id.
    id: ID,
    /// The first instant that counts.
    from: Instant,
    /// The last instant that counts; what is not yet due does not.
    until: Instant,
}

/// What came of making up for a range.
#[derive(SimpleObject, Default)]
struct BackfillSchedulePayload {
    /// How many due instants the range has; null when there are errors.
    due: Option<usize>,
    /// For how many of them an execution was started now; null when there are errors.
    started: Option<usize>,
    /// How many had their outcome before; null when there are errors.
    already_decided: Option<usize>,
    /// How many fall on excluded dates, and are recorded as skipped; null when there are errors.
    excluded: Option<usize>,
    /// The first 100 of the executions, in the order of their instants; null when there are errors.
    execution_ids: Option<Vec<ID>>,
    /// What the caller can mend; empty when it is done.
    user_errors: Vec<UserError>,
}

fn not_filled(refused: &BackfillError) -> Result<Vec<UserError>> {
    let (field, code) = match refused {
        BackfillError::UnknownSchedule { .. } => ("id", UserErrorCode::UnknownSchedule),
        BackfillError::Backwards | BackfillError::TooMany => ("until", UserErrorCode::InvalidRange),
        BackfillError::Start(error) => return not_started(error, "id"),
    };
    Ok(vec![UserError::at(field, code, refused.to_string())])
}
