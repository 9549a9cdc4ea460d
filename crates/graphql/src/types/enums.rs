//! The words for states and kinds; each follows its enum in the engine, so that none can be missed.

use async_graphql::{Enum, Result};
use cogwheel_engine::{ports, views};

use crate::errors::internal;

/// Where a workflow stands in its life.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "views::WorkflowStatus")]
pub(crate) enum WorkflowStatus {
    /// Saved, never activated.
    Draft,
    /// In use.
    Active,
    /// No new executions for now.
    Paused,
    /// Retired.
    Inactive,
}

/// Where an execution stands.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "cogwheel_engine::ExecutionStatus", name = "WorkflowExecutionStatus")]
pub(crate) enum ExecutionStatus {
    /// Accepted, waiting for a slot.
    Queued,
    /// Steps run or may run.
    Running,
    /// Nothing can go on before a timer, a signal, a decision or a child.
    Waiting,
    /// Every branch ended well.
    Completed,
    /// A step failed for good.
    Failed,
    /// Ended on request.
    Cancelled,
    /// Its time limit passed.
    TimedOut,
    /// Finished steps are being undone.
    Compensating,
    /// Everything that had to be undone was.
    Compensated,
}

/// Where a step stands.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "cogwheel_engine::StepStatus", name = "StepExecutionStatus")]
pub(crate) enum StepStatus {
    /// Its turn has not come.
    Pending,
    /// An attempt is under way.
    Running,
    /// It waits for something outside.
    Waiting,
    /// An attempt failed or was lost and another follows.
    Retrying,
    /// It succeeded.
    Completed,
    /// It failed for good.
    Failed,
    /// Its `if` was false, or a step it needs did not complete.
    Skipped,
    /// The execution ended first.
    Cancelled,
    /// Its time limit passed.
    TimedOut,
}

/// How early an execution is taken from the queue.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "views::Priority", name = "WorkflowExecutionPriority")]
pub(crate) enum Priority {
    /// After everything else.
    Low,
    /// The ordinary rank.
    Normal,
    /// Before ordinary ones.
    High,
    /// Before everything else.
    Critical,
}

/// What sets executions off.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "ports::TriggerType")]
pub(crate) enum TriggerType {
    /// A person or program asked.
    Manual,
    /// A due instant.
    Schedule,
    /// A file.
    File,
    /// An inbound webhook.
    Webhook,
    /// An event.
    Event,
    /// Another workflow.
    Workflow,
    /// A job flow.
    JobFlow,
}

/// How grave a log line is.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "ports::LogLevel")]
pub(crate) enum LogLevel {
    /// For finding faults.
    Debug,
    /// Ordinary.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
}

/// Where a log line came from.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "ports::LogStream")]
pub(crate) enum LogStream {
    /// Cogwheel itself, or a `log` step.
    Engine,
    /// A process's standard output.
    Stdout,
    /// A process's standard error.
    Stderr,
}

/// Where a file version stands.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "views::FileStatus")]
pub(crate) enum FileStatus {
    /// Seen.
    Detected,
    /// Not quiet yet.
    Settling,
    /// Whole and hashed.
    Ready,
    /// Its execution runs.
    Processing,
    /// Its execution completed.
    Processed,
    /// Its execution did not complete.
    Failed,
    /// Decided against, with a reason.
    Skipped,
    /// Removed.
    Deleted,
}

/// Declares an enum whose stored form is its word in lower case.
macro_rules! stored_words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $variant_doc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, Enum)]
        pub(crate) enum $name {
            $($(#[doc = $variant_doc])+ $variant,)+
        }

        impl $name {
            /// Reads the stored word.
            pub(crate) fn from_word(word: &str) -> Result<Self> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(internal(&format_args!("`{word}` is no {}", stringify!($name)))),
                }
            }
        }
    };
}

stored_words! {
    /// What becomes of due instants that were missed while the server was down.
    CatchUp {
        /// Nothing is made up for.
        None = "none",
        /// The last missed one is run.
        Last = "last",
        /// Every missed one is run.
        All = "all",
    }
}

stored_words! {
    /// What becomes of a due instant while the previous run is still going.
    OverlapPolicy {
        /// Both run.
        Allow = "allow",
        /// It is skipped.
        Skip = "skip",
        /// It waits.
        Queue = "queue",
        /// It takes the place of the run that is going.
        Replace = "replace",
    }
}

