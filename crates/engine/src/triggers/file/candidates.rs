//! Files that are not handled yet: which still settle, which are ready, which are being worked on.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::examine::Quiet;
use super::identity::Identity;
use super::scan::Sighting;

/// With `settle: 0`, how long a file whose writer has not closed it must be quiet before it is looked at.
const UNCLOSED: Duration = Duration::from_millis(500);

/// One instant, for waiting and for records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) at: DateTime<Utc>,
}

struct Candidate {
    first_seen: DateTime<Utc>,
    quiet: Quiet,
    phase: Phase,
}

enum Phase {
    /// Until it has been quiet long enough.
    Waiting(Instant),
    Ready,
    /// Being examined or started; with what happened to it meanwhile.
    Working(Option<Quiet>),
}

/// A candidate to work on.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) path: PathBuf,
    pub(super) first_seen: DateTime<Utc>,
    pub(super) quiet: Quiet,
}

/// The candidates of one watch.
pub(super) struct Candidates {
    settle: Duration,
    by_path: HashMap<PathBuf, Candidate>,
    /// When to look at a waiting candidate; it may have been given more time since.
    timers: BTreeSet<(Instant, PathBuf)>,
    ready: VecDeque<PathBuf>,
}

impl Candidates {
    pub(super) fn new(settle: Duration) -> Self {
        Self { settle, by_path: HashMap::new(), timers: BTreeSet::new(), ready: VecDeque::new() }
    }

    /// Something happened to the file.
    pub(super) fn touched(&mut self, path: PathBuf, now: Now) {
        let wait = if self.settle.is_zero() { UNCLOSED } else { self.settle };
        self.put(path, Quiet::Since(now.at), wait, now);
    }

    /// Its writer closed the file, or put it into place.
    pub(super) fn closed(&mut self, path: PathBuf, now: Now) {
        let quiet = if self.settle.is_zero() { Quiet::Closed } else { Quiet::Since(now.at) };
        self.put(path, quiet, self.settle, now);
    }

    /// A scan saw the file like this. What events say of a candidate is better known.
    pub(super) fn scanned(&mut self, sighting: Sighting, now: Now) {
        let Sighting { path, identity, changed_at } = sighting;
        let age = (now.at - changed_at).to_std().unwrap_or_default();
        // Whoever writes a file that is in a folder before the folder is watched closes it unseen.
        let wait = if self.settle.is_zero() { UNCLOSED.saturating_sub(age) } else { self.settle };
        match self.by_path.get(&path).map(|candidate| candidate.quiet) {
            Some(Quiet::Still(seen)) if seen == identity => {}
            None | Some(Quiet::Still(_)) => self.put(path, Quiet::Still(identity), wait, now),
            Some(Quiet::Closed | Quiet::Since(_)) => {}
        }
    }

    fn put(&mut self, path: PathBuf, quiet: Quiet, wait: Duration, now: Now) {
        let phase = if wait.is_zero() { Phase::Ready } else { Phase::Waiting(now.instant + wait) };
        let Some(candidate) = self.by_path.get_mut(&path) else {
            self.queue(&path, &phase);
            self.by_path.insert(path, Candidate { first_seen: now.at, quiet, phase });
            return;
        };
        match (&mut candidate.phase, &phase) {
            (Phase::Working(again), _) => *again = Some(quiet),
            // With `settle: 0` it is looked at as it is; looking again shows whether it was whole.
            (Phase::Ready, _) if self.settle.is_zero() => {}
            (Phase::Waiting(until), Phase::Waiting(later)) => {
                *until = *later;
                candidate.quiet = quiet;
            }
            _ => {
                candidate.quiet = quiet;
                self.requeue(&path, phase);
            }
        }
    }

    fn requeue(&mut self, path: &Path, phase: Phase) {
        self.queue(path, &phase);
        if let Some(candidate) = self.by_path.get_mut(path) {
            candidate.phase = phase;
        }
    }

    fn queue(&mut self, path: &Path, phase: &Phase) {
        match phase {
            Phase::Waiting(until) => {
                self.timers.insert((*until, path.to_owned()));
            }
            Phase::Ready => self.ready.push_back(path.to_owned()),
            Phase::Working(_) => {}
        }
    }

    /// How many there are, those that are worked on among them.
    pub(super) fn len(&self) -> usize {
        self.by_path.len()
    }

