//! Judges how a script ended.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use cogwheel_engine::{Failure, FailureKind, Outcome};
use rustix::process::Signal;
use serde_json::Value;

use super::Outputs;
use super::capture::Seen;

/// A shell reports that a command was ended by a signal as this plus the signal's number.
const SIGNAL_CODE: i32 = 128;

/// What to do about memory.
const MORE_MEMORY: &str = "the kernel's out-of-memory killer was at work; let the step need less memory, run fewer \
                           steps side by side, or give the server more";

/// Who may have killed a process while the kernel counted no lack of memory.
const KILLED: &str =
    "somebody killed the process, or the system ran out of memory where its kernel does not count that";

/// The outcome of a script that was not stopped. The first cause counts: a script that failed is not blamed for
/// its output file as well.
pub(super) fn of(status: ExitStatus, seen: Seen, outputs: Result<Outputs, Failure>, out_of_memory: bool) -> Outcome {
    let (mut output, malformed) = match outputs {
        Ok(outputs) => (outputs, None),
        Err(failure) => (Outputs::new(), Some(failure)),
    };
    output.insert("stdout".to_owned(), seen.stdout.into());
    if seen.is_stdout_truncated {
        output.insert("stdout_truncated".to_owned(), true.into());
    }
    if let Some(code) = status.code() {
        output.insert("exit_code".to_owned(), code.into());
    }
    match failure_of(status, seen.stderr_tail, out_of_memory).or(malformed) {
        None => Outcome::Completed { output: Value::Object(output) },
        Some(failure) => Outcome::Failed { failure, output: Some(Value::Object(output)) },
    }
}

/// Whether the script, or the command whose end it passes on, ended as the kernel's out-of-memory killer ends things.
pub(super) fn may_be_out_of_memory(status: ExitStatus) -> bool {
    let kill = Signal::KILL.as_raw();
    status.signal() == Some(kill) || status.code() == Some(SIGNAL_CODE + kill)
}

fn failure_of(status: ExitStatus, stderr_tail: String, out_of_memory: bool) -> Option<Failure> {
    let (failure, hint) = match (status.code(), status.signal()) {
        (Some(0), _) => return None,
        (code, _) if out_of_memory => {
            let whose = if code.is_some() { "a command of the script " } else { "" };
            let title = format!("{whose}was killed because memory ran out");
            (Failure::retriable(FailureKind::Memory, title), Some(MORE_MEMORY.to_owned()))
        }
        (Some(code), _) => {
            let failure = Failure::retriable(FailureKind::Exit, format!("exit code {code}")).with_code(code);
            (
                failure,
                signal_name(code - SIGNAL_CODE).map(|name| format!("a command of the script was ended by {name}")),
            )
        }
        (None, number) => {
            let name = number.and_then(signal_name).unwrap_or_else(|| format!("signal {}", number.unwrap_or_default()));
            let failure = Failure::retriable(FailureKind::Signal, format!("ended by {name}"))
                .with_code(number.unwrap_or_default());
            (failure, (number == Some(Signal::KILL.as_raw())).then(|| KILLED.to_owned()))
        }
    };
    let detail: Vec<String> = [Some(stderr_tail), hint].into_iter().flatten().filter(|text| !text.is_empty()).collect();
    Some(if detail.is_empty() { failure } else { failure.with_detail(detail.join("\n")) })
}

fn signal_name(number: i32) -> Option<String> {
    let name = match Signal::from_named_raw(number)? {
        Signal::HUP => "SIGHUP",
        Signal::INT => "SIGINT",
        Signal::QUIT => "SIGQUIT",
        Signal::ILL => "SIGILL",
        Signal::TRAP => "SIGTRAP",
        Signal::ABORT => "SIGABRT",
        Signal::BUS => "SIGBUS",
        Signal::FPE => "SIGFPE",
        Signal::KILL => "SIGKILL",
        Signal::USR1 => "SIGUSR1",
        Signal::SEGV => "SIGSEGV",
        Signal::USR2 => "SIGUSR2",
        Signal::PIPE => "SIGPIPE",
        Signal::ALARM => "SIGALRM",
        Signal::TERM => "SIGTERM",
        Signal::XCPU => "SIGXCPU",
        Signal::XFSZ => "SIGXFSZ",
        Signal::SYS => "SIGSYS",
        other => return Some(format!("signal {}", other.as_raw())),
    };
    Some(name.to_owned())
}
