//! How a watch is doing: told to people and kept in the store, each change once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::{info, warn};

use super::spec::WatchSpec;
use crate::ports::WatchHealth;

/// A scan that found nothing new is not worth a write; this often it is recorded all the same.
const RECORD_SCANS: Duration = Duration::from_mins(10);

/// A burst of files brings many scans; not each is recorded.
const RECORD_FINDS: Duration = Duration::from_mins(1);

/// How a watch is doing, and what of it the store knows.
#[derive(Default)]
pub(super) struct Health {
    state: Option<State>,
    last_scan_at: Option<DateTime<Utc>>,
    has_news: bool,
    written: Option<(WatchHealth, Instant)>,
    is_writing: bool,
    /// Whether the kernel reports changes.
    pub(super) has_events: Option<bool>,
    /// The type of the file system.
    pub(super) filesystem: Option<String>,
    /// How often the folder is scanned regularly.
    pub(super) scan_every: Option<Duration>,
    /// How often reports were lost.
    pub(super) overflows: u64,
    /// Whether a limit of the system is in the way.
    pub(super) limit_reached: bool,
    /// How many names were left alone.
    pub(super) ignored: u64,
    last_error: Option<(String, DateTime<Utc>)>,
}

/// What a scan says about the watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// All is well.
    Healthy,
    /// Files are found, but later than they could be, or not all of them.
    Degraded(String),
    /// The folder cannot be seen.
    Failed(String),
}

impl Health {
    /// Notes the outcome of a full scan; a change is logged once.
    pub(super) fn scanned(&mut self, spec: &WatchSpec, state: State, at: DateTime<Utc>, found_new: bool) {
        if !matches!(state, State::Failed(_)) {
            self.last_scan_at = Some(at);
        }
        self.has_news |= found_new;
        if self.state.as_ref() == Some(&state) {
            return;
        }
        if let State::Failed(why) | State::Degraded(why) = &state {
            self.failed(why.clone(), at);
        }
        let (workflow, folder) = (&spec.workflow_name, spec.folder.display());
        match &state {
            State::Failed(why) => warn!(workflow, %folder, "cannot watch the folder: {why}"),
            State::Degraded(why) => warn!(workflow, %folder, "the folder is watched in part only: {why}"),
            State::Healthy if self.state.is_some() => info!(workflow, %folder, "the folder is watched again"),
            State::Healthy => {}
        }
        self.state = Some(state);
    }

    /// Notes something that went wrong.
    pub(super) fn failed(&mut self, why: String, at: DateTime<Utc>) {
        self.last_error = Some((why, at));
    }

    /// Whether the folder cannot be seen.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state, Some(State::Failed(_)))
    }

    /// What has to be written now, if anything; [`Health::wrote`] ends it.
    pub(super) fn begin_write(&mut self, now: Instant) -> Option<WatchHealth> {
        let state = self.state.as_ref()?;
        let (healthy, problem) = match state {
            State::Healthy => (true, None),
            State::Degraded(why) => (true, Some(why.clone())),
            State::Failed(why) => (false, Some(why.clone())),
        };
        let wanted = WatchHealth {
            healthy,
            problem,
            last_scan_at: self.last_scan_at,
            has_events: self.has_events,
            filesystem: self.filesystem.clone(),
            scan_every_ms: self.scan_every.map(|every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX)),
            overflows: self.overflows,
            limit_reached: self.limit_reached,
            last_error: self.last_error.clone(),
            ignored: self.ignored,
        };
        let is_due = match &self.written {
            None => true,
            Some((written, at)) => {
                let age = now.duration_since(*at);
                let seldom =
                    WatchHealth { last_scan_at: wanted.last_scan_at, ignored: wanted.ignored, ..written.clone() };
                let is_other = seldom != wanted;
                let is_scanned = written.last_scan_at != wanted.last_scan_at;
                is_other || (is_scanned && (age >= RECORD_SCANS || (self.has_news && age >= RECORD_FINDS)))
            }
        };
        if self.is_writing || !is_due {
            return None;
        }
        self.is_writing = true;
        Some(wanted)
    }

    /// A write ended; what failed is tried again after the next scan.
    pub(super) fn wrote(&mut self, health: WatchHealth, is_stored: bool, now: Instant) {
        self.is_writing = false;
        if is_stored {
            self.has_news = false;
            self.written = Some((health, now));
        }
    }

    /// Whether the folder has to be looked at again soon.
    pub(super) fn needs_retry(&self) -> bool {
        matches!(self.state, Some(State::Failed(_) | State::Degraded(_)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn only_changes_are_written() {
        let (mut health, start) = (Health::default(), Instant::now());
        let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap();
        health.scanned(&WatchSpec::plain(Path::new("/in")), State::Healthy, at(1), false);
        let first = health.begin_write(start).unwrap();
        assert!(first.healthy && first.last_scan_at == Some(at(1)));
        assert!(health.begin_write(start).is_none(), "one write at a time");
        health.wrote(first, true, start);
        for second in 2..300 {
            health.scanned(&WatchSpec::plain(Path::new("/in")), State::Healthy, at(second), false);
            assert!(health.begin_write(start + Duration::from_secs(second.unsigned_abs())).is_none(), "idle");
        }
        health.scanned(&WatchSpec::plain(Path::new("/in")), State::Failed("gone".to_owned()), at(301), false);
        let failed = health.begin_write(start + RECORD_FINDS).unwrap();
        assert_eq!((failed.healthy, failed.problem.as_deref()), (false, Some("gone")));
        assert_eq!(failed.last_scan_at, Some(at(299)), "a folder that was not seen was not scanned");
        health.wrote(failed.clone(), false, start);
        assert_eq!(failed.last_error, Some(("gone".to_owned(), at(301))));
        assert_eq!(health.begin_write(start), Some(failed), "a failed write is made up for");
    }
}
