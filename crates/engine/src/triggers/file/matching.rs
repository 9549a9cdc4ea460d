//! Which files of a folder a watch is for, by name.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::spec::WatchSpec;

/// What programs leave behind while they write, beside everything hidden.
const UNFINISHED: [&str; 10] =
    ["*~", "#*#", "*.part", "*.partial", "*.tmp", "*.temp", "*.crdownload", "*.download", "*.swp", "*.filepart"];

/// The patterns of a watch.
#[derive(Debug)]
pub(super) struct Matcher {
    include: GlobSet,
    ignore: GlobSet,
    is_recursive: bool,
}

impl Matcher {
    /// The matcher of a checked trigger; `Err` says why a pattern cannot be read after all.
    pub(super) fn new(spec: &WatchSpec) -> Result<Self, globset::Error> {
        Ok(Self {
            include: set(spec.include.iter().map(String::as_str))?,
            ignore: set(spec.ignore.iter().map(String::as_str).chain(UNFINISHED))?,
            is_recursive: spec.is_recursive,
        })
    }

    /// Whether the file at `relative` below the folder is wanted.
    pub(super) fn takes(&self, relative: &Path) -> bool {
        let is_below = relative.components().count() > 1;
        let ignored = || {
            let by_name = relative.file_name().is_some_and(|name| self.ignore.is_match(name));
            by_name || self.ignore.is_match(relative)
        };
        (self.is_recursive || !is_below) && !is_hidden(relative) && self.include.is_match(relative) && !ignored()
    }

    /// Whether wanted files can lie in the folder at `relative`.
    pub(super) fn descends(&self, relative: &Path) -> bool {
        self.is_recursive && !is_hidden(relative)
    }
}

fn set<'a>(patterns: impl Iterator<Item = &'a str>) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(GlobBuilder::new(pattern).literal_separator(true).build()?);
    }
    set.build()
}

/// Whether the path, or a folder on the way to it, begins with a dot.
fn is_hidden(relative: &Path) -> bool {
    relative.components().any(|component| component.as_os_str().as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn matcher(include: &[&str], ignore: &[&str]) -> Matcher {
        Matcher {
            include: set(include.iter().copied()).unwrap(),
            ignore: set(ignore.iter().copied().chain(UNFINISHED)).unwrap(),
            is_recursive: include.iter().any(|pattern| pattern.contains('/')),
        }
    }

    fn takes(matcher: &Matcher, path: &str) -> bool {
        matcher.takes(Path::new(path))
    }

    #[test]
    fn a_plain_pattern_is_for_the_folder_itself() {
        let csv = matcher(&["*.csv"], &["old-*"]);
        assert!(takes(&csv, "a.csv") && takes(&csv, "späße 1.csv"));
        assert!(!takes(&csv, "sub/a.csv") && !takes(&csv, "a.txt") && !takes(&csv, "old-1.csv"));
        assert!(!csv.descends(Path::new("sub")));
    }

    #[test]
    fn a_deep_pattern_reaches_everywhere_but_hidden_folders() {
        let deep = matcher(&["**/*.csv"], &["done/**", "skip.csv"]);
        assert!(takes(&deep, "a.csv") && takes(&deep, "sub/deep/a.csv") && deep.descends(Path::new("sub")));
        for path in [".git/a.csv", "sub/.a.csv", "done/a.csv", "done/deep/a.csv", "sub/skip.csv"] {
            assert!(!takes(&deep, path), "{path}");
        }
        assert!(!deep.descends(Path::new("sub/.cache")));
    }

    #[test]
    fn unfinished_files_are_never_taken() {
        let all = matcher(&["*"], &[]);
        for name in [
            ".hidden",
            ".#lock",
            "a.csv~",
            "a.csv.part",
            "a.tmp",
            "a.partial",
            "a.crdownload",
            "a.download",
            ".a.swp",
            "a.swp",
            "#a.csv#",
        ] {
            assert!(!takes(&all, name), "{name}");
        }
        assert!(takes(&all, "part.csv") && takes(&all, "README"));
    }
}
