//! Servers that end themselves at one commit after the other: debug builds do at the one that `CRASH_POINT` names.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::server::listening;
use crate::{Home, until};

/// How many servers crash side by side: they mostly wait.
const SIDE_BY_SIDE: usize = 6;

/// Before or after which commit of a server it ends itself, as `kill -9` would, and before anybody is answered.
#[derive(Clone, Copy, Debug)]
pub struct CrashPoint {
    moment: &'static str,
    commit: usize,
}

/// A server that is going to end itself. Dropped, it is gone.
#[derive(Debug)]
pub struct Crashing {
    point: CrashPoint,
    child: Child,
    log: PathBuf,
}

impl CrashPoint {
    /// Tries the moments before and after every commit, or every `stride`th, until a run ends before its commit comes.
    /// `crash` makes one run, and answers whether its server crashed at all.
    ///
    /// # Panics
    ///
    /// When a run takes other than so many commits: then something is not run, or it never ends.
    pub fn each(commits: &Range<usize>, stride: usize, crash: impl Fn(Self) -> bool + Sync) {
        for moment in ["before", "after"] {
            let next = AtomicUsize::new(1);
            let taken = AtomicUsize::new(commits.end);
            thread::scope(|scope| {
                for _ in 0..SIDE_BY_SIDE {
                    scope.spawn(|| {
                        loop {
                            let commit = next.fetch_add(stride, Ordering::Relaxed);
                            if commit > taken.load(Ordering::Relaxed) {
                                return;
                            }
                            if !crash(Self { moment, commit }) {
                                taken.fetch_min(commit, Ordering::Relaxed);
                            }
                        }
                    });
                }
            });
            let taken = taken.into_inner();
            assert!(commits.contains(&taken), "{taken} commits");
        }
    }

    /// Starts a server that ends itself here. It may have done so before it listens.
    ///
    /// # Panics
    ///
    /// When the binary cannot be run.
    pub fn serve(self, home: &Home) -> Crashing {
        let log = home.path("elsewhere/crashing.log");
        let output = File::create(&log).expect("the log can be written");
        let errors = output.try_clone().expect("the log can be shared");
        let mut command = home.command(&["serve"]);
        command.env("CRASH_POINT", self.to_string()).stdout(output).stderr(errors);
        Crashing { point: self, child: command.spawn().expect("the binary runs"), log }
    }
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.moment, self.commit)
    }
}

impl Crashing {
    /// Where it listens; `None` if it crashed before it did.
    ///
    /// # Panics
    ///
    /// When neither comes to pass.
    pub fn address(&mut self) -> Option<String> {
        until(format!("the server to listen, or to crash at {}", self.point), || {
            if self.child.try_wait().expect("it is our child").is_some() {
                return Some(None);
            }
            listening(&self.log).map(Some)
        })
    }

    /// Waits until it has crashed, or everything is done; whether it crashed. It is gone either way.
    ///
    /// # Panics
    ///
    /// When neither comes to pass, or it ended in another way.
    pub fn has_crashed(mut self, mut is_done: impl FnMut() -> bool) -> bool {
        let ended = until(format!("the crash at {}", self.point), || {
            let ended = self.child.try_wait().expect("it is our child");
            (ended.is_some() || is_done()).then_some(ended)
        });
        if let Some(ended) = ended {
            assert_eq!(ended.signal(), Some(9), "{}: {ended}", self.point);
        }
        ended.is_some()
    }
}

impl Drop for Crashing {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
