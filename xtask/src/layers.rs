//! `check-layers`: what the crates depend on and name, against what they may.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::{cargo, edges, words};

/// Prints every breach; fails when there is one.
pub(crate) fn check(root: &Path) -> Result<ExitCode> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .context("cannot run `cargo metadata`")?;
    if !output.status.success() {
        bail!("`cargo metadata` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let metadata = serde_json::from_slice(&output.stdout).context("`cargo metadata` printed no JSON")?;

    let members = edges::members(&metadata)?;
    let mut breaches = edges::breaches(&members);
    breaches.extend(words::breaches(root, &members)?);
    if breaches.is_empty() {
        println!("layers: {} crates, every edge is allowed", members.len());
        return Ok(ExitCode::SUCCESS);
    }
    for breach in &breaches {
        eprintln!("layers: {breach}");
    }
    eprintln!("layers: {} breach(es); the rules stand in xtask/src/edges.rs and xtask/src/words.rs", breaches.len());
    Ok(ExitCode::FAILURE)
}
