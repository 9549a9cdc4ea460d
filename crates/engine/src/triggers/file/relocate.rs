//! Moves and deletes files for good, so that a crash at any point leaves each file in one place; blocking.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cogwheel_definition::After;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use sha2::{Digest, Sha256};

use super::identity::Identity;
use crate::ports::PendingAfter;
use crate::triggers::digest;

/// Read and written at once.
const BUFFER: usize = 256 * 1024;

/// Why nothing is done with a file that is not what it was.
const CHANGED: &str = "it has changed since";

/// Why nothing can be done with a file at the moment.
const AWAY: &str = "the watched folder is not there, or its file system is not mounted";

/// So many files of one name in a folder are too many.
const MOST_NUMBERS: u32 = 100_000;

/// What is going to be done with a file.
#[derive(Debug, PartialEq)]
pub(super) enum Intent {
    /// Nothing is left to be done; where the file is now.
    Done(Option<PathBuf>),
    /// It is left as it is, and why.
    Leave(Obstacle),
    /// It is renamed to this place; for a deletion, to a hidden name that is removed at once.
    Rename(PathBuf),
    /// Its copy, which has this version, takes this place, and it is removed.
    Replace { copy: PathBuf, target: PathBuf, copied: Identity },
}

/// Why a file is left as it is.
#[derive(Debug, PartialEq)]
pub(super) enum Obstacle {
    /// It is not the file that it was, or none that anything is done with.
    Lasting(String),
    /// The file system refuses: no room, no permission, a share that is gone. That may pass.
    Passing(String),
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Self {
        Self::Passing(error.to_string())
    }
}

impl Obstacle {
    fn lasting(why: &str) -> Self {
        Self::Lasting(why.to_owned())
    }
}

/// Decides what to do with a file. What is on another file system is copied already, under a hidden name.
pub(super) fn prepare(file: &PendingAfter) -> Intent {
    try_prepare(file).unwrap_or_else(|error| Intent::Leave(error.into()))
}

fn leave(why: &str) -> Intent {
    Intent::Leave(Obstacle::lasting(why))
}

fn try_prepare(file: &PendingAfter) -> io::Result<Intent> {
    let source = Path::new(&file.path);
    let Some(version) = Identity::of_seen(&file.version) else {
        return Ok(leave("its version is not known"));
    };
    let here = look(source)?;
    let is_intact = here.as_ref().is_some_and(|here| here.is_file() && is_version(here, version));
    if let Some(planned) = &file.planned {
        // Somebody began before, and may have come to the end.
        let planned = PathBuf::from(planned);
        let arrived = look(&planned)?.is_some_and(|there| there.is_file() && is_same_content(&there, version));
        let is_move = matches!(file.action, After::Move(_));
        match (arrived, is_intact) {
            (true, true) if is_move => {
                remove_durably(source)?;
                return Ok(Intent::Done(Some(planned)));
            }
            (true, false) if is_move => return Ok(Intent::Done(Some(planned))),
            (true, _) => remove_durably(&planned)?,
            (false, _) => {}
        }
    }
    // A deletion that was begun has come to its end.
    let may_be_done = matches!(file.action, After::Delete) && file.planned.is_some();
    if here.is_none() && !may_be_done && is_away(source, version, file)? {
        return Err(io::Error::new(io::ErrorKind::NotFound, AWAY));
    }
    let folder = match (&file.action, &here) {
        (After::Keep, _) | (After::Delete, None) => return Ok(Intent::Done(None)),
        (After::Move(_), None) => return Ok(leave("it is there no more")),
        (_, Some(here)) if here.is_symlink() => return Ok(leave("it is a link, which is left alone")),
        (_, Some(_)) if !is_intact => return Ok(leave(CHANGED)),
        (After::Delete, Some(_)) => return Ok(Intent::Rename(hidden(source, file))),
        (After::Move(folder), Some(_)) => PathBuf::from(folder),
    };
    let relative = source.strip_prefix(&file.folder).unwrap_or(source);
    let folder = folder.join(relative.parent().unwrap_or_else(|| Path::new("")));
    fs::create_dir_all(&folder)?;
    let name = source.file_name().unwrap_or_default();
    let target = free_name(&folder, name)?;
    let device = Identity::of(&fs::metadata(&folder)?).device;
    if here.is_some_and(|here| Identity::of(&here).device == device) {
        return Ok(Intent::Rename(target));
    }
    copy(source, version, file, hidden(&folder.join(name), file), target)
}

