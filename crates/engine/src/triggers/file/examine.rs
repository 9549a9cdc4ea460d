//! Looks closely at one candidate: is it whole, is it new, what is in it; blocking.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::identity::{Identity, changed_at};
use crate::media::Sniffer;
use crate::triggers::digest;

/// Large enough that reading costs no more than hashing.
const BUFFER: usize = 64 * 1024;

/// A candidate with what is known of it.
#[derive(Debug)]
pub(super) struct Look {
    /// The watched folder.
    pub(super) folder: PathBuf,
    pub(super) path: PathBuf,
    /// The version of this path that was handled last.
    pub(super) handled: Option<Identity>,
    pub(super) quiet: Quiet,
    /// The file that says that this one is whole, if it takes one.
    pub(super) marker: Option<PathBuf>,
    /// Whether inode numbers last.
    pub(super) has_steady_inodes: bool,
    /// Ends the reading of a large file.
    pub(super) stop: CancellationToken,
}

/// What makes a candidate count as whole.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quiet {
    /// Its writer closed it or put it into place, and nothing else is asked for.
    Closed,
    /// Nothing was seen to happen to it since then.
    Since(DateTime<Utc>),
    /// It still is what a scan saw.
    Still(Identity),
}

/// What was found.
#[derive(Debug)]
pub(super) enum Found {
    /// It is gone.
    Gone,
    /// It is a folder.
    Folder,
    /// It is no file of this folder, and why: a device, a link that leads nowhere or out of the folder.
    NotOurs(&'static str),
    /// Nothing says yet that it is whole.
    Unmarked,
    /// This version was handled before.
    Handled,
    /// Reading it was stopped.
    Stopped,
    /// It changed since it was last seen.
    Changing(Identity),
    /// It cannot be read.
    Unreadable(String),
    /// It is whole and was read.
    Whole {
        /// Its version.
        identity: Identity,
        /// Its inode number, whether or not that lasts.
        inode: u64,
        /// SHA-256 of its content, in hex.
        sha256: String,
        /// What it is, by its content.
        media_type: String,
    },
}

/// Looks at a candidate, and reads it if it is whole and new.
pub(super) fn examine(look: &Look) -> Found {
    match try_examine(look) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Gone,
        Err(error) => Found::Unreadable(error.to_string()),
    }
}

fn try_examine(look: &Look) -> io::Result<Found> {
    let metadata = match regular_file(&look.folder, &look.path)? {
        Entry::File(metadata) => metadata,
        Entry::Folder => return Ok(Found::Folder),
        Entry::Other(why) => return Ok(Found::NotOurs(why)),
    };
    let identity = look.identity(&metadata);
    if look.handled == Some(identity) {
        return Ok(Found::Handled);
    }
    if let Some(marker) = &look.marker
        && !is_marked(&metadata, marker)?
    {
        return Ok(Found::Unmarked);
    }
    let is_quiet = match look.quiet {
        Quiet::Closed => true,
        Quiet::Since(_) | Quiet::Still(_) if look.marker.is_some() => true,
        Quiet::Since(seen) => changed_at(&metadata) <= seen,
        Quiet::Still(seen) => seen == identity,
    };
    if !is_quiet {
        return Ok(Found::Changing(identity));
    }
    let Some((sha256, media_type)) = read(&look.path, &look.stop)? else { return Ok(Found::Stopped) };
    // Written to, or replaced, while it was read: what was read may be half of each.
    let after = look.identity(&fs::metadata(&look.path)?);
    Ok(if after == identity {
        Found::Whole { identity, inode: metadata.ino(), sha256, media_type }
    } else {
        Found::Changing(after)
    })
}

impl Look {
    fn identity(&self, metadata: &Metadata) -> Identity {
        Identity::of(metadata).lasting(self.has_steady_inodes)
    }
}

