//! What scans find, and what they miss.

use std::sync::Arc;
use std::time::Duration;

use cogwheel_definition::Poll;
use tokio::time::Instant;
use tracing::warn;

use super::{Done, Watch};
use crate::ports::DecisionReason;
use crate::triggers::file::candidates::Now;
use crate::triggers::file::health::State;
use crate::triggers::file::mounts::Mount;
use crate::triggers::file::scan::{Pass, Passed, ScanEvent, ScanReport, Sighting};

impl Watch {
    pub(super) fn scanned(&mut self, event: ScanEvent) {
        let now = self.now();
        match event {
            ScanEvent::On(mount) => self.lies_on(mount),
            ScanEvent::Found(found) => {
                for sighting in found {
                    self.found(sighting, now);
                }
            }
            ScanEvent::Passed(passed) => {
                for Passed { path, why } in passed {
                    match why {
                        Pass::Unfinished => self.pass_unfinished(&path, now),
                        Pass::Ignored => self.pass_ignored(&path, now),
                        Pass::NotOurs(why) => self.refuse(&path, DecisionReason::Unreadable, why, None, now),
                    }
                }
            }
            ScanEvent::Done(report) => self.scan_ended(report, now),
        }
    }

    fn lies_on(&mut self, mount: Option<Mount>) {
        self.health.scan_every = match self.spec.poll {
            Poll::Every(interval) => Some(interval),
            Poll::Never => None,
            Poll::Auto => mount
                .as_ref()
                .filter(|mount| mount.needs_scans())
                .map(|_| self.shared.engine.config().poll_interval.max(Duration::from_millis(1))),
        };
        self.has_steady_inodes = mount.as_ref().is_none_or(|mount| !mount.has_unsteady_inodes());
        self.health.filesystem = mount.map(|mount| mount.filesystem);
    }

    fn found(&mut self, sighting: Sighting, now: Now) {
        if !self.takes(&sighting.path, now) {
            return;
        }
        self.scanning.found.any = true;
        if let Some(seen) = sighting.path.to_str().and_then(|path| self.handled.get_mut(path)) {
            seen.scan = self.scanning.number;
            if seen.identity == sighting.identity {
                // Its device may have another number by now.
                seen.identity = sighting.identity;
                return;
            }
        }
        self.scanning.found.new = true;
        self.candidates.scanned(sighting, now);
    }

    fn scan_ended(&mut self, report: ScanReport, now: Now) {
        let ScanReport { observer, is_full, failure, mut trouble, limit_reached, device } = report;
        self.scanning.is_running = false;
        self.scanning.observer = observer;
        let found_new = std::mem::take(&mut self.scanning.found.new);
        if !is_full {
            // What went wrong in a part shows again, and is dealt with, in the whole.
            self.scanning.wants_all |= trouble.is_some() && !self.health.needs_retry();
            return;
        }
        if let (None, None, Some(device)) = (&failure, &trouble, device) {
            trouble = self.missed(device, now);
        }
        let retry = self.shared.engine.config().watch_retry;
        let state = match (failure, trouble) {
            (Some(why), _) => State::Failed(format!(
                "cannot read the folder {}: {why}; make it readable or correct the workflow's `path`; it is tried again every {retry:?}",
                self.spec.folder.display()
            )),
            (None, Some(why)) => State::Degraded(why),
            (None, None) => State::Healthy,
        };
        self.health.limit_reached = limit_reached;
        self.health.scanned(&self.spec, state, now.at, found_new);
        self.health.has_events = (!self.health.has_failed()).then_some(self.scanning.observer.is_some());
        self.retry_at = self.health.needs_retry().then(|| now.instant + retry);
        self.rescan_at = self.health.scan_every.map(|every| now.instant + every);
        self.write_health();
    }

    /// Looks after the files that a full scan did not find. Those of another device are not gone: what they lie on is
    /// not mounted, or not here. Answers what is wrong then.
    fn missed(&mut self, device: u64, now: Now) -> Option<String> {
        if self.scanning.found.any {
            self.home = Some(device);
        }
        if self.home.is_some_and(|home| home != device) {
            return Some(
                "the folder is empty and lies on another device than its files did; mount its file system again"
                    .to_owned(),
            );
        }
        let (number, tells) = (self.scanning.number, self.spec.events.deleted);
        let mut gone = Vec::new();
        self.handled.retain(|path, seen| {
            if seen.scan == number {
                return true;
            }
            // Files that are gone need no room; one that comes back is known to the ledger.
            let is_deleted = tells && seen.identity.device == device;
            if is_deleted {
                gone.push(path.into());
            }
            is_deleted
        });
        for path in gone {
            self.candidates.touched(path, now);
        }
        None
    }

    pub(super) fn write_health(&mut self) {
        let Some(health) = self.health.begin_write(Instant::now()) else { return };
        let (shared, spec) = (Arc::clone(&self.shared), Arc::clone(&self.spec));
        self.jobs.push(Box::pin(async move {
            let written = shared.engine.store().set_watch_health(spec.id, health.clone()).await;
            if let Err(error) = &written {
                warn!(workflow = spec.workflow_name, %error, "the health of a watch could not be recorded");
            }
            Done::HealthWritten(health, written.is_ok())
        }));
    }
}
