//! Installs Debian's PostgreSQL where we may.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::account;
use super::programs::{self, OLDEST, Programs};

/// Installs the package `postgresql` as root, or through a `sudo` that asks nothing.
///
/// # Errors
///
/// When we may not, when the package cannot be had, or when it is too old; each says what to do instead.
pub(super) fn postgresql(variable: &str) -> Result<Programs> {
    let instead = format!(
        "install PostgreSQL {OLDEST} or newer (Debian: `apt-get install postgresql`), or set {variable} to a server whose \
         role may create databases"
    );
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("the tests need PostgreSQL, and its server programs were not found; {instead}");
    }
    let become_root: &[&str] = if account::is_root()? {
        &[]
    } else if succeeds(Command::new("sudo").args(["-n", "true"])) {
        &["sudo", "-n"]
    } else {
        bail!("the tests need PostgreSQL, and installing it needs root; {instead}");
    };

    println!("xtask: PostgreSQL is not installed; installing Debian's `postgresql`");
    apt(become_root, &["update"]).with_context(|| instead.clone())?;
    apt(become_root, &["install", "--yes", "--no-install-recommends", "postgresql"])
        .with_context(|| instead.clone())?;
    programs::find().with_context(|| format!("the installed `postgresql` is older than {OLDEST}; {instead}"))
}

fn apt(become_root: &[&str], arguments: &[&str]) -> Result<()> {
    // `RUNLEVEL=1` keeps the package from starting a server of its own.
    let line = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "apt-get", "-qq"];
    let mut words = become_root.iter().chain(&line).chain(arguments);
    let program = words.next().context("an empty command line")?;
    let mut command = Command::new(program);
    let status = command.args(words).stdin(Stdio::null()).status().context("cannot run apt-get")?;
    if !status.success() {
        bail!("`apt-get {}` failed", arguments.join(" "));
    }
    Ok(())
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
