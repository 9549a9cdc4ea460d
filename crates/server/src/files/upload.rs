//! `POST /files`: a file as the body, or files as parts of it.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, ContentDisposition, HeaderMap, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use cogwheel_engine::views::FileView;
use cogwheel_engine::{FileId, MAX_FIELD_BYTES, ReceivedUpload, UploadFields, Uploaded, WorkflowId};
use cogwheel_graphql::{Services, file_path, id_of_execution};
use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal::{admit, method_not_allowed};
use super::{Body, Parts, Refusal, RefusalCode, is_multipart, receive};
use crate::state::State;

/// The header that makes a repeated upload the same one.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What may stand behind the `?`.
#[derive(Deserialize)]
struct Query {
    name: Option<String>,
}

/// Takes files in.
pub(crate) async fn upload(state: web::Data<State>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    if let Err(answer) = admit(&state, &request) {
        return answer;
    }
    match take(&state, &request, payload).await {
        Ok(answer) => answer,
        Err(refusal) => refusal.answer(),
    }
}

/// Any other method on `/files`.
pub(crate) async fn only_post(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    method_not_allowed(&state, &request, "POST")
}

async fn take(state: &State, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Refusal> {
    let key = idempotency_key(request.headers())?;
    let services = Arc::clone(state.schema.services());
    let taken = if is_multipart(request.headers()) {
        let parts = Parts::of(request.headers())?;
        let most = state.config.upload_max_files;
        receive(state, payload, move |body| async move {
            let received = all_parts(services.as_ref(), parts(body), most).await?;
            record(services, received, key).await
        })
        .await
    } else {
        let name = name_of(request)?;
        let announced = announced(request.headers());
        receive(state, payload, move |body| async move {
            let received = whole_body(services.as_ref(), body, &name, announced).await?;
            record(services, vec![received], key).await
        })
        .await
    };
    let mut files = taken.unwrap_or_else(|| Err(Refusal::internal()))?;
    let is_new = files.iter().any(|file| file["isNew"] == true);
    let mut answer = HttpResponse::build(if is_new { StatusCode::CREATED } else { StatusCode::OK });
    Ok(match files.len() {
        1 => {
            let file = files.remove(0);
            if let Some(path) = file["downloadPath"].as_str() {
                answer.insert_header((LOCATION, path));
            }
            answer.json(file)
        }
        _ => answer.json(json!({ "files": files })),
    })
}

async fn whole_body(
    services: &dyn Services,
    mut body: Body,
    name: &str,
    announced: Option<u64>,
) -> Result<ReceivedUpload, Refusal> {
    let mut receiving = services.begin_upload(name, announced).await?;
    while let Some(piece) = body.next().await {
        receiving.write(&piece?).await?;
    }
    Ok(receiving.finish().await?)
}

/// The files of a form, each with the form's other fields. All of them are here before any is recorded.
async fn all_parts(services: &dyn Services, mut parts: Parts, most: usize) -> Result<Vec<ReceivedUpload>, Refusal> {
    let mut received = Vec::new();
    let mut fields = UploadFields::default();
    while let Some(mut part) = parts.next().await? {
        let Some(name) = part.file_name().map(str::to_owned) else {
            let text = part.text(MAX_FIELD_BYTES).await?;
            fields.insert(part.name(), text)?;
            continue;
        };
        if received.len() == most {
            let message = format!("the request has more than {most} files, the most that `uploads.max_files` allows");
            return Err(Refusal::bad_request(message));
        }
        let mut receiving = services.begin_upload(&name, None).await?;
        while let Some(piece) = part.next().await? {
            receiving.write(&piece).await?;
        }
        received.push(receiving.finish().await?);
    }
    if received.is_empty() {
        let message = "the form has no file: a part is one when it has a `filename` (`curl -F file=@orders.csv`)";
        return Err(Refusal::bad_request(message));
    }
    for (place, file) in received.iter_mut().enumerate() {
        file.set_form(place, fields.clone());
    }
    Ok(received)
}

/// Records the files one after the other and tells of them. A client that hangs up meanwhile stops nothing: a form must
/// not be recorded in part.
async fn record(
    services: Arc<dyn Services>,
    received: Vec<ReceivedUpload>,
    key: Option<String>,
) -> Result<Vec<Value>, Refusal> {
    let recording = tokio::spawn(async move {
        let mut recorded = Vec::with_capacity(received.len());
        for received in received {
            match services.record_upload(received, key.clone()).await {
                Ok(uploaded) => recorded.push(uploaded),
                Err(refused) => return Err(Refusal::from(refused).behind(recorded.len())),
            }
        }
        told(services.as_ref(), &recorded).await.map_err(|_| unseen(&recorded))
    });
    recording.await.unwrap_or_else(|error| {
        tracing::error!(%error, "recording an upload failed");
        Err(Refusal::internal())
    })
}

/// The refusal where files are recorded and cannot be read back: whoever sent them again would have them twice.
fn unseen(recorded: &[Uploaded]) -> Refusal {
    let paths: Vec<String> = recorded.iter().map(|uploaded| file_path(uploaded.file).0).collect();
    let message = format!(
        "everything is recorded and goes on, but the database could not be asked about it; do not send it again: {}",
        paths.join(", ")
    );
    Refusal::new(RefusalCode::Recorded, message)
}

/// The files with their executions, as clients see them.
async fn told(services: &dyn Services, recorded: &[Uploaded]) -> Result<Vec<Value>, Refusal> {
    let (reads, tenant) = (services.reads(), services.tenant());
    let ids: Vec<FileId> = recorded.iter().map(|uploaded| uploaded.file).collect();
    let files = reads.files_by_id(tenant, &ids).await?;
    let files: HashMap<FileId, FileView> = files.into_iter().map(|file| (file.id, file)).collect();
    let mut executions = reads.executions_of_files(tenant, &ids).await?;
    let mut workflows: Vec<WorkflowId> = executions.values().flatten().map(|execution| execution.workflow).collect();
    workflows.sort_unstable();
    workflows.dedup();
    let names: HashMap<WorkflowId, String> =
        reads.workflows_by_id(tenant, &workflows).await?.into_iter().map(|known| (known.id, known.name)).collect();
    let tell = |uploaded: &Uploaded| {
        let file = files.get(&uploaded.file).ok_or_else(Refusal::internal)?;
        let mut executions = executions.remove(&uploaded.file).unwrap_or_default();
        executions.sort_by_key(|execution| names.get(&execution.workflow));
        let shown = executions.iter().map(
            |execution| json!({ "id": id_of_execution(execution.id), "workflow": names.get(&execution.workflow) }),
        );
        let (path, id) = file_path(uploaded.file);
        Ok(json!({
            "id": id,
            "name": file.filename,
            "originalName": file.original_filename,
            "size": file.size,
            "sha256": file.sha256,
            "mimeType": file.media_type,
            "status": file.status.as_str(),
            "decision": file.decision_reason.as_deref().map(str::to_uppercase),
            "reason": file.detail,
            "isNew": uploaded.is_new,
            "downloadPath": path,
            "executions": shown.collect::<Vec<_>>(),
        }))
    };
    recorded.iter().map(tell).collect()
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = std::str::from_utf8(key.as_bytes());
    key.map(|key| Some(key.to_owned())).map_err(|_| Refusal::bad_request("the header `Idempotency-Key` is not UTF-8"))
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}

/// What a file that is the whole body is called.
fn name_of(request: &HttpRequest) -> Result<String, Refusal> {
    let query = web::Query::<Query>::from_query(request.query_string())
        .map_err(|error| Refusal::bad_request(format!("the query string cannot be read: {error}")))?;
    if let Some(name) = query.into_inner().name {
        return Ok(name);
    }
    let disposition = request.headers().get(CONTENT_DISPOSITION);
    let disposition = disposition.and_then(|value| ContentDisposition::from_raw(value).ok());
    let extended = disposition.as_ref().and_then(|disposition| disposition.get_filename_ext());
    let extended = extended.and_then(|extended| String::from_utf8(extended.value.clone()).ok());
    let name = extended.or_else(|| disposition.as_ref().and_then(|it| it.get_filename().map(str::to_owned)));
    name.ok_or_else(|| {
        Refusal::bad_request(
            "the file has no name: send it with `?name=…` or `Content-Disposition: attachment; filename=\"…\"`, or as a \
             part of multipart/form-data",
        )
    })
}
