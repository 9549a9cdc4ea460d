//! `cogwheel sagas`: shows executions whose steps can be undone, and decides about undos that failed.

use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value, json};

use super::api::Api;
use crate::cli::{DecideArgs, SagaArgs, SagasCommand};
use crate::output;
use crate::settings::Settings;

const LIST: &str = "query ($first: Int, $filter: SagaFilter) { sagas(first: $first, filter: $filter) { \
    nodes { execution { id } workflow status pausedAt cause startedAt completedAt correlationId } \
    pageInfo { hasNextPage } } }";
const SHOW: &str = "query ($id: ID!) { saga(id: $id) { workflow status pausedAt pausesOnFailure cause causeDetail \
    unwindNumber steps correlationId deadlineAt startedAt completedAt execution { id status error } \
    compensations { stepKey unwindOrder status retryCount maxRetries startedAt completedAt error resolution \
    resolutionReason resolvedAt } timeouts { stepKey kind timeoutAt firedAt isPending } } }";
const COMPENSATE: &str = "mutation ($input: CompensateSagaInput!) { done: compensateSaga(input: $input) { \
    saga { status } userErrors { code message } } }";
const CANCEL: &str = "mutation ($input: CancelSagaInput!) { done: cancelSaga(input: $input) { \
    saga { status } userErrors { code message } } }";
const RESOLVE: &str = "mutation ($input: ResolveCompensationInput!) { done: resolveCompensation(input: $input) { \
    saga { status } userErrors { code message } } }";

pub(super) fn run(args: SagaArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    let api = Api::of(settings, args.server)?;
    match args.command {
        SagasCommand::List { status, workflow, limit, output } => {
            let status: Vec<String> = status.iter().map(|status| status.to_uppercase()).collect();
            let filter = json!({ "status": (!status.is_empty()).then_some(status), "workflow": workflow });
            let listed = api.ask(LIST, &json!({ "first": limit, "filter": filter }))?["sagas"].take();
            let more = if listed["pageInfo"]["hasNextPage"] == true { "There are more; see --limit." } else { "" };
            output::answer(output.output, &listed["nodes"], &format!("{}{more}", list(&listed["nodes"])))?;
        }
        SagasCommand::Show { execution, output } => {
            let saga = api.ask(SHOW, &json!({ "id": execution }))?["saga"].take();
            if saga.is_null() {
                bail!("the execution {execution} does not exist, has not begun, or is no saga");
            }
            output::answer(output.output, &saga, &show(&saga))?;
        }
        SagasCommand::Compensate(act) => {
            let asked = json!({ "id": act.execution, "reason": act.reason });
            let text = format!("What {} did is being undone.", act.execution);
            return act_on(&api, COMPENSATE, &asked, &text, act.output.output);
        }
        SagasCommand::Cancel(act) => {
            let asked = json!({ "id": act.execution, "reason": act.reason });
            let text = format!("{} is being cancelled, and what it did undone.", act.execution);
            return act_on(&api, CANCEL, &asked, &text, act.output.output);
        }
        SagasCommand::Retry(act) => return decide(&api, act, "RETRY", "is undone once more"),
        SagasCommand::Skip(act) => return decide(&api, act, "SKIP", "is given up"),
        SagasCommand::Force(act) => return decide(&api, act, "FORCE", "counts as undone"),
    }
    Ok(ExitCode::SUCCESS)
}

fn decide(api: &Api, act: DecideArgs, decision: &str, what: &str) -> anyhow::Result<ExitCode> {
    let DecideArgs { execution, step, reason, output } = act;
    let asked = json!({ "id": execution, "stepKey": step, "decision": decision, "reason": reason });
    act_on(api, RESOLVE, &asked, &format!("The step {step} of {execution} {what}."), output.output)
}

