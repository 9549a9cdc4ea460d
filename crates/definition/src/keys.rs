//! The keys of the language: what the reader takes, and what the schema for editors describes.

/// The keys that one kind of mapping may have.
pub(crate) struct Keys {
    /// What the mapping is, for messages.
    pub(crate) what: &'static str,
    /// The keys it may have.
    pub(crate) known: &'static [&'static str],
    /// Those that the language has but this release does not run.
    pub(crate) not_yet: &'static [&'static str],
}

pub(crate) const WORKFLOW: Keys = Keys {
    what: "a workflow",
    known: &[
        "name",
        "description",
        "labels",
        "inputs",
        "outputs",
        "on",
        "env",
        "defaults",
        "concurrency",
        "timeout",
        "queue_timeout",
        "priority",
        "history",
        "steps",
        "on_failure",
        "finally",
        "saga",
    ],
    not_yet: &[],
};

pub(crate) const DEFAULTS: Keys = Keys { what: "`defaults`", known: &["timeout", "retry"], not_yet: &[] };

pub(crate) const CONCURRENCY: Keys = Keys { what: "`concurrency`", known: &["key", "limit", "overflow"], not_yet: &[] };

pub(crate) const ON: Keys = Keys { what: "`on`", known: &["schedule", "file", "webhook", "event"], not_yet: &[] };

pub(crate) const SCHEDULE: Keys = Keys {
    what: "a schedule",
    known: &[
        "id",
        "cron",
        "every",
        "anchor",
        "timezone",
        "dst",
        "starts_at",
        "ends_at",
        "exclude",
        "jitter",
        "catch_up",
        "window",
        "overlap",
        "inputs",
    ],
    not_yet: &[],
};

pub(crate) const DST: Keys = Keys { what: "`dst`", known: &["gap", "overlap"], not_yet: &[] };

pub(crate) const FILE: Keys = Keys {
    what: "a file trigger",
    known: &[
        "id",
        "source",
        "path",
        "match",
        "ignore",
        "mime",
        "min_size",
        "max_size",
        "events",
        "settle",
        "poll",
        "done_marker",
        "batch",
        "after",
    ],
    not_yet: &[],
};

/// The keys of a file trigger that say something about a folder, and nothing about an upload; each with what to do instead.
pub(crate) const FOLDER_ONLY: [(&str, &str); 7] = [
    (
        "path",
        "an upload lies in no folder: choose uploads by `match`, or leave `source: upload` out to watch the folder",
    ),
    ("events", "an upload is always a new file: leave it out"),
    ("settle", "an upload is whole when it is there: leave it out"),
    ("poll", "an upload is reported by itself: leave it out"),
    ("done_marker", "an upload is whole when it is there: leave it out"),
    ("batch", "each upload starts an execution of its own: leave it out"),
    ("after", "uploaded bytes are kept and stay as they are: leave it out"),
];

pub(crate) const WEBHOOK: Keys = Keys {
    what: "a webhook",
    known: &[
        "id",
        "path",
        "secret",
        "signature",
        "tolerance",
        "methods",
        "max_body",
        "reply",
        "reply_timeout",
        "inputs",
    ],
    not_yet: &[],
};

pub(crate) const EVENT: Keys = Keys { what: "an event trigger", known: &["id", "type", "if", "inputs"], not_yet: &[] };
pub(crate) const BATCH: Keys = Keys { what: "`batch`", known: &["max_files", "max_wait"], not_yet: &[] };

pub(crate) const AFTER: Keys = Keys { what: "`after`", known: &["success", "failure"], not_yet: &[] };

pub(crate) const STEP: Keys = Keys {
    what: "a step",
    known: &[
        "id",
        "name",
        "needs",
        "if",
        "foreach",
        "max_parallel",
        "until",
        "every",
        "max_attempts",
        "run",
        "uses",
        "with",
        "steps",
        "switch",
        "cases",
        "default",
        "env",
        "timeout",
        "retry",
        "on_lost",
        "continue_on_error",
        "outputs",
        "compensate",
        "pivot",
        "retriable",
    ],
    not_yet: &["wait", "runs_on"],
};

