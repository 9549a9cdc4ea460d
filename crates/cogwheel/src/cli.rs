//! The command line: what can be asked of the binary.

mod events;

use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use serde_json::Value;
use std::path::PathBuf;

use crate::settings::{SETTINGS, SettingKind};

pub(crate) use events::{EventsCommand, ListEvents, ReplayEvents};

/// A workflow automation engine: files, schedules and requests set workflows off; every run is recorded and survives
/// crashes.
///
/// Exit codes: 0 done, 1 it failed or something was found (such as a problem of a workflow file or of its inputs), 2 the
/// command line or the settings are wrong. `run` has more of them.
#[derive(Debug, Parser)]
#[command(name = "cogwheel", version, propagate_version = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server until SIGTERM or Ctrl-C.
    Serve,
    /// Look after the database.
    #[command(subcommand)]
    Db(DbCommand),
    /// Set, list and delete secrets, such as those that webhooks are signed with. Works beside a running server.
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// List sagas, and decide about undos that failed: asks the running server, with the admin key of its data folder.
    Sagas(SagaArgs),
    /// Read the recorded events, prove that nobody changed them, hand them out again. Works beside a running server.
    #[command(subcommand)]
    Events(EventsCommand),
    /// Print a schema.
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Look into cron expressions; needs no server, settings or database.
    #[command(subcommand)]
    Cron(CronCommand),
    /// Check workflow files and show every problem; needs no server, settings or database.
    Validate {
        /// The workflow files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// How to print.
        #[command(flatten)]
        output: OutputArg,
    },
    /// Run a workflow file to its end, without a server: on a database of its own that is removed afterwards. The file's
    /// triggers do nothing; other workflows that it runs are looked for in its folder. Progress goes to standard error,
    /// what the workflow puts out to standard output. Ctrl-C cancels it, a second one stops at once.
    ///
    /// Exit codes: 0 it completed, 1 it failed, 2 the file, its inputs, the command line or the settings are wrong, 3 it was
    /// cancelled, 4 it timed out.
    Run {
        /// The workflow file.
        file: PathBuf,
        /// An input of the execution; can be given for each. A value that is JSON is taken as such, others as text:
        /// `count=3` is a number, `name=Ada` and `code="3"` (with the quotes) are text.
        #[arg(long = "input", value_name = "NAME=VALUE", value_parser = given_input)]
        inputs: Vec<GivenInput>,
        /// Keep the execution's data in this folder, which must be new or empty; `cogwheel serve --data-dir` can show it.
        #[arg(long, value_name = "FOLDER")]
        keep: Option<PathBuf>,
        /// How to print.
        #[command(flatten)]
        output: OutputArg,
    },
    /// Run the tests of workflows: each test runs a workflow as `run` does, lets steps fail, time out or be repeated as it
    /// says, and compares how the execution ended, what was undone and what was put out.
    ///
    /// Exit codes: 0 all is as expected, 1 something is not, 2 a test file, its workflow, the command line or the settings are
    /// wrong.
    Test {
        /// The test files, and folders with test files (*.yaml).
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// How to print.
        #[command(flatten)]
        output: OutputArg,
    },
    /// Show what a workflow file would do: inputs, steps in order, what the inputs decide, next due instants. Nothing is
    /// started.
    DryRun {
        /// The workflow file.
        file: PathBuf,
        /// An input of the execution; can be given for each. A value that is JSON is taken as such, others as text:
        /// `count=3` is a number, `name=Ada` and `code="3"` (with the quotes) are text.
        #[arg(long = "input", value_name = "NAME=VALUE", value_parser = given_input)]
        inputs: Vec<GivenInput>,
        /// How to print.
        #[command(flatten)]
        output: OutputArg,
    },
}

/// An input as it was given on the command line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GivenInput {
    /// Not yet known to be one that the workflow takes.
    pub(crate) name: String,
    /// What the text after the name stands for.
    pub(crate) value: Value,
}

