//! Where the folder of a file trigger lies.

use std::path::{Component, Path, PathBuf};

/// The absolute folder that `path` means below `root`, whether or not it exists.
///
/// `.` and `..` are resolved by name: the answer must not change when a folder comes or goes.
pub(super) fn absolute(root: &Path, path: &str) -> PathBuf {
    let joined = root.join(path);
    let joined = std::path::absolute(&joined).unwrap_or(joined);
    let mut absolute = PathBuf::new();
    for component in joined.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                absolute.pop();
            }
            other => absolute.push(other),
        }
    }
    absolute
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::absolute;

    #[test]
    fn resolves_by_name_only() {
        let root = Path::new("/srv/cogwheel");
        for (path, expected) in [
            ("inbox", "/srv/cogwheel/inbox"),
            ("./inbox/", "/srv/cogwheel/inbox"),
            ("../drop/./in", "/srv/drop/in"),
            ("/var/drop", "/var/drop"),
            ("../../../..", "/"),
        ] {
            assert_eq!(absolute(root, path), PathBuf::from(expected), "{path}");
        }
    }
}