/// A marker speaks for what was changed before it.
fn is_marked(metadata: &Metadata, marker: &Path) -> io::Result<bool> {
    match fs::metadata(marker) {
        Ok(marker) => Ok(changed_at(&marker) >= changed_at(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Its SHA-256 in hex, and what it is; `None` if it was stopped.
fn read(path: &Path, stop: &CancellationToken) -> io::Result<Option<(String, String)>> {
    let mut file = File::open(path)?;
    let (mut hasher, mut sniffer) = (Sha256::new(), Sniffer::default());
    let mut buffer = vec![0; BUFFER];
    while !stop.is_cancelled() {
        match file.read(&mut buffer)? {
            0 => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                return Ok(Some((digest::hex(hasher), sniffer.media_type(&name))));
            }
            read => {
                hasher.update(&buffer[..read]);
                sniffer.push(&buffer[..read]);
            }
        }
    }
    Ok(None)
}

/// What lies at a path of a watched folder.
pub(super) enum Entry {
    /// A regular file, or a link to one in the same folder.
    File(Metadata),
    /// A folder; links to folders are not followed.
    Folder,
    /// Anything else, and why it is no file of the folder.
    Other(&'static str),
}

/// Looks up what lies at `path`. A link is followed only to a regular file inside of `folder`.
pub(super) fn regular_file(folder: &Path, path: &Path) -> io::Result<Entry> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_file() {
        return Ok(Entry::File(metadata));
    }
    if metadata.is_dir() {
        return Ok(Entry::Folder);
    }
    if metadata.is_symlink() {
        match fs::canonicalize(path) {
            Ok(target) if target.starts_with(fs::canonicalize(folder)?) => {
                let metadata = fs::metadata(&target)?;
                if metadata.is_file() {
                    return Ok(Entry::File(metadata));
                }
            }
            Ok(_) => return Ok(Entry::Other("it is a link that leads out of the watched folder")),
            Err(_) => return Ok(Entry::Other("it is a link that leads nowhere")),
        }
        return Ok(Entry::Other("it is a link to a folder, or to something that is no file"));
    }
    Ok(Entry::Other("it is no regular file"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn look(folder: &Path, name: &str, quiet: Quiet) -> Look {
        Look {
            folder: folder.to_owned(),
            path: folder.join(name),
            handled: None,
            quiet,
            marker: None,
            has_steady_inodes: true,
            stop: CancellationToken::new(),
        }
    }

    #[test]
    fn reads_what_is_whole_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        fs::write(folder.join("a.csv"), "abc").unwrap();
        let Found::Whole { identity, sha256, .. } = examine(&look(folder, "a.csv", Quiet::Closed)) else {
            panic!("a closed file is whole")
        };
        assert_eq!((identity.size, sha256), (3, digest::of("abc")));
        let known = Look { handled: Some(identity), ..look(folder, "a.csv", Quiet::Closed) };
        assert!(matches!(examine(&known), Found::Handled));
        let other = Identity { size: 2, ..identity };
        assert!(
            matches!(examine(&look(folder, "a.csv", Quiet::Still(other))), Found::Changing(now) if now == identity)
        );
        let before = Quiet::Since(DateTime::UNIX_EPOCH);
        assert!(matches!(examine(&look(folder, "a.csv", before)), Found::Changing(_)));
        assert!(matches!(examine(&look(folder, "b.csv", Quiet::Closed)), Found::Gone));
        let stopped = look(folder, "a.csv", Quiet::Closed);
        stopped.stop.cancel();
        assert!(matches!(examine(&stopped), Found::Stopped));
    }

    #[test]
    fn follows_links_to_files_of_the_folder_only() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("in");
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(dir.path().join("outside.csv"), "x").unwrap();
        fs::write(folder.join("sub/real.csv"), "x").unwrap();
        symlink(dir.path().join("outside.csv"), folder.join("out.csv")).unwrap();
        symlink("nowhere", folder.join("dangling.csv")).unwrap();
        symlink("sub", folder.join("folder.csv")).unwrap();
        symlink("sub/real.csv", folder.join("good.csv")).unwrap();
        for name in ["out.csv", "dangling.csv", "folder.csv"] {
            assert!(matches!(examine(&look(&folder, name, Quiet::Closed)), Found::NotOurs(_)), "{name}");
        }
        assert!(matches!(examine(&look(&folder, "good.csv", Quiet::Closed)), Found::Whole { .. }));
        assert!(matches!(examine(&look(&folder, "sub", Quiet::Closed)), Found::Folder));
    }

    #[test]
    fn a_marker_speaks_for_what_was_there_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let marker = folder.join("_SUCCESS");
        fs::write(folder.join("a.csv"), "abc").unwrap();
        let under_it = |quiet| Look { marker: Some(marker.clone()), ..look(folder, "a.csv", quiet) };
        assert!(matches!(examine(&under_it(Quiet::Closed)), Found::Unmarked));
        fs::write(&marker, "").unwrap();
        let early = Quiet::Since(DateTime::UNIX_EPOCH);
        assert!(matches!(examine(&under_it(early)), Found::Whole { .. }), "the marker's word is enough");
        // The kernel's clock goes in steps of some milliseconds.
        let marked_at = changed_at(&fs::metadata(&marker).unwrap());
        while changed_at(&fs::metadata(folder.join("a.csv")).unwrap()) <= marked_at {
            fs::write(folder.join("a.csv"), "more").unwrap();
        }
        assert!(matches!(examine(&under_it(Quiet::Closed)), Found::Unmarked), "the marker is of an earlier version");
    }
}
