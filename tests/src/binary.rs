//! The binary under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

/// The `cogwheel` that the test command built, or one that is built now.
pub(crate) fn path() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| env::var_os("COGWHEEL_TEST_BINARY").map_or_else(build, PathBuf::from))
}

/// Cargo's own lock keeps test processes that build at the same time apart.
fn build() -> PathBuf {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Build scripts that look at what the test runner says of this package would build their crates anew.
    let ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
        cargo.env_remove(name);
    }
    cargo.args(["build", "--quiet", "--package", "cogwheel", "--bin", "cogwheel"]);
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo is installed");
    assert!(built.success(), "the binary does not build");
    let test = env::current_exe().expect("this test has a path");
    let profile = test.parent().and_then(Path::parent).expect("tests lie in <target>/<profile>/deps");
    profile.join("cogwheel")
}

/// Tells this build of the binary from any other.
pub(crate) fn stamp() -> String {
    use std::os::unix::fs::MetadataExt as _;
    let about = fs::metadata(path()).expect("the binary is there");
    format!("{:x}_{:x}_{:x}", about.size(), about.mtime(), about.mtime_nsec())
}