fn act_on(api: &Api, mutation: &str, input: &Value, text: &str, how: crate::cli::Output) -> anyhow::Result<ExitCode> {
    let done = api.ask(mutation, &json!({ "input": input }))?["done"].take();
    if let Some(problem) = done["userErrors"][0]["message"].as_str() {
        bail!("{problem}");
    }
    output::answer(how, &done["saga"], text)?;
    Ok(ExitCode::SUCCESS)
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_lowercase()
}

/// Where a saga stands, in a word: one of which nothing goes on by itself is paused.
fn standing(saga: &Value) -> String {
    let paused = saga["pausedAt"].as_array().map(Vec::as_slice).unwrap_or_default();
    if paused.is_empty() {
        return word(&saga["status"]);
    }
    let steps: Vec<&str> = paused.iter().filter_map(Value::as_str).collect();
    format!("paused at {}", steps.join(", "))
}

fn list(sagas: &Value) -> String {
    let rows: Vec<Vec<String>> = sagas
        .as_array()
        .into_iter()
        .flatten()
        .map(|saga| {
            let started = saga["startedAt"].as_str().unwrap_or_default().to_owned();
            let id = saga["execution"]["id"].as_str().unwrap_or_default().to_owned();
            let workflow = saga["workflow"].as_str().unwrap_or_default().to_owned();
            vec![id, workflow, standing(saga), word(&saga["cause"]), started]
        })
        .collect();
    if rows.is_empty() {
        return "There are no sagas.\n".to_owned();
    }
    output::table(&["EXECUTION", "WORKFLOW", "STATE", "CAUSE", "STARTED"], &rows)
}

fn show(saga: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut lines = vec![
        format!("execution    {}", text(&saga["execution"]["id"])),
        format!("workflow     {}", text(&saga["workflow"])),
        format!("state        {}", standing(saga)),
        format!("cause        {}", cause(saga)),
        format!("started      {}", text(&saga["startedAt"])),
        format!("deadline     {}", text(&saga["deadlineAt"])),
        format!("ended        {}", text(&saga["completedAt"])),
        format!("correlation  {}", text(&saga["correlationId"])),
    ];
    let left: Vec<&str> =
        saga["execution"]["error"]["not_undone"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !left.is_empty() {
        lines.push(format!("not undone   {}", left.join(", ")));
    }
    let undos: Vec<Vec<String>> = saga["compensations"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|undo| {
            let decided = match undo["resolution"].as_str() {
                Some(decision) => format!("{}: {}", decision.to_lowercase(), text(&undo["resolutionReason"])),
                None => String::new(),
            };
            let error = undo["error"]["title"].as_str().unwrap_or_default().to_owned();
            let retries = format!("{}", undo["retryCount"]);
            vec![
                text(&undo["stepKey"]),
                undo["unwindOrder"].to_string(),
                word(&undo["status"]),
                retries,
                error,
                decided,
            ]
        })
        .collect();
    let mut shown = format!("{}\n", lines.join("\n"));
    if !undos.is_empty() {
        shown.push('\n');
        shown.push_str(&output::table(&["STEP", "ORDER", "UNDO", "RETRIES", "ERROR", "DECIDED"], &undos));
    }
    shown
}

fn cause(saga: &Value) -> String {
    let Some(kind) = saga["cause"].as_str() else { return "-".to_owned() };
    let detail = &saga["causeDetail"];
    let title = detail["title"].as_str().unwrap_or_default();
    let step = detail["step"].as_str().map_or_else(String::new, |step| format!(" in {step}"));
    let why = detail["detail"].as_str().map_or_else(String::new, |why| format!(" ({why})"));
    format!("{}{step}: {title}{why}", kind.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_is_listed_by_the_name_that_it_has() {
        let saga = json!({ "workflow": "Order-EU", "status": "RUNNING", "execution": { "id": "7" } });
        let listed = list(&json!([saga]));
        assert!(listed.contains("Order-EU") && listed.contains("running"), "{listed}");
    }
}
