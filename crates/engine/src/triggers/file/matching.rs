//! Which files of a folder a watch is for, by name.

use std::path::{Path, PathBuf};

use cogwheel_definition::DoneMarker;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::spec::WatchSpec;

/// What programs leave behind while they write, beside everything hidden.
const UNFINISHED: [&str; 10] =
    ["*~", "#*#", "*.part", "*.partial", "*.tmp", "*.temp", "*.crdownload", "*.download", "*.swp", "*.filepart"];

/// What a name says about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::triggers) enum Named {
    /// It is wanted.
    Wanted,
    /// It says that others are whole.
    Marker,
    /// It is hidden, or what programs leave behind while they write; otherwise it would be wanted.
    Unfinished,
    /// A pattern leaves it out that would otherwise be wanted.
    Ignored,
    /// It is nothing that the watch is for.
    Foreign,
}

/// The patterns of a watch.
#[derive(Debug)]
pub(in crate::triggers) struct Matcher {
    include: GlobSet,
    ignore: GlobSet,
    unfinished: GlobSet,
    marker: Option<DoneMarker>,
    is_recursive: bool,
}

impl Matcher {
    /// The matcher of a checked trigger; `Err` says why a pattern cannot be read after all.
    pub(super) fn new(spec: &WatchSpec) -> Result<Self, globset::Error> {
        Ok(Self {
            include: set(spec.include.iter().map(String::as_str))?,
            ignore: set(spec.ignore.iter().map(String::as_str))?,
            unfinished: set(UNFINISHED.into_iter())?,
            marker: spec.done_marker.clone(),
            is_recursive: spec.is_recursive,
        })
    }

    /// The matcher of a trigger for uploads, whose names have no folders.
    pub(in crate::triggers) fn of_names(include: &[String], ignore: &[String]) -> Result<Self, globset::Error> {
        Ok(Self {
            include: set(include.iter().map(String::as_str))?,
            ignore: set(ignore.iter().map(String::as_str))?,
            unfinished: set(UNFINISHED.into_iter())?,
            marker: None,
            is_recursive: false,
        })
    }

    /// What the name of the file at `relative` below the folder says.
    pub(in crate::triggers) fn named(&self, relative: &Path) -> Named {
        let is_below = relative.components().count() > 1;
        let name = relative.file_name().unwrap_or_default();
        if is_below && !self.is_recursive {
            return Named::Foreign;
        }
        if let (Some(marker), Some(name)) = (&self.marker, name.to_str())
            && marker.is_marker(name)
        {
            return Named::Marker;
        }
        if !self.include.is_match(relative) {
            return Named::Foreign;
        }
        if is_hidden(relative) || self.unfinished.is_match(name) {
            return Named::Unfinished;
        }
        if self.ignore.is_match(name) || self.ignore.is_match(relative) { Named::Ignored } else { Named::Wanted }
    }

    /// The marker of a file, if it needs one.
    pub(super) fn marker_of(&self, path: &Path) -> Option<PathBuf> {
        let marker = self.marker.as_ref()?;
        Some(path.with_file_name(marker.of_file(path.file_name()?.to_str()?)))
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
            ignore: set(ignore.iter().copied()).unwrap(),
            unfinished: set(UNFINISHED.into_iter()).unwrap(),
            marker: None,
            is_recursive: include.iter().any(|pattern| pattern.contains('/')),
        }
    }

    fn takes(matcher: &Matcher, path: &str) -> bool {
        matcher.named(Path::new(path)) == Named::Wanted
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
    fn markers_are_no_files_and_every_file_has_one() {
        let marked = Matcher {
            marker: Some(DoneMarker::File { before: String::new(), is_stem: false, after: ".ok".into() }),
            ..matcher(&["*"], &["b*"])
        };
        let named = |name: &str| marked.named(Path::new(name));
        assert_eq!((named("a.csv"), named("a.csv.ok"), named("b.csv")), (Named::Wanted, Named::Marker, Named::Ignored));
        assert_eq!((named(".a"), named("sub/a")), (Named::Unfinished, Named::Foreign));
        assert_eq!(marked.marker_of(Path::new("/in/a.csv")), Some("/in/a.csv.ok".into()));
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
