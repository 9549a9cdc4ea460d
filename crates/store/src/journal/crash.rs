//! Ends the process at a commit of choice: for tests that prove that any write may be the last. Debug builds only.

/// On which side of a commit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

/// The process ends here, as by `kill -9`, if this is the commit that `CRASH_POINT` (`before:12`, `after:12`) names.
#[cfg(debug_assertions)]
pub(super) fn point(side: Side) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    static NAMED: LazyLock<Option<(Side, usize)>> = LazyLock::new(|| {
        let named = std::env::var("CRASH_POINT").ok()?;
        let (side, commit) = named.split_once(':')?;
        let side = if side == "before" { Side::Before } else { Side::After };
        Some((side, commit.parse().ok()?))
    });
    static COMMITS: AtomicUsize = AtomicUsize::new(0);

    let Some((named, commit)) = *NAMED else { return };
    let begun = COMMITS.fetch_add(usize::from(side == Side::Before), Ordering::Relaxed);
    let number = if side == Side::Before { begun + 1 } else { begun };
    if side == named && number == commit {
        // Nothing after it may happen; if it fails, the test that asked for it does.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}

/// Nothing: a release build has no such points.
#[cfg(not(debug_assertions))]
pub(super) fn point(_: Side) {}
