//! Lists a workflow folder and reads its files; blocking.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cogwheel_definition::{Diagnostics, MAX_SOURCE_BYTES, Workflow, parse};

use crate::triggers::digest;

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    device: u64,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// Whether a later change is sure to show: file systems' clocks are coarse.
    pub(super) fn is_telling(&self, now_seconds: i64) -> bool {
        const COARSE_SECONDS: i64 = 2;
        self.changed.0.max(self.modified.0) < now_seconds - COARSE_SECONDS
    }
}

/// A file whose text was read.
pub(super) struct Reading {
    pub(super) path: PathBuf,
    pub(super) stamp: Option<Stamp>,
    pub(super) text: Result<Text, Refusal>,
}

/// What a file's text defines.
pub(super) enum Text {
    /// Something that was checked just now.
    New(Box<Document>),
    /// What is stored.
    Stored {
        /// The workflow's name.
        name: String,
        /// The text's.
        checksum: String,
    },
}

/// The names of the stored workflows that have a file, by the file's name and the digest of the text.
pub(super) type StoredTexts = HashMap<(String, String), String>;

/// A checked definition with its text.
pub(super) struct Document {
    pub(super) workflow: Workflow,
    pub(super) source: String,
    pub(super) checksum: String,
}

/// Why a file defines nothing.
pub(super) enum Refusal {
    /// It is gone or cannot be read.
    Unreadable(io::Error),
    /// Its text is wrong.
    Refused {
        diagnostics: Diagnostics,
        /// The problems as a compiler shows them.
        rendered: String,
        /// Of the text, as far as it was read.
        checksum: String,
    },
}

/// The workflow files of a folder with their stamps.
///
/// Hidden files and what editors leave beside a file are none.
pub(super) fn list(folder: &Path) -> io::Result<Vec<(PathBuf, Stamp)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !is_workflow(&path) {
            continue;
        }
        // A link that leads nowhere, or a file that went meanwhile, is no file.
        if let Ok(metadata) = fs::metadata(&path)
            && metadata.is_file()
        {
            files.push((path, Stamp::of(&metadata)));
        }
    }
    Ok(files)
}

/// Whether a file of this name defines a workflow.
pub(super) fn is_workflow(path: &Path) -> bool {
    let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Reads files and checks those whose text is not the stored one.
pub(super) fn read_all(paths: Vec<PathBuf>, stored: &StoredTexts) -> Vec<Reading> {
    paths.into_iter().map(|path| read(path, stored)).collect()
}

fn read(path: PathBuf, stored: &StoredTexts) -> Reading {
    let (stamp, bytes) = match bytes(&path) {
        Ok((stamp, bytes)) => (Some(stamp), bytes),
        Err(error) => return Reading { path, stamp: None, text: Err(Refusal::Unreadable(error)) },
    };
    let checksum = digest::of(&bytes);
    let place = (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), checksum);
    if let Some(name) = stored.get(&place) {
        let text = Text::Stored { name: name.clone(), checksum: place.1 };
        return Reading { path, stamp, text: Ok(text) };
    }
    let (_, checksum) = place;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let text = match parse(&bytes, &stem) {
        Ok(workflow) => {
            let source = String::from_utf8_lossy(&bytes).into_owned();
            Ok(Text::New(Box::new(Document { workflow, source, checksum })))
        }
        Err(diagnostics) => {
            let rendered = diagnostics.render(&bytes, &path.display().to_string());
            Err(Refusal::Refused { diagnostics, rendered, checksum })
        }
    };
    Reading { path, stamp, text }
}

/// The content, cut off just beyond what a workflow may have: the check then says that it is too large.
fn bytes(path: &Path) -> io::Result<(Stamp, Vec<u8>)> {
    let file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let mut bytes = Vec::new();
    file.take(MAX_SOURCE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok((stamp, bytes))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_workflow;

    #[test]
    fn knows_a_workflow_file_by_its_name() {
        for name in ["w/a.yaml", "w/b.yml", "w/with space.yaml"] {
            assert!(is_workflow(Path::new(name)), "{name}");
        }
        for name in
            ["w/.a.yaml", "w/.#a.yaml", "w/a.yaml~", "w/#a.yaml#", "w/.a.yaml.swp", "w/a.json", "w/yaml", "w/4913"]
        {
            assert!(!is_workflow(Path::new(name)), "{name}");
        }
    }
}
