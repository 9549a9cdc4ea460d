//! The server's settings: the file, the environment and flags, in that order, checked as a whole.

mod schema;
mod sources;
mod table;
mod values;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use cogwheel_engine::WebhookConfig;
use cogwheel_steps::TargetPolicy;

pub(crate) use schema::json_schema;
pub(crate) use table::{Kind as SettingKind, SETTINGS};

use sources::Sources;
use values::Reader;

/// The file that is read from the current folder when no other is named.
const DEFAULT_FILE: &str = "config.toml";

/// A shorter lease would lapse whenever the database is slow for a moment.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// Every setting, read and checked.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in config.toml")]
pub(crate) struct Settings {
    pub(crate) data_dir: PathBuf,
    pub(crate) root: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) database_url: Option<String>,
    pub(crate) blobs_dir: Option<PathBuf>,
    pub(crate) master_key_file: Option<PathBuf>,
    pub(crate) insecure_no_auth: bool,
    pub(crate) migrate_on_start: bool,
    pub(crate) workflow_folders: Vec<PathBuf>,
    pub(crate) workflow_rescan: String,
    pub(crate) file_rescan: String,
    pub(crate) watch_retry: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) upload_max_size: usize,
    pub(crate) upload_allowed_types: Vec<String>,
    pub(crate) upload_max_files: u32,
    pub(crate) upload_timeout: Duration,
    pub(crate) upload_idle_timeout: Duration,
    pub(crate) max_running_executions: u32,
    pub(crate) max_parallel_steps: u32,
    pub(crate) snapshot_events: u32,
    pub(crate) kill_grace: Duration,
    pub(crate) shutdown_grace: Duration,
    pub(crate) lease: Duration,
    pub(crate) webhooks: WebhookConfig,
    pub(crate) webhook_targets: TargetPolicy,
    pub(crate) public_url: Option<String>,
    pub(crate) workers: u32,
    pub(crate) request_timeout: Duration,
    pub(crate) body_limit: usize,
    pub(crate) max_connections: u32,
    pub(crate) max_subscriptions: u32,
    pub(crate) max_depth: u32,
    pub(crate) max_complexity: u32,
    pub(crate) introspection: bool,
    pub(crate) log_level: String,
    pub(crate) log_json: bool,
}

/// Everything that is wrong with the settings, at once.
#[derive(Debug)]
pub(crate) struct SettingsError {
    problems: Vec<String>,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings cannot be used:")?;
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        f.write_str("\n`cogwheel schema config` lists every setting")
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Reads the settings: the file that `matches` names (or `config.toml` of the current folder, where there is one),
    /// then the environment, then the flags.
    pub(crate) fn load(matches: &ArgMatches) -> Result<Self, SettingsError> {
        let current = std::env::current_dir()
            .map_err(|error| SettingsError { problems: vec![format!("the current folder cannot be read: {error}")] })?;
        let named = matches.get_one::<PathBuf>("config").map(|path| current.join(path));
        let file = named.clone().unwrap_or_else(|| current.join(DEFAULT_FILE));
        let mut sources = Sources::defaults();
        match std::fs::read_to_string(&file) {
            Ok(text) => sources.file(named.as_deref().unwrap_or_else(|| Path::new(DEFAULT_FILE)), &text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {}
            Err(error) => sources.problems.push(format!("{} cannot be read: {error}", file.display())),
        }
        sources.environment(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))),
        );
        sources.flags(matches);
        Self::resolve(&sources, file.parent().unwrap_or(&current), &current)
    }

    fn resolve(sources: &Sources, file_folder: &Path, current: &Path) -> Result<Self, SettingsError> {
        let mut read = Reader::new(sources, file_folder, current);
        let listen = read.address("listen");
        let settings = Self {
            data_dir: read.path("data_dir"),
            root: read.path("root"),
            listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))),
            database_url: read.url("database_url"),
            blobs_dir: read.path_if_any("blobs_dir"),
            master_key_file: read.path_if_any("master_key_file"),
            insecure_no_auth: read.switch("insecure_no_auth"),
            migrate_on_start: read.switch("database.migrate_on_start"),
            workflow_folders: read.paths("workflows.folders"),
            workflow_rescan: read.cron("workflows.rescan"),
            file_rescan: read.cron("files.rescan"),
            watch_retry: read.duration("files.watch_retry"),
            poll_interval: read.duration("files.poll_interval"),
            upload_max_size: read.size("uploads.max_size"),
            upload_allowed_types: read.media_types("uploads.allowed_types"),
            upload_max_files: read.count("uploads.max_files"),
            upload_timeout: read.duration("uploads.timeout"),
            upload_idle_timeout: read.duration("uploads.idle_timeout"),
            max_running_executions: read.count("engine.max_running_executions"),
            max_parallel_steps: read.count("engine.max_parallel_steps"),
            snapshot_events: read.count("engine.snapshot_events"),
            kill_grace: read.duration("engine.kill_grace"),
            shutdown_grace: read.duration("engine.shutdown_grace"),
            lease: read.duration("cluster.lease"),
            webhooks: WebhookConfig {
                first_retry: read.duration("webhooks.first_retry"),
                longest_retry: read.duration("webhooks.longest_retry"),
                disable_after: i32::try_from(read.count("webhooks.disable_after")).unwrap_or(i32::MAX),
                max_in_flight: read.count("webhooks.max_in_flight") as usize,
            },
            webhook_targets: TargetPolicy {
                allow_private: read.switch("webhooks.allow_private_targets"),
                allowed: read.networks("webhooks.allowed_networks"),
            },
            public_url: read.web_url("server.public_url"),
            workers: read.count("server.workers"),
            request_timeout: read.duration("server.request_timeout"),
            body_limit: read.size("server.body_limit"),
            max_connections: read.count("server.max_connections"),
            max_subscriptions: read.count("server.max_subscriptions"),
            max_depth: read.count("graphql.max_depth"),
            max_complexity: read.count("graphql.max_complexity"),
            introspection: read.switch("graphql.introspection"),
            log_level: read.filter("log.level"),
            log_json: read.word("log.format") == "json",
        };
        let mut problems = sources.problems.clone();
        problems.append(&mut read.problems);
        if settings.insecure_no_auth && listen.is_some_and(|address| !address.ip().is_loopback()) {
            problems.push(format!(
                "setting `insecure_no_auth`: refused while `listen` is {}, which others can reach",
                settings.listen
            ));
        }
        if settings.lease < SHORTEST_LEASE && read.problems.is_empty() {
            problems.push("setting `cluster.lease`: must be at least 1s".to_owned());
        }
        if settings.watch_retry.is_zero() {
            problems.push("setting `files.watch_retry`: must be longer than nothing".to_owned());
        }
        if settings.poll_interval.is_zero() {
            problems.push("setting `files.poll_interval`: must be longer than nothing".to_owned());
        }
        if settings.request_timeout.is_zero() {
            problems.push("setting `server.request_timeout`: must be longer than nothing".to_owned());
        }
        for (key, value) in
            [("uploads.timeout", settings.upload_timeout), ("uploads.idle_timeout", settings.upload_idle_timeout)]
        {
            if value.is_zero() {
                problems.push(format!("setting `{key}`: must be longer than nothing"));
            }
        }
        if problems.is_empty() { Ok(settings) } else { Err(SettingsError { problems }) }
    }
}

#[cfg(test)]
mod tests;