/// Does what was decided; answers where the file is now.
///
/// # Errors
///
/// Why it was left as it is, or as it is now.
pub(super) fn carry_out(file: &PendingAfter, intent: Intent) -> Result<Option<PathBuf>, Obstacle> {
    let source = Path::new(&file.path);
    let Some(version) = Identity::of_seen(&file.version) else {
        return Err(Obstacle::lasting("its version is not known"));
    };
    match intent {
        Intent::Done(target) => Ok(target),
        Intent::Leave(why) => Err(why),
        Intent::Rename(target) => {
            rename(source, &target)?;
            let moved = look(&target)?;
            if !moved.is_some_and(|moved| is_version(&moved, version)) {
                // Another file took its place at the last moment.
                rename(&target, source)
                    .map_err(|_| Obstacle::Lasting(format!("{CHANGED}, and is now {}", target.display())))?;
                return Err(Obstacle::lasting(CHANGED));
            }
            if matches!(file.action, After::Delete) {
                remove_durably(&target)?;
                return Ok(None);
            }
            sync_folder(&target)?;
            sync_folder(source)?;
            Ok(Some(target))
        }
        Intent::Replace { copy, target, .. } => {
            if let Err(error) = rename(&copy, &target) {
                remove_copy(&copy);
                return Err(error.into());
            }
            sync_folder(&target)?;
            let here = look(source)?;
            if here.is_some_and(|here| is_version(&here, version)) {
                remove_durably(source)?;
            }
            Ok(Some(target))
        }
    }
}

/// Forgets what was prepared.
pub(super) fn give_up(intent: &Intent) {
    if let Intent::Replace { copy, .. } = intent {
        remove_copy(copy);
    }
}

fn remove_copy(copy: &Path) {
    // The next try makes it anew.
    let _ = fs::remove_file(copy);
}

/// Copies a file to a hidden name beside its target, down to the disk.
fn copy(source: &Path, version: Identity, file: &PendingAfter, hidden: PathBuf, target: PathBuf) -> io::Result<Intent> {
    match copy_to(&hidden, source, version, file) {
        Ok(Some(copied)) => Ok(Intent::Replace { copy: hidden, target, copied }),
        Ok(None) => {
            fs::remove_file(&hidden)?;
            Ok(leave(CHANGED))
        }
        Err(error) => {
            // It would take the room that is missing.
            remove_copy(&hidden);
            Err(error)
        }
    }
}

/// Copies a file; `None` if it is not the version any more.
fn copy_to(hidden: &Path, source: &Path, version: Identity, file: &PendingAfter) -> io::Result<Option<Identity>> {
    let mut from = File::open(source)?;
    let metadata = from.metadata()?;
    let mut to = OpenOptions::new().write(true).create(true).truncate(true).open(hidden)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
    }
    to.set_permissions(metadata.permissions())?;
    to.set_modified(metadata.modified()?)?;
    to.sync_all()?;
    let is_same = file.version.sha256.as_ref().is_none_or(|expected| *expected == digest::hex(hasher));
    let is_version = is_same && is_version(&fs::metadata(source)?, version);
    Ok(if is_version { Some(Identity::of(&to.metadata()?)) } else { None })
}

/// What lies there, links not followed.
fn look(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a file that is not found may be there all the same: the watched folder is gone, or its place is on another
/// device than the file was.
fn is_away(source: &Path, version: Identity, file: &PendingAfter) -> io::Result<bool> {
    match fs::metadata(source.parent().unwrap_or(source)) {
        Ok(folder) => Ok(Identity::of(&folder).device != version.device),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(!Path::new(&file.folder).try_exists()?),
        Err(error) => Err(error),
    }
}

fn is_version(metadata: &fs::Metadata, version: Identity) -> bool {
    Identity::of(metadata).lasting(version.inode != 0) == version
}

/// A copy has another inode.
fn is_same_content(metadata: &fs::Metadata, version: Identity) -> bool {
    Identity::of(metadata).lasting(false) == version.lasting(false)
}

/// A name that is nobody else's, beside `place`.
fn hidden(place: &Path, file: &PendingAfter) -> PathBuf {
    place.with_file_name(format!(".cogwheel-{}", file.id.0.simple()))
}

/// The first name that is free: `a.csv`, `a-1.csv`, `a-2.csv`.
fn free_name(folder: &Path, name: &OsStr) -> io::Result<PathBuf> {
    let path = Path::new(name);
    for number in 0..MOST_NUMBERS {
        let target = if number == 0 {
            folder.join(name)
        } else {
            let mut numbered = OsString::from(path.file_stem().unwrap_or_default());
            numbered.push(format!("-{number}"));
            if let Some(extension) = path.extension() {
                numbered.push(".");
                numbered.push(extension);
            }
            folder.join(numbered)
        };
        if look(&target)?.is_none() {
            return Ok(target);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "the folder has too many files of this name"))
}

/// Renames a file to a name that must be free.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems cannot; a second name that is made must be free as well.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        renamed => Ok(renamed?),
    }
}

