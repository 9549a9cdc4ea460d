//! What came of the candidates.

use std::path::Path;

use tokio::time::Instant;

use super::{Done, STORE_RETRY, Seen, Watch};
use crate::ports::DecisionReason;
use crate::triggers::file::batch::Settled;
use crate::triggers::file::candidates::{Now, Ready};
use crate::triggers::file::identity::Identity;
use crate::triggers::file::start::Verdict;

impl Watch {
    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::HealthWritten(health, is_stored) => {
                self.health.wrote(health, is_stored, Instant::now());
                if is_stored {
                    self.write_health();
                }
            }
            Done::DecisionsWritten(failed) => self.decisions.wrote(failed),
            Done::Worked(ready, verdict) => {
                self.in_flight -= 1;
                self.worked(ready, verdict);
            }
            Done::Batched(files) => {
                for (ready, verdict) in files {
                    self.worked(ready, verdict);
                }
            }
        }
    }

    fn worked(&mut self, ready: Ready, verdict: Verdict) {
        let now = self.now();
        match verdict {
            Verdict::TryAgain => return self.candidates.try_again(&ready, now.instant + STORE_RETRY),
            Verdict::Changing(identity) => return self.candidates.wait_again(&ready.path, identity, now),
            Verdict::Settled(identity, version) => {
                let folder = ready.path.parent().map(Path::to_owned);
                if self.batches.add(Settled { ready, identity, version: *version }, now.instant) {
                    self.scanning.wants.extend(folder);
                }
                return;
            }
            Verdict::Folder => self.want(ready.path.clone()),
            Verdict::Unreadable(why) => {
                let at = Now { at: ready.first_seen, ..now };
                self.refuse(&ready.path, DecisionReason::Unreadable, &why, None, at);
            }
            Verdict::Gone => self.vanished(&ready),
            Verdict::Recorded(identity) => self.handled(&ready, identity),
            Verdict::Filtered(identity, version, reason, why) => {
                self.decisions.filter(&version, identity, reason, why);
                self.handled(&ready, identity);
            }
            Verdict::EndRecorded => drop(ready.path.to_str().and_then(|path| self.handled.remove(path))),
            Verdict::Drop => {}
        }
        self.candidates.finish(ready.path, now);
    }

    fn handled(&mut self, ready: &Ready, identity: Identity) {
        if let Some(path) = ready.path.to_str() {
            self.handled.insert(path.to_owned(), Seen { identity, scan: self.scanning.number });
        }
    }

    /// A file went. If it never was whole, that is all there is to say of it.
    fn vanished(&mut self, ready: &Ready) {
        let is_handled = ready.path.to_str().is_some_and(|path| self.handled.contains_key(path));
        if !is_handled {
            let now = Now { at: ready.first_seen, ..self.now() };
            self.refuse(&ready.path, DecisionReason::Vanished, "it was gone before it had settled", None, now);
        }
    }
}
