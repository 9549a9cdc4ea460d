//! The types of the API, one file each; every type wraps what the engine's reads return.

mod artifact;
mod bytes;
mod connection;
mod dead_letter;
mod due_instant;
mod enums;
mod event;
mod execution;
mod execution_state;
mod file;
mod file_watch;
mod inbound_endpoint;
mod instant;
mod log;
mod node;
mod saga;
mod schedule;
mod schedule_fire;
mod secret;
mod step;
mod version;
mod viewer;
mod webhook;
mod webhook_delivery;
mod workflow;
mod workflow_file;

pub(crate) use artifact::Artifact;
pub(crate) use bytes::Budget;
pub(crate) use connection::{Connection, Total};
pub(crate) use dead_letter::EventDeadLetter;
pub(crate) use due_instant::DueInstant;
pub(crate) use enums::{
    DstGap, DstOverlap, ExecutionStatus, FileStatus, Priority, ScheduleFireOutcome, TriggerType, WorkflowStatus,
};
pub(crate) use event::Event;
pub(crate) use execution::Execution;
pub(crate) use execution_state::ExecutionState;
pub(crate) use file::File;
pub(crate) use file_watch::FileWatch;
pub(crate) use inbound_endpoint::InboundEndpoint;
pub(crate) use instant::Instant;
pub(crate) use log::ExecutionLog;
pub(crate) use node::{Node, find_node};
pub(crate) use saga::{CompensationDecision, Saga, SagaStatus};
pub(crate) use schedule::Schedule;
pub(crate) use schedule_fire::ScheduleFire;
pub(crate) use secret::Secret;
pub(crate) use step::Step;
pub(crate) use version::WorkflowVersion;
pub(crate) use viewer::Viewer;
pub(crate) use webhook::Webhook;
pub(crate) use webhook_delivery::{DeliveryStatus, WebhookDelivery};
pub(crate) use workflow::Workflow;
pub(crate) use workflow_file::WorkflowFile;
