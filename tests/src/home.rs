//! A folder of a test's own: workflows, inbox, data, and the binary run in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cogwheel_testkit::TestDatabase;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Backend, Server, Sql, binary, sql};

/// Where one installation lives; all of it is gone when this is dropped.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    settings: BTreeMap<String, String>,
    postgres: Option<TestDatabase>,
}

/// How a command of the binary ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it printed for its caller.
    pub stdout: String,
    /// What it printed for people.
    pub stderr: String,
}

impl Finished {
    /// What it printed as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Checks the exit code.
    #[must_use]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

impl Home {
    /// A home with a database whose schema is up to date where that saves time.
    pub fn new(backend: Backend) -> Self {
        let mut home = Self::bare();
        if backend == Backend::Postgres {
            let migrate = async |url: &str| {
                home.set("database_url", url);
                let _ = home.run(&["db", "migrate"]).with_code(0);
            };
            let database = sql::wait_for(TestDatabase::prepared_on_postgres(&binary::stamp(), migrate));
            home.use_database(database);
        }
        home
    }

    /// A home with an empty database.
    pub fn unmigrated(backend: Backend) -> Self {
        let mut home = Self::bare();
        if backend == Backend::Postgres {
            home.use_database(sql::wait_for(TestDatabase::empty(backend)));
        }
        home
    }

    fn bare() -> Self {
        let folder = tempfile::Builder::new().prefix("cogwheel-e2e-").tempdir().expect("a temporary folder");
        for name in ["workflows", "inbox", "elsewhere"] {
            fs::create_dir(folder.path().join(name)).expect("a new folder");
        }
        let mut home = Self { folder, settings: BTreeMap::new(), postgres: None };
        home.set("listen", "127.0.0.1:0");
        home.set("engine.shutdown_grace", "20s");
        home.set("engine.kill_grace", "1s");
        home.set("files.watch_retry", "100ms");
        home
    }

    fn use_database(&mut self, database: TestDatabase) {
        self.set("database_url", database.url());
        self.postgres = Some(database);
    }

    /// The folder that relative paths mean.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A path in it.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Gives a setting (`engine.kill_grace`) to every later command, through its environment variable.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.insert(variable(key), value.to_owned());
    }

    /// Takes a setting back; what it was.
    pub fn unset(&mut self, key: &str) -> Option<String> {
        self.settings.remove(&variable(key))
    }

    /// Writes a file of the home in one step: nobody sees half of it.
    pub fn write(&self, relative: &str, content: impl AsRef<[u8]>) {
        let name = relative.replace('/', "-");
        let draft = self.path("elsewhere").join(name);
        fs::write(&draft, content).expect("the draft can be written");
        fs::rename(draft, self.path(relative)).expect("the draft can be moved into place");
    }

    /// Reads a file of the home; empty when it is not there.
    pub fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap_or_default()
    }

    /// The binary with these arguments in this home.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary::path());
        command
            .args(arguments)
            .current_dir(self.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root())
            .envs(&self.settings)
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("the binary runs");
        Finished {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// Starts a server and waits until it answers.
    pub fn serve(&self) -> Server {
        Server::start(self, &self.data(), self.command(&["serve"]))
    }

    /// Starts a server by a command that turns into it: `unshare …`, `setpriv …`.
    pub fn serve_under(&self, wrapper: &[&str]) -> Server {
        let plain = self.command(&["serve"]);
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(plain.get_program()).args(plain.get_args());
        command.current_dir(self.root()).env_clear().stdin(Stdio::null());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Server::start(self, &self.data(), command)
    }

    /// Starts another server with a data folder of its own, relative to the home, and waits until it answers.
    pub fn serve_from(&self, data: &str) -> Server {
        let data = self.path(data);
        let mut command = self.command(&["serve", "--data-dir"]);
        Server::start(self, &data, {
            command.arg(&data);
            command
        })
    }

    /// What steps carry in the variable `MARK`, so that their processes can be found.
    pub fn mark(&self) -> String {
        self.root().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The living processes that carry the mark.
    pub fn marked_processes(&self) -> Vec<u32> {
        let sought = format!("MARK={}", self.mark()).into_bytes();
        let carries = |pid: &u32| {
            // A process that has ended has no environment any more.
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == sought)
        };
        let entries = fs::read_dir("/proc").expect("/proc is there").flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(carries).collect()
    }

    /// A connection to the database beside the server's.
    pub fn sql(&self) -> Sql {
        match &self.postgres {
            Some(postgres) => Sql::open(postgres.url()),
            None => Sql::open(&format!("sqlite://{}", self.data().join("cogwheel.db").display())),
        }
    }
}

/// The environment variable of a setting.
fn variable(key: &str) -> String {
    format!("COGWHEEL_{}", key.replace('.', "__").to_uppercase())
}
