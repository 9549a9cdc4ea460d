//! What a file trigger says.

use std::time::Duration;

use serde_json::{Value, json};

use crate::workflow::milliseconds;

/// A watched folder, or the uploads that are wanted.
#[derive(Debug, Clone)]
pub struct FileTrigger {
    /// Unique among the workflow's triggers: the given id or `file-<index>`.
    pub key: String,
    /// Where the files come from.
    pub source: FileSource,
    /// Globs over the path below the folder, or over the name of an upload; one must match.
    pub include: Vec<String>,
    /// Globs over the path below the folder, or over the file name; none may match.
    pub ignore: Vec<String>,
    /// What the content must be, and how large.
    pub content: ContentFilter,
    /// Whether a pattern of `include` reaches into subfolders.
    pub recursive: bool,
    /// What must have happened to a file.
    pub events: FileEvents,
    /// How long a file must have been unchanged before it counts as whole.
    pub settle: Duration,
    /// How the folder is observed.
    pub poll: Poll,
    /// The file that says that others are whole.
    pub done_marker: Option<DoneMarker>,
    /// How many files start one execution; `None` for one each.
    pub batch: Option<FileBatch>,
    /// What is done with a file whose execution completed.
    pub after_success: After,
    /// What is done with a file whose execution ended otherwise.
    pub after_failure: After,
}

/// Where the files of a trigger come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FileSource {
    /// From this folder, as written; a relative one is taken from the configured root.
    Directory(String),
    /// From clients, over HTTP.
    Upload,
}

/// What the content of a file must be, and how large; without a word about it, anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContentFilter {
    /// Media types, in lower case: `text/csv`, or `image/*` for all of a kind. None stands for any.
    pub mime: Vec<String>,
    /// The fewest bytes.
    pub min_size: Option<u64>,
    /// The most bytes.
    pub max_size: Option<u64>,
}

/// What can happen to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileEvent {
    /// It is there for the first time.
    Created,
    /// It was there before and is another version now.
    Modified,
    /// A version that was seen is there no more.
    Deleted,
}

/// What must have happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileEvents {
    /// New files count.
    pub created: bool,
    /// Changed files count.
    pub modified: bool,
    /// Files that went count.
    pub deleted: bool,
}

/// How a folder is observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Poll {
    /// By the kernel's reports, and by regular scans where those cannot be relied on.
    #[default]
    Auto,
    /// By the kernel's reports.
    Never,
    /// By a scan this often, and by nothing else.
    Every(Duration),
}

/// The name of the file that says that others are whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DoneMarker {
    /// One for all files of its folder.
    Folder(String),
    /// One for each file: the name is made of the file's.
    File {
        /// What stands before the file's name.
        before: String,
        /// Whether the file's last extension is left out.
        is_stem: bool,
        /// What stands after it.
        after: String,
    },
}

/// How many files start one execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileBatch {
    /// As many as this start it at once.
    pub max_files: u32,
    /// Fewer start it when the first of them has waited this long.
    pub max_wait: Duration,
}

/// What is done with a file once its execution has ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum After {
    /// It stays.
    #[default]
    Keep,
    /// It is deleted.
    Delete,
    /// It is moved to this folder, as written; a relative one is taken from the configured root.
    Move(String),
}

impl FileSource {
    /// Every word.
    pub(crate) const WORDS: [&'static str; 2] = ["directory", "upload"];

    /// The folder, if there is one.
    pub fn folder(&self) -> Option<&str> {
        match self {
            Self::Directory(path) => Some(path),
            Self::Upload => None,
        }
    }

    /// The word of the language.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            Self::Upload => "upload",
        }
    }
}

