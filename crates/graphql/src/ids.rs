//! Global ids: `base64url(Type:uuid)`, for steps `base64url(StepExecution:uuid:ordinal)`.

use async_graphql::{Error, ID};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cogwheel_engine::{
    DeliveryId, EndpointId, ExecutionId, FileId, ScheduleId, VersionId, WatchId, WebhookId, WorkflowId,
};
use uuid::Uuid;

use crate::errors::bad_input;

/// Names any object of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GlobalId {
    Workflow(WorkflowId),
    WorkflowVersion(VersionId),
    WorkflowExecution(ExecutionId),
    StepExecution(ExecutionId, i32),
    Artifact(Uuid),
    File(FileId),
    FileWatch(WatchId),
    InboundEndpoint(EndpointId),
    Schedule(ScheduleId),
    ScheduleFire(Uuid),
    Webhook(WebhookId),
    WebhookDelivery(DeliveryId),
}

impl GlobalId {
    /// As clients see it.
    pub(crate) fn encode(self) -> ID {
        let text = match self {
            Self::Workflow(id) => format!("Workflow:{id}"),
            Self::WorkflowVersion(id) => format!("WorkflowVersion:{id}"),
            Self::WorkflowExecution(id) => format!("WorkflowExecution:{id}"),
            Self::StepExecution(execution, ordinal) => format!("StepExecution:{execution}:{ordinal}"),
            Self::Artifact(id) => format!("Artifact:{id}"),
            Self::File(id) => format!("File:{id}"),
            Self::FileWatch(id) => format!("FileWatch:{id}"),
            Self::InboundEndpoint(id) => format!("InboundEndpoint:{id}"),
            Self::Schedule(id) => format!("Schedule:{id}"),
            Self::ScheduleFire(id) => format!("ScheduleFire:{id}"),
            Self::Webhook(id) => format!("Webhook:{id}"),
            Self::WebhookDelivery(id) => format!("WebhookDelivery:{id}"),
        };
        ID(URL_SAFE_NO_PAD.encode(text))
    }

    /// Reads what a client sent.
    pub(crate) fn parse(id: &ID) -> Result<Self, Error> {
        Self::decode(id).ok_or_else(|| bad_input(format!("`{}` is not an id of this API", shown(id))))
    }

    fn decode(id: &ID) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(id.as_str()).ok()?;
        let text = std::str::from_utf8(&bytes).ok()?;
        let (name, rest) = text.split_once(':')?;
        if name == "StepExecution" {
            let (execution, ordinal) = rest.split_once(':')?;
            return Some(Self::StepExecution(ExecutionId(Uuid::try_parse(execution).ok()?), ordinal.parse().ok()?));
        }
        let uuid = Uuid::try_parse(rest).ok()?;
        Some(match name {
            "Workflow" => Self::Workflow(WorkflowId(uuid)),
            "WorkflowVersion" => Self::WorkflowVersion(VersionId(uuid)),
            "WorkflowExecution" => Self::WorkflowExecution(ExecutionId(uuid)),
            "Artifact" => Self::Artifact(uuid),
            "File" => Self::File(FileId(uuid)),
            "FileWatch" => Self::FileWatch(WatchId(uuid)),
            "InboundEndpoint" => Self::InboundEndpoint(EndpointId(uuid)),
            "Schedule" => Self::Schedule(ScheduleId(uuid)),
            "ScheduleFire" => Self::ScheduleFire(uuid),
            "Webhook" => Self::Webhook(WebhookId(uuid)),
            "WebhookDelivery" => Self::WebhookDelivery(DeliveryId(uuid)),
            _ => return None,
        })
    }
}

/// Reads an execution's id: a global one or a bare UUID.
pub(crate) fn execution_id(id: &ID) -> Result<ExecutionId, Error> {
    match bare(id).map(ExecutionId).map(GlobalId::WorkflowExecution).map_or_else(|| GlobalId::parse(id), Ok)? {
        GlobalId::WorkflowExecution(id) => Ok(id),
        _ => Err(other_type(id, "a WorkflowExecution")),
    }
}

/// The file that a path or an argument names: a global id or a bare UUID.
pub fn file_id_of(text: &str) -> Option<FileId> {
    let id = ID(text.to_owned());
    if let Some(uuid) = bare(&id) {
        return Some(FileId(uuid));
    }
    match GlobalId::decode(&id)? {
        GlobalId::File(id) => Some(id),
        _ => None,
    }
}

/// The execution that an argument names: by a global id or a bare UUID.
pub fn execution_id_of(text: &str) -> Option<ExecutionId> {
    execution_id(&ID(text.to_owned())).ok()
}

/// Where a file is downloaded, and its global id.
pub fn file_path(id: FileId) -> (String, String) {
    let id = GlobalId::File(id).encode().0;
    (format!("/files/{id}"), id)
}

