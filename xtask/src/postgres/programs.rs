//! The installed PostgreSQL server programs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

/// The oldest release that Cogwheel runs on.
pub(super) const OLDEST: u32 = 15;

/// A folder with `initdb`, `pg_ctl` and `postgres` of one release.
pub(super) struct Programs {
    folder: PathBuf,
    /// Such as `15.18`.
    pub(super) version: String,
    major: u32,
}

impl Programs {
    /// The path of one of the programs.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn in_folder(folder: &Path) -> Option<Self> {
        let complete = ["initdb", "pg_ctl", "postgres"].iter().all(|name| folder.join(name).is_file());
        let (major, version) =
            complete.then(|| output(&folder.join("postgres"), "--version"))?.and_then(|line| version(&line))?;
        Some(Self { folder: folder.to_path_buf(), version, major })
    }
}

/// The newest release that is installed, if it is new enough.
pub(super) fn find() -> Option<Programs> {
    let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let configured = output(Path::new("pg_config"), "--bindir").map(|line| PathBuf::from(line.trim()));
    on_path
        .into_iter()
        .chain(configured)
        .chain(releases("/usr/lib/postgresql", ""))
        .chain(releases("/usr", "pgsql-"))
        .filter_map(|folder| Programs::in_folder(&folder))
        .filter(|programs| programs.major >= OLDEST)
        .max_by_key(|programs| programs.major)
}

/// The `bin` folders of the releases below `parent` whose folder names start with `prefix`.
fn releases(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let named = |name: &OsStr| name.to_string_lossy().starts_with(prefix);
    entries.flatten().filter(|entry| named(&entry.file_name())).map(|entry| entry.path().join("bin")).collect()
}

fn output(program: &Path, argument: &str) -> Option<String> {
    let Output { status, stdout, .. } = Command::new(program).arg(argument).output().ok()?;
    status.success().then(|| String::from_utf8_lossy(&stdout).into_owned())
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` is 15, `15.18`.
fn version(line: &str) -> Option<(u32, String)> {
    let version = line.split(") ").nth(1)?.split_whitespace().next()?.to_owned();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some((15, "15.18".to_owned())));
        assert_eq!(version("postgres (PostgreSQL) 19beta1\n"), Some((19, "19beta1".to_owned())));
        assert_eq!(version("command not found"), None);
    }
}
