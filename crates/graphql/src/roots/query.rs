//! What can be asked.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use cogwheel_access::Principal;
use cogwheel_engine::history::HistoryError;
use cogwheel_engine::ports::EventFilter;
use cogwheel_engine::{SecretError, views};
use futures_util::future::join_all;

use super::filters::{
    FileFilter, FileWatchFilter, InboundEndpointFilter, SagaFilter, ScheduleFilter, ScheduleFireFilter,
    WorkflowExecutionFilter, WorkflowFilter,
};
use crate::Services;
use crate::cursor::{DEFAULT_PAGE, MAX_PAGE, PageArgs};
use crate::errors::{bad_input, internal, store_failed};
use crate::ids::execution_id;
use crate::limits::{list_cost, page_cost};
use crate::loaders::{SagaOf, load};
use crate::types::{
    Connection, Event, EventDeadLetter, Execution, ExecutionState, File, FileWatch, InboundEndpoint, Node, Saga,
    Schedule, ScheduleFire, Secret, Total, Viewer, Workflow, WorkflowFile, find_node,
};

/// How many workflow files there are reckoned to be.
const WORKFLOW_FILES: usize = 20;

/// How many secrets there are reckoned to be.
const SECRETS: usize = 20;

/// What can be asked. Fields that may be null return `Option<Result<_>>`: when one fails, it alone is null.
#[derive(Default)]
pub(crate) struct Query;

