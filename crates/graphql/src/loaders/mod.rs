//! Reads shared by the fields of one request: what siblings ask for is read in one go.
//!
//! One loader serves every key type; each file of this folder has the keys of one aggregate. Nothing is cached beyond
//! the batch, so a later field never sees an older row.

mod artifacts;
mod executions;
mod files;
mod gather;
mod sagas;
mod triggers;
mod webhooks;
mod workflows;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, Loader};
use cogwheel_engine::TenantId;
use cogwheel_engine::ports::{Reads, StoreError};

use crate::Services;
use crate::errors::ReadFailed;

pub(crate) use artifacts::{ArtifactKey, ArtifactsOf};
pub(crate) use executions::{
    ChildrenPage, CountChildren, CountLogs, CountSteps, ExecutionsOfFile, LogsPage, StepKey, StepsPage,
};
pub(crate) use files::FilesOfExecution;
pub(crate) use gather::Gathering;
pub(crate) use sagas::{CompensationsOf, SagaOf, TimeoutsOf};
pub(crate) use triggers::{CountFires, FireKey, FiresPage, SchedulesOf, WatchesOf};
pub(crate) use workflows::{CountExecutions, ExecutionsPage};

/// Loads batches of keys.
pub(crate) struct Batches {
    services: Arc<dyn Services>,
}

impl Batches {
    /// A loader for one request, whose reads `gathering` starts.
    pub(crate) fn loader(services: Arc<dyn Services>, gathering: &Gathering) -> DataLoader<Self> {
        let gathering = gathering.clone();
        DataLoader::new(Self { services }, move |read| gathering.add(read)).delay(Duration::ZERO)
    }

    fn reads(&self) -> &dyn Reads {
        self.services.reads()
    }

    fn tenant(&self) -> TenantId {
        self.services.tenant()
    }
}

/// Loads one key together with what its siblings ask for.
pub(crate) async fn load<K>(ctx: &Context<'_>, key: K) -> async_graphql::Result<Option<<Batches as Loader<K>>::Value>>
where
    K: Send + Sync + Hash + Eq + Clone + 'static,
    Batches: Loader<K, Error = ReadFailed>,
{
    Ok(ctx.data::<DataLoader<Batches>>()?.load_one(key).await?)
}

/// A batch by its keys, each row naming its own.
fn by_key<K: Hash + Eq, R, V>(
    rows: Result<Vec<R>, StoreError>,
    key: impl Fn(&R) -> K,
    value: impl Fn(R) -> V,
) -> Result<HashMap<K, V>, ReadFailed> {
    let rows = rows.map_err(|error| ReadFailed::log(&error))?;
    Ok(rows.into_iter().map(|row| (key(&row), value(row))).collect())
}

/// A batch whose answers come by another key.
fn rekeyed<I, K: Hash + Eq, V>(
    answers: Result<HashMap<I, V>, StoreError>,
    key: impl Fn(I) -> K,
) -> Result<HashMap<K, V>, ReadFailed> {
    let answers = answers.map_err(|error| ReadFailed::log(&error))?;
    Ok(answers.into_iter().map(|(id, value)| (key(id), value)).collect())
}

/// Splits keys by the page they ask for: siblings nearly always ask for the same one.
fn by_page<K, P: Hash + Eq, I>(keys: &[K], split: impl Fn(&K) -> (P, I)) -> HashMap<P, Vec<I>> {
    let mut pages: HashMap<P, Vec<I>> = HashMap::new();
    for key in keys {
        let (page, id) = split(key);
        pages.entry(page).or_default().push(id);
    }
    pages
}