pub(crate) const SAGA: Keys = Keys { what: "`saga`", known: &["deadline", "on_undo_failure"], not_yet: &[] };

pub(crate) const COMPENSATE: Keys = Keys {
    what: "`compensate`",
    known: &["name", "run", "uses", "with", "steps", "env", "timeout", "retry", "outputs"],
    not_yet: &[],
};

/// Keys of a step that an undo does not have, and why.
pub(crate) const NOT_OF_UNDO: [(&str, &str); 14] = [
    ("id", "it is called after the step that it undoes"),
    ("needs", "its turn follows from the steps: it comes in the reverse of their order"),
    ("if", "what may have happened is undone, always; decide inside of it, in a group"),
    ("foreach", "each item of the step is undone by itself; repeat inside of it, in a group"),
    ("max_parallel", "as many are undone at once as the step had under way"),
    ("until", "repeat inside of it, in a group"),
    ("every", "repeat inside of it, in a group"),
    ("max_attempts", "how often it is tried is said by its `retry`"),
    ("switch", "choose inside of it, in a group"),
    ("on_lost", "it is always tried again when the server died while it ran"),
    (
        "continue_on_error",
        "whether it was undone must be known; `saga.on_undo_failure` says what follows when it was not",
    ),
    ("compensate", "an undo is not undone"),
    ("pivot", "an undo is not part of the way forward"),
    ("retriable", "how often it is tried is said by its `retry`"),
];

/// The keys of a step of which one says what it does.
pub(crate) const FORMS: [&str; 4] = ["run", "uses", "steps", "switch"];

/// Keys of a step that say more about another one.
pub(crate) const COMPANIONS: [(&str, &str); 6] = [
    ("max_parallel", "foreach"),
    ("every", "until"),
    ("max_attempts", "until"),
    ("with", "uses"),
    ("cases", "switch"),
    ("default", "switch"),
];

pub(crate) const CASE: Keys = Keys { what: "a case", known: &["when", "steps"], not_yet: &[] };

pub(crate) const RETRY: Keys = Keys {
    what: "`retry`",
    known: &["attempts", "backoff", "delay", "max_delay", "jitter", "max_elapsed", "on"],
    not_yet: &[],
};

pub(crate) const SHELL: Keys = Keys { what: "the values of `shell`", known: &["script"], not_yet: &[] };

pub(crate) const LOG: Keys = Keys { what: "the values of `log`", known: &["message", "level"], not_yet: &[] };

pub(crate) const WAIT: Keys = Keys {
    what: "the values of `wait`",
    known: &["for", "until", "signal", "event", "failure", "subject", "correlation"],
    not_yet: &[],
};

pub(crate) const CHILD: Keys =
    Keys { what: "the values of `workflow`", known: &["name", "inputs", "wait"], not_yet: &[] };

/// A step type whose values are handed on as they are.
pub(crate) struct CallType {
    pub(crate) name: &'static str,
    pub(crate) keys: Keys,
    /// The value that must be there.
    pub(crate) required: &'static str,
}

pub(crate) const CALLS: [CallType; 3] = [
    CallType {
        name: "http",
        keys: Keys {
            what: "the values of `http`",
            known: &["method", "url", "headers", "query", "body", "json", "expect", "max_response", "follow_redirects"],
            not_yet: &[],
        },
        required: "url",
    },
    CallType {
        name: "transform",
        keys: Keys {
            what: "the values of `transform`",
            known: &["input", "jq", "from", "to", "delimiter", "header"],
            not_yet: &[],
        },
        required: "input",
    },
    CallType {
        name: EMIT,
        keys: Keys { what: "the values of `emit`", known: &["type", "data", "subject"], not_yet: &[] },
        required: "type",
    },
];

/// The step type that records events.
pub(crate) const EMIT: &str = "emit";

/// The words after `uses`, beside `./name`.
pub(crate) const STEP_TYPES: [&str; 8] = ["shell", "set", "log", "http", "transform", "emit", "wait", "workflow"];

/// Step types that the language has but this release does not run.
pub(crate) const STEP_TYPES_NOT_YET: [&str; 7] = ["sql", "file", "extract", "approval", "agent", "notify", "saga"];
