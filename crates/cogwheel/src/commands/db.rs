//! `cogwheel db`: migrations and verification.

use std::process::ExitCode;

use cogwheel_migration::{Applied, StepStatus};
use cogwheel_store::verify::{self, Verdict};
use serde_json::json;

use super::database::{self, Missing};
use super::node::FolderLock;
use crate::cli::{DbCommand, Output};
use crate::output;
use crate::settings::Settings;

pub(super) async fn run(command: DbCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    match command {
        DbCommand::Migrate(print) => {
            let database = database::connect(settings, Missing::Create).await?;
            let applied = cogwheel_migration::up(database.admin()).await?;
            print_applied(print.output, &applied, "The database is up to date.")
        }
        DbCommand::Rollback { steps, output } => {
            let database = database::connect(settings, Missing::Refuse).await?;
            // Taking tables away under a running server would break it.
            database::prepare_folder(&settings.data_dir)?;
            let _folder_lock = FolderLock::take(&settings.data_dir).await?;
            database::refuse_while_served(&database).await?;
            let taken_back = cogwheel_migration::down(database.admin(), steps).await?;
            print_applied(output.output, &taken_back, "There was no step to take back.")
        }
        DbCommand::Status(print) => {
            let database = database::connect(settings, Missing::Refuse).await?;
            let steps = cogwheel_migration::status(database.admin()).await?;
            print_status(print.output, &steps)
        }
        DbCommand::Verify { data, plans, output } => {
            let database = database::connect(settings, Missing::Refuse).await?;
            let queries = cogwheel_store::declared_queries();
            let options = verify::Options { data, plans, queries };
            let report = verify::verify(database.admin(), &cogwheel_entity::declared_schema(), options).await?;
            output::answer(output.output, &report, &report.to_table())?;
            Ok(if report.verdict == Verdict::Clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        DbCommand::Fingerprint(print) => {
            let database = database::connect(settings, Missing::Refuse).await?;
            let fingerprint = verify::fingerprint(database.admin()).await?;
            output::answer(print.output, &json!({ "fingerprint": fingerprint }), &fingerprint)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn print_applied(output: Output, steps: &[Applied], nothing: &str) -> anyhow::Result<ExitCode> {
    let document: Vec<_> =
        steps.iter().map(|step| json!({ "name": step.name, "direction": step.direction.to_string() })).collect();
    let rows: Vec<_> = steps.iter().map(|step| vec![step.direction.to_string(), step.name.clone()]).collect();
    let text = if rows.is_empty() { nothing.to_owned() } else { output::table(&["DIRECTION", "STEP"], &rows) };
    output::answer(output, &document, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Code 1 tells scripts that something is pending or was edited.
fn print_status(output: Output, steps: &[StepStatus]) -> anyhow::Result<ExitCode> {
    let in_order = steps.iter().all(|step| !step.pending && step.checksum_ok);
    let state = |step: &StepStatus| match (step.pending, step.checksum_ok) {
        (true, _) => "pending",
        (false, true) => "applied",
        (false, false) => "edited",
    };
    let document: Vec<_> = steps
        .iter()
        .map(|step| json!({ "name": step.name, "state": state(step), "applied_at": step.applied_at }))
        .collect();
    let rows: Vec<_> = steps
        .iter()
        .map(|step| {
            let at = step.applied_at.map_or_else(|| "-".to_owned(), |at| at.to_rfc3339());
            vec![step.name.clone(), state(step).to_owned(), at]
        })
        .collect();
    output::answer(output, &document, &output::table(&["STEP", "STATE", "APPLIED AT"], &rows))?;
    Ok(if in_order { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
