//! The kernel's reports about one watched folder, as hints where to look.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Error, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::identity::FolderIdentity;

/// More hints than this at once are no use: a scan finds everything.
const BACKLOG: usize = 65_536;

/// Where to look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// Something happened to this path.
    Touched(PathBuf),
    /// A writer closed this file.
    Closed(PathBuf),
    /// This path, a file or a folder, was moved into place.
    MovedIn(PathBuf),
    /// This folder was made.
    NewFolder(PathBuf),
    /// This path, a file or a folder, is there no more.
    Gone(PathBuf),
    /// Look at everything.
    Everything,
    /// The kernel, or this queue, had no room for all reports: look at everything.
    Overflow,
}

/// The receiving end of the hints. A hint that finds no room is replaced by a scan.
pub(super) struct Hints {
    receiver: mpsc::Receiver<Hint>,
    sender: HintSender,
}

/// The sending end, for the watcher's thread: it never waits.
#[derive(Clone)]
pub(super) struct HintSender {
    sender: mpsc::Sender<Hint>,
    lost: Arc<AtomicBool>,
}

impl Hints {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        Self { receiver, sender: HintSender { sender, lost: Arc::default() } }
    }

    pub(super) fn sender(&self) -> HintSender {
        self.sender.clone()
    }

    /// The next hint.
    pub(super) async fn next(&mut self) -> Hint {
        let hint = self.receiver.recv().await;
        if self.sender.lost.swap(false, Ordering::AcqRel) {
            return Hint::Overflow;
        }
        // This end holds a sender, so that the channel never closes.
        hint.unwrap_or(Hint::Everything)
    }
}

impl HintSender {
    fn send(&self, hint: Hint) {
        if self.sender.try_send(hint).is_err() {
            self.lost.store(true, Ordering::Release);
        }
    }
}

/// The kernel's watch over a folder and the folders below it, each on its own.
pub(super) struct Observer {
    watcher: RecommendedWatcher,
    folder: FolderIdentity,
}

impl Observer {
    /// Watches the folder at `path`, which is `folder`.
    pub(super) fn new(path: &Path, folder: FolderIdentity, hints: HintSender) -> notify::Result<Self> {
        let root = path.to_owned();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
            Ok(event) => translate(event, &root, |hint| hints.send(hint)),
            Err(_) => hints.send(Hint::Everything),
        })?;
        watcher.watch(path, RecursiveMode::NonRecursive)?;
        Ok(Self { watcher, folder })
    }

    /// Whether it still watches what is `folder` now.
    pub(super) fn is_of(&self, folder: FolderIdentity) -> bool {
        self.folder == folder
    }

    /// Watches the folder at `path` as well; again if it did.
    pub(super) fn add(&mut self, path: &Path) -> notify::Result<()> {
        match self.watcher.watch(path, RecursiveMode::NonRecursive) {
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => Ok(()),
            result => result,
        }
    }
}

/// Whether a limit of the system is what keeps the kernel from watching.
pub(super) fn is_limit(error: &Error) -> bool {
    match &error.kind {
        ErrorKind::MaxFilesWatch => true,
        ErrorKind::Io(error) => [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::NOSPC]
            .iter()
            .any(|limit| error.raw_os_error() == Some(limit.raw_os_error())),
        _ => false,
    }
}

/// Why the kernel does not watch, and what to do about it.
pub(super) fn explain(error: &Error) -> String {
    let only_scans = "changes are found by scanning only";
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            format!("the limit of watched folders is reached; {only_scans}; raise fs.inotify.max_user_watches")
        }
        ErrorKind::Io(error) if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            format!(
                "the limit of watchers or open files is reached; {only_scans}; raise fs.inotify.max_user_instances or the limit of open files"
            )
        }
        ErrorKind::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            format!("the folder may not be watched ({error}); {only_scans}")
        }
        _ => format!("the folder cannot be watched ({error}); {only_scans}"),
    }
}

/// Reading a file makes events as well; they must not make us read it again.
fn translate(event: Event, root: &Path, mut send: impl FnMut(Hint)) {
    if event.need_rescan() {
        return send(Hint::Overflow);
    }
    let kind = event.kind;
    for path in event.paths {
        let hint = match kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Hint::Closed(path),
            EventKind::Access(_) => continue,
            _ if path == root => Hint::Everything,
            EventKind::Create(CreateKind::Folder) => Hint::NewFolder(path),
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Hint::MovedIn(path),
            // The two names are reported one by one as well.
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => continue,
            EventKind::Modify(ModifyKind::Name(RenameMode::From)) | EventKind::Remove(_) => Hint::Gone(path),
            _ => Hint::Touched(path),
        };
        send(hint);
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{DataChange, Flag, RemoveKind};

    use super::*;

    fn hints(kind: EventKind, path: &str) -> Vec<Hint> {
        let mut hints = Vec::new();
        translate(Event::new(kind).add_path(path.into()), Path::new("/in"), |hint| hints.push(hint));
        hints
    }

    #[test]
    fn only_what_can_mean_a_file_is_a_hint() {
        let renamed = |mode| EventKind::Modify(ModifyKind::Name(mode));
        let path = "/in/a.csv";
        for (kind, expected) in [
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), None),
            (EventKind::Access(AccessKind::Close(AccessMode::Read)), None),
            (renamed(RenameMode::Both), None),
            (renamed(RenameMode::From), Some(Hint::Gone(path.into()))),
            (EventKind::Remove(RemoveKind::File), Some(Hint::Gone(path.into()))),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), Some(Hint::Closed(path.into()))),
            (renamed(RenameMode::To), Some(Hint::MovedIn(path.into()))),
            (EventKind::Create(CreateKind::File), Some(Hint::Touched(path.into()))),
            (EventKind::Modify(ModifyKind::Data(DataChange::Any)), Some(Hint::Touched(path.into()))),
            (EventKind::Create(CreateKind::Folder), Some(Hint::NewFolder(path.into()))),
        ] {
            assert_eq!(hints(kind, path), Vec::from_iter(expected), "{kind:?}");
        }
        assert_eq!(hints(EventKind::Remove(RemoveKind::Folder), "/in"), [Hint::Everything]);
    }

    #[tokio::test]
    async fn lost_hints_mean_look_at_everything() {
        let mut hints = Hints::new();
        let sender = hints.sender();
        for number in 0..=BACKLOG {
            sender.send(Hint::Touched(number.to_string().into()));
        }
        assert_eq!(hints.next().await, Hint::Overflow);
        assert_eq!(hints.next().await, Hint::Touched("1".into()));
        let mut overflow = Vec::new();
        translate(Event::new(EventKind::Other).set_flag(Flag::Rescan), Path::new("/in"), |hint| overflow.push(hint));
        assert_eq!(overflow, [Hint::Overflow]);
    }
}
