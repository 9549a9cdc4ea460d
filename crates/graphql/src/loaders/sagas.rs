//! Keys of sagas.

use std::collections::HashMap;

use async_graphql::dataloader::Loader;
use cogwheel_engine::ExecutionId;
use cogwheel_engine::views::{CompensationView, SagaTimeoutView, SagaView};

use super::{Batches, by_key, rekeyed};
use crate::errors::ReadFailed;

/// The saga that an execution is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SagaOf(pub(crate) ExecutionId);

impl Loader<SagaOf> for Batches {
    type Value = SagaView;
    type Error = ReadFailed;

    async fn load(&self, keys: &[SagaOf]) -> Result<HashMap<SagaOf, SagaView>, ReadFailed> {
        let executions: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = self.reads().sagas_of_executions(self.tenant(), &executions).await;
        by_key(rows, |row| SagaOf(row.execution), |row| row)
    }
}

/// What a saga undoes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CompensationsOf(pub(crate) ExecutionId);

impl Loader<CompensationsOf> for Batches {
    type Value = Vec<CompensationView>;
    type Error = ReadFailed;

    async fn load(&self, keys: &[CompensationsOf]) -> Result<HashMap<CompensationsOf, Self::Value>, ReadFailed> {
        let executions: Vec<_> = keys.iter().map(|key| key.0).collect();
        rekeyed(self.reads().compensations(self.tenant(), &executions).await, CompensationsOf)
    }
}

/// The time limits of a saga.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TimeoutsOf(pub(crate) ExecutionId);

impl Loader<TimeoutsOf> for Batches {
    type Value = Vec<SagaTimeoutView>;
    type Error = ReadFailed;

    async fn load(&self, keys: &[TimeoutsOf]) -> Result<HashMap<TimeoutsOf, Self::Value>, ReadFailed> {
        let executions: Vec<_> = keys.iter().map(|key| key.0).collect();
        rekeyed(self.reads().saga_timeouts(self.tenant(), &executions).await, TimeoutsOf)
    }
}