/// Reads `NAME=VALUE`.
fn given_input(text: &str) -> Result<GivenInput, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            Ok(GivenInput { name: name.to_owned(), value })
        }
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

/// What can be asked about cron expressions.
#[derive(Debug, Subcommand)]
pub(crate) enum CronCommand {
    /// Show when an expression comes due next, in UTC and on the clocks of a zone, and what changes of the clocks do to it.
    ///
    /// Exit codes: 0 shown, 2 the expression or an option is wrong.
    Next(CronNext),
}

/// Which due instants to show.
#[derive(Debug, clap::Args)]
pub(crate) struct CronNext {
    /// The cron expression, in quotes: five fields, six with leading seconds, or a word such as @daily.
    #[arg(value_name = "EXPR")]
    pub(crate) expression: String,
    /// The IANA name of the zone whose wall clock it speaks of.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub(crate) timezone: String,
    /// How many to show [default: 10, or all up to --until].
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<usize>,
    /// The first instant that counts: RFC 3339, or a date or time on the clocks of the zone [default: now].
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// The last instant that counts, written likewise.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// What becomes of a time that the clocks skip.
    #[arg(long, value_name = "RULE", value_parser = ["shift", "skip"])]
    pub(crate) dst_gap: Option<String>,
    /// What becomes of a time that the clocks show twice.
    #[arg(long, value_name = "RULE", value_parser = ["first", "last", "both"])]
    pub(crate) dst_overlap: Option<String>,
    /// Dates to leave out: 2026-12-25, 12-25 of every year, or a range 2026-12-24..2027-01-02; can be given for each.
    #[arg(long, value_name = "DATES")]
    pub(crate) exclude: Vec<String>,
    /// The same as --output json.
    #[arg(long)]
    pub(crate) json: bool,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// What can be done with the database.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Run every pending migration step.
    Migrate(OutputArg),
    /// Show where each migration step stands.
    Status(OutputArg),
    /// Take back the last migration steps; their tables go with their rows.
    Rollback {
        /// How many steps.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        /// How to print.
        #[command(flatten)]
        output: OutputArg,
    },
    /// Compare the live database with the declared schema and name every difference.
    Verify {
        /// Also look through the rows: orphans, tenants, counters, JSON, live work.
        #[arg(long)]
        data: bool,
        /// Also prove, on synthetic rows, that each declared query uses its index.
        #[arg(long)]
        plans: bool,
        /// How to print.
        #[command(flatten)]
        output: OutputArg,
    },
    /// Print the fingerprint of the live schema.
    Fingerprint(OutputArg),
}

/// What can be done with secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Set a secret, or replace its value, with what comes in on standard input (without the line end at its end).
    Set {
        /// Its name: letters, digits, `_` and `-`.
        name: String,
        /// What it is for; left out, that stays as it is.
        #[arg(long)]
        description: Option<String>,
        /// How long the value that it replaces still counts, such as `1h`; 24h if not given, 0 for not at all.
        #[arg(long, value_parser = cogwheel_definition::parse_duration)]
        overlap: Option<std::time::Duration>,
        /// How to print.
        #[command(flatten)]
        output: OutputArg,
    },
    /// List the secrets, without their values.
    List(OutputArg),
    /// Forget a secret that no webhook is signed with.
    Delete {
        /// Its name.
        name: String,
        /// How to print.
        #[command(flatten)]
        output: OutputArg,
    },
}

/// What to ask about sagas, and whom.
#[derive(Debug, clap::Args)]
pub(crate) struct SagaArgs {
    /// Where the server answers, such as <http://127.0.0.1:8420> [default: where `listen` says].
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) server: Option<String>,
    /// What to ask.
    #[command(subcommand)]
    pub(crate) command: SagasCommand,
}

