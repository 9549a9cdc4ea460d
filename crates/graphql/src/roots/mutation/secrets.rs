//! Setting and deleting secrets. Their values come in and never go out.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use cogwheel_engine::{DEFAULT_OVERLAP, SecretError, SetSecret};

use super::user_error::{UserError, UserErrorCode};
use crate::Services;
use crate::errors::{internal, store_failed};
use crate::types::Secret;

/// What is kept confidential.
#[derive(Default)]
pub(super) struct SecretMutations;

/// What is kept confidential.
#[Object]
impl SecretMutations {
    /// Sets a secret, or replaces its value. The value that it replaces still counts for a while, so that senders can be told
    /// of the new one.
    async fn set_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The secret and its value.")] input: SetSecretInput,
    ) -> Result<SetSecretPayload> {
        let SetSecretInput { name, value, description, overlap_ms } = input;
        let overlap = match overlap_ms.map(u64::try_from) {
            None => DEFAULT_OVERLAP,
            Some(Ok(milliseconds)) => Duration::from_millis(milliseconds),
            Some(Err(_)) => {
                let error = UserError::at("overlapMs", UserErrorCode::InvalidInput, "`overlapMs` is less than 0");
                return Ok(SetSecretPayload { secret: None, user_errors: vec![error] });
            }
        };
        let set = SetSecret { name, value, description, overlap };
        Ok(match ctx.data::<Arc<dyn Services>>()?.set_secret(set).await {
            Ok(secret) => SetSecretPayload { secret: Some(secret.into()), user_errors: Vec::new() },
            Err(refused) => SetSecretPayload { secret: None, user_errors: vec![told(&refused)?] },
        })
    }

    /// Forgets a secret. One that a webhook is signed with is needed and stays.
    async fn delete_secret(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which secret.")] input: DeleteSecretInput,
    ) -> Result<DeleteSecretPayload> {
        Ok(match ctx.data::<Arc<dyn Services>>()?.delete_secret(input.name.clone()).await {
            Ok(()) => DeleteSecretPayload { name: Some(input.name), user_errors: Vec::new() },
            Err(refused) => DeleteSecretPayload { name: None, user_errors: vec![told(&refused)?] },
        })
    }
}

/// The secret and its value.
#[derive(InputObject)]
struct SetSecretInput {
    /// Its name: letters, digits, `_` and `-`, a letter or `_` first; at most 100 characters.
    name: String,
    /// Its value; at most 64 KiB.
    value: String,
    /// What it is for; left out, that stays as it is.
    description: Option<String>,
    /// How long the value that it replaces still counts, in milliseconds: 24 hours if not given, at most 30 days, 0 for not at
    /// all.
    overlap_ms: Option<i64>,
}

/// What became of it.
#[derive(SimpleObject)]
struct SetSecretPayload {
    /// The secret, without its value; null when there are errors.
    secret: Option<Secret>,
    /// What the caller can mend; empty when it is set.
    user_errors: Vec<UserError>,
}

/// Which secret.
#[derive(InputObject)]
struct DeleteSecretInput {
    /// Its name.
    name: String,
}

/// What became of it.
#[derive(SimpleObject)]
struct DeleteSecretPayload {
    /// The name of the secret that is gone; null when there are errors.
    name: Option<String>,
    /// What the caller can mend; empty when it is gone.
    user_errors: Vec<UserError>,
}

fn told(refused: &SecretError) -> Result<UserError> {
    let (code, field) = match refused {
        SecretError::Invalid { field: "overlap", .. } => (UserErrorCode::InvalidInput, "overlapMs"),
        SecretError::Invalid { field, .. } => (UserErrorCode::InvalidInput, *field),
        SecretError::Unknown { .. } => (UserErrorCode::UnknownSecret, "name"),
        SecretError::InUse { .. } => (UserErrorCode::InUse, "name"),
        SecretError::Vault(error) => return Err(internal(error)),
        SecretError::Store(error) => return Err(store_failed(error)),
    };
    Ok(UserError::at(field, code, refused.to_string()))
}
