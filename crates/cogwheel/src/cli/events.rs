//! What can be asked about events.

use clap::Subcommand;
use cogwheel_engine::ExecutionId;
use uuid::Uuid;

use super::OutputArg;

fn execution(text: &str) -> Result<ExecutionId, String> {
    let bare = text.strip_prefix("execution-").unwrap_or(text);
    cogwheel_graphql::execution_id_of(bare).ok_or_else(|| format!("`{text}` is the id of no execution"))
}

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// List events in their order.
    List(ListEvents),
    /// Show one event with all it says.
    Show {
        /// The event's id.
        #[arg(value_name = "ID")]
        id: Uuid,
        /// How to print.
        #[command(flatten)]
        output: OutputArg,
    },
    /// Compute every hash anew and name each event that was changed, put in, or taken out from before another.
    ///
    /// Exit codes: 0 everything is as it was appended, 1 something is not.
    Verify {
        /// Only this stream.
        #[arg(long, value_name = "NAME")]
        stream: Option<String>,
        /// How to print.
        #[command(flatten)]
        output: OutputArg,
    },
    /// Show how an execution stood after one of its events: its steps, and of a saga its undos and time limits. Sagas tell all
    /// of their events, and workflows that say `history: full`.
    State {
        /// The execution's id, as the API or a stream names it.
        #[arg(value_name = "EXECUTION", value_parser = execution)]
        execution: ExecutionId,
        /// After the event with this version of the execution's stream [default: the last one].
        #[arg(long, value_name = "VERSION")]
        at: Option<i64>,
        /// How to print.
        #[command(flatten)]
        output: OutputArg,
    },
    /// Hand events to a consumer again, from a position on. What was started for one of them is not started again.
    Replay(ReplayEvents),
    /// List the types of events with what they tell.
    Types(OutputArg),
}

/// Which events to list.
#[derive(Debug, clap::Args)]
pub(crate) struct ListEvents {
    /// Only those of this stream, such as `execution-0199…`.
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Option<String>,
    /// Only those of this type; can be given for each.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// Only those after the event with this position.
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    pub(crate) after: i64,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// Which events to hand out again.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplayEvents {
    /// Who gets them: `event-triggers` holds events against the triggers of workflows.
    #[arg(long, value_name = "NAME", default_value = cogwheel_engine::ports::EVENT_TRIGGERS)]
    pub(crate) consumer: String,
    /// The position of the first event that it gets again.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) from: i64,
    /// Why, for the audit trail.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: OutputArg,
}
