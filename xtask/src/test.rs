//! `test`: everything the tests need, then the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::cargo;
use crate::postgres::{self, Durability};

/// Where the tests find their PostgreSQL.
const POSTGRES_URL: &str = "COGWHEEL_TEST_POSTGRES_URL";
/// The package that drives the binary.
const END_TO_END: &str = "cogwheel-tests";
/// The package, and its program, that measures the engine.
const CORE: &str = "cogwheel-bench";
/// Where the end-to-end tests find the binary that was built for them.
const BINARY: &str = "COGWHEEL_TEST_BINARY";

/// Brings a PostgreSQL, builds, runs the documentation's examples and then every test, so that the runner's own summary
/// stands last. `arguments` go to the runner; with any, the documentation's examples are left out.
pub(crate) fn run(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    let database = postgres::provide(POSTGRES_URL, Durability::Forgetful)?;
    let packages = named_packages(arguments);
    let binary = if packages.is_empty() || packages.contains(&END_TO_END) { Some(build(root)?) } else { None };
    let tests = |words: &[&str]| {
        let mut command = cargo();
        command.args(words).current_dir(root).env(POSTGRES_URL, database.url());
        if let Some(binary) = &binary {
            command.env(BINARY, binary);
        }
        command
    };

    let examples = if arguments.is_empty() {
        Some(status(&mut tests(&["test", "--quiet", "--doc", "--workspace"]))?)
    } else {
        None
    };
    let mut runner = if has_nextest() {
        tests(&["nextest", "run"])
    } else {
        println!("xtask: cargo-nextest is not installed, so `cargo test` runs the tests");
        tests(&["test", "--no-fail-fast"])
    };
    if packages.is_empty() {
        runner.arg("--workspace");
    }
    let outcome = status(runner.args(arguments))?;

    if let Some(examples) = examples.filter(|examples| !examples.success()) {
        println!("xtask: an example in the documentation failed, see above");
        return Ok(code(if outcome.success() { examples } else { outcome }));
    }
    Ok(code(outcome))
}

/// Brings a PostgreSQL, builds the release binary and measures it. `core` in `arguments` keeps to the engine's own
/// workloads, of which the words after it may name some.
pub(crate) fn bench(root: &Path, arguments: &[String]) -> Result<ExitCode> {
    let only_core = match arguments.first().map(String::as_str) {
        None => false,
        Some("core") => true,
        Some(unknown) => bail!("there are no benchmarks `{unknown}`; leave it out for all, or say `core`"),
    };
    let database = postgres::provide(POSTGRES_URL, Durability::Full)?;
    let packages = ["--package", "cogwheel", "--package", CORE];
    let built = status(cargo().args(["build", "--release"]).args(packages).current_dir(root))?;
    if !built.success() {
        bail!("the build failed, see above");
    }
    let release = target_folder(root)?.join("release");
    let measure = |command: &mut Command| {
        let binary = release.join("cogwheel");
        status(command.current_dir(root).env(POSTGRES_URL, database.url()).env(BINARY, binary))
    };
    let core = measure(Command::new(release.join(CORE)).args(arguments.iter().skip(1)))?;
    if only_core || !core.success() {
        return Ok(code(core));
    }
    measure(cargo().args(["run", "--quiet", "--package", END_TO_END, "--bin", "bench"])).map(code)
}

/// Builds the tests and the binary in one go: asked for together they share every dependency.
fn build(root: &Path) -> Result<PathBuf> {
    let built = status(cargo().args(["build", "--workspace", "--bins", "--tests"]).current_dir(root))?;
    if !built.success() {
        bail!("the build failed, see above");
    }
    Ok(target_folder(root)?.join("debug").join("cogwheel"))
}

/// Where cargo puts what it builds.
fn target_folder(root: &Path) -> Result<PathBuf> {
    let metadata = cargo()
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .context("cannot run `cargo metadata`")?;
    let metadata: serde_json::Value =
        serde_json::from_slice(&metadata.stdout).context("`cargo metadata` printed no JSON")?;
    metadata["target_directory"].as_str().map(PathBuf::from).context("`cargo metadata` names no target folder")
}

fn has_nextest() -> bool {
    let mut version = cargo();
    version.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// The packages that the runner is told to keep to.
fn named_packages(arguments: &[String]) -> Vec<&str> {
    let mut packages = Vec::new();
    let mut words = arguments.iter().map(String::as_str).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == "-p" || word == "--package" {
            packages.extend(words.next());
        } else {
            packages.extend(word.strip_prefix("--package=").or_else(|| word.strip_prefix("-p")));
        }
    }
    packages
}

fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("cannot run {}", command.get_program().display()))
}

fn code(status: ExitStatus) -> ExitCode {
    // A runner that a signal ended has no code of its own.
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_packages_are_seen() {
        let given = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(named_packages(&given("-p cogwheel-store -pxtask")), ["cogwheel-store", "xtask"]);
        assert_eq!(named_packages(&given("--package=cogwheel-store dropped")), ["cogwheel-store"]);
        assert!(named_packages(&given("dropped_file --no-capture -- -p x")).is_empty());
    }
}
