//! What a good file means.

use std::time::Duration;

use cogwheel_definition::{
    Action, After, Backoff, CatchUp, ContentFilter, FileBatch, FileSource, LogLevel, Overlap, Poll,
};
use serde_json::json;

use super::good;

const FULL: &str = r#"
name: import-orders
description: Load every dropped ${{ anything }} file
labels: {team: finance, tier: 1}
inputs:
  region: {type: string, enum: [eu, us], default: eu}
outputs:
  rows: ${{ steps.load.outputs.rows }}
  summary: {region: "${{ inputs.region }}", steps: [load, "${{ steps.report.status }}"]}
on:
  schedule:
    - {cron: "0 6 * * MON-FRI", timezone: Europe/Berlin, catch_up: all, window: 6h, overlap: allow, inputs: {region: us}}
    - {id: hourly, cron: "@hourly"}
  file:
    path: inbox
    match: ["*.csv", "**/*.txt"]
    ignore: "*.tmp"
    settle: 200ms
env: {LC_ALL: C.UTF-8, LEVEL: 3, ON: on}
defaults: {timeout: 1m}
timeout: 1h
steps:
  - id: load
    name: Load it
    run: wc -l < "$FILE"
    env: {FILE: "${{ trigger.file.path }}"}
    timeout: 10s
  - id: facts
    uses: set
    with: {rows: "${{ steps.load.outputs.rows }}", fixed: [1, {a: null}], when: 0123}
  - id: report
    uses: log
    with: {message: "${{ steps.facts.outputs.rows }} rows in ${{ env.LC_ALL }}", level: warn}
"#;

#[test]
fn reads_every_part() {
    let workflow = good(FULL);
    assert_eq!(workflow.name, "import-orders");
    assert_eq!(workflow.labels["tier"], "1");
    assert_eq!(workflow.timeout, Duration::from_hours(1));
    let [daily, hourly] = workflow.triggers.schedules.as_slice() else { panic!("two schedules") };
    assert_eq!((daily.key.as_str(), daily.timing.timezone.name()), ("schedule-0", "Europe/Berlin"));
    assert_eq!(
        (daily.catch_up, daily.catch_up_window, daily.overlap),
        (CatchUp::All, Some(Duration::from_hours(6)), Overlap::Allow)
    );
    assert_eq!(daily.inputs["region"], "us");
    assert_eq!((hourly.key.as_str(), hourly.timing.timezone.name()), ("hourly", "UTC"));
    assert_eq!((hourly.catch_up, hourly.catch_up_window, hourly.overlap), (CatchUp::Last, None, Overlap::Skip));
    let file = &workflow.triggers.files[0];
    assert_eq!((file.key.as_str(), file.source.folder(), file.recursive), ("file-0", Some("inbox"), true));
    assert_eq!(
        (&file.include[..], &file.ignore[..]),
        (&["*.csv".to_owned(), "**/*.txt".to_owned()][..], &["*.tmp".to_owned()][..])
    );
    assert_eq!(file.settle, Duration::from_millis(200));
    assert_eq!(workflow.env["ON"].source(), "on");
    assert_eq!(workflow.env["LEVEL"].source(), "3");
    let [load, facts, report] = workflow.steps.as_slice() else { panic!("three steps") };
    assert_eq!((load.timeout, facts.timeout), (Some(Duration::from_secs(10)), Some(Duration::from_mins(1))));
    assert_eq!((&load.needs[..], &facts.needs[..], &report.needs[..]), (&[][..], &[0][..], &[1][..]));
    assert_eq!([load, facts, report].map(|step| step.action.step_type()), ["shell", "set", "log"]);
    assert!(matches!(report.action, Action::Log { level: LogLevel::Warn, .. }));
}

#[test]
fn values_render_among_the_names_of_an_execution() {
    let workflow = good(FULL);
    let context = json!({
        "inputs": {"region": "eu"},
        "trigger": {"file": {"path": "/in/a.csv"}},
        "steps": {
            "load": {"outputs": {"rows": 3}, "status": "completed", "error": null},
            "facts": {"outputs": {"rows": 3}, "status": "completed", "error": null},
            "report": {"outputs": null, "status": "completed", "error": null},
        },
        "env": {"LC_ALL": "C.UTF-8"},
    });
    assert_eq!(workflow.steps[0].env["FILE"].render_string(&context), Ok("/in/a.csv".into()));
    let Action::Set { values } = &workflow.steps[1].action else { panic!("a set step") };
    assert_eq!(values["rows"].render(&context), Ok(json!(3)));
    assert_eq!(values["fixed"].render(&context), Ok(json!([1, {"a": null}])));
    assert_eq!(values["when"].render(&context), Ok(json!("0123")));
    let Action::Log { message, .. } = &workflow.steps[2].action else { panic!("a log step") };
    assert_eq!(message.render_string(&context), Ok("3 rows in C.UTF-8".into()));
    assert_eq!(
        workflow.outputs["summary"].render(&context),
        Ok(json!({"region": "eu", "steps": ["load", "completed"]}))
    );
    let missing = workflow.outputs["rows"].render(&json!({"steps": {"load": {"outputs": {"row": 1}}}}));
    let error = missing.unwrap_err().to_string();
    assert_eq!(error, "`${{ steps.load.outputs.rows }}`: `steps.load.outputs` has no `rows`; did you mean `row`?");
}

