//! Reads a file trigger: `on.file`.

use std::collections::HashMap;
use std::time::Duration;

use globset::GlobBuilder;

use crate::diagnostic::{Code, quoted};
use crate::source::Span;
use crate::suggest;
use crate::tree::{Kind, Node};
use crate::{
    After, ContentFilter, DoneMarker, FileBatch, FileEvent, FileEvents, FileSource, FileTrigger, Poll, duration, files,
    keys,
};

use super::fields::Fields;
use super::inputs::ReadInputs;
use super::reader::Reader;

/// How long a file must be unchanged when the document does not say.
const DEFAULT_SETTLE: Duration = Duration::from_secs(1);

/// What a batch is when the document does not say.
const DEFAULT_BATCH: FileBatch = FileBatch { max_files: 100, max_wait: Duration::from_secs(10) };

/// The most files of a batch: they are one record.
pub(crate) const MAX_BATCH: u64 = 10_000;

/// The longest name of a marker, as file systems have it.
pub(crate) const LONGEST_MARKER: usize = 255;

/// The longest path.
const LONGEST_PATH: usize = 4096;

/// The largest size that a trigger may speak of: 1 TiB.
const LARGEST_SIZE: u64 = 1 << 40;

/// Scanning more often than this is work for nothing.
const SHORTEST_POLL: Duration = Duration::from_millis(100);

/// The longest time between two scans.
const LONGEST_POLL: Duration = Duration::from_hours(24);

impl Reader<'_, '_> {
    pub(super) fn file(
        &mut self,
        index: usize,
        node: &Node,
        inputs: &ReadInputs,
        keys: &mut HashMap<String, Span>,
    ) -> Option<FileTrigger> {
        let fields = self.fields(node, &keys::FILE)?;
        let key = self.key(&fields, format!("file-{index}"), keys);
        let include = match fields.get("match") {
            Some(node) => self.patterns(node, "match"),
            None => vec!["*".to_owned()],
        };
        let ignore = fields.get("ignore").map(|node| self.patterns(node, "ignore")).unwrap_or_default();
        let events = fields.get("events").map(|node| self.events(node)).unwrap_or_default();
        let settle = fields.get("settle").and_then(|node| self.duration(node, "settle"));
        let poll = fields.get("poll").and_then(|node| self.poll(node)).unwrap_or_default();
        let done_marker = fields.get("done_marker").and_then(|node| self.done_marker(node));
        let batch = fields.get("batch").map(|node| self.batch(node));
        let required = inputs.inputs.fields.iter().find(|field| field.is_required());
        if let Some(field) = required.filter(|_| !inputs.has_problems) {
            let message = format!("a file cannot start the workflow: nothing gives the input `{}` a value", field.name);
            let help = format!("give `{}` a default", field.name);
            self.report.add(Code::InvalidInput, fields.node.span, message, help);
        }
        let content = self.content(&fields);
        let source = self.source(&fields);
        let folder = source.as_ref().and_then(FileSource::folder);
        let [after_success, after_failure] = self.afters(&fields, folder);
        let recursive = include.iter().any(|pattern| pattern.contains('/'));
        Some(FileTrigger {
            key,
            source: source?,
            include,
            ignore,
            content,
            recursive,
            events,
            settle: settle.unwrap_or(DEFAULT_SETTLE),
            poll,
            done_marker,
            batch,
            after_success,
            after_failure,
        })
    }

    /// Where the files come from. What says something about a folder has no meaning for uploads.
    fn source(&mut self, fields: &Fields<'_>) -> Option<FileSource> {
        let words = FileSource::WORDS.map(|word| (word, word));
        let word = match fields.get("source") {
            Some(node) => self.word(node, "source", &words, &[])?,
            None => FileSource::WORDS[0],
        };
        if word == FileSource::Upload.as_str() {
            for (key, help) in keys::FOLDER_ONLY {
                let Some(entry) = fields.entry(key) else { continue };
                let message = format!("`{key}` is for folders, and has no meaning with `source: upload`");
                self.report.add(Code::InvalidValue, entry.key_span, message, help.to_owned());
            }
            return Some(FileSource::Upload);
        }
        let Some(node) = fields.get("path") else {
            let message = "a file trigger needs the `path` of a folder, or `source: upload`";
            self.missing(fields, "path", Code::MissingKey, message);
            return None;
        };
        self.folder(node, "path").map(FileSource::Directory)
    }

