//! A running server.

use std::fs::{self, File};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::{Client, Home, until};

/// A server of one test. It is a [`Client`] of itself with the admin key; dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: PathBuf,
    client: Client,
}

impl Server {
    pub(crate) fn start(home: &Home, data: &Path, mut command: Command) -> Self {
        let log = home
            .path(&format!("elsewhere/server-{}.log", fs::read_dir(home.path("elsewhere")).map_or(0, Iterator::count)));
        let output = File::create(&log).expect("the log can be written");
        let errors = output.try_clone().expect("the log can be shared");
        let mut child = command.stdout(output).stderr(errors).spawn().expect("the binary runs");
        let address = until("the server to listen", || {
            if let Some(status) = child.try_wait().expect("the server is our child") {
                let said = fs::read_to_string(&log).unwrap_or_default();
                panic!("the server ended ({status}) instead of serving:\n{said}");
            }
            listening(&log)
        });
        let key = fs::read_to_string(data.join("admin.key")).expect("the admin key was written");
        let client = Client::new(&address, Some(key.trim()));
        Self { child, log, client }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills it as a crash would: `kill -9`, nothing is tidied up.
    pub fn crash(mut self) {
        self.end();
    }

    /// Sends SIGTERM.
    pub fn ask_to_stop(&self) {
        self.send(Signal::TERM);
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.send(Signal::INT);
    }

    /// Stops its clock: SIGSTOP, as a machine that is suspended.
    pub fn suspend(&self) {
        self.send(Signal::STOP);
    }

    /// Lets it go on: SIGCONT.
    pub fn resume(&self) {
        self.send(Signal::CONT);
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(mut self) -> ExitStatus {
        self.ask_to_stop();
        self.ended()
    }

    /// Waits for the end.
    pub fn ended(&mut self) -> ExitStatus {
        until("the server to stop", || self.child.try_wait().expect("the server is our child"))
    }

    fn send(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("the server is there");
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a server listens, once its log tells.
pub(crate) fn listening(log: &Path) -> Option<String> {
    let said = fs::read_to_string(log).unwrap_or_default();
    let (_, rest) = said.split_once("listening on http://")?;
    rest.contains('\n').then(|| rest.chars().take_while(char::is_ascii_graphic).collect())
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "the server's log explains why a test failed")]
    fn drop(&mut self) {
        self.end();
        if thread::panicking() {
            eprintln!("--- the server's log\n{}--- its end", self.log());
        }
    }
}
