//! The tests' PostgreSQL: the one that was named, or a private one that lives as long as the tests.

mod account;
mod address;
mod cluster;
mod install;
mod programs;

use std::env;

use anyhow::{Context as _, Result};
use cluster::Cluster;
pub(crate) use cluster::Durability;

/// A PostgreSQL server for the tests; a private one is stopped and removed when this is dropped.
pub(crate) enum Database {
    Named(String),
    Private(Cluster),
}

impl Database {
    /// Where a role that may create databases connects.
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Named(url) => url,
            Self::Private(cluster) => cluster.url(),
        }
    }
}

/// Takes the server that the environment variable `variable` names, else starts one from the installed programs, else
/// installs them first. `durability` is that of a server it starts.
///
/// # Errors
///
/// When the named server does not answer, or when there is no PostgreSQL and none may be installed.
pub(crate) fn provide(variable: &str, durability: Durability) -> Result<Database> {
    if let Some(url) = env::var(variable).ok().filter(|url| !url.is_empty()) {
        address::knock(&url).with_context(|| {
            format!(
                "{variable} is set, but its server does not answer; start it, or unset {variable} to get one started"
            )
        })?;
        println!("xtask: the tests use the PostgreSQL that {variable} names");
        return Ok(Database::Named(url));
    }
    let programs = match programs::find() {
        Some(programs) => programs,
        None => install::postgresql(variable)?,
    };
    let cluster = Cluster::start(&programs, durability)?;
    println!("xtask: started PostgreSQL {} for the tests", programs.version);
    Ok(Database::Private(cluster))
}
