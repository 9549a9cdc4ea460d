//! Tells whether the kernel killed something because memory ran out, from the counts it keeps of that.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where the kernel counts what its out-of-memory killer ended.
pub(super) trait OomKills: Send + Sync {
    /// How many it ended where scripts run, so far.
    fn count(&self) -> Option<u64>;
}

/// The counts of the server's own control group, which its scripts begin in; those of the whole system where it has none.
///
/// The file stays open, since each script's begin is a look at it.
#[derive(Default)]
pub(super) struct Kernel {
    file: OnceLock<Option<File>>,
}

/// How many bytes of such a file are read; `/proc/vmstat`, by far the longest, has about 4 KiB.
const LONGEST: usize = 16 * 1024;

/// A mounted hierarchy of control groups that may count.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    hierarchy: Hierarchy,
    /// The group that is mounted.
    root: PathBuf,
    path: PathBuf,
}

/// Version 2 comes first: where both are mounted, only one of them has the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hierarchy {
    Unified,
    Memory,
}

impl OomKills for Kernel {
    fn count(&self) -> Option<u64> {
        count_in_file(self.file.get_or_init(find).as_ref()?)
    }
}

/// The file with the count that is closest to this process.
fn find() -> Option<File> {
    let mounts = mounts_in(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = mounts.iter().filter_map(|mount| mount.counts_of(&groups));
    // What the system counts is long to read, and there wherever `/proc` is.
    let mut files = own.chain([PathBuf::from("/proc/vmstat")]).filter_map(|path| File::open(path).ok());
    files.find(|file| count_in_file(file).is_some())
}

fn count_in_file(file: &File) -> Option<u64> {
    let (mut text, mut end) = ([0; LONGEST], 0);
    loop {
        match file.read_at(&mut text[end..], end as u64).ok()? {
            0 => break count_in(std::str::from_utf8(&text[..end]).ok()?),
            read => end += read,
        }
    }
}

impl Mount {
    /// The file with the counts of the group that a process is in by its `/proc/…/cgroup`.
    fn counts_of(&self, groups: &str) -> Option<PathBuf> {
        let group = groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, group) = (fields.next()?, fields.next()?);
            let is_it = match self.hierarchy {
                Hierarchy::Unified => controllers.is_empty(),
                Hierarchy::Memory => controllers.split(',').any(|controller| controller == "memory"),
            };
            is_it.then_some(group)
        })?;
        let inside = Path::new(group).strip_prefix(&self.root).ok()?;
        let file = match self.hierarchy {
            Hierarchy::Unified => "memory.events",
            Hierarchy::Memory => "memory.oom_control",
        };
        Some(self.path.join(inside).join(file))
    }
}

/// `mountinfo` reads `id parent device root path options … - type source options`.
fn mounts_in(mountinfo: &str) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = mountinfo
        .lines()
        .filter_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            let mut place = place.split(' ').skip(3);
            let mut kind = kind.split(' ');
            let hierarchy = match (kind.next()?, kind.nth(1)?) {
                ("cgroup2", _) => Hierarchy::Unified,
                ("cgroup", options) if options.split(',').any(|option| option == "memory") => Hierarchy::Memory,
                _ => return None,
            };
            Some(Mount { hierarchy, root: place.next()?.into(), path: place.next()?.into() })
        })
        .collect();
    mounts.sort_by_key(|mount| mount.hierarchy);
    mounts
}

/// All three files have a line `oom_kill …`.
fn count_in(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 0:20 / /proc rw,nosuid - proc proc rw
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct
42 31 0:39 /docker/7f /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn the_own_group_is_found_in_what_is_mounted() {
        let mounts = mounts_in(MOUNTS);
        assert_eq!(
            mounts.iter().map(|mount| mount.hierarchy).collect::<Vec<_>>(),
            [Hierarchy::Unified, Hierarchy::Memory]
        );
        let files = |groups: &str| -> Vec<_> { mounts.iter().map(|mount| mount.counts_of(groups)).collect() };
        assert_eq!(
            files("4:cpu,memory:/a/b\n0::/docker/7f/c\n"),
            [
                Some("/sys/fs/cgroup/unified/c/memory.events".into()),
                Some("/sys/fs/cgroup/memory/a/b/memory.oom_control".into()),
            ]
        );
        assert_eq!(files("0::/docker/7f"), [Some("/sys/fs/cgroup/unified/memory.events".into()), None]);
        assert_eq!(files("0::/elsewhere\n3:cpu:/memory"), [None, None]);
    }

    #[test]
    fn the_count_is_read_out_of_each_of_the_files() {
        assert_eq!(count_in("low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n"), Some(1));
        assert_eq!(count_in("oom_kill_disable 0\nunder_oom 0\noom_kill 30\n"), Some(30));
        assert_eq!(count_in("pgfault 7\noom_kill 4\n"), Some(4));
        assert_eq!(count_in("oom_kill_disable 0\nunder_oom 0\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_system_counts() {
        assert!(Kernel::default().count().is_some(), "Linux counts in /proc/vmstat at least");
    }
}
