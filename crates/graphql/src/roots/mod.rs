//! The roots: what can be asked, done and followed.

mod filters;
mod mutation;
mod query;
mod subscription;

pub(crate) use mutation::Mutation;
pub(crate) use query::Query;
pub(crate) use subscription::Subscription;