impl ContentFilter {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.mime.is_empty() && self.min_size.is_none() && self.max_size.is_none()
    }

    /// Whether a file may have so many bytes.
    pub fn takes_size(&self, size: u64) -> bool {
        self.min_size.is_none_or(|least| size >= least) && self.max_size.is_none_or(|most| size <= most)
    }

    /// Whether a file may be of this media type.
    pub fn takes_type(&self, media_type: &str) -> bool {
        takes_media_type(&self.mime, media_type)
    }
}

/// Whether a media type is one of these, where `image/*` stands for all of a kind and an empty list for any.
pub fn takes_media_type(allowed: &[String], media_type: &str) -> bool {
    let is_taken = |allowed: &String| match allowed.strip_suffix('*') {
        Some(kind) => media_type.starts_with(kind),
        None => allowed == media_type,
    };
    allowed.is_empty() || allowed.iter().any(is_taken)
}

/// The media type, or the kind of them (`image/*`), that a text names, in lower case; `None` if it names neither.
pub fn parse_media_type(text: &str) -> Option<String> {
    let (kind, of_kind) = text.split_once('/')?;
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_'))
    };
    (is_name(kind) && (of_kind == "*" || is_name(of_kind))).then(|| text.to_ascii_lowercase())
}

impl FileEvent {
    /// Every word.
    pub(crate) const ALL: [Self; 3] = [Self::Created, Self::Modified, Self::Deleted];

    /// The word of the language.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Modified => "modified",
            Self::Deleted => "deleted",
        }
    }
}

impl Default for FileEvents {
    fn default() -> Self {
        Self { created: true, modified: true, deleted: false }
    }
}

impl FileEvents {
    /// The events of a list.
    pub(crate) fn of(events: &[FileEvent]) -> Self {
        Self {
            created: events.contains(&FileEvent::Created),
            modified: events.contains(&FileEvent::Modified),
            deleted: events.contains(&FileEvent::Deleted),
        }
    }

    /// Whether it counts.
    pub fn has(self, event: FileEvent) -> bool {
        match event {
            FileEvent::Created => self.created,
            FileEvent::Modified => self.modified,
            FileEvent::Deleted => self.deleted,
        }
    }

    /// The words of those that count.
    pub fn words(self) -> Vec<&'static str> {
        FileEvent::ALL.into_iter().filter(|event| self.has(*event)).map(FileEvent::as_str).collect()
    }
}

