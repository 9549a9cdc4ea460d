//! Events: the closed catalogue of their types.

mod catalogue;

pub use catalogue::{CustomType, EVENT_TYPES, EventType, UnknownEventType};
