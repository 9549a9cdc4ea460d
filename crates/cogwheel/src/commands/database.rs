//! Finds the database that the settings mean.

use anyhow::Context as _;
use cogwheel_engine::clock::{Clock as _, SystemClock};
use cogwheel_store::{ConnectOptions, Database};

use crate::settings::Settings;

/// The file of the embedded database in the data folder.
pub(super) const SQLITE_FILE: &str = "cogwheel.db";

/// The folder of the data folder that keeps bytes too large for the database.
pub(super) const BLOBS: &str = "blobs";

/// Whether a missing embedded database is made or is an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Make it.
    Create,
    /// There is nothing to look at.
    Refuse,
}

/// Reaches the database of the settings.
pub(super) async fn connect(settings: &Settings, missing: Missing) -> anyhow::Result<Database> {
    let url = match &settings.database_url {
        Some(url) => url.clone(),
        None => format!("sqlite:{}", settings.data_dir.join(SQLITE_FILE).display()),
    };
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = std::path::Path::new(path.strip_prefix("//").unwrap_or(path));
        if missing == Missing::Refuse && !path.exists() {
            anyhow::bail!(
                "there is no database at {}: `cogwheel serve` or `cogwheel db migrate` makes it",
                path.display()
            );
        }
        if let Some(folder) = path.parent() {
            prepare_folder(folder)?;
        }
    }
    Ok(Database::connect(&url, ConnectOptions::default()).await?)
}

/// Makes sure that no server works on a shared database.
pub(super) async fn refuse_while_served(database: &Database) -> anyhow::Result<()> {
    let servers = database.servers(SystemClock.now()).await?;
    if !servers.is_empty() {
        anyhow::bail!("servers run on the database ({}): stop them first", servers.join(", "));
    }
    Ok(())
}

/// Makes a folder that only its owner may look into, where it is missing.
pub(super) fn prepare_folder(path: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the folder {}", path.display()))
}