#[test]
fn the_compiled_form_is_stable() {
    let mut compiled = good(
        "on: {schedule: {cron: '@daily'}}\nsteps: [{run: a}, {id: b, uses: log, with: {message: hi}, if: failure(), \
              retry: {on: exit.7}, on_lost: fail, continue_on_error: true}]",
    )
    .to_json();
    assert_eq!(compiled["history"].take(), "on_demand");
    compiled.as_object_mut().expect("it is an object").remove("history");
    assert_eq!(
        compiled,
        json!({
            "language_version": "1",
            "name": "file",
            "description": null,
            "labels": {},
            "inputs": {"type": "object", "properties": {}, "required": [], "additionalProperties": false},
            "outputs": {},
            "triggers": {
                "schedules": [{
                    "key": "schedule-0", "cron": "@daily", "timezone": "UTC", "catch_up": "last",
                    "catch_up_window_ms": null, "overlap": "skip", "inputs": {},
                }],
                "files": [],
                "webhooks": [],
                "events": [],
            },
            "env": {},
            "timeout_ms": 300_000,
            "queue_timeout_ms": null,
            "priority": "normal",
            "concurrency": null,
            "on_failure": null,
            "finally": null,
            "nodes": [
                {"id": "step-1", "name": null, "parent": null, "uses": "shell", "with": {"script": "a"}, "env": {},
                 "timeout_ms": 300_000, "if": null, "retry": null, "on_lost": "retry", "continue_on_error": false,
                 "foreach": null, "until": null, "outputs": null},
                {"id": "b", "name": null, "parent": null, "uses": "log", "with": {"message": "hi", "level": "info"}, "env": {},
                 "timeout_ms": 300_000, "if": "${{ failure() }}", "on_lost": "fail", "continue_on_error": true,
                 "foreach": null, "until": null, "outputs": null,
                 "retry": {"attempts": 3, "backoff": "exponential", "delay_ms": 1000, "max_delay_ms": 60_000,
                           "jitter": true, "max_elapsed_ms": null, "on": ["exit.7"]}},
            ],
            "edges": [{"from": "step-1", "to": "b"}],
        })
    );
}

#[test]
fn one_needs_makes_the_list_a_graph() {
    let workflow = good(
        "steps:\n  - {id: a, run: x}\n  - {id: b, run: x}\n  - {id: c, run: x, needs: [b, a, b]}\n  - {id: d, run: x, needs: c}\n",
    );
    let needs: Vec<&[usize]> = workflow.steps.iter().map(|step| &step.needs[..]).collect();
    assert_eq!(needs, [&[][..], &[], &[0, 1], &[2]]);
}

