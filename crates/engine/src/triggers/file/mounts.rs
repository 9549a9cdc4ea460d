//! Which file system a folder lies on, and whether the kernel can be relied on to report what happens there.

use std::fs;
use std::path::{Path, PathBuf};

/// File systems that others change as well: their changes make no reports here.
const REMOTE: [&str; 24] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "virtiofs",
    "ceph",
    "glusterfs",
    "lustre",
    "afs",
    "ncpfs",
    "coda",
    "ocfs2",
    "gfs2",
    "beegfs",
    "orangefs",
    "pvfs2",
    "gpfs",
    "vboxsf",
    "vmhgfs",
    "prl_fs",
    "drvfs",
    "acfs",
];

/// What is known of the file system of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Its type, as the kernel calls it.
    pub(super) filesystem: String,
    /// Whether it shows a part of another one.
    is_bind: bool,
}

impl Mount {
    /// The mount that `path` lies on; `None` where the kernel does not tell.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let path = fs::canonicalize(path).ok()?;
        Self::find(&fs::read_to_string("/proc/self/mountinfo").ok()?, &path)
    }

    fn find(mounts: &str, path: &Path) -> Option<Self> {
        let mut best: Option<(usize, Self)> = None;
        for line in mounts.lines() {
            let Some((mount, source)) = line.split_once(" - ") else { continue };
            let mut fields = mount.split(' ').skip(3);
            let (Some(root), Some(point)) = (fields.next(), fields.next()) else { continue };
            let point = PathBuf::from(unescaped(point));
            let Some(filesystem) = source.split(' ').next() else { continue };
            let depth = point.components().count();
            // Of several mounts on one point, the last is seen.
            if path.starts_with(&point) && best.as_ref().is_none_or(|(deepest, _)| depth >= *deepest) {
                // Subvolumes of these have a root of their own.
                let is_bind = root != "/" && !matches!(filesystem, "btrfs" | "bcachefs" | "zfs");
                best = Some((depth, Self { filesystem: filesystem.to_owned(), is_bind }));
            }
        }
        best.map(|(_, mount)| mount)
    }

    /// Whether changes may go unreported, so that the folder has to be scanned regularly.
    pub(super) fn needs_scans(&self) -> bool {
        self.is_remote() || self.is_bind || self.filesystem == "overlay"
    }

    /// Whether a file may bear another inode number after the next mount, or on another host.
    pub(super) fn has_unsteady_inodes(&self) -> bool {
        let name = self.filesystem.as_str();
        name.starts_with("fuse")
            || matches!(
                name,
                "cifs" | "smb3" | "smbfs" | "9p" | "vboxsf" | "vmhgfs" | "drvfs" | "vfat" | "exfat" | "msdos"
            )
    }

    fn is_remote(&self) -> bool {
        let name = self.filesystem.as_str();
        REMOTE.contains(&name) || name == "fuse" || name.starts_with("fuse.")
    }
}

/// A path as the kernel escapes it.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw - ext4 /dev/vda rw
23 22 0:21 / /mnt/share rw,relatime shared:1 - nfs4 host:/x rw
24 22 254:0 /srv/data /mnt/bound rw - ext4 /dev/vda rw
25 22 0:30 / /mnt/ssh\\040fs rw - fuse.sshfs host rw
26 22 0:31 / /mnt/over rw - overlay overlay rw
27 26 0:32 / /mnt/over/deep rw - tmpfs tmpfs rw
28 22 0:33 /sub /mnt/sub rw - btrfs /dev/vdb rw
29 22 0:34 / /mnt/share rw - cifs //host/y rw
";

    #[test]
    fn the_deepest_and_last_mount_counts() {
        let of = |path: &str| Mount::find(MOUNTS, Path::new(path)).unwrap();
        for (path, filesystem, needs_scans) in [
            ("/var/in", "ext4", false),
            ("/mnt/share/in", "cifs", true),
            ("/mnt/bound/in", "ext4", true),
            ("/mnt/ssh fs", "fuse.sshfs", true),
            ("/mnt/over/in", "overlay", true),
            ("/mnt/over/deep/in", "tmpfs", false),
            ("/mnt/overhead", "ext4", false),
            ("/mnt/sub", "btrfs", false),
        ] {
            let mount = of(path);
            assert_eq!((mount.filesystem.as_str(), mount.needs_scans()), (filesystem, needs_scans), "{path}");
        }
        assert!(of("/mnt/share").has_unsteady_inodes() && !of("/mnt/bound").has_unsteady_inodes());
    }

    #[test]
    fn a_folder_that_is_there_lies_on_something() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Mount::of(dir.path()).is_some_and(|mount| !mount.filesystem.is_empty()));
        assert_eq!(Mount::of(&dir.path().join("missing")), None);
    }
}
