//! Waits for a thing, never for a time.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// How long a thing may take that should happen soon: long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Asks until the answer is there, for 40 seconds at the most.
///
/// # Panics
///
/// When it does not come; `what` says what did not.
pub fn until<T>(what: impl Display, ask: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, ask)
}

/// Asks until the answer is there, for as long as `patience` lasts.
///
/// # Panics
///
/// When it does not come; `what` says what did not.
pub fn within<T>(patience: Duration, what: impl Display, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < patience, "waited {patience:?} in vain for {what}");
        #[expect(clippy::disallowed_methods, reason = "between two looks at another process, on a thread of its own")]
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
