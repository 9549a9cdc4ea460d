//! Keys of schedules, their due instants, and watches.

use std::collections::HashMap;

use async_graphql::dataloader::Loader;
use cogwheel_engine::views::{EndpointView, FireView, Page, PageRequest, ScheduleView, WatchView};
use cogwheel_engine::{EndpointId, ScheduleId, WatchId, WorkflowId};
use uuid::Uuid;

use super::{Batches, by_key, by_page, rekeyed};
use crate::errors::ReadFailed;

impl Loader<ScheduleId> for Batches {
    type Value = ScheduleView;
    type Error = ReadFailed;

    async fn load(&self, keys: &[ScheduleId]) -> Result<HashMap<ScheduleId, ScheduleView>, ReadFailed> {
        by_key(self.reads().schedules_by_id(self.tenant(), keys).await, |row| row.id, |row| row)
    }
}

impl Loader<EndpointId> for Batches {
    type Value = EndpointView;
    type Error = ReadFailed;

    async fn load(&self, keys: &[EndpointId]) -> Result<HashMap<EndpointId, EndpointView>, ReadFailed> {
        by_key(self.reads().endpoints_by_id(self.tenant(), keys).await, |row| row.id, |row| row)
    }
}

impl Loader<WatchId> for Batches {
    type Value = WatchView;
    type Error = ReadFailed;

    async fn load(&self, keys: &[WatchId]) -> Result<HashMap<WatchId, WatchView>, ReadFailed> {
        by_key(self.reads().watches_by_id(self.tenant(), keys).await, |row| row.id, |row| row)
    }
}

/// A workflow's schedules.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SchedulesOf(pub(crate) WorkflowId);

impl Loader<SchedulesOf> for Batches {
    type Value = Vec<ScheduleView>;
    type Error = ReadFailed;

    async fn load(&self, keys: &[SchedulesOf]) -> Result<HashMap<SchedulesOf, Self::Value>, ReadFailed> {
        let workflows: Vec<_> = keys.iter().map(|key| key.0).collect();
        rekeyed(self.reads().schedules_of_workflows(self.tenant(), &workflows).await, SchedulesOf)
    }
}

/// A workflow's watches.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WatchesOf(pub(crate) WorkflowId);

impl Loader<WatchesOf> for Batches {
    type Value = Vec<WatchView>;
    type Error = ReadFailed;

    async fn load(&self, keys: &[WatchesOf]) -> Result<HashMap<WatchesOf, Self::Value>, ReadFailed> {
        let workflows: Vec<_> = keys.iter().map(|key| key.0).collect();
        rekeyed(self.reads().watches_of_workflows(self.tenant(), &workflows).await, WatchesOf)
    }
}

/// One due instant.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FireKey(pub(crate) Uuid);

impl Loader<FireKey> for Batches {
    type Value = FireView;
    type Error = ReadFailed;

    async fn load(&self, keys: &[FireKey]) -> Result<HashMap<FireKey, FireView>, ReadFailed> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        by_key(self.reads().fires_by_id(self.tenant(), &ids).await, |row| FireKey(row.id), |row| row)
    }
}

/// A page of a schedule's due instants.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FiresPage {
    pub(crate) schedule: ScheduleId,
    pub(crate) page: PageRequest,
}

impl Loader<FiresPage> for Batches {
    type Value = Page<FireView>;
    type Error = ReadFailed;

    async fn load(&self, keys: &[FiresPage]) -> Result<HashMap<FiresPage, Self::Value>, ReadFailed> {
        let mut loaded = HashMap::new();
        for (page, schedules) in by_page(keys, |key| (key.page, key.schedule)) {
            let pages = self.reads().fires_of_schedules(self.tenant(), &schedules, page).await;
            loaded.extend(rekeyed(pages, |schedule| FiresPage { schedule, page })?);
        }
        Ok(loaded)
    }
}

/// How many due instants a schedule has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CountFires(pub(crate) ScheduleId);

impl Loader<CountFires> for Batches {
    type Value = u64;
    type Error = ReadFailed;

    async fn load(&self, keys: &[CountFires]) -> Result<HashMap<CountFires, u64>, ReadFailed> {
        let schedules: Vec<_> = keys.iter().map(|key| key.0).collect();
        rekeyed(self.reads().count_fires_of_schedules(self.tenant(), &schedules).await, CountFires)
    }
}