fn remove_durably(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_folder(path)
}

/// Brings the names of a file's folder down to the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or_else(|| Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;
    use crate::{FileId, TenantId, WatchId};

    fn pending(folder: &Path, name: &str, action: After) -> PendingAfter {
        let path = folder.join(name);
        let identity = Identity::of(&fs::metadata(&path).unwrap());
        PendingAfter {
            id: FileId(Uuid::from_u128(7)),
            tenant: TenantId(Uuid::nil()),
            watch: WatchId(Uuid::nil()),
            path: path.to_str().unwrap().to_owned(),
            version: identity.to_seen(Some(digest::of(fs::read(&path).unwrap()))),
            action,
            planned: None,
            tries: 0,
            folder: folder.to_str().unwrap().to_owned(),
            is_recursive: true,
            tells_deletions: false,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn inbox() -> (tempfile::TempDir, PathBuf, String) {
        let dir = tempfile::tempdir().unwrap();
        let inbox = dir.path().join("in");
        fs::create_dir_all(inbox.join("sub")).unwrap();
        let archive = dir.path().join("done").to_str().unwrap().to_owned();
        (dir, inbox, archive)
    }

    fn act(file: &PendingAfter) -> Result<Option<PathBuf>, Obstacle> {
        carry_out(file, prepare(file))
    }

    fn lasting<T>(why: &str) -> Result<T, Obstacle> {
        Err(Obstacle::lasting(why))
    }

    #[test]
    fn a_moved_file_keeps_its_place_below_the_folder_and_overwrites_nothing() {
        let (_dir, inbox, archive) = inbox();
        for (round, expected) in ["a.tar.gz", "a.tar-1.gz", "a.tar-2.gz"].into_iter().enumerate() {
            fs::write(inbox.join("sub/a.tar.gz"), round.to_string()).unwrap();
            let target = act(&pending(&inbox, "sub/a.tar.gz", After::Move(archive.clone()))).unwrap().unwrap();
            assert_eq!(target, Path::new(&archive).join("sub").join(expected));
            assert_eq!(fs::read_to_string(target).unwrap(), round.to_string());
            assert!(!inbox.join("sub/a.tar.gz").exists());
        }
    }

    #[test]
    fn a_file_that_changed_is_left_alone() {
        let (_dir, inbox, archive) = inbox();
        for action in [After::Delete, After::Move(archive.clone())] {
            fs::write(inbox.join("a"), "one").unwrap();
            let file = pending(&inbox, "a", action);
            fs::write(inbox.join("b"), "two").unwrap();
            let early = prepare(&file);
            fs::rename(inbox.join("b"), inbox.join("a")).unwrap();
            assert_eq!(act(&file), lasting(CHANGED));
            assert_eq!(carry_out(&file, early), lasting(CHANGED), "at the last moment");
            assert_eq!(fs::read_to_string(inbox.join("a")).unwrap(), "two");
        }
        assert_eq!(fs::read_dir(inbox).unwrap().count(), 2, "nothing is left behind");
    }

    #[test]
    fn what_is_gone_or_a_link_is_told() {
        let (_dir, inbox, archive) = inbox();
        fs::write(inbox.join("a"), "one").unwrap();
        let (delete, moving) =
            (pending(&inbox, "a", After::Delete), pending(&inbox, "a", After::Move(archive.clone())));
        assert_eq!(act(&delete), Ok(None));
        assert_eq!((act(&delete), act(&moving)), (Ok(None), lasting("it is there no more")));
        fs::write(inbox.join("b"), "one").unwrap();
        std::os::unix::fs::symlink("b", inbox.join("link")).unwrap();
        let link = pending(&inbox, "link", After::Move(archive));
        assert_eq!(act(&link), lasting("it is a link, which is left alone"));
        assert!(inbox.join("link").exists());
    }

    #[test]
    fn what_the_file_system_refuses_may_pass() {
        let (dir, inbox, archive) = inbox();
        fs::write(inbox.join("a"), "one").unwrap();
        let (delete, moving) =
            (pending(&inbox, "a", After::Delete), pending(&inbox, "a", After::Move(archive.clone())));
        fs::write(&archive, "no folder").unwrap();
        assert!(matches!(act(&moving), Err(Obstacle::Passing(_))));
        fs::remove_file(&archive).unwrap();
        // As a share that is away: neither the folder nor what is in it.
        let away = dir.path().join("away");
        fs::rename(&inbox, &away).unwrap();
        for file in [&delete, &moving] {
            assert_eq!(act(file), Err(Obstacle::Passing(AWAY.to_owned())));
        }
        fs::rename(&away, &inbox).unwrap();
        // As a mount point without its mount.
        fs::rename(inbox.join("a"), &away).unwrap();
        for mut file in [delete, moving.clone()] {
            assert!(!matches!(prepare(&file), Intent::Leave(Obstacle::Passing(_))));
            file.version.device = "7".to_owned();
            assert_eq!(act(&file), Err(Obstacle::Passing(AWAY.to_owned())));
        }
        fs::rename(&away, inbox.join("a")).unwrap();
        assert_eq!(act(&moving), Ok(Some(Path::new(&archive).join("a"))));
    }

    #[test]
    fn what_was_begun_before_a_crash_is_brought_to_its_end() {
        let (_dir, inbox, archive) = inbox();
        fs::write(inbox.join("a"), "one").unwrap();
        let file = pending(&inbox, "a", After::Move(archive.clone()));
        let Intent::Rename(target) = prepare(&file) else { panic!("one file system") };
        let begun = PendingAfter { planned: target.to_str().map(str::to_owned), ..file.clone() };
        // Before the rename, after it, and after a copy took its place but the file was not removed.
        assert_eq!(prepare(&begun), Intent::Rename(target.clone()));
        fs::rename(inbox.join("a"), &target).unwrap();
        assert_eq!(prepare(&begun), Intent::Done(Some(target.clone())));
        fs::rename(&target, inbox.join("a")).unwrap();
        fs::copy(inbox.join("a"), &target).unwrap();
        let modified = fs::metadata(inbox.join("a")).unwrap().modified().unwrap();
        File::options().write(true).open(&target).unwrap().set_modified(modified).unwrap();
        assert_eq!(prepare(&begun), Intent::Done(Some(target)));
        assert!(!inbox.join("a").exists());
        // A deletion that got no further than to its hidden name.
        fs::write(inbox.join("b"), "two").unwrap();
        let file = pending(&inbox, "b", After::Delete);
        let Intent::Rename(hidden) = prepare(&file) else { panic!("a hidden name") };
        fs::rename(inbox.join("b"), &hidden).unwrap();
        let begun = PendingAfter { planned: hidden.to_str().map(str::to_owned), ..file };
        assert_eq!(prepare(&begun), Intent::Done(None));
        assert!(!hidden.exists());
    }

    #[test]
    fn another_file_system_gets_a_copy_and_then_the_file_goes() {
        let (_dir, inbox, _) = inbox();
        let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return };
        let there = Identity::of(&fs::metadata(elsewhere.path()).unwrap()).device;
        if there == Identity::of(&fs::metadata(&inbox).unwrap()).device {
            return;
        }
        fs::write(inbox.join("a"), "one").unwrap();
        let file = pending(&inbox, "a", After::Move(elsewhere.path().to_str().unwrap().to_owned()));
        let intent = prepare(&file);
        let Intent::Replace { copied, .. } = &intent else { panic!("two file systems: {intent:?}") };
        assert_eq!(copied.modified_at(), file.version.modified_at);
        give_up(&intent);
        assert!(inbox.join("a").exists() && fs::read_dir(elsewhere.path()).unwrap().next().is_none());
        let target = act(&file).unwrap().unwrap();
        assert_eq!((fs::read_to_string(&target).unwrap().as_str(), inbox.join("a").exists()), ("one", false));
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    }
}
