//! What is kept outside the database and belongs to an answer.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{Context, Result};
use cogwheel_engine::offloaded_size;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::Services;
use crate::errors::{internal, too_complex};

/// How many such bytes one answer carries: it is held in memory as a whole. The largest output fits.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What is left of that for one answer.
pub(crate) struct Budget(Mutex<u64>);

impl Default for Budget {
    fn default() -> Self {
        Self(Mutex::new(MAX_BYTES))
    }
}

/// An output as it was put out, where the row only refers to it.
pub(super) async fn whole<'v>(ctx: &Context<'_>, stored: Option<&'v Value>) -> Result<Option<Cow<'v, Value>>> {
    let Some(stored) = stored else { return Ok(None) };
    let Some(size) = offloaded_size(stored) else { return Ok(Some(Cow::Borrowed(stored))) };
    let read = within_budget(ctx, size, async {
        ctx.data::<Arc<dyn Services>>()?.whole_output(stored).await.map_err(|error| internal(&error))
    });
    Ok(Some(read.await?.map_or(Cow::Borrowed(stored), Cow::Owned)))
}

/// The bytes under a recorded key, at most `limit`.
pub(super) async fn read(ctx: &Context<'_>, storage_key: &str, limit: u64) -> Result<Vec<u8>> {
    let key = storage_key.parse().map_err(|error| internal(&error))?;
    within_budget(ctx, limit, async {
        ctx.data::<Arc<dyn Services>>()?.blobs().get(&key, limit).await.map_err(|error| internal(&error))
    })
    .await
}

/// Reads one after the other, as long as the answer stays small enough. Those of a subscription are each about a single
/// change.
async fn within_budget<T>(ctx: &Context<'_>, size: u64, read: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(budget) = ctx.data_opt::<Budget>() else { return read.await };
    let mut left = budget.0.lock().await;
    *left = left.checked_sub(size).ok_or_else(|| {
        too_complex(format!("large outputs and contents of more than {MAX_BYTES} bytes; ask for fewer at a time"))
    })?;
    read.await
}
