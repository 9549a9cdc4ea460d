//! Stays with a script's processes until nothing of them is left.

use std::process::ExitStatus;

use cogwheel_engine::ports::StepContext;
use cogwheel_engine::{Failure, FailureKind};
use tokio::process::Child;

use super::capture::{Capture, Seen};
use super::group::Group;

/// How a script ended.
pub(super) struct Ended {
    /// The shell's own end; `None` when the attempt was stopped before it.
    pub(super) status: Option<ExitStatus>,
    pub(super) seen: Seen,
}

/// Waits for the shell to end, or ends it when the attempt is stopped; then for its output; then ends what it
/// left behind in its group.
pub(super) async fn until_end(mut child: Child, context: &StepContext) -> Result<Ended, Failure> {
    // Declared before the capture and after the child: if this is dropped on the way, the group is killed while its
    // leader's number is still its own.
    let mut group = Group::led_by(&child);
    let mut capture = Capture::of(&mut child, &context.logs);
    let stopped = context.stop.cancelled();
    tokio::pin!(stopped);

    let status = capture
        .during(async {
            tokio::select! {
                biased;
                status = child.wait() => status.map(Some),
                () = &mut stopped => Ok(None),
            }
        })
        .await
        .map_err(|error| {
            Failure::retriable(FailureKind::Internal, "the script's end was not seen").with_detail(error.to_string())
        })?;
    if status.is_some() {
        tokio::select! {
            () = capture.settle() => {}
            () = &mut stopped => {}
        }
    }
    capture.during(group.end(&mut child, context.kill_grace)).await;
    Ok(Ended { status, seen: capture.finish().await })
}