    fn content(&mut self, fields: &Fields<'_>) -> ContentFilter {
        let mime = fields.get("mime").map(|node| self.media_types(node)).unwrap_or_default();
        let mut size = |key| {
            let node = fields.get(key)?;
            self.size(node, key, LARGEST_SIZE)
        };
        let (min_size, max_size) = (size("min_size"), size("max_size"));
        if let (Some(least), Some(most), Some(node)) = (min_size, max_size, fields.get("max_size"))
            && least > most
        {
            let help = "no file is that large and that small: swap them, or leave one out".to_owned();
            self.report.add(Code::InvalidValue, node.span, "max_size is less than min_size", help);
        }
        ContentFilter { mime, min_size, max_size }
    }

    fn media_types(&mut self, node: &Node) -> Vec<String> {
        let read = self.texts(node, "mime");
        if read.is_empty() && Self::one_or_more(node).is_empty() {
            let help = "leave it out to take every type".to_owned();
            self.report.add(Code::InvalidValue, node.span, "mime names no type", help);
        }
        let mut types = Vec::new();
        for (text, span) in read {
            if let Some(media_type) = files::parse_media_type(&text) {
                types.push(media_type);
                continue;
            }
            let message = format!("mime: {} is no media type", quoted(&text));
            let help = "write one such as `text/csv`, or `image/*` for all of a kind".to_owned();
            self.report.add(Code::InvalidValue, span, message, help);
        }
        types
    }

    fn events(&mut self, node: &Node) -> FileEvents {
        let words = FileEvent::ALL.map(|event| (event.as_str(), event));
        let items = Self::one_or_more(node);
        if items.is_empty() {
            let help = "leave it out for created and modified files".to_owned();
            self.report.add(Code::InvalidValue, node.span, "events names no event", help);
        }
        let read: Vec<FileEvent> = items.iter().filter_map(|item| self.word(item, "events", &words, &[])).collect();
        FileEvents::of(&read)
    }

    fn poll(&mut self, node: &Node) -> Option<Poll> {
        let text = match &*node.kind {
            Kind::Scalar { text, .. } => text.as_str(),
            Kind::List(_) | Kind::Map(_) => "",
        };
        if let Some((_, poll)) = Poll::WORDS.into_iter().find(|(word, _)| *word == text) {
            return Some(poll);
        }
        let is_word = text.starts_with(|first: char| first.is_alphabetic() && first != 'P');
        if is_word && duration::parse(text).is_err() {
            let message = format!("poll must be `auto`, `never` or a duration such as `30s`, not {}", quoted(text));
            let help = suggest::did_you_mean(text, Poll::WORDS.map(|(word, _)| word));
            self.report.add(Code::InvalidValue, node.span, message, help);
            return None;
        }
        let interval = self.duration(node, "poll")?;
        if (SHORTEST_POLL..=LONGEST_POLL).contains(&interval) {
            return Some(Poll::Every(interval));
        }
        let message = format!(
            "poll must be from {} to {}, not {}",
            duration::shown(SHORTEST_POLL),
            duration::shown(LONGEST_POLL),
            quoted(text)
        );
        let help = "`never` leaves regular scans out".to_owned();
        self.report.add(Code::InvalidDuration, node.span, message, help);
        None
    }

    fn done_marker(&mut self, node: &Node) -> Option<DoneMarker> {
        let text = self.text(node, "done_marker")?;
        let help = "write one name for all files of a folder, such as `_SUCCESS`, or one for each file, such as \
                    `{name}.done` or `{stem}.ok`";
        let problem = if text.contains('/') {
            "is a path, but a marker lies beside its files"
        } else if text.contains('\0') || text.len() > LONGEST_MARKER {
            "cannot be the name of a file"
        } else if text.contains(['*', '?']) {
            "is a pattern, but a marker has one name"
        } else if let Some(marker) = DoneMarker::parse(&text) {
            return Some(marker);
        } else {
            "is not the name of a marker"
        };
        let message = format!("done_marker {} {problem}", quoted(&text));
        self.report.add(Code::InvalidValue, node.span, message, help.to_owned());
        None
    }