#[test]
fn json_and_aliases_are_yaml() {
    let workflow = good(r#"{"steps": [{"run": "true"}], "name": "json"}"#);
    assert_eq!(workflow.name, "json");
    let workflow = good("\u{FEFF}env: &e {A: '1'}\nsteps: [{run: x, env: *e}]\n");
    assert_eq!(workflow.steps[0].env["A"].source(), "1");
}

#[test]
fn the_examples_are_good() {
    for (name, text) in [
        ("csv-intake", include_str!("../../../../examples/workflows/csv-intake.yaml")),
        ("disk-report", include_str!("../../../../examples/workflows/disk-report.yaml")),
        ("hello", include_str!("../../../../examples/workflows/hello.yaml")),
    ] {
        assert_eq!(good(text).name, name);
    }
}

#[test]
fn the_reference_shows_only_what_works() {
    let page = include_str!("../../../../docs/language.md");
    let mut examples = 0;
    for block in page.split("```yaml\n").skip(1) {
        good(block.split("```").next().expect("a closed block"));
        examples += 1;
    }
    assert!(examples >= 3);
}

#[test]
fn retries_have_defaults_and_a_short_form() {
    let workflow = good(
        "defaults: {retry: {attempts: 5, delay: 2m}}\nsteps:\n- {id: a, run: x}\n- {id: b, run: x, retry: 2}\n\
         - {id: c, run: x, retry: {backoff: linear, delay: 5s, max_delay: 9s, jitter: false, max_elapsed: 1h}}\n",
    );
    let [a, b, c] = [0, 1, 2].map(|step: usize| workflow.steps[step].retry.clone().expect("a retry"));
    let longest = a.max_delay;
    assert_eq!((a.attempts, a.delay, longest), (5, Duration::from_mins(2), Duration::from_mins(2)));
    assert_eq!((b.attempts, b.delay, b.backoff), (2, Duration::from_secs(1), Backoff::Exponential));
    assert_eq!((c.attempts, c.backoff, c.max_delay, c.jitter), (3, Backoff::Linear, Duration::from_secs(9), false));
    assert_eq!(c.max_elapsed, Some(Duration::from_hours(1)));
}

#[test]
fn failures_are_matched_by_class_and_by_pattern() {
    let retry = |on: &str| good(&format!("steps: [{{run: x, retry: {{on: {on}}}}}]")).steps[0].retry.clone().unwrap();
    for (on, code, covered) in [
        ("[exit]", "exit.7", true),
        ("[exit.7]", "exit.7", true),
        ("[exit.7]", "exit.75", false),
        ("[exit.7*]", "exit.75", true),
        ("[timeout, signal]", "signal.9", true),
        ("[timeout]", "exit.1", false),
        ("['*']", "spawn", true),
    ] {
        assert_eq!(retry(on).covers(code), covered, "{on} {code}");
    }
}

#[test]
fn an_if_knows_whether_it_asks_for_the_status() {
    for (condition, asks) in [
        ("always()", true),
        ("${{ failure() and inputs.n > 1 }}", true),
        ("inputs.n > 1", false),
        ("true", false),
        ("${{ 'failure()' == 'x' }}", false),
    ] {
        let text = format!("inputs: {{n: {{type: integer}}}}\nsteps: [{{run: x, if: \"{condition}\"}}]");
        let step = good(&text).steps[0].clone();
        assert_eq!(step.condition.expect("a condition").asks_for_status, asks, "{condition}");
    }
}

#[test]
fn a_trigger_may_be_for_uploads() {
    let text = "on:
  file:
    - {id: orders, source: upload, match: ['*.csv'], ignore: draft-*, mime: [Text/CSV, image/*], min_size: 1KiB, max_size: 10MiB}
    - {source: upload}
    - {source: directory, path: in, mime: application/pdf}
steps: [{run: x, env: {N: \"${{ trigger.file.mime }} ${{ trigger.file.id }}\"}}]
";
    let files = good(text).triggers.files;
    let [orders, any, folder] = files.as_slice() else { panic!("three triggers") };
    assert_eq!((orders.key.as_str(), &orders.source), ("orders", &FileSource::Upload));
    let mime = ["text/csv", "image/*"].map(str::to_owned).to_vec();
    let content = ContentFilter { mime, min_size: Some(1 << 10), max_size: Some(10 << 20) };
    assert_eq!(
        (&orders.content, &orders.include[..], &orders.ignore[..]),
        (&content, &["*.csv".into()][..], &["draft-*".into()][..])
    );
    assert!(any.source == FileSource::Upload && any.content.is_empty() && any.include == ["*"]);
    assert_eq!((folder.source.folder(), &folder.content.mime[..]), (Some("in"), &["application/pdf".to_owned()][..]));
}

#[test]
fn reads_every_option_of_a_file_trigger() {
    let text = "on:
  file:
    - {path: in, events: deleted, poll: 250ms, done_marker: '{stem}.ok', batch: {max_files: 7}, after: {success: delete, failure: ./keep}}
    - {path: in, poll: never, batch: {max_wait: 1m}, after: {success: archive/}}
    - {path: in}
steps: [{run: x, env: {N: \"${{ trigger.files | length if trigger.files is defined else trigger.file.event }}\"}}]
";
    let files = good(text).triggers.files;
    let [first, second, third] = files.as_slice() else { panic!("three triggers") };
    assert_eq!((first.events.words(), first.poll), (vec!["deleted"], Poll::Every(Duration::from_millis(250))));
    assert_eq!(first.done_marker.as_ref().map(|marker| marker.of_file("a.csv")), Some("a.ok".to_owned()));
    assert_eq!(first.batch, Some(FileBatch { max_files: 7, max_wait: Duration::from_secs(10) }));
    assert_eq!((&first.after_success, &first.after_failure), (&After::Delete, &After::Move("./keep".to_owned())));
    assert_eq!(second.batch, Some(FileBatch { max_files: 100, max_wait: Duration::from_mins(1) }));
    assert_eq!((second.poll, &second.after_success), (Poll::Never, &After::Move("archive/".to_owned())));
    assert_eq!((third.events.words(), third.poll, third.batch), (vec!["created", "modified"], Poll::Auto, None));
    assert_eq!((&third.after_success, &third.after_failure), (&After::Keep, &After::Keep));
}
