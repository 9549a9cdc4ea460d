//! What every handler needs.

use cogwheel_access::Authenticator;
use cogwheel_graphql::Schema;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::ServerConfig;

/// Shared by all workers.
pub(crate) struct State {
    pub(crate) schema: Schema,
    pub(crate) authenticator: Authenticator,
    pub(crate) config: ServerConfig,
    /// Where the work runs.
    pub(crate) runtime: Handle,
    pub(crate) stop: CancellationToken,
}
