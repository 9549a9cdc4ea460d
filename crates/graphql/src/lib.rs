//! The GraphQL schema: thin resolvers over the engine's services.
//!
//! A request enters at [`Schema::execute`] or [`Schema::subscribe`]; the fields of the roots are in `roots`, one file
//! per type in `types`, and every edge between types reads through a loader of `loaders`.

#![expect(clippy::unused_async, reason = "the GraphQL library takes async resolvers only")]

mod cursor;
mod errors;
mod follow;
mod ids;
mod limits;
mod loaders;
mod roots;
mod schema;
mod services;
mod shape;
mod types;
mod uploads;
mod webhook_services;

pub use errors::{ErrorCode, failure, is_refused, refusal};
pub use ids::{execution_id_of, file_id_of, file_path, id_of_execution};
pub use limits::Limits;
pub use schema::{Schema, sdl};
pub use services::Services;
pub use uploads::{MissingVariable, Uploads};
pub use webhook_services::WebhookServices;
