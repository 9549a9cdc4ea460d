//! Every setting there is: its key, what it takes, its default and what it is for.
//!
//! The file, the environment, the flags, the JSON Schema and the check of `config.toml` all come from this table.

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A path; relative ones count from the folder of the configuration file, or from the current folder.
    Path,
    /// A list of paths.
    Paths,
    /// A list of media types: `text/csv`, `image/*`.
    MediaTypes,
    /// A list of networks: `10.20.0.0/16`.
    Networks,
    /// `host:port`.
    Address,
    /// A database URL, or empty.
    Url,
    /// `https://host` and perhaps a path, or empty.
    WebUrl,
    /// `250ms`, `30s`, `5m`, `2h`, `1d`.
    Duration,
    /// `512KiB`, `10MiB`.
    Size,
    /// A whole number from 1 to this one.
    Count(u32),
    /// `true` or `false`.
    Switch,
    /// A cron line with seconds, read in UTC.
    Cron,
    /// A tracing filter: `info`, `debug`, `info,cogwheel_engine=debug`.
    Filter,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// `name` or `section.name`.
    pub(crate) key: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// Its default, as TOML.
    pub(crate) default: &'static str,
    /// What it is for.
    pub(crate) about: &'static str,
}

impl Setting {
    /// The environment variable that sets it.
    pub(crate) fn variable(&self) -> String {
        format!("COGWHEEL_{}", self.key.replace('.', "__").to_uppercase())
    }

    /// The flag that sets it, without its dashes.
    pub(crate) fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }
}

