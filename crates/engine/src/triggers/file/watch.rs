//! One watch: takes hints and scans in, and sends settled files on their way.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch as notice};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::Shared;
use super::candidates::{Candidates, Now, Ready};
use super::health::{Health, State};
use super::identity::Identity;
use super::matching::Matcher;
use super::observe::{Hint, Hints, Observer};
use super::scan::{Scan, ScanEvent, ScanReport, Sighting};
use super::spec::WatchSpec;
use super::start::{Verdict, start};
use crate::ports::{HandledFile, WatchHealth};

/// How many files are on their way side by side, so that their starts are committed together.
const AT_ONCE: usize = 64;

/// How long until a file is tried again that the store could not take.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Runs the watch until it is stopped.
pub(super) async fn run(
    shared: Arc<Shared>,
    spec: WatchSpec,
    stop: CancellationToken,
    mut rescans: notice::Receiver<()>,
) {
    let matcher = match Matcher::new(&spec) {
        Ok(matcher) => Arc::new(matcher),
        Err(error) => return error!(workflow = spec.workflow_name, %error, "a folder cannot be watched"),
    };
    let Some(Some(handled)) = stop.run_until_cancelled(handled(&shared, &spec, &stop)).await else { return };
    let (scan_events, mut scanned) = mpsc::channel(16);
    let mut watch = Watch {
        candidates: Candidates::new(spec.settle),
        handled: handled.iter().filter_map(|file| Some((file.path.clone(), Seen::before(file)?))).collect(),
        remarked: HashSet::new(),
        health: Health::default(),
        scanning: Scanning { wants_all: true, ..Scanning::default() },
        hints: Hints::new(),
        jobs: FuturesUnordered::new(),
        in_flight: 0,
        retry_at: None,
        shared,
        spec: Arc::new(spec),
        matcher,
        scan_events,
        stop,
    };
    loop {
        watch.begin();
        let deadline = watch.candidates.next_deadline();
        let retry_at = watch.retry_at;
        tokio::select! {
            () = watch.stop.cancelled() => return,
            Some(done) = watch.jobs.next(), if !watch.jobs.is_empty() => watch.done(done),
            hint = watch.hints.next() => watch.hint(hint),
            Some(event) = scanned.recv() => watch.scanned(event),
            Ok(()) = rescans.changed() => watch.scanning.wants_all = true,
            () = at(deadline), if deadline.is_some() => watch.candidates.expire(Instant::now()),
            () = at(retry_at), if retry_at.is_some() => {
                watch.retry_at = None;
                watch.scanning.wants_all = true;
            }
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// What the ledger has; asked until the store answers.
async fn handled(shared: &Shared, spec: &WatchSpec, stop: &CancellationToken) -> Option<Vec<HandledFile>> {
    while !stop.is_cancelled() {
        match shared.engine.store().handled_files(spec.id).await {
            Ok(handled) => return Some(handled),
            Err(error) => {
                warn!(workflow = spec.workflow_name, %error, "a folder is not watched before the store answers");
                sleep(shared.engine.config().watch_retry).await;
            }
        }
    }
    None
}

/// The version of a path that was handled last.
#[derive(Clone, Copy)]
struct Seen {
    identity: Identity,
    /// The number of the last full scan that found the path.
    scan: u64,
}

impl Seen {
    fn before(file: &HandledFile) -> Option<Self> {
        Some(Self { identity: Identity::of_handled(file)?, scan: 0 })
    }
}

/// The scan that is made, and those that are wanted next.
#[derive(Default)]
struct Scanning {
    is_running: bool,
    observer: Option<Observer>,
    /// Counts the full scans.
    number: u64,
    found_new: bool,
    wants_all: bool,
    wants: Vec<PathBuf>,
}

enum Done {
    Worked(Ready, Verdict),
    HealthWritten(WatchHealth, bool),
}

struct Watch {
    shared: Arc<Shared>,
    spec: Arc<WatchSpec>,
    matcher: Arc<Matcher>,
    stop: CancellationToken,
    candidates: Candidates,
    handled: HashMap<String, Seen>,
    /// Paths that were complained about.
    remarked: HashSet<PathBuf>,
    health: Health,
    scanning: Scanning,
    hints: Hints,
    scan_events: mpsc::Sender<ScanEvent>,
    jobs: FuturesUnordered<BoxFuture<'static, Done>>,
    in_flight: usize,
    retry_at: Option<Instant>,
}

impl Watch {
    fn now(&self) -> Now {
        Now { instant: Instant::now(), at: self.shared.engine.clock().now() }
    }

    /// Begins what can be begun.
    fn begin(&mut self) {
        if !self.scanning.is_running && (self.scanning.wants_all || !self.scanning.wants.is_empty()) {
            self.begin_scan();
        }
        while self.in_flight < AT_ONCE {
            let Some(ready) = self.candidates.take_ready() else { break };
            let handled = ready.path.to_str().and_then(|path| self.handled.get(path)).map(|seen| seen.identity);
            let (shared, spec, stop) = (Arc::clone(&self.shared), Arc::clone(&self.spec), self.stop.clone());
            self.in_flight += 1;
            self.jobs.push(Box::pin(async move {
                let verdict = start(shared, spec, &ready, handled, stop).await;
                Done::Worked(ready, verdict)
            }));
        }
    }

    fn begin_scan(&mut self) {
        let scanning = &mut self.scanning;
        let mut only = std::mem::take(&mut scanning.wants);
        if std::mem::take(&mut scanning.wants_all) {
            only.clear();
            scanning.number += 1;
        }
        scanning.is_running = true;
        let scan = Scan {
            folder: self.spec.folder.clone(),
            matcher: Arc::clone(&self.matcher),
            observer: scanning.observer.take(),
            hints: self.hints.sender(),
            only,
            events: self.scan_events.clone(),
            stop: self.stop.clone(),
        };
        self.shared.engine.trigger_tasks().spawn_blocking(move || scan.run());
    }

    fn hint(&mut self, hint: Hint) {
        let now = self.now();
        match hint {
            Hint::Everything => self.scanning.wants_all = true,
            Hint::Touched(path) if self.takes(&path) => self.candidates.touched(path, now),
            Hint::Closed(path) | Hint::MovedIn(path) if self.takes(&path) => self.candidates.closed(path, now),
            // What was moved in may be a folder: its name need not match.
            Hint::NewFolder(path) | Hint::MovedIn(path) => self.want(path),
            Hint::Touched(_) | Hint::Closed(_) => {}
        }
    }

    /// Wants a folder below the watched one scanned.
    fn want(&mut self, path: PathBuf) {
        if path.strip_prefix(&self.spec.folder).is_ok_and(|relative| self.matcher.descends(relative)) {
            self.scanning.wants.push(path);
        }
    }

    /// Whether a path is wanted, and can be.
    fn takes(&mut self, path: &Path) -> bool {
        if !path.strip_prefix(&self.spec.folder).is_ok_and(|relative| self.matcher.takes(relative)) {
            return false;
        }
        let is_text = path.to_str().is_some();
        if !is_text {
            self.remark(path, "its name is not UTF-8; rename it");
        }
        is_text
    }

    fn remark(&mut self, path: &Path, why: &str) {
        if self.remarked.insert(path.to_owned()) {
            warn!(workflow = self.spec.workflow_name, file = %path.display(), "a file is not taken: {why}");
        }
    }

    fn scanned(&mut self, event: ScanEvent) {
        match event {
            ScanEvent::Found(found) => {
                let now = self.now();
                for sighting in found {
                    self.found(sighting, now);
                }
            }
            ScanEvent::Done(report) => self.scan_ended(report),
        }
    }

    fn found(&mut self, sighting: Sighting, now: Now) {
        if !self.takes(&sighting.path) {
            return;
        }
        if let Some(seen) = sighting.path.to_str().and_then(|path| self.handled.get_mut(path)) {
            seen.scan = self.scanning.number;
            if seen.identity == sighting.identity {
                return;
            }
        }
        self.scanning.found_new = true;
        self.candidates.scanned(sighting, now);
    }

    fn scan_ended(&mut self, report: ScanReport) {
        let ScanReport { observer, is_full, failure, trouble } = report;
        self.scanning.is_running = false;
        self.scanning.observer = observer;
        let found_new = std::mem::take(&mut self.scanning.found_new);
        if !is_full {
            // What went wrong in a part shows again, and is dealt with, in the whole.
            self.scanning.wants_all |= trouble.is_some() && !self.health.needs_retry();
            return;
        }
        if failure.is_none() && trouble.is_none() {
            // Files that are gone need no room; one that comes back is known to the ledger.
            let number = self.scanning.number;
            self.handled.retain(|_, seen| seen.scan == number);
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
        let now = self.now();
        self.health.scanned(&self.spec, state, now.at, found_new);
        self.retry_at = self.health.needs_retry().then(|| now.instant + retry);
        self.write_health();
    }

    fn write_health(&mut self) {
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

    fn done(&mut self, done: Done) {
        match done {
            Done::HealthWritten(health, is_stored) => {
                self.health.wrote(health, is_stored, Instant::now());
                if is_stored {
                    self.write_health();
                }
            }
            Done::Worked(ready, verdict) => {
                self.in_flight -= 1;
                self.worked(ready, verdict);
            }
        }
    }

    fn worked(&mut self, ready: Ready, verdict: Verdict) {
        let now = self.now();
        match verdict {
            Verdict::TryAgain => return self.candidates.try_again(&ready, now.instant + STORE_RETRY),
            Verdict::Changing(identity) => return self.candidates.wait_again(&ready.path, identity, now),
            Verdict::Folder => self.want(ready.path.clone()),
            Verdict::Unreadable(why) => self.remark(&ready.path, &why),
            Verdict::Recorded(identity) => {
                if let Some(path) = ready.path.to_str() {
                    self.remarked.remove(&ready.path);
                    self.handled.insert(path.to_owned(), Seen { identity, scan: self.scanning.number });
                }
            }
            Verdict::Drop => {}
        }
        self.candidates.finish(ready.path, now);
    }
}