/// What can be asked.
#[Object(name = "QueryRows")]
impl Query {
    /// Who asks.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        Ok((*ctx.data::<Principal>()?).into())
    }

    /// The object with this global id; null if there is none.
    async fn node(&self, ctx: &Context<'_>, #[graphql(desc = "A global id.")] id: ID) -> Option<Result<Node>> {
        find_node(ctx, &id).await.transpose()
    }

    /// The objects with these global ids in the same order; null for each that does not exist.
    #[graphql(complexity = "list_cost(ids.len(), child_complexity)")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global ids, at most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Result<Node>>>> {
        if ids.len() > MAX_PAGE as usize {
            return Err(bad_input(format!("`ids` takes at most {MAX_PAGE} ids at once, not {}", ids.len())));
        }
        Ok(join_all(ids.iter().map(async |id| find_node(ctx, id).await.transpose())).await)
    }

    /// The workflow with this name; null if there is none.
    async fn workflow(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The workflow's name.")] name: String,
    ) -> Option<Result<Workflow>> {
        find_workflow(ctx, &name).await.transpose()
    }

    /// The execution with this id; null if there is none.
    async fn workflow_execution(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The execution's global id, or its bare UUID.")] id: ID,
    ) -> Option<Result<Execution>> {
        find_execution(ctx, &id).await.transpose()
    }

    /// Workflows that are not deleted, newest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn workflows(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which workflows.")] filter: Option<WorkflowFilter>,
    ) -> Result<Connection<Workflow>> {
        let services = services(ctx)?;
        let page = PageArgs { first, after, last, before }.request()?;
        let filter: views::WorkflowFilter = filter.unwrap_or_default().into();
        let rows =
            services.reads().workflows(services.tenant(), &filter, page).await.map_err(|error| store_failed(&error))?;
        Ok(Connection::new(page, Some(rows), Total::Workflows(filter)))
    }

    /// Executions, newest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn workflow_executions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which executions.")] filter: Option<WorkflowExecutionFilter>,
    ) -> Result<Connection<Execution>> {
        let services = services(ctx)?;
        let page = PageArgs { first, after, last, before }.request()?;
        let filter: views::ExecutionFilter = filter.unwrap_or_default().into();
        let rows = services
            .reads()
            .executions(services.tenant(), &filter, page)
            .await
            .map_err(|error| store_failed(&error))?;
        Ok(Connection::new(page, Some(rows), Total::Executions(filter)))
    }

    /// File versions in the ledger, newest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn files(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which files.")] filter: Option<FileFilter>,
    ) -> Result<Connection<File>> {
        let services = services(ctx)?;
        let page = PageArgs { first, after, last, before }.request()?;
        let filter = filter.unwrap_or_default().read()?;
        let rows =
            services.reads().files(services.tenant(), &filter, page).await.map_err(|error| store_failed(&error))?;
        Ok(Connection::new(page, Some(rows), Total::Files(filter)))
    }

    /// Watched folders, newest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn file_watches(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which watches.")] filter: Option<FileWatchFilter>,
    ) -> Result<Connection<FileWatch>> {
        let services = services(ctx)?;
        let page = PageArgs { first, after, last, before }.request()?;
        let filter: views::TriggerFilter = filter.unwrap_or_default().into();
        let rows =
            services.reads().watches(services.tenant(), &filter, page).await.map_err(|error| store_failed(&error))?;
        Ok(Connection::new(page, Some(rows), Total::Watches(filter)))
    }

    /// Inbound webhooks, newest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn inbound_endpoints(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which webhooks.")] filter: Option<InboundEndpointFilter>,
    ) -> Result<Connection<InboundEndpoint>> {
        let services = services(ctx)?;
        let page = PageArgs { first, after, last, before }.request()?;
        let filter: views::TriggerFilter = filter.unwrap_or_default().into();
        let rows =
            services.reads().endpoints(services.tenant(), &filter, page).await.map_err(|error| store_failed(&error))?;
        Ok(Connection::new(page, Some(rows), Total::Endpoints(filter)))
    }

    /// The saga that an execution is; null where it is none, or has not begun.
    async fn saga(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The execution's global id, or its bare UUID.")] id: ID,
    ) -> Option<Result<Saga>> {
        let id = match execution_id(&id) {
            Ok(id) => id,
            Err(error) => return Some(Err(error)),
        };
        load(ctx, SagaOf(id)).await.transpose().map(|found| found.map(Saga::from))
    }

    /// Sagas, newest first: executions whose steps can be undone, once they have begun.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn sagas(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which sagas.")] filter: Option<SagaFilter>,
    ) -> Result<Connection<Saga>> {
        let services = services(ctx)?;
        let page = PageArgs { first, after, last, before }.request()?;
        let filter: views::SagaFilter = filter.unwrap_or_default().into();
        let rows =
            services.reads().sagas(services.tenant(), &filter, page).await.map_err(|error| store_failed(&error))?;
        Ok(Connection::new(page, Some(rows), Total::Sagas(filter)))
    }

    /// How an execution stood after one of its events; null where no event of it is recorded. Sagas tell all of their events,
    /// and workflows that say `history: full`; of others there is an error.
    #[graphql(complexity = "list_cost(1, child_complexity)")]
    async fn execution_state(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The execution's global id, or its bare UUID.")] id: ID,
        #[graphql(
            desc = "The version of the event in the execution's stream: 1 is the first; the last one if not given."
        )]
        version: Option<i64>,
    ) -> Option<Result<ExecutionState>> {
        let id = match execution_id(&id) {
            Ok(id) => id,
            Err(error) => return Some(Err(error)),
        };
        let services = match services(ctx) {
            Ok(services) => services,
            Err(error) => return Some(Err(error)),
        };
        match services.execution_at(id, version).await {
            Ok(state) => Some(Ok(ExecutionState::new(id, state))),
            Err(HistoryError::Unknown { .. }) => None,
            Err(error @ (HistoryError::NoSuchVersion { .. } | HistoryError::Partial)) => {
                Some(Err(bad_input(error.to_string())))
            }
            Err(HistoryError::Store(error)) => Some(Err(store_failed(&error))),
            Err(error @ HistoryError::Unreadable(_)) => Some(Err(internal(&error))),
        }
    }

    /// Schedules, newest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn schedules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which schedules.")] filter: Option<ScheduleFilter>,
    ) -> Result<Connection<Schedule>> {
        let services = services(ctx)?;
        let page = PageArgs { first, after, last, before }.request()?;
        let filter: views::TriggerFilter = filter.unwrap_or_default().into();
        let rows =
            services.reads().schedules(services.tenant(), &filter, page).await.map_err(|error| store_failed(&error))?;
        Ok(Connection::new(page, Some(rows), Total::Schedules(filter)))
    }

    /// Due instants with what came of them, latest first.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn schedule_fires(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "At most so many rows from the front: 1 to 100, 50 if not given.")] first: Option<i32>,
        #[graphql(desc = "Only rows after this cursor.")] after: Option<String>,
        #[graphql(desc = "At most so many rows from the end: 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only rows before this cursor.")] before: Option<String>,
        #[graphql(desc = "Which due instants.")] filter: Option<ScheduleFireFilter>,
    ) -> Result<Connection<ScheduleFire>> {
        let services = services(ctx)?;
        let page = PageArgs { first, after, last, before }.request()?;
        let filter = filter.unwrap_or_default().read()?;
        let rows =
            services.reads().fires(services.tenant(), &filter, page).await.map_err(|error| store_failed(&error))?;
        Ok(Connection::new(page, Some(rows), Total::Fires(filter)))
    }

    /// Recorded events in their order, which never changes: whoever asks again with the position of the last one misses none.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those of the stream of this name, in the order of their versions.")] stream: Option<
            String,
        >,
        #[graphql(desc = "Only those after the event with this position; from the first one if not given.")]
        after_position: Option<i64>,
        #[graphql(desc = "Only those of these types.")] types: Option<Vec<String>>,
        #[graphql(desc = "At most so many: 1 to 100, 50 if not given.")] first: Option<i32>,
    ) -> Result<Vec<Event>> {
        let services = services(ctx)?;
        let most = match first {
            None => DEFAULT_PAGE,
            Some(first) => u32::try_from(first)
                .ok()
                .filter(|first| (1..=MAX_PAGE).contains(first))
                .ok_or_else(|| bad_input(format!("`first` is from 1 to {MAX_PAGE}, not {first}")))?,
        };
        let filter = EventFilter { stream, types: types.unwrap_or_default() };
        let events = services.reads().events(services.tenant(), &filter, after_position.unwrap_or(0), most).await;
        Ok(events.map_err(|error| store_failed(&error))?.into_iter().map(Event::from).collect())
    }

    /// The event with this id; null if there is none.
    async fn event(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The event's id, a UUID.")] id: ID,
    ) -> Option<Result<Event>> {
        find_event(ctx, &id).await.transpose()
    }

    /// The latest events that could not set off what they should have, newest first: at most 100.
    #[graphql(complexity = "list_cost(MAX_PAGE as usize, child_complexity)")]
    async fn event_dead_letters(&self, ctx: &Context<'_>) -> Result<Vec<EventDeadLetter>> {
        let services = services(ctx)?;
        let letters = services.reads().dead_letters(services.tenant(), MAX_PAGE).await;
        Ok(letters.map_err(|error| store_failed(&error))?.into_iter().map(EventDeadLetter::from).collect())
    }

    /// The secrets by name, without their values.
    #[graphql(complexity = "list_cost(SECRETS, child_complexity)")]
    async fn secrets(&self, ctx: &Context<'_>) -> Result<Vec<Secret>> {
        match services(ctx)?.secrets().await {
            Ok(secrets) => Ok(secrets.into_iter().map(Secret::from).collect()),
            Err(SecretError::Store(error)) => Err(store_failed(&error)),
            Err(error) => Err(internal(&error)),
        }
    }

    /// The files of the workflow folders by path, with what is wrong with them.
    #[graphql(complexity = "list_cost(WORKFLOW_FILES, child_complexity)")]
    async fn workflow_files(&self, ctx: &Context<'_>) -> Result<Vec<WorkflowFile>> {
        Ok(services(ctx)?.workflow_files().into_iter().map(WorkflowFile::from).collect())
    }
}

async fn find_workflow(ctx: &Context<'_>, name: &str) -> Result<Option<Workflow>> {
    let services = services(ctx)?;
    let found = services.reads().workflow_by_name(services.tenant(), name).await;
    Ok(found.map_err(|error| store_failed(&error))?.map(Workflow::from))
}

async fn find_event(ctx: &Context<'_>, id: &ID) -> Result<Option<Event>> {
    let services = services(ctx)?;
    let id = id.parse().map_err(|_| bad_input("the id of an event is a UUID"))?;
    let found = services.reads().event(services.tenant(), id).await;
    Ok(found.map_err(|error| store_failed(&error))?.map(Event::from))
}

async fn find_execution(ctx: &Context<'_>, id: &ID) -> Result<Option<Execution>> {
    Ok(load(ctx, execution_id(id)?).await?.map(Execution::from))
}

fn services<'a>(ctx: &Context<'a>) -> Result<&'a Arc<dyn Services>> {
    ctx.data::<Arc<dyn Services>>()
}
