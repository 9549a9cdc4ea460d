//! The `Secret` type.

use async_graphql::SimpleObject;
use cogwheel_engine::SecretInfo;

use super::instant::Instant;

/// A confidential value by its name. What the value is, nobody is told.
#[derive(SimpleObject)]
pub(crate) struct Secret {
    /// Its name.
    name: String,
    /// What it is for.
    description: Option<String>,
    /// Whether it has a value here; without one, the server's environment is asked for `COGWHEEL_SECRET_<NAME>`.
    is_set: bool,
    /// How often it was set.
    version: i32,
    /// When it was set last.
    rotated_at: Option<Instant>,
    /// When it was named first.
    created_at: Instant,
}

impl From<SecretInfo> for Secret {
    fn from(info: SecretInfo) -> Self {
        Self {
            name: info.name,
            description: info.description,
            is_set: info.is_set,
            version: info.version,
            rotated_at: info.rotated_at.map(Into::into),
            created_at: info.created_at.into(),
        }
    }
}
