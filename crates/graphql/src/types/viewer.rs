//! Who asks.

use async_graphql::{Enum, SimpleObject};
use cogwheel_access::Principal;

/// Who asks, by the credentials of the request.
#[derive(SimpleObject)]
pub(crate) struct Viewer {
    /// With which rights.
    kind: ViewerKind,
}

impl From<Principal> for Viewer {
    fn from(principal: Principal) -> Self {
        Self { kind: principal.into() }
    }
}

/// With which rights somebody asks.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum ViewerKind {
    /// The holder of the admin key: everything.
    Admin,
}

impl From<Principal> for ViewerKind {
    fn from(principal: Principal) -> Self {
        match principal {
            Principal::Admin => Self::Admin,
        }
    }
}