/// What can be asked about sagas.
#[derive(Debug, Subcommand)]
pub(crate) enum SagasCommand {
    /// List sagas, newest first.
    List {
        /// Only those in this state; can be given for each.
        #[arg(long, value_name = "STATE", value_parser = ["running", "completed", "compensating", "compensated", "failed"])]
        status: Vec<String>,
        /// Only those of this workflow.
        #[arg(long, value_name = "NAME")]
        workflow: Option<String>,
        /// How many at the most.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        /// How to print.
        #[command(flatten)]
        output: OutputArg,
    },
    /// Show a saga: where it stands, why, and what became of each undo.
    Show {
        /// The execution.
        execution: String,
        /// How to print.
        #[command(flatten)]
        output: OutputArg,
    },
    /// Try an undo that failed once more, with all of its attempts.
    Retry(DecideArgs),
    /// Give an undo that failed up: the saga ends failed, and names the step.
    Skip(DecideArgs),
    /// Take a step whose undo failed for undone, because it was undone by hand.
    Force(DecideArgs),
    /// Cancel a saga that runs, and undo what it did.
    Cancel(ActArgs),
    /// Undo what a saga did that runs or has completed.
    Compensate(ActArgs),
}

/// What to decide about which undo.
#[derive(Debug, clap::Args)]
pub(crate) struct DecideArgs {
    /// The execution.
    pub(crate) execution: String,
    /// The key of the step that is undone, as `show` names it.
    pub(crate) step: String,
    /// Why, for the audit log.
    #[arg(long)]
    pub(crate) reason: String,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// Which saga, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct ActArgs {
    /// The execution.
    pub(crate) execution: String,
    /// Why, for the audit log.
    #[arg(long)]
    pub(crate) reason: String,
    /// How to print.
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// How a command prints its answer.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct OutputArg {
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

/// For people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Tables and sentences.
    #[value(alias = "text")]
    Human,
    /// One JSON document.
    Json,
}

/// Which schema to print.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// The GraphQL schema, as in `schema.graphql`.
    Graphql,
    /// The JSON Schema of workflow files, for editors.
    Workflow,
    /// The JSON Schema of `config.toml`.
    Config,
}

/// Reads the command line; wrong ones end the process with a message and code 2.
pub(crate) fn parse() -> (Cli, ArgMatches) {
    let matches = command().get_matches();
    match Cli::from_arg_matches(&matches) {
        Ok(cli) => (cli, matches),
        Err(error) => error.exit(),
    }
}

/// The commands, with a flag for every setting.
fn command() -> clap::Command {
    let config = Arg::new("config")
        .long("config")
        .env("COGWHEEL_CONFIG")
        .global(true)
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("The configuration file [default: config.toml of the current folder, where there is one]");
    let flags = SETTINGS.iter().map(|setting| {
        let flag = Arg::new(setting.key)
            .long(setting.flag())
            .global(true)
            .help_heading("Settings")
            .value_name("VALUE")
            .help(setting.about);
        if setting.kind == SettingKind::Switch {
            flag.num_args(0..=1).require_equals(true).default_missing_value("true")
        } else {
            flag
        }
    });
    Cli::command().arg(config).args(flags)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{command, given_input};

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn settings_can_be_flags_before_and_after_the_command() {
        let matches =
            command().get_matches_from(["cogwheel", "--insecure-no-auth", "serve", "--engine-kill-grace", "1s"]);
        assert_eq!(matches.get_one::<String>("insecure_no_auth").unwrap(), "true");
        assert_eq!(matches.get_one::<String>("engine.kill_grace").unwrap(), "1s");
    }

    #[test]
    fn an_input_is_json_or_text() {
        let value = |text: &str| given_input(text).map(|given| given.value);
        assert_eq!(value("count=3"), Ok(json!(3)));
        assert_eq!(value("code=\"3\""), Ok(json!("3")));
        assert_eq!(value("filter=a=b"), Ok(json!("a=b")));
        assert_eq!(value("name="), Ok(json!("")));
        assert!(value("name").is_err() && value("=3").is_err());
    }
}
