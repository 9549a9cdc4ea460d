//! What each command does.

mod api;
mod cron;
mod database;
mod db;
mod dry_run;
mod events;
mod inputs;
mod instants;
mod node;
mod run;
mod sagas;
mod schema;
mod secrets;
mod serve;
mod signals;
mod test;
mod validate;
mod vault;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgMatches;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, CronCommand};
use crate::settings::Settings;

/// Does what the command line asks.
pub(crate) fn run(cli: Cli, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Schema(which) => schema::print(which),
        Command::Cron(CronCommand::Next(asked)) => cron::next(&asked),
        Command::Validate { files, output } => validate::run(&files, output.output),
        Command::DryRun { file, inputs, output } => dry_run::run(&file, inputs, output.output),
        Command::Run { file, inputs, keep, output } => {
            let settings = Settings::load(matches)?;
            begin_logging("error", settings.log_json)?;
            runtime()?.block_on(run::run(&settings, &file, inputs, keep, output.output))
        }
        Command::Test { files, output } => {
            let settings = Settings::load(matches)?;
            begin_logging("error", settings.log_json)?;
            runtime()?.block_on(test::run(&settings, &files, output.output))
        }
        Command::Serve => {
            let settings = Settings::load(matches)?;
            begin_logging(&settings.log_level, settings.log_json)?;
            runtime()?.block_on(serve::serve(settings))
        }
        Command::Sagas(args) => {
            let settings = Settings::load(matches)?;
            begin_logging("warn", settings.log_json)?;
            sagas::run(args, &settings)
        }
        Command::Secrets(command) => {
            let settings = Settings::load(matches)?;
            begin_logging("warn", settings.log_json)?;
            runtime()?.block_on(secrets::run(command, &settings))
        }
        Command::Events(command) => {
            let settings = Settings::load(matches)?;
            begin_logging("warn", settings.log_json)?;
            runtime()?.block_on(events::run(command, &settings))
        }
        Command::Db(command) => {
            let settings = Settings::load(matches)?;
            begin_logging("warn", settings.log_json)?;
            runtime()?.block_on(db::run(command, &settings))
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}

/// Libraries whose own notices repeat what the server says, or say nothing to an operator. A more specific filter wins.
const QUIET: &str =
    "sea_orm_migration=warn,tokio_cron_scheduler=warn,actix_server=warn,sqlx::postgres::notice=warn,sqlx::query=error";

fn begin_logging(filter: &str, json: bool) -> anyhow::Result<()> {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(format!("{QUIET},{filter}"))?)
        .with_writer(std::io::stderr)
        // On a full disk the complaint about a line that cannot be written would bring down whoever wrote it.
        .log_internal_errors(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let begun = if json { subscriber.json().try_init() } else { subscriber.with_target(false).try_init() };
    begun.map_err(anyhow::Error::from_boxed)
}
