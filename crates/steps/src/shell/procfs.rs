//! What Linux tells about running processes.

use std::fs;

use rustix::process::Pid;

/// A process as it was a moment ago.
pub(super) struct Process {
    pub(super) id: Pid,
    pub(super) group: Pid,
    /// Not yet ended: neither dead nor waiting to be taken note of.
    pub(super) is_running: bool,
}

/// All processes that can be seen; `None` where `/proc` is not mounted.
pub(super) fn processes() -> Option<impl Iterator<Item = Process>> {
    let entries = fs::read_dir("/proc").ok()?;
    Some(entries.flatten().filter_map(|entry| {
        let id = number(entry.file_name().to_str()?)?;
        // A process that ends meanwhile is left out.
        parse(id, &fs::read_to_string(entry.path().join("stat")).ok()?)
    }))
}

/// Whether the process was started with this entry (`NAME=value`) in its environment. Processes of other users
/// keep theirs to themselves.
pub(super) fn environment_has(id: Pid, is_wanted: impl Fn(&[u8]) -> bool) -> bool {
    fs::read(format!("/proc/{}/environ", id.as_raw_pid()))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(is_wanted))
}

/// `stat` reads `id (any name) state parent group …`.
fn parse(id: Pid, stat: &str) -> Option<Process> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let group = number(fields.nth(1)?)?;
    Some(Process { id, group, is_running: !matches!(state, "Z" | "X" | "x") })
}

/// A process that is just ending has no group any more, which Linux tells as -1.
fn number(text: &str) -> Option<Pid> {
    text.parse().ok().filter(|number| *number > 0).and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_confuse() {
        let id = Pid::from_raw(7).unwrap();
        let process = parse(id, "7 (a) R (b) S 1 42 7 0 -1").unwrap();
        assert!(process.is_running && process.group.as_raw_pid() == 42);
        assert!(!parse(id, "7 (sh) Z 1 42 7").unwrap().is_running);
        assert!(parse(id, "7 (kthread) S 2 0 0").is_none(), "kernel threads have no group");
        assert!(parse(id, "7 (sh) X 0 -1 -1").is_none(), "nor has what is ending");
    }

    #[test]
    fn this_process_is_among_them() {
        let own = rustix::process::getpid();
        assert!(processes().unwrap().any(|process| process.id == own && process.is_running));
    }
}
