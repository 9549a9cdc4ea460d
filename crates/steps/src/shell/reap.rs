//! Ends processes by the step key in their environment, whatever group or session they moved to.

use std::collections::HashSet;

/// Kills what still runs of these steps and returns once it is gone. A process that cleared its environment
/// is only found while its group has another that did not.
#[cfg(target_os = "linux")]
pub(super) async fn end_all(step_keys: &HashSet<String>) {
    linux::end_all(step_keys).await;
}

/// Only Linux shows other processes' environments; elsewhere nothing is found.
#[cfg(not(target_os = "linux"))]
pub(super) async fn end_all(_step_keys: &HashSet<String>) {}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashSet;
    use std::time::Duration;

    use rustix::process::{Pid, Signal, getpgrp, getpid, kill_process, kill_process_group};
    use tokio::task::spawn_blocking;
    use tokio::time::{sleep, timeout};
    use tracing::{info, warn};

    use crate::shell::launch::STEP_KEY;
    use crate::shell::procfs::{self, Process};

    /// How long killed processes may take to vanish; only one stuck in the kernel takes that long.
    const LIMIT: Duration = Duration::from_secs(10);
    const PAUSE: Duration = Duration::from_millis(5);

    pub(super) async fn end_all(step_keys: &HashSet<String>) {
        if step_keys.is_empty() {
            return;
        }
        let mut hunt = Hunt {
            entries: step_keys.iter().map(|key| format!("{STEP_KEY}={key}").into_bytes()).collect(),
            groups: HashSet::new(),
        };
        let ended = timeout(LIMIT, async {
            // A process may start others while it is being looked at, hence again until none is seen.
            while let Ok((next, found)) = spawn_blocking(move || hunt.round()).await {
                if found == 0 {
                    return;
                }
                info!(found, "killed processes that outlived their step");
                hunt = next;
                sleep(PAUSE).await;
            }
        });
        if ended.await.is_err() {
            warn!("killed processes of lost steps do not end");
        }
    }

    struct Hunt {
        /// `COGWHEEL_STEP_KEY=…` as it stands in an environment.
        entries: HashSet<Vec<u8>>,
        /// Groups that such a process was seen in: a dying one no longer shows its environment.
        groups: HashSet<Pid>,
    }

    impl Hunt {
        /// Kills what it sees and tells how many there were.
        fn round(mut self) -> (Self, usize) {
            let (own, own_group) = (getpid(), getpgrp());
            let running: Vec<Process> = procfs::processes()
                .into_iter()
                .flatten()
                .filter(|process| process.is_running && process.id != own)
                .collect();
            let carriers: HashSet<Pid> = running
                .iter()
                .map(|process| process.id)
                .filter(|id| procfs::environment_has(*id, |entry| self.entries.contains(entry)))
                .collect();
            let is_carrier = |process: &&Process| carriers.contains(&process.id);
            self.groups
                .extend(running.iter().filter(is_carrier).map(|process| process.group).filter(|id| *id != own_group));
            let is_found = |process: &&Process| is_carrier(process) || self.groups.contains(&process.group);
            let found: Vec<&Process> = running.iter().filter(is_found).collect();
            // Errors mean that it ended by itself.
            for group in found.iter().map(|process| process.group).collect::<HashSet<_>>() {
                if group != own_group {
                    let _ = kill_process_group(group, Signal::KILL);
                }
            }
            for process in &found {
                let _ = kill_process(process.id, Signal::KILL);
            }
            let count = found.len();
            (self, count)
        }
    }
}
