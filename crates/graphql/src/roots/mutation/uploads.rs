//! Uploading files.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject, Upload};
use cogwheel_engine::ports::BlobError;
use cogwheel_engine::{FileId, UploadError, UploadFields};
use serde_json::Value;

use super::user_error::{UserError, UserErrorCode};
use crate::errors::{internal, store_failed};
use crate::loaders::{ExecutionsOfFile, load};
use crate::types::{Execution, File};
use crate::{Services, Uploads};

/// What takes files in.
#[derive(Default)]
pub(super) struct UploadMutations;

/// What takes files in.
#[Object]
impl UploadMutations {
    /// Takes a file in and starts every workflow whose `on.file` with `source: upload` asks for it. Durable when it answers.
    /// Send it as the GraphQL multipart request specification (version 2) says; `POST /files` does the same without GraphQL.
    async fn upload_file(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The file.")] input: UploadFileInput,
    ) -> Result<UploadFilePayload> {
        let Some(mut received) = ctx.data_opt::<Uploads>().and_then(|uploads| uploads.take(input.file)) else {
            let message = "there is no such file in the request, or it was taken before: send each file as a part of a \
                           multipart request and name its place in `map`";
            return Ok(UploadFilePayload::refused(UserError::at("file", UserErrorCode::InvalidInput, message)));
        };
        if let Some(name) = input.name
            && let Err(refused) = received.rename(&name)
        {
            return refusal(&refused).map(UploadFilePayload::refused);
        }
        match fields(input.fields) {
            Ok(fields) => received.set_form(0, fields),
            Err(refused) => return Ok(UploadFilePayload::refused(refused)),
        }
        match ctx.data::<Arc<dyn Services>>()?.record_upload(received, input.idempotency_key).await {
            Ok(uploaded) => UploadFilePayload::of(ctx, uploaded.file).await,
            Err(refused) => refusal(&refused).map(UploadFilePayload::refused),
        }
    }
}

/// The file to take in.
#[derive(InputObject)]
struct UploadFileInput {
    /// The file: a part of the request.
    file: Upload,
    /// What it is called, in place of the name that its part has.
    name: Option<String>,
    /// What goes with it, an object of texts: `trigger.file.fields` of the executions.
    fields: Option<Value>,
    /// The same key is the same upload: sending it again answers with the first one's file and executions.
    idempotency_key: Option<String>,
}

/// What came of an upload.
#[derive(SimpleObject)]
struct UploadFilePayload {
    /// The file in the ledger; null when there are errors.
    file: Option<File>,
    /// The executions that it set off.
    executions: Vec<Execution>,
    /// What the caller can mend; empty when it was taken.
    user_errors: Vec<UserError>,
}

impl UploadFilePayload {
    async fn of(ctx: &Context<'_>, id: FileId) -> Result<Self> {
        let file = load(ctx, id).await?.map(File::from);
        let file = file.ok_or_else(|| internal(&format_args!("the file {id} was not stored")))?;
        let executions = load(ctx, ExecutionsOfFile(id)).await?.unwrap_or_default();
        let executions = executions.into_iter().map(Execution::from).collect();
        Ok(Self { file: Some(file), executions, user_errors: Vec::new() })
    }

    fn refused(error: UserError) -> Self {
        Self { file: None, executions: Vec::new(), user_errors: vec![error] }
    }
}

fn fields(given: Option<Value>) -> Result<UploadFields, UserError> {
    let wrong = |message: String| UserError::at("fields", UserErrorCode::InvalidInput, message);
    let mut fields = UploadFields::default();
    let given = match given {
        None | Some(Value::Null) => return Ok(fields),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(wrong("`fields` must be an object of texts: {\"name\": \"text\"}".to_owned())),
    };
    for (name, text) in given {
        let Value::String(text) = text else { return Err(wrong(format!("the field `{name}` must be text"))) };
        fields.insert(&name, text).map_err(|refused| wrong(refused.to_string()))?;
    }
    Ok(fields)
}

fn refusal(refused: &UploadError) -> Result<UserError> {
    let (field, code) = match refused {
        UploadError::BadName(_) => ("name", UserErrorCode::InvalidFileName),
        UploadError::TooLarge { .. } => ("file", UserErrorCode::FileTooLarge),
        UploadError::TypeNotAllowed { .. } => ("file", UserErrorCode::FileTypeNotAllowed),
        UploadError::InvalidField { .. } => ("fields", UserErrorCode::InvalidInput),
        UploadError::InvalidIdempotencyKey(_) => ("idempotencyKey", UserErrorCode::InvalidIdempotencyKey),
        UploadError::KeyInUse => ("idempotencyKey", UserErrorCode::IdempotencyKeyInUse),
        UploadError::Draining => ("file", UserErrorCode::ServerStopping),
        UploadError::NotShared | UploadError::Blob(BlobError::NoSpace { .. }) => {
            ("file", UserErrorCode::StorageUnavailable)
        }
        UploadError::Blob(error) => return Err(internal(error)),
        UploadError::Store(error) => return Err(store_failed(error)),
    };
    let message = match refused {
        // Where the server keeps its bytes is nobody's business.
        UploadError::Blob(_) => "the server has no room for the file".to_owned(),
        refused => refused.to_string(),
    };
    Ok(UserError::at(field, code, message))
}