/// The global id of an execution.
pub fn id_of_execution(id: ExecutionId) -> String {
    GlobalId::WorkflowExecution(id).encode().0
}

/// Reads a watch's id: a global one or a bare UUID.
pub(crate) fn watch_id(id: &ID) -> Result<WatchId, Error> {
    match bare(id).map(WatchId).map(GlobalId::FileWatch).map_or_else(|| GlobalId::parse(id), Ok)? {
        GlobalId::FileWatch(id) => Ok(id),
        _ => Err(other_type(id, "a FileWatch")),
    }
}

/// Reads a schedule's id: a global one or a bare UUID.
pub(crate) fn schedule_id(id: &ID) -> Result<ScheduleId, Error> {
    match bare(id).map(ScheduleId).map(GlobalId::Schedule).map_or_else(|| GlobalId::parse(id), Ok)? {
        GlobalId::Schedule(id) => Ok(id),
        _ => Err(other_type(id, "a Schedule")),
    }
}

/// Reads a webhook's id: a global one or a bare UUID.
pub(crate) fn webhook_id(id: &ID) -> Result<WebhookId, Error> {
    match bare(id).map(WebhookId).map(GlobalId::Webhook).map_or_else(|| GlobalId::parse(id), Ok)? {
        GlobalId::Webhook(id) => Ok(id),
        _ => Err(other_type(id, "a Webhook")),
    }
}

/// Reads a delivery's id: a global one or a bare UUID.
pub(crate) fn delivery_id(id: &ID) -> Result<DeliveryId, Error> {
    match bare(id).map(DeliveryId).map(GlobalId::WebhookDelivery).map_or_else(|| GlobalId::parse(id), Ok)? {
        GlobalId::WebhookDelivery(id) => Ok(id),
        _ => Err(other_type(id, "a WebhookDelivery")),
    }
}

fn bare(id: &ID) -> Option<Uuid> {
    Uuid::try_parse(id.as_str()).ok()
}

fn other_type(id: &ID, wanted: &str) -> Error {
    bad_input(format!("`{}` is the id of something else; this argument takes the id of {wanted}", shown(id)))
}

/// As much of what the client sent as an error message can carry.
fn shown(id: &ID) -> String {
    id.as_str().chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: Uuid = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001);

    #[test]
    fn every_kind_of_id_reads_back() {
        for id in [
            GlobalId::Workflow(WorkflowId(UUID)),
            GlobalId::WorkflowVersion(VersionId(UUID)),
            GlobalId::WorkflowExecution(ExecutionId(UUID)),
            GlobalId::StepExecution(ExecutionId(UUID), 7),
            GlobalId::Artifact(UUID),
            GlobalId::File(FileId(UUID)),
            GlobalId::FileWatch(WatchId(UUID)),
            GlobalId::InboundEndpoint(EndpointId(UUID)),
            GlobalId::Schedule(ScheduleId(UUID)),
            GlobalId::ScheduleFire(UUID),
            GlobalId::Webhook(WebhookId(UUID)),
            GlobalId::WebhookDelivery(DeliveryId(UUID)),
        ] {
            assert_eq!(GlobalId::parse(&id.encode()).unwrap(), id);
        }
    }

    #[test]
    fn a_bare_uuid_is_taken_where_the_type_is_known() {
        assert_eq!(execution_id(&ID(UUID.to_string())).unwrap(), ExecutionId(UUID));
        assert_eq!(watch_id(&ID(UUID.to_string())).unwrap(), WatchId(UUID));
        assert_eq!(file_id_of(&UUID.to_string()), Some(FileId(UUID)));
        let (path, id) = file_path(FileId(UUID));
        assert_eq!((path, file_id_of(&id)), (format!("/files/{id}"), Some(FileId(UUID))));
        assert_eq!(file_id_of(&id_of_execution(ExecutionId(UUID))), None);
        assert_eq!(schedule_id(&ID(UUID.to_string())).unwrap(), ScheduleId(UUID));
        assert_eq!(webhook_id(&ID(UUID.to_string())).unwrap(), WebhookId(UUID));
        assert_eq!(delivery_id(&ID(UUID.to_string())).unwrap(), DeliveryId(UUID));
    }

    #[test]
    fn an_id_of_another_type_or_of_none_is_refused() {
        let workflow = GlobalId::Workflow(WorkflowId(UUID)).encode();
        assert!(execution_id(&workflow).unwrap_err().message.contains("the id of a WorkflowExecution"));
        for text in ["", "%", "V29ya2Zsb3c6eA", "nonsense", &"x".repeat(100_000)] {
            let error = GlobalId::parse(&ID(text.to_owned())).unwrap_err();
            assert!(error.message.contains("is not an id of this API") && error.message.len() < 500);
        }
    }
}
