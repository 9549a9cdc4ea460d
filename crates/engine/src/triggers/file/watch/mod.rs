//! One watch: takes hints and scans in, and sends settled files on their way.

mod scanned;
mod worked;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cogwheel_definition::Poll;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch as notice};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::Shared;
use super::batch::Batches;
use super::candidates::{Candidates, Now, Ready};
use super::decisions::{Decisions, Refusal};
use super::health::Health;
use super::identity::Identity;
use super::matching::{Matcher, Named};
use super::observe::{Hint, Hints, Observer};
use super::scan::{Scan, ScanEvent};
use super::spec::WatchSpec;
use super::start::{Known, Verdict, start, start_batch};
use crate::ports::{DecisionReason, FileDecision, HandledFile, WatchHealth};

/// How many files are on their way side by side, so that their starts are committed together.
const AT_ONCE: usize = 256;

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
    // A marker says what quiet would say.
    let settle = if spec.done_marker.is_some() { Duration::ZERO } else { spec.settle };
    let mut watch = Watch {
        candidates: Candidates::new(settle),
        batches: Batches::new(&spec),
        handled: handled.iter().filter_map(|file| Some((file.path.clone(), Seen::before(file)?))).collect(),
        decisions: Decisions::default(),
        health: Health::default(),
        scanning: Scanning { wants_all: true, ..Scanning::default() },
        hints: Hints::new(),
        jobs: FuturesUnordered::new(),
        in_flight: 0,
        has_steady_inodes: true,
        home: None,
        retry_at: None,
        rescan_at: None,
        shared,
        spec: Arc::new(spec),
        matcher,
        scan_events,
        stop,
    };
    loop {
        watch.begin();
        let deadline = watch.candidates.next_deadline();
        let batch_at = watch.batches.next_deadline();
        let (retry_at, rescan_at) = (watch.retry_at, watch.rescan_at);
        tokio::select! {
            () = watch.stop.cancelled() => return,
            Some(done) = watch.jobs.next(), if !watch.jobs.is_empty() => watch.done(done),
            hint = watch.hints.next() => watch.hint(hint),
            Some(event) = scanned.recv() => watch.scanned(event),
            Ok(()) = rescans.changed() => watch.scanning.wants_all = true,
            () = at(deadline), if deadline.is_some() => watch.candidates.expire(Instant::now()),
            () = at(batch_at), if batch_at.is_some() => {}
            () = at(retry_at), if retry_at.is_some() => watch.rescan(),
            () = at(rescan_at), if rescan_at.is_some() => watch.rescan(),
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
    found: Finds,
    wants_all: bool,
    wants: Vec<PathBuf>,
}

/// What scans found.
#[derive(Default)]
struct Finds {
    /// Whether the scan found a file that is not handled.
    new: bool,
    /// Whether the last full scan found any file.
    any: bool,
}

enum Done {
    Worked(Ready, Verdict),
    Batched(Vec<(Ready, Verdict)>),
    HealthWritten(WatchHealth, bool),
    /// With those that could not be written.
    DecisionsWritten(Vec<FileDecision>),
}

struct Watch {
    shared: Arc<Shared>,
    spec: Arc<WatchSpec>,
    matcher: Arc<Matcher>,
    stop: CancellationToken,
    candidates: Candidates,
    batches: Batches,
    handled: HashMap<String, Seen>,
    decisions: Decisions,
    health: Health,
    scanning: Scanning,
    hints: Hints,
    scan_events: mpsc::Sender<ScanEvent>,
    jobs: FuturesUnordered<BoxFuture<'static, Done>>,
    in_flight: usize,
    has_steady_inodes: bool,
    /// The device on which files were found last.
    home: Option<u64>,
    /// When the folder is looked at again after something went wrong.
    retry_at: Option<Instant>,
    /// When it is scanned again regularly.
    rescan_at: Option<Instant>,
}

impl Watch {
    fn now(&self) -> Now {
        Now { instant: Instant::now(), at: self.shared.engine.clock().now() }
    }

    fn rescan(&mut self) {
        (self.retry_at, self.rescan_at) = (None, None);
        self.scanning.wants_all = true;
    }

    /// Begins what can be begun.
    fn begin(&mut self) {
        if !self.scanning.is_running && (self.scanning.wants_all || !self.scanning.wants.is_empty()) {
            self.begin_scan();
        }
        while self.in_flight < AT_ONCE {
            let Some(ready) = self.candidates.take_ready() else { break };
            let handled = ready.path.to_str().and_then(|path| self.handled.get(path)).map(|seen| seen.identity);
            let marker = self.matcher.marker_of(&ready.path);
            let known = Known { handled, marker, has_steady_inodes: self.has_steady_inodes };
            let (shared, spec, stop) = (Arc::clone(&self.shared), Arc::clone(&self.spec), self.stop.clone());
            self.in_flight += 1;
            self.jobs.push(Box::pin(async move {
                let verdict = start(shared, spec, &ready, known, stop).await;
                Done::Worked(ready, verdict)
            }));
        }
        // Those that wait for their batch are candidates, too.
        let comes = self.candidates.len() > self.batches.len() || self.scanning.is_running;
        while let Some(files) = self.batches.take_due(Instant::now(), !comes) {
            let (shared, spec, steady) = (Arc::clone(&self.shared), Arc::clone(&self.spec), self.has_steady_inodes);
            self.jobs.push(Box::pin(async move { Done::Batched(start_batch(shared, spec, steady, files).await) }));
        }
        self.write_decisions();
    }

    fn begin_scan(&mut self) {
        let scanning = &mut self.scanning;
        let mut only = std::mem::take(&mut scanning.wants);
        if std::mem::take(&mut scanning.wants_all) {
            only.clear();
            scanning.number += 1;
            scanning.found.any = false;
        }
        only.sort_unstable();
        only.dedup();
        scanning.is_running = true;
        let scan = Scan {
            folder: self.spec.folder.clone(),
            matcher: Arc::clone(&self.matcher),
            observer: scanning.observer.take(),
            observes: !matches!(self.spec.poll, Poll::Every(_)),
            has_steady_inodes: self.has_steady_inodes,
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
            Hint::Overflow => {
                self.health.overflows += 1;
                self.health
                    .failed("reports of the kernel were lost; the folder was scanned instead".to_owned(), now.at);
                self.scanning.wants_all = true;
            }
            Hint::Touched(path) => {
                if self.takes(&path, now) {
                    self.candidates.touched(path, now);
                }
            }
            Hint::Closed(path) => {
                if self.takes(&path, now) {
                    self.candidates.closed(path, now);
                }
            }
            Hint::MovedIn(path) => {
                if self.takes(&path, now) {
                    self.candidates.closed(path, now);
                } else {
                    // It may be a folder: its name need not match.
                    self.want(path);
                }
            }
            Hint::NewFolder(path) => self.want(path),
            Hint::Gone(path) => self.gone(path, now),
        }
    }

    /// Something is there no more; whether it was a file is not known.
    fn gone(&mut self, path: PathBuf, now: Now) {
        if !self.spec.events.deleted {
            return;
        }
        let Some(text) = path.to_str() else { return };
        if self.handled.contains_key(text) {
            self.candidates.touched(path, now);
        } else if self.spec.is_recursive && self.handled.keys().any(|known| Path::new(known).starts_with(&path)) {
            self.scanning.wants_all = true;
        }
    }

    /// Wants a folder below the watched one scanned.
    fn want(&mut self, path: PathBuf) {
        if path.strip_prefix(&self.spec.folder).is_ok_and(|relative| self.matcher.descends(relative)) {
            self.scanning.wants.push(path);
        }
    }

    /// Whether a path is wanted, and can be. What a marker speaks for is looked for, and what is left alone is noted.
    fn takes(&mut self, path: &Path, now: Now) -> bool {
        let Ok(relative) = path.strip_prefix(&self.spec.folder) else { return false };
        match self.matcher.named(relative) {
            Named::Wanted if path.to_str().is_some() => return true,
            Named::Wanted => {
                self.refuse(path, DecisionReason::Unreadable, "its name is not UTF-8; rename it", None, now);
            }
            Named::Marker => self.scanning.wants.extend(path.parent().map(Path::to_owned)),
            Named::Unfinished => self.pass_unfinished(path, now),
            Named::Ignored => self.pass_ignored(path, now),
            Named::Foreign => {}
        }
        false
    }

    fn pass_unfinished(&mut self, path: &Path, now: Now) {
        let why = "its name says that it is hidden or not finished";
        self.refuse(path, DecisionReason::HiddenOrTemporary, why, None, now);
    }

    fn pass_ignored(&mut self, path: &Path, now: Now) {
        self.refuse(path, DecisionReason::FilteredPattern, "a pattern of `ignore` leaves it out", None, now);
    }

    /// Notes a file that starts nothing.
    fn refuse(&mut self, path: &Path, reason: DecisionReason, detail: &str, version: Option<Identity>, now: Now) {
        let clock = Arc::clone(self.shared.engine.clock());
        let refusal = Refusal { path, reason, detail, version, first_seen: now.at };
        let is_new = self.decisions.refuse(&self.spec, &*clock, &refusal);
        if is_new && reason == DecisionReason::Unreadable {
            warn!(workflow = self.spec.workflow_name, file = %path.display(), "a file is not taken: {detail}");
            self.health.failed(format!("{}: {detail}", path.display()), now.at);
        }
        self.health.ignored = self.decisions.ignored();
    }

    fn write_decisions(&mut self) {
        let Some(decisions) = self.decisions.begin_write() else { return };
        let (shared, spec) = (Arc::clone(&self.shared), Arc::clone(&self.spec));
        self.jobs.push(Box::pin(async move {
            match shared.engine.store().record_decisions(decisions.clone()).await {
                Ok(()) => Done::DecisionsWritten(Vec::new()),
                Err(error) => {
                    warn!(workflow = spec.workflow_name, %error, "files that start nothing could not be recorded yet");
                    sleep(STORE_RETRY).await;
                    Done::DecisionsWritten(if error.is_transient() { decisions } else { Vec::new() })
                }
            }
        }));
    }
}