    fn batch(&mut self, node: &Node) -> FileBatch {
        let Some(fields) = self.fields(node, &keys::BATCH) else { return DEFAULT_BATCH };
        let files = fields.get("max_files").and_then(|node| self.whole_number(node, "max_files", 1..=MAX_BATCH));
        let wait = fields.get("max_wait").and_then(|node| self.timeout(node, "max_wait"));
        FileBatch {
            max_files: files.and_then(|files| u32::try_from(files).ok()).unwrap_or(DEFAULT_BATCH.max_files),
            max_wait: wait.unwrap_or(DEFAULT_BATCH.max_wait),
        }
    }

    /// What is done after success, and after failure.
    fn afters(&mut self, fields: &Fields<'_>, watched: Option<&str>) -> [After; 2] {
        let Some(node) = fields.get("after") else { return <[After; 2]>::default() };
        let Some(fields) = self.fields(node, &keys::AFTER) else { return <[After; 2]>::default() };
        ["success", "failure"]
            .map(|when| fields.get(when).and_then(|node| self.after(node, when, watched)).unwrap_or_default())
    }

    fn after(&mut self, node: &Node, when: &str, watched: Option<&str>) -> Option<After> {
        let what = format!("after.{when}");
        let text = self.text(node, &what)?;
        if let Some((_, after)) = After::WORDS.into_iter().find(|(word, _)| *word == text) {
            return Some(after);
        }
        let meant = suggest::nearest(&text, After::WORDS.map(|(word, _)| word).into_iter().chain(["move"]));
        if let Some(word) = meant.filter(|_| !text.contains('/')) {
            let message = format!("{what} must be `keep`, `delete` or a folder, not {}", quoted(&text));
            let help = if word == "move" {
                "write the folder that the file is moved to, such as `archive/`".to_owned()
            } else {
                format!("did you mean `{word}`? A folder of that name is written `./{text}`")
            };
            self.report.add(Code::InvalidValue, node.span, message, help);
            return None;
        }
        let folder = self.folder(node, &what)?;
        if watched.is_some_and(|watched| plain(watched) == plain(&folder)) {
            let message = format!("{what} moves files to the folder that they are in");
            self.report.add(Code::InvalidValue, node.span, message, "name another folder, or `keep`".to_owned());
            return None;
        }
        Some(After::Move(folder))
    }

    fn folder(&mut self, node: &Node, what: &str) -> Option<String> {
        let path = self.text(node, what)?;
        if path.contains("://") {
            self.not_yet(node.span, &format!("an object store as `{what}`"));
            return None;
        }
        let (problem, help) = if path.contains('*') {
            ("names a pattern, not a folder", "put the folder here and the pattern under `match`")
        } else if path.contains('\0') || path.len() > LONGEST_PATH {
            ("cannot be a folder", "use a shorter path without control characters")
        } else {
            return Some(path);
        };
        let named = if what == "path" { "the path" } else { what };
        let message = format!("{named} {} {problem}", quoted(&path));
        self.report.add(Code::InvalidValue, node.span, message, help.to_owned());
        None
    }

    fn patterns(&mut self, node: &Node, what: &str) -> Vec<String> {
        let mut patterns = Vec::new();
        let read = self.texts(node, what);
        if read.is_empty() && Self::one_or_more(node).is_empty() && what == "match" {
            self.report.add(
                Code::InvalidValue,
                node.span,
                "match names no pattern",
                "leave it out to take every file".to_owned(),
            );
        }
        for (pattern, span) in read {
            let problem = match GlobBuilder::new(&pattern).literal_separator(true).build() {
                Err(error) => Some(error.kind().to_string()),
                Ok(_) if pattern.starts_with('/') => {
                    Some("patterns are matched below the folder, without a leading `/`".to_owned())
                }
                Ok(_) => None,
            };
            if let Some(reason) = problem {
                let message = format!("the pattern {} is not valid: {reason}", quoted(&pattern));
                self.report.add(Code::InvalidPattern, span, message, None);
            }
            patterns.push(pattern);
        }
        patterns
    }
}

/// A path without what does not change its meaning.
fn plain(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect()
}
