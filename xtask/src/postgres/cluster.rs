//! A private PostgreSQL in a temporary folder, gone with us however we end.

use std::fs::{self, DirBuilder, File};
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, process};

use anyhow::{Context as _, Result, bail};

use super::account::{Account, run_as};
use super::programs::Programs;

/// Between asking for a free port and listening on it, another program may take it.
const ATTEMPTS: usize = 3;

/// What a private server promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Nothing beyond its own life: for tests, since the folder is thrown away.
    Forgetful,
    /// What PostgreSQL promises by default: for measuring.
    Full,
}

/// Room for one connection pool a test.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=''",
    "max_connections=400",
    "max_locks_per_transaction=256",
    "wal_level=minimal",
    "max_wal_senders=0",
    "jit=off",
];

/// Speed instead of durability.
const FORGETFUL: &[&str] = &["fsync=off", "synchronous_commit=off", "full_page_writes=off"];

/// Waits until its standard input closes, which happens when we end in whatever way, then removes the server.
const CARETAKER: &str = r#"
trap '' INT TERM HUP
read -r _
"$1" stop --pgdata "$2/data" --mode immediate --silent >/dev/null 2>&1
rm -rf "$2"
"#;

/// A running server; dropping it stops the server and removes its folder.
pub(crate) struct Cluster {
    url: String,
    caretaker: Child,
}

impl Cluster {
    /// Creates a server in a new folder and starts it on a free port of the loopback interface.
    pub(super) fn start(programs: &Programs, durability: Durability) -> Result<Self> {
        let account = Account::needed()?;
        let folder = new_folder(account)?;
        let caretaker = caretaker(programs, account, &folder)?;
        // From here on, dropping the cluster cleans up whatever has come to be.
        let mut cluster = Self { url: String::new(), caretaker };
        let password = password()?;
        create(programs, account, &folder, &password)?;
        let port = listen(programs, account, &folder, durability)?;
        cluster.url = format!("postgres://cogwheel:{password}@127.0.0.1:{port}/postgres");
        Ok(cluster)
    }

    /// Where its superuser connects.
    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.caretaker.stdin.take());
        // Nothing is left to do for us when it cannot be waited for: it works on by itself.
        let _ = self.caretaker.wait();
    }
}

fn new_folder(account: Option<Account>) -> Result<PathBuf> {
    let folder = env::temp_dir().join(format!("cogwheel-test-postgres-{}", process::id()));
    let made = DirBuilder::new().mode(0o700).create(&folder);
    made.with_context(|| format!("cannot create {}", folder.display()))?;
    if let Some(Account { user, group }) = account {
        chown(&folder, Some(user), Some(group)).with_context(|| format!("cannot hand over {}", folder.display()))?;
    }
    Ok(folder)
}

fn caretaker(programs: &Programs, account: Option<Account>, folder: &Path) -> Result<Child> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", CARETAKER, "sh"]).arg(programs.path("pg_ctl")).arg(folder).current_dir("/");
    // A group of its own: Ctrl-C must not end the one that cleans up.
    let mut command = run_as(account, command);
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("cannot start /bin/sh")
}

fn create(programs: &Programs, account: Option<Account>, folder: &Path, password: &str) -> Result<()> {
    let secret = folder.join("password");
    fs::write(&secret, password).with_context(|| format!("cannot write {}", secret.display()))?;
    if let Some(Account { user, group }) = account {
        chown(&secret, Some(user), Some(group)).with_context(|| format!("cannot hand over {}", secret.display()))?;
    }
    let mut command = Command::new(programs.path("initdb"));
    command
        .args([
            "--username=cogwheel",
            "--auth=password",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ])
        .arg("--pwfile")
        .arg(&secret)
        .arg("--pgdata")
        .arg(folder.join("data"))
        .current_dir(folder);
    complete(run_as(account, command), "initdb")
}

fn listen(programs: &Programs, account: Option<Account>, folder: &Path, durability: Durability) -> Result<u16> {
    let log = folder.join("log");
    let more = if durability == Durability::Forgetful { FORGETFUL } else { &[] };
    let settings = SETTINGS.iter().chain(more).map(|setting| format!("-c {setting}")).collect::<Vec<_>>().join(" ");
    let mut outcome = Ok(0);
    for _ in 0..ATTEMPTS {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?.port();
        let mut command = Command::new(programs.path("pg_ctl"));
        command
            .args(["start", "--wait", "--timeout=60", "--silent", "--options"])
            .arg(format!("-p {port} {settings}"))
            .arg("--log")
            .arg(&log)
            .arg("--pgdata")
            .arg(folder.join("data"))
            .current_dir(folder);
        outcome = complete(run_as(account, command), "pg_ctl start").map(|()| port);
        if outcome.is_ok() {
            break;
        }
    }
    outcome.with_context(|| format!("its log says:\n{}", fs::read_to_string(&log).unwrap_or_default().trim_end()))
}

fn complete(mut command: Command, name: &str) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {name}"))?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn password() -> Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::{address, programs};
    use super::*;

    #[test]
    fn a_private_server_runs_and_leaves_nothing() {
        // The test command has installed the programs before it runs this test.
        let programs = programs::find().expect("PostgreSQL is installed");
        let cluster = Cluster::start(&programs, Durability::Forgetful).expect("it starts");
        address::knock(cluster.url()).expect("it answers");
        let url = cluster.url().to_owned();
        let folder = env::temp_dir().join(format!("cogwheel-test-postgres-{}", process::id()));
        assert!(folder.is_dir());
        drop(cluster);
        assert!(!folder.exists());
        assert!(address::knock(&url).is_err());
    }
}
