//! Prepares and starts a script's process: its command, its environment, its folder.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeWriter, Write as _};
use std::path::PathBuf;
use std::process::Stdio;

use cogwheel_engine::ports::{StepContext, Workplace};
use cogwheel_engine::{Failure, FailureKind};
use serde_json::Value;
use tokio::process::{Child, Command};

/// The variable that carries the step key; survivors of a dead server are found by it.
pub(super) const STEP_KEY: &str = "COGWHEEL_STEP_KEY";

/// What a shell does before its script: it waits for a line, and ends if none comes because the server has died. On the
/// script's first line, so that the lines keep their numbers.
const WAIT: &str = "read -r _||exit;exec </dev/null;";

/// Keeps a shell from its script.
pub(super) struct Gate(PipeWriter);

impl Gate {
    /// Lets the shell go on.
    pub(super) fn open(mut self) {
        // A shell that has ended by now, of a script that it cannot read, needs nothing more.
        let _ = self.0.write_all(b"\n");
    }
}

/// A script that is ready to start.
pub(super) struct Launch {
    command: Command,
    root: PathBuf,
}

/// Whether scripts inherit this variable of the server's environment.
pub(super) fn is_inherited(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    matches!(name, "PATH" | "HOME" | "USER" | "LANG" | "TZ" | "TMPDIR") || name.starts_with("LC_")
}

impl Launch {
    /// Later variables win: inherited ones, the step's own, Cogwheel's.
    pub(super) fn new(
        base_env: &[(OsString, OsString)],
        context: &StepContext,
        place: &Workplace,
        input: &Value,
    ) -> Result<Self, Failure> {
        let script = input["script"]
            .as_str()
            .ok_or_else(|| Failure::permanent(FailureKind::Internal, "a shell step was given no script"))?;
        if script.contains('\0') {
            return Err(cannot_start("the script contains the character U+0000"));
        }

        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(format!("{WAIT}{script}"))
            .env_clear()
            .envs(base_env.iter().map(|(name, value)| (name, value)));
        for (name, value) in input["env"].as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            check_variable(name, &value)?;
            command.env(name, value);
        }
        command
            .env("COGWHEEL_OUTPUT", &place.output_file)
            .env("COGWHEEL_ARTIFACTS", &place.artifacts_dir)
            .env(STEP_KEY, &context.step_key)
            .env("COGWHEEL_EXECUTION_ID", context.execution.to_string())
            .env("COGWHEEL_WORKFLOW", &context.workflow)
            .env("COGWHEEL_STEP", &context.step)
            .env("COGWHEEL_ATTEMPT", context.attempt.to_string())
            .env("COGWHEEL_WORKDIR", &context.work_dir)
            .env("COGWHEEL_ROOT", &context.root)
            .current_dir(&context.root)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        Ok(Self { command, root: context.root.clone() })
    }

    /// Starts the process, which waits for its gate to be opened before it runs the script.
    pub(super) fn spawn(mut self) -> Result<(Child, Gate), Failure> {
        let (waits, opens) = io::pipe().map_err(|error| self.explain(&error))?;
        let child = self.command.stdin(waits).spawn().map_err(|error| self.explain(&error))?;
        Ok((child, Gate(opens)))
    }

    fn explain(&self, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::ArgumentListTooLong => cannot_start(
                "the script and its environment are larger than the system allows a new process; \
                 hand large values over in a file (on Linux 128 KiB is the limit of one value)",
            ),
            io::ErrorKind::NotFound if !self.root.is_dir() => cannot_start(&format!(
                "the folder {} that steps run in does not exist; create it or change the setting",
                self.root.display()
            )),
            // Too many processes or too little memory: this passes.
            _ => Failure::retriable(FailureKind::Spawn, "the script could not be started")
                .with_detail(format!("/bin/sh in {}: {error}", self.root.display())),
        }
    }
}

fn check_variable(name: &str, value: &str) -> Result<(), Failure> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(cannot_start(&format!("`{}` cannot name an environment variable", name.escape_debug())));
    }
    if value.contains('\0') {
        return Err(cannot_start(&format!("the environment variable `{name}` contains the character U+0000")));
    }
    Ok(())
}

fn cannot_start(why: &str) -> Failure {
    Failure::permanent(FailureKind::Spawn, "the script could not be started").with_detail(why)
}
