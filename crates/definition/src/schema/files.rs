//! The keys of a file trigger.

use serde_json::{Value, json};

use crate::{FileEvent, FileSource, Poll, keys};

use super::execution::size;
use super::shapes::{Properties, about, duration, id, named, one_or_more, text, texts, whole, word};
use crate::read::{LONGEST_MARKER, MAX_BATCH};

pub(super) fn file() -> Properties {
    let poll = json!({ "anyOf": [word(Poll::WORDS.map(|(word, _)| word)), duration()] });
    let marker = json!({ "type": "string", "minLength": 1, "maxLength": LONGEST_MARKER, "pattern": "^[^/]+$",
        "examples": ["_SUCCESS", "{name}.done", "{stem}.ok"] });
    vec![
        ("id", about("Its name in records.", id())),
        (
            "source",
            about(
                "Where the files come from: a folder that is watched, or uploads over HTTP; directory without it.",
                word(FileSource::WORDS),
            ),
        ),
        ("path", about("The folder to watch; a relative one is taken from the configured root.", text())),
        ("match", about("Patterns of the files that start it; `*` without it.", texts())),
        ("ignore", about("Patterns of files to leave alone.", texts())),
        (
            "mime",
            about(
                "Media types that start it, by content: `text/csv`, or `image/*` for all of a kind; any without it.",
                media_types(),
            ),
        ),
        ("min_size", about("The fewest bytes of a file, such as `1KiB`; any number without it.", size())),
        ("max_size", about("The most bytes of a file, such as `10MiB`; any number without it.", size())),
        (
            "events",
            about(
                "What must have happened to a file; created and modified without it.",
                one_or_more(&word(FileEvent::ALL.map(FileEvent::as_str))),
            ),
        ),
        (
            "settle",
            about("How long a file must have been unchanged before it counts as whole; 1s without it.", duration()),
        ),
        (
            "poll",
            about(
                "auto: by the kernel's reports, and regular scans where those cannot be relied on; never: by the \
                 kernel's reports; a duration: by a scan this often, and by nothing else.",
                poll,
            ),
        ),
        (
            "done_marker",
            about(
                "The file that says that others are whole: one name for all files of its folder, or one for each \
                 file, made with {name} or {stem}.",
                marker,
            ),
        ),
        ("batch", about("One execution for many files; one for each without it.", named("batch"))),
        ("after", about("What is done with a file once its execution has ended.", named("after"))),
    ]
}

/// A folder needs a path; what says something about a folder has no meaning for uploads.
pub(super) fn file_rules() -> Value {
    let folder_only = keys::FOLDER_ONLY.map(|(key, _)| json!({ "required": [key] }));
    json!({
        "if": { "properties": { "source": { "const": "upload" } }, "required": ["source"] },
        "then": { "not": { "anyOf": folder_only } },
        "else": { "required": ["path"] },
    })
}

fn media_types() -> Value {
    let one = json!({ "type": "string", "pattern": "^[A-Za-z0-9.+_-]+/([A-Za-z0-9.+_-]+|\\*)$",
        "examples": ["text/csv", "image/*"] });
    one_or_more(&one)
}

pub(super) fn batch() -> Properties {
    vec![
        ("max_files", about("As many files start the execution at once; 100 without it.", whole(1, MAX_BATCH))),
        ("max_wait", about("Fewer start it when the first has waited this long; 10s without it.", duration())),
    ]
}

pub(super) fn after() -> Properties {
    let action = || {
        let mut action = text();
        action["examples"] = json!(["keep", "delete", "archive/"]);
        action
    };
    vec![
        ("success", about("When it completed: keep, delete, or the folder to move the file to.", action())),
        ("failure", about("When it ended otherwise: keep, delete, or the folder to move the file to.", action())),
    ]
}
