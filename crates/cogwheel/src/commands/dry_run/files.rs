//! Which folders a workflow watches, which uploads it takes, and what becomes of their files.

use std::fmt::Write as _;

use cogwheel_definition::{After, DoneMarker, FileTrigger, Poll};
use serde::Serialize;

use super::plan::milliseconds;
use super::text::written;

/// A watched folder, or the uploads that are taken.
#[derive(Debug, Serialize)]
pub(super) struct PlannedWatch {
    key: String,
    source: &'static str,
    /// The folder; none for uploads.
    path: Option<String>,
    mime: Vec<String>,
    min_size: Option<u64>,
    max_size: Option<u64>,
    #[serde(rename = "match")]
    include: Vec<String>,
    ignore: Vec<String>,
    events: Vec<&'static str>,
    settle_ms: u64,
    /// `auto`, `never`, or how often the folder is scanned.
    poll: String,
    done_marker: Option<String>,
    batch: Option<PlannedBatch>,
    after_success: String,
    after_failure: String,
}

#[derive(Debug, Serialize)]
struct PlannedBatch {
    max_files: u32,
    max_wait_ms: u64,
}

impl PlannedWatch {
    pub(super) fn of(trigger: &FileTrigger) -> Self {
        let after = |after: &After| match after {
            After::Keep => "keep".to_owned(),
            After::Delete => "delete".to_owned(),
            After::Move(folder) => folder.clone(),
        };
        Self {
            key: trigger.key.clone(),
            source: trigger.source.as_str(),
            path: trigger.source.folder().map(str::to_owned),
            mime: trigger.content.mime.clone(),
            min_size: trigger.content.min_size,
            max_size: trigger.content.max_size,
            include: trigger.include.clone(),
            ignore: trigger.ignore.clone(),
            events: trigger.events.words(),
            settle_ms: milliseconds(trigger.settle),
            poll: match trigger.poll {
                Poll::Auto => "auto".to_owned(),
                Poll::Never => "never".to_owned(),
                Poll::Every(interval) => written(milliseconds(interval)),
            },
            done_marker: trigger.done_marker.as_ref().map(DoneMarker::text),
            batch: trigger
                .batch
                .map(|batch| PlannedBatch { max_files: batch.max_files, max_wait_ms: milliseconds(batch.max_wait) }),
            after_success: after(&trigger.after_success),
            after_failure: after(&trigger.after_failure),
        }
    }

    /// What their content must be.
    fn content(&self) -> String {
        let mut text = String::new();
        if !self.mime.is_empty() {
            let _ = write!(text, " that are {}", self.mime.join(" or "));
        }
        match (self.min_size, self.max_size) {
            (None, None) => {}
            (Some(least), None) => _ = write!(text, " of at least {least} bytes"),
            (None, Some(most)) => _ = write!(text, " of at most {most} bytes"),
            (Some(least), Some(most)) => _ = write!(text, " of {least} to {most} bytes"),
        }
        text
    }

    pub(super) fn to_text(&self) -> String {
        let Some(path) = &self.path else {
            return format!("uploads ({}): {}{}\n", self.key, self.include.join(", "), self.content());
        };
        let (events, include) = (self.events.join(", "), self.include.join(", "));
        let mut text = format!("folder `{path}` ({}): {events} of {include}{}", self.key, self.content());
        match &self.done_marker {
            Some(marker) => _ = write!(text, ", once {marker} is there"),
            None => _ = write!(text, ", unchanged for {}", written(self.settle_ms)),
        }
        if let Some(PlannedBatch { max_files, max_wait_ms }) = &self.batch {
            let _ = write!(text, ", up to {max_files} together after {}", written(*max_wait_ms));
        }
        let _ = write!(text, "; afterwards {} (failed: {})", self.after_success, self.after_failure);
        text + "\n"
    }
}