impl Poll {
    /// Every word; a duration takes the place of one.
    pub(crate) const WORDS: [(&'static str, Self); 2] = [("auto", Self::Auto), ("never", Self::Never)];
}

impl DoneMarker {
    /// Reads `_SUCCESS`, `{name}.done` or `{stem}.ok`; `None` if braces stand otherwise.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parts = [("{name}", false), ("{stem}", true)];
        let marker = parts.into_iter().find_map(|(word, is_stem)| {
            let (before, after) = text.split_once(word)?;
            Some(Self::File { before: before.to_owned(), is_stem, after: after.to_owned() })
        });
        let marker = marker.unwrap_or_else(|| Self::Folder(text.to_owned()));
        let rest = match &marker {
            Self::Folder(name) => name.clone(),
            Self::File { before, after, .. } => format!("{before}{after}"),
        };
        let is_name_alone = matches!(&marker, Self::File { .. }) && rest.is_empty();
        (!rest.contains(['{', '}']) && !is_name_alone).then_some(marker)
    }

    /// As it is written.
    pub fn text(&self) -> String {
        match self {
            Self::Folder(name) => name.clone(),
            Self::File { before, is_stem: false, after } => format!("{before}{{name}}{after}"),
            Self::File { before, is_stem: true, after } => format!("{before}{{stem}}{after}"),
        }
    }

    /// The marker of the file of this name.
    pub fn of_file(&self, name: &str) -> String {
        match self {
            Self::Folder(marker) => marker.clone(),
            Self::File { before, is_stem, after } => {
                let cut = name.rfind('.').filter(|at| *is_stem && *at > 0).unwrap_or(name.len());
                format!("{before}{}{after}", &name[..cut])
            }
        }
    }

    /// Whether a file of this name is a marker and no file of its own.
    pub fn is_marker(&self, name: &str) -> bool {
        match self {
            Self::Folder(marker) => name == marker,
            Self::File { before, after, .. } => {
                name.len() > before.len() + after.len()
                    && name.starts_with(before.as_str())
                    && name.ends_with(after.as_str())
            }
        }
    }
}

impl After {
    /// The words that are no folder.
    pub(crate) const WORDS: [(&'static str, Self); 2] = [("keep", Self::Keep), ("delete", Self::Delete)];

    fn to_json(&self) -> Value {
        match self {
            Self::Keep => json!("keep"),
            Self::Delete => json!("delete"),
            Self::Move(folder) => json!({ "move": folder }),
        }
    }
}

impl FileTrigger {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "key": self.key,
            "source": self.source.as_str(),
            "path": self.source.folder(),
            "include": self.include,
            "ignore": self.ignore,
            "mime": self.content.mime,
            "min_size": self.content.min_size,
            "max_size": self.content.max_size,
            "recursive": self.recursive,
            "events": self.events.words(),
            "settle_ms": milliseconds(self.settle),
            "poll": match self.poll {
                Poll::Auto => json!("auto"),
                Poll::Never => json!("never"),
                Poll::Every(interval) => json!(milliseconds(interval)),
            },
            "done_marker": self.done_marker.as_ref().map(DoneMarker::text),
            "batch": self.batch.map(|batch| json!({
                "max_files": batch.max_files,
                "max_wait_ms": milliseconds(batch.max_wait),
            })),
            "after_success": self.after_success.to_json(),
            "after_failure": self.after_failure.to_json(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_looks_at_type_and_size() {
        let mime = ["text/csv", "image/*"].map(str::to_owned).to_vec();
        let filter = ContentFilter { mime, min_size: Some(2), max_size: Some(4) };
        for (media_type, is_taken) in [
            ("text/csv", true),
            ("image/png", true),
            ("text/plain", false),
            ("imagery/png", false),
            ("text/csv2", false),
        ] {
            assert_eq!(filter.takes_type(media_type), is_taken, "{media_type}");
        }
        assert_eq!([1, 2, 4, 5].map(|size| filter.takes_size(size)), [false, true, true, false]);
        let any = ContentFilter::default();
        assert!(any.is_empty() && any.takes_type("a/b") && any.takes_size(0));
        assert_eq!(parse_media_type("Text/CSV").as_deref(), Some("text/csv"));
        for wrong in ["csv", "*/*", "*", "text/", "/csv", "text/c sv", "text/csv;x=1", "a/b/c", "text/c*"] {
            assert_eq!(parse_media_type(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_marker_is_for_a_folder_or_for_each_file() {
        let folder = DoneMarker::parse("_SUCCESS").unwrap();
        assert_eq!(folder.of_file("a.csv"), "_SUCCESS");
        assert!(folder.is_marker("_SUCCESS") && !folder.is_marker("a.csv"));
        let name = DoneMarker::parse("{name}.done").unwrap();
        assert_eq!(name.of_file("a.tar.gz"), "a.tar.gz.done");
        assert!(name.is_marker("a.csv.done") && !name.is_marker(".done") && !name.is_marker("a.csv"));
        let stem = DoneMarker::parse("ok-{stem}").unwrap();
        assert_eq!(
            (stem.of_file("a.tar.gz"), stem.of_file("plain"), stem.of_file(".env")),
            ("ok-a.tar".into(), "ok-plain".into(), "ok-.env".into())
        );
        assert_eq!((name.text(), stem.text()), ("{name}.done".into(), "ok-{stem}".into()));
        for wrong in ["{name}", "{stem}", "{nam}.done", "{name}{stem}", "a{"] {
            assert_eq!(DoneMarker::parse(wrong), None, "{wrong}");
        }
    }
}