    /// When the next waiting candidate may have settled.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(until, _)| *until)
    }

    /// Makes the candidates ready that have waited long enough.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.timers.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, path)) = self.timers.pop_first() else { return };
            let Some(candidate) = self.by_path.get_mut(&path) else { continue };
            match candidate.phase {
                Phase::Waiting(until) if until <= now => {
                    candidate.phase = Phase::Ready;
                    self.ready.push_back(path);
                }
                Phase::Waiting(until) => {
                    self.timers.insert((until, path));
                }
                Phase::Ready | Phase::Working(_) => {}
            }
        }
    }

    /// The next candidate to work on; it is over with [`Candidates::finish`] or [`Candidates::wait_again`].
    pub(super) fn take_ready(&mut self) -> Option<Ready> {
        while let Some(path) = self.ready.pop_front() {
            if let Some(candidate) = self.by_path.get_mut(&path)
                && matches!(candidate.phase, Phase::Ready)
            {
                candidate.phase = Phase::Working(None);
                return Some(Ready { path, first_seen: candidate.first_seen, quiet: candidate.quiet });
            }
        }
        None
    }

    /// It was worked on. What happened to it meanwhile makes it a candidate again.
    pub(super) fn finish(&mut self, path: PathBuf, now: Now) {
        if let Some(Candidate { phase: Phase::Working(Some(quiet)), .. }) = self.by_path.remove(&path) {
            match quiet {
                Quiet::Closed => self.closed(path, now),
                Quiet::Since(_) | Quiet::Still(_) => self.touched(path, now),
            }
        }
    }

    /// It was not whole, and looked like this.
    pub(super) fn wait_again(&mut self, path: &Path, identity: Identity, now: Now) {
        let wait = if self.settle.is_zero() { UNCLOSED } else { self.settle };
        self.put_off(path, Quiet::Still(identity), now.instant + wait);
    }

    /// Something else stood in the way; it is tried again `at` then.
    pub(super) fn try_again(&mut self, ready: &Ready, at: Instant) {
        self.put_off(&ready.path, ready.quiet, at);
    }

    fn put_off(&mut self, path: &Path, quiet: Quiet, until: Instant) {
        if let Some(candidate) = self.by_path.get_mut(path) {
            candidate.quiet = match candidate.phase {
                Phase::Working(Some(newer)) => newer,
                _ => quiet,
            };
            self.requeue(path, Phase::Waiting(until));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn now() -> Now {
        Now { instant: Instant::now(), at: DateTime::UNIX_EPOCH }
    }

    fn later(now: Now, by: Duration) -> Now {
        Now { instant: now.instant + by, at: now.at + by }
    }

    #[test]
    fn a_file_is_ready_once_it_was_quiet_long_enough() {
        let (mut candidates, start) = (Candidates::new(SECOND), now());
        candidates.touched("a".into(), start);
        let written = later(start, SECOND / 2);
        candidates.closed("a".into(), written);
        candidates.expire(start.instant + SECOND);
        assert!(candidates.take_ready().is_none(), "written to half a second ago");
        candidates.expire(written.instant + SECOND);
        let ready = candidates.take_ready().unwrap();
        assert!(matches!(ready.quiet, Quiet::Since(at) if at == written.at));
        assert_eq!(ready.first_seen, start.at);
        candidates.finish(ready.path, written);
        assert!(candidates.next_deadline().is_none() && candidates.take_ready().is_none());
    }

    #[test]
    fn without_settling_a_closed_file_is_ready_at_once_and_an_open_one_is_not() {
        let (mut candidates, start) = (Candidates::new(Duration::ZERO), now());
        candidates.touched("a".into(), start);
        assert!(candidates.take_ready().is_none());
        candidates.closed("a".into(), start);
        assert!(matches!(candidates.take_ready().unwrap().quiet, Quiet::Closed));
        candidates.touched("b".into(), start);
        candidates.expire(start.instant + UNCLOSED);
        assert!(matches!(candidates.take_ready().unwrap().quiet, Quiet::Since(_)));
    }

    #[test]
    fn what_happens_during_the_work_is_looked_at_afterwards() {
        let (mut candidates, start) = (Candidates::new(Duration::ZERO), now());
        candidates.closed("a".into(), start);
        let first = candidates.take_ready().unwrap();
        candidates.closed("a".into(), start);
        assert!(candidates.take_ready().is_none(), "one at a time");
        candidates.finish(first.path, start);
        assert!(candidates.take_ready().is_some());
    }

    fn sighting(path: &str, size: u64, changed_at: DateTime<Utc>) -> Sighting {
        Sighting { path: path.into(), identity: Identity { size, modified_us: 0, device: 0, inode: 0 }, changed_at }
    }

    #[test]
    fn a_scan_starts_the_wait_anew_only_if_the_file_changed() {
        let (mut candidates, start) = (Candidates::new(SECOND), now());
        candidates.scanned(sighting("a", 1, start.at), start);
        let again = later(start, SECOND / 2);
        candidates.scanned(sighting("a", 1, start.at), again);
        candidates.expire(start.instant + SECOND);
        assert!(candidates.take_ready().is_some());
        candidates.scanned(sighting("b", 1, start.at), start);
        candidates.scanned(sighting("b", 2, again.at), again);
        candidates.expire(start.instant + SECOND);
        assert!(candidates.take_ready().is_none());
    }

    #[test]
    fn without_settling_a_scanned_file_is_ready_unless_it_is_being_written() {
        let (mut candidates, start) = (Candidates::new(Duration::ZERO), now());
        candidates.scanned(sighting("old", 1, start.at - SECOND), start);
        assert!(candidates.take_ready().is_some());
        candidates.scanned(sighting("new", 1, start.at), start);
        assert!(candidates.take_ready().is_none());
        candidates.expire(start.instant + UNCLOSED);
        assert!(matches!(candidates.take_ready().unwrap().quiet, Quiet::Still(_)));
    }

    #[test]
    fn ten_thousand_settle_in_order() {
        let (mut candidates, start) = (Candidates::new(SECOND), now());
        for number in 0..10_000_u32 {
            candidates.closed(format!("{number}").into(), later(start, Duration::from_micros(number.into())));
        }
        candidates.expire(start.instant + SECOND + SECOND);
        for number in 0..10_000 {
            assert_eq!(candidates.take_ready().unwrap().path, PathBuf::from(number.to_string()));
        }
    }
}