stored_words! {
    /// What becomes of a time of the wall clock that a change of the clocks skips.
    DstGap {
        /// It comes due at the end of the gap.
        Shift = "shift",
        /// It does not come due.
        Skip = "skip",
    }
}

stored_words! {
    /// What becomes of a time of the wall clock that a change of the clocks repeats.
    DstOverlap {
        /// It comes due the first time.
        First = "first",
        /// It comes due the second time.
        Last = "last",
        /// It comes due both times.
        Both = "both",
    }
}

stored_words! {
    /// What a change of the clocks has to do with a due instant.
    DstMark {
        /// It stands at the end of a gap for times in it.
        Shifted = "shifted",
        /// The wall clock shows its time twice, and this is the first time.
        First = "first",
        /// The wall clock shows its time twice, and this is the second time.
        Second = "second",
    }
}

stored_words! {
    /// How a watch is doing.
    WatchHealth {
        /// It has not looked yet.
        Starting = "starting",
        /// It sees its folder.
        Healthy = "healthy",
        /// It sees its folder, but not everything works.
        Degraded = "degraded",
        /// It cannot see its folder; it tries again by itself.
        Failed = "failed",
    }
}

stored_words! {
    /// What happened to a watched file.
    FileChangeKind {
        /// It was not there before.
        Created = "created",
        /// A version of it was known.
        Modified = "modified",
        /// It is gone.
        Deleted = "deleted",
    }
}

stored_words! {
    /// Where the files of a watch come from.
    FileWatchSource {
        /// A folder.
        Directory = "directory",
        /// Clients, over HTTP.
        Upload = "upload",
    }
}

stored_words! {
    /// Where a file comes from.
    FileSource {
        /// A watched folder.
        Watch = "watch",
        /// It was uploaded.
        Upload = "upload",
        /// A step left it.
        Step = "step",
    }
}

stored_words! {
    /// Why a file version was taken or not.
    FileDecisionReason {
        /// It is new.
        NewVersion = "new_version",
        /// This version was handled before.
        DuplicateVersion = "duplicate_version",
        /// No pattern takes it in, or one leaves it out.
        FilteredPattern = "filtered_pattern",
        /// Its extension is left out.
        FilteredExtension = "filtered_extension",
        /// Its media type is left out.
        FilteredMime = "filtered_mime",
        /// It is too large or too small.
        FilteredSize = "filtered_size",
        /// It is hidden or somebody's temporary file.
        HiddenOrTemporary = "hidden_or_temporary",
        /// It was gone before it had settled.
        Vanished = "vanished",
        /// It could not be read.
        Unreadable = "unreadable",
        /// Its content is unsafe.
        UnsafeContent = "unsafe_content",
        /// The workflow could not be started.
        WorkflowNotExecutable = "workflow_not_executable",
        /// A quota is used up.
        Quota = "quota",
    }
}

stored_words! {
    /// How far it has come with what is done with a file once its execution has ended.
    FileAfterState {
        /// Nothing is to be done.
        None = "none",
        /// It is done when the execution has ended.
        Pending = "pending",
        /// It was done.
        Done = "done",
        /// The file was left as it is.
        Failed = "failed",
    }
}

stored_words! {
    /// How a watch looks at its folder.
    WatchMode {
        /// The kernel reports changes.
        Events = "events",
        /// Scans find them.
        Poll = "poll",
    }
}

stored_words! {
    /// Why a due instant started nothing.
    ScheduleSkipReason {
        /// The previous run was still going.
        Overlap = "overlap",
        /// No slot was free.
        Concurrency = "concurrency",
        /// The server was down and nothing is made up for.
        CatchUpNone = "catch_up_none",
        /// The server was down and a later missed instant stands for it.
        CatchUpSuperseded = "catch_up_superseded",
        /// It was missed longer ago than the window allows.
        OutsideWindow = "outside_window",
        /// The local time does not exist on that day.
        DstGap = "dst_gap",
        /// The local time came twice on that day.
        DstOverlap = "dst_overlap",
        /// A calendar rules it out.
        Calendar = "calendar",
        /// The schedule was switched off.
        Disabled = "disabled",
        /// The workflow could not be started.
        WorkflowNotExecutable = "workflow_not_executable",
        /// A quota is used up.
        Quota = "quota",
    }
}

/// What came of a due instant.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum ScheduleFireOutcome {
    /// It started an execution.
    Fired,
    /// It started nothing, with a reason.
    Skipped,
}
