//! The process group of a script: everything it started and did not send away.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Child;
use tokio::time::{sleep, timeout};
use tracing::warn;

/// How long a killed group may take to vanish; only a process stuck in the kernel takes that long.
const KILL_LIMIT: Duration = Duration::from_secs(10);
const FIRST_LOOK: Duration = Duration::from_millis(1);
const SLOWEST_LOOK: Duration = Duration::from_millis(50);

/// A group that is killed when it is dropped before its end was awaited.
pub(super) struct Group {
    leader: Option<Pid>,
}

impl Group {
    /// The group that `child` was started as leader of.
    pub(super) fn led_by(child: &Child) -> Self {
        Self { leader: child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) }
    }

    /// Ends whatever of the group still runs: asks, and kills after `grace`. Returns once nothing is left.
    pub(super) async fn end(&mut self, child: &mut Child, grace: Duration) {
        if self.is_alive() {
            self.signal(Signal::TERM);
            // A suspended process hears nothing before it is woken.
            self.signal(Signal::CONT);
            if timeout(grace, self.gone(child)).await.is_err() {
                self.signal(Signal::KILL);
                if timeout(KILL_LIMIT, self.gone(child)).await.is_err() {
                    warn!(group = self.leader.map(Pid::as_raw_pid), "a killed process group does not end");
                }
            }
        }
        self.leader = None;
    }

    async fn gone(&self, child: &mut Child) {
        // An error means that there is no such child any more.
        let _ = child.wait().await;
        let mut pause = FIRST_LOOK;
        while self.is_alive() {
            sleep(pause).await;
            pause = (pause * 2).min(SLOWEST_LOOK);
        }
    }

    /// While the group has members its number is not given to another, so a signal cannot hit a stranger.
    fn is_alive(&self) -> bool {
        self.leader.is_some_and(|leader| test_kill_process_group(leader).is_ok() && has_running_members(leader))
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // A group that has just ended needs no signal.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Orphans that nobody has waited for keep a group in existence though none of it runs.
#[cfg(target_os = "linux")]
fn has_running_members(leader: Pid) -> bool {
    super::procfs::processes().is_none_or(|mut all| all.any(|process| process.group == leader && process.is_running))
}

#[cfg(not(target_os = "linux"))]
fn has_running_members(_leader: Pid) -> bool {
    true
}
