//! SQLite: the first test of a build makes the template file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::migrate;

const PREFIX: &str = "store-template-";

/// A migrated file that other tests copy as well.
pub(super) async fn template() -> PathBuf {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = kept.join(format!("{PREFIX}{}.db", build()));
    if !file.exists() {
        // Several tests may make it at the same time; each of them puts a whole one in its place.
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("template.db");
        migrate(&format!("sqlite://{}?mode=rwc", made.display())).await;
        fs::create_dir_all(kept).unwrap();
        forget_others(kept, &file);
        let near = kept.join(format!("{}.db", Uuid::now_v7().simple()));
        fs::copy(made, &near).unwrap();
        fs::rename(near, &file).unwrap();
    }
    file
}

/// Tells this build of the tests, and of the migrations in it, from any other.
fn build() -> String {
    let about = fs::metadata(std::env::current_exe().unwrap()).unwrap();
    format!("{:x}-{:x}-{:x}", about.size(), about.mtime(), about.mtime_nsec())
}

/// Removes the templates of earlier builds.
fn forget_others(folder: &Path, file: &Path) {
    let files = fs::read_dir(folder).unwrap().filter_map(Result::ok).map(|entry| entry.path());
    let is_template = |path: &PathBuf| {
        path != file && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
    };
    for stale in files.filter(is_template) {
        // Another test may have been quicker.
        let _ = fs::remove_file(stale);
    }
}