const fn setting(key: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Setting {
    Setting { key, kind, default, about }
}

/// Every setting, in the order of `config.toml`.
pub(crate) const SETTINGS: &[Setting] = &[
    setting(
        "data_dir",
        Kind::Path,
        "\"data\"",
        "Folder of the database, the admin key and scratch files; made at the first start.",
    ),
    setting("root", Kind::Path, "\".\"", "What relative paths in workflows mean, and where their shell steps run."),
    setting("listen", Kind::Address, "\"127.0.0.1:8420\"", "Address and port to serve on; port 0 takes a free one."),
    setting(
        "database_url",
        Kind::Url,
        "\"\"",
        "Database: empty for SQLite in the data folder, sqlite:PATH, or postgres://user:password@host/database.",
    ),
    setting(
        "blobs_dir",
        Kind::Path,
        "\"\"",
        "Folder of artifacts and large outputs: empty for `blobs` in the data folder; several servers name one that they share.",
    ),
    setting(
        "master_key_file",
        Kind::Path,
        "\"\"",
        "File of the key that secrets are locked with: empty for `master.key` in the data folder; several servers have the same.",
    ),
    setting(
        "insecure_no_auth",
        Kind::Switch,
        "false",
        "Serve without asking for the admin key; refused unless `listen` is a loopback address.",
    ),
    setting(
        "database.migrate_on_start",
        Kind::Switch,
        "true",
        "Bring the schema up to date when the server starts; otherwise `cogwheel db migrate` does.",
    ),
    setting("workflows.folders", Kind::Paths, "[\"workflows\"]", "Folders whose *.yaml and *.yml files are workflows."),
    setting(
        "workflows.rescan",
        Kind::Cron,
        "\"0 * * * * *\"",
        "When the workflow folders are read in full, whatever the kernel reported (cron with seconds, UTC).",
    ),
    setting(
        "files.rescan",
        Kind::Cron,
        "\"30 * * * * *\"",
        "When watched folders are scanned in full, whatever the kernel reported (cron with seconds, UTC).",
    ),
    setting(
        "files.watch_retry",
        Kind::Duration,
        "\"5s\"",
        "How long until a watch folder that is missing or unreadable is tried again.",
    ),
    setting(
        "files.poll_interval",
        Kind::Duration,
        "\"10s\"",
        "How often watch folders are scanned that lie on network, bind, FUSE or overlay mounts.",
    ),
    setting(
        "uploads.max_size",
        Kind::Size,
        "\"1GiB\"",
        "How large an uploaded file may be; a tenant may have a limit of its own.",
    ),
    setting(
        "uploads.allowed_types",
        Kind::MediaTypes,
        "[]",
        "What uploaded files may be, by content: media types such as text/csv or image/*; none for any.",
    ),
    setting("uploads.max_files", Kind::Count(1_000), "20", "How many files one request may upload."),
    setting("uploads.timeout", Kind::Duration, "\"1h\"", "How long one upload may take as a whole."),
    setting(
        "uploads.idle_timeout",
        Kind::Duration,
        "\"30s\"",
        "How long an upload may bring nothing before it is given up.",
    ),
    setting(
        "engine.max_running_executions",
        Kind::Count(100_000),
        "16",
        "How many executions run side by side; others wait in order.",
    ),
    setting(
        "engine.max_parallel_steps",
        Kind::Count(10_000),
        "16",
        "How many steps of one execution run side by side.",
    ),
    setting(
        "engine.snapshot_events",
        Kind::Count(1_000_000),
        "100",
        "How many events of a saga are recorded before its state is kept once more, so that it is rebuilt fast.",
    ),
    setting(
        "engine.kill_grace",
        Kind::Duration,
        "\"5s\"",
        "How long a process has between being asked to end and being killed.",
    ),
    setting(
        "engine.shutdown_grace",
        Kind::Duration,
        "\"30s\"",
        "How long running steps may take to end when the server stops.",
    ),
    setting(
        "cluster.lease",
        Kind::Duration,
        "\"10s\"",
        "How long a server of a PostgreSQL database counts as alive without being heard of; at least 1s.",
    ),
    setting(
        "webhooks.allow_private_targets",
        Kind::Switch,
        "false",
        "Whether webhooks may be sent to addresses that are not on the internet: this machine, private networks, metadata services.",
    ),
    setting(
        "webhooks.allowed_networks",
        Kind::Networks,
        "[]",
        "Networks that webhooks may be sent to although they are not on the internet, such as \"10.20.0.0/16\".",
    ),
    setting(
        "webhooks.first_retry",
        Kind::Duration,
        "\"5s\"",
        "How long until a delivery that failed is tried again; each further try waits four times as long.",
    ),
    setting(
        "webhooks.longest_retry",
        Kind::Duration,
        "\"6h\"",
        "How long a delivery waits for its next try at the most, also where the receiver asks for longer.",
    ),
    setting(
        "webhooks.disable_after",
        Kind::Count(100_000),
        "50",
        "After how many failed tries in a row a webhook is switched off.",
    ),
    setting(
        "webhooks.max_in_flight",
        Kind::Count(1_000),
        "16",
        "How many deliveries a server sends side by side; to one receiver all servers together send four.",
    ),
    setting(
        "server.public_url",
        Kind::WebUrl,
        "\"\"",
        "Where others reach this server, such as https://cogwheel.example.com; with it `http` steps send a `Callback-Url` for later answers.",
    ),
    setting("server.workers", Kind::Count(256), "2", "Threads that answer HTTP requests."),
    setting("server.request_timeout", Kind::Duration, "\"30s\"", "How long one request may take."),
    setting("server.body_limit", Kind::Size, "\"1MiB\"", "How large the body of a request may be."),
    setting("server.max_connections", Kind::Count(1_000_000), "1024", "How many connections may be open at a time."),
    setting("server.max_subscriptions", Kind::Count(10_000), "100", "How many subscriptions one WebSocket may hold."),
    setting("graphql.max_depth", Kind::Count(100), "20", "How deep a query may nest."),
    setting(
        "graphql.max_complexity",
        Kind::Count(10_000_000),
        "200000",
        "How many fields a query may ask for, lists counted by their page size.",
    ),
    setting("graphql.introspection", Kind::Switch, "true", "Whether clients may read the schema itself."),
    setting(
        "log.level",
        Kind::Filter,
        "\"info\"",
        "What is logged: error, warn, info, debug, trace, or a filter such as \"info,cogwheel_engine=debug\".",
    ),
    setting("log.format", Kind::Word(&["text", "json"]), "\"text\"", "How it is logged."),
];

/// The setting of this key.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}
