//! Prepares and starts a script's process: its command, its environment, its folder.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cogwheel_engine::ports::StepContext;
use cogwheel_engine::{Failure, FailureKind};
use serde_json::Value;
use tokio::process::{Child, Command};

/// The variable that carries the step key; survivors of a dead server are found by it.
pub(super) const STEP_KEY: &str = "COGWHEEL_STEP_KEY";

/// A script that is ready to start.
pub(super) struct Launch {
    command: Command,
    root: PathBuf,
    /// The file that the script puts its outputs into.
    pub(super) output_file: PathBuf,
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
        input: &Value,
    ) -> Result<Self, Failure> {
        let script = input["script"]
            .as_str()
            .ok_or_else(|| Failure::permanent(FailureKind::Internal, "a shell step was given no script"))?;
        if script.contains('\0') {
            return Err(cannot_start("the script contains the character U+0000"));
        }
        let file_name: String =
            context.step_key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let output_file = context.work_dir.join(format!(".output-{file_name}-{}", context.attempt));

        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).env_clear().envs(base_env.iter().map(|(name, value)| (name, value)));
        for (name, value) in input["env"].as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            check_variable(name, &value)?;
            command.env(name, value);
        }
        command
            .env("COGWHEEL_OUTPUT", &output_file)
            .env("COGWHEEL_ARTIFACTS", &context.artifacts_dir)
            .env(STEP_KEY, &context.step_key)
            .env("COGWHEEL_CORRELATION_ID", context.correlation_id.to_string())
            .env("COGWHEEL_EXECUTION_ID", context.execution.to_string())
            .env("COGWHEEL_WORKFLOW", &context.workflow)
            .env("COGWHEEL_STEP", &context.step)
            .env("COGWHEEL_ATTEMPT", context.attempt.to_string())
            .env("COGWHEEL_WORKDIR", &context.work_dir)
            .env("COGWHEEL_ROOT", &context.root)
            .current_dir(&context.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if context.is_saga {
            command.env("COGWHEEL_SAGA_ID", context.execution.to_string());
        }
        Ok(Self { command, root: context.root.clone(), output_file })
    }

    /// Starts the process.
    pub(super) fn spawn(mut self) -> Result<Child, Failure> {
        self.command.spawn().map_err(|error| self.explain(&error))
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

/// The failure of a step for which a file or folder cannot be made.
pub(super) fn not_made(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::retriable(FailureKind::Spawn, format!("the step's {what} could not be made"))
        .with_detail(format!("{}: {error}", path.display()))
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
