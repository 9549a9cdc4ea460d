//! Files that steps leave, and outputs that are too large for their rows.

use cogwheel_tests::{Backend, Home, Server, messages, on_both_databases, step, until};
use serde_json::{Value, json};

on_both_databases!(
    what_is_kept_as_bytes_outlives_a_crash,
    a_large_result_reaches_the_workflow_that_waits_for_it,
    a_retry_keeps_large_outputs,
    an_artifact_that_cannot_be_kept_fails_its_step,
);

/// Puts out so many `x` as `text`; more than a row holds.
const LARGE: usize = 200_000;
const MAKE_LARGE: &str = r#"{ printf text=; head -c 200000 /dev/zero | tr '\0' x; echo; } >> "$COGWHEEL_OUTPUT""#;

const ARTIFACTS: &str = "query($id: ID!) { workflowExecution(id: $id) { steps(first: 10) { nodes {
    stepKey artifacts { name mimeType size sha256 content } } } } }";

const RETRY: &str = "mutation($input: RetryExecutionInput!) { retryExecution(input: $input) {
    execution { id } userErrors { code message } } }";

/// On a database that others may work on as well, outputs leave it only for a folder that these can reach.
fn home(backend: Backend) -> Home {
    let mut home = Home::new(backend);
    let blobs = home.path("blobs");
    home.set("blobs_dir", blobs.to_str().expect("a path of letters"));
    home
}

fn artifacts(server: &Server, id: &str, key: &str) -> Value {
    let mut data = server.ask(ARTIFACTS, &json!({"id": id}));
    step(&data["workflowExecution"].take(), key)["artifacts"].clone()
}

fn is_large(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == LARGE && text.bytes().all(|byte| byte == b'x'))
}

fn what_is_kept_as_bytes_outlives_a_crash(backend: Backend) {
    let home = home(backend);
    home.write(
        "workflows/make.yaml",
        format!(
            r#"
outputs: {{all: '${{{{ steps.make.outputs.text }}}}'}}
steps:
  - id: make
    run: |
      mkdir "$COGWHEEL_ARTIFACTS/out"
      printf 'a,b\n' > "$COGWHEEL_ARTIFACTS/out/rows.csv"
      echo "$COGWHEEL_ATTEMPT" > "$COGWHEEL_ARTIFACTS/attempt"
      ln -s /etc/passwd "$COGWHEEL_ARTIFACTS/passwd"
      {MAKE_LARGE}
      test "$COGWHEEL_ATTEMPT" = 2
    retry: {{attempts: 2, delay: 1ms}}
  - id: wait
    run: touch began; until [ -e go ]; do sleep 0.02; done
    on_lost: retry
  - id: use
    uses: set
    with: {{length: '${{{{ steps.make.outputs.text | length }}}}'}}
"#
        ),
    );
    let server = home.serve();
    let id = server.start("make", &json!({}));
    until("the second step", || home.path("began").exists().then_some(()));
    server.crash();

    let server = home.serve();
    let during = server.execution(&id);
    assert!(is_large(&step(&during, "make")["output"]["text"]), "it is readable while the execution runs");
    home.write("go", "");
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(step(&execution, "use")["output"], json!({"length": LARGE}));
    assert!(is_large(&execution["result"]["all"]));
    assert!(is_large(&step(&execution, "make")["output"]["text"]));
    assert!(messages(&execution).iter().any(|line| line.contains("`passwd`, 1 in all")), "{execution:#}");

    let expected = json!([
        {"name": "make/attempt", "mimeType": "application/octet-stream", "size": 2, "content": "Mgo=",
         "sha256": "53c234e5e8472b6ac51c1ae1cab3fe06fad053beb8ebfd8977b010655bfdd3c3"},
        {"name": "make/out/rows.csv", "mimeType": "text/csv", "size": 4, "content": "YSxiCg==",
         "sha256": "5be08c9684a1d25efcee09318204824278b08bbfb4aef973ffefd0b9d7478313"},
    ]);
    assert_eq!(artifacts(&server, &id, "make"), expected, "the second attempt's took the place of the first one's");
    assert_eq!(artifacts(&server, &id, "wait"), json!([]));

    let mut sql = home.sql();
    let offloaded = "select count(*) from step_executions where is_output_offloaded";
    assert_eq!(sql.number(offloaded), 1);
    let small = "select count(*) from step_executions where length(cast(output_data as text)) < 1000";
    assert_eq!(sql.number(small), 3, "the rows are small");
    let referred = "select artifact_kind || ' ' || name from artifacts order by name";
    assert_eq!(
        sql.texts(referred),
        ["step_output /result", "step_output make", "artifact make/attempt", "artifact make/out/rows.csv"]
    );
    assert!(home.data().join("work").read_dir().expect("it is there").next().is_none(), "the scratch folder is gone");
}

fn a_large_result_reaches_the_workflow_that_waits_for_it(backend: Backend) {
    let home = home(backend);
    home.write(
        "workflows/inner.yaml",
        format!("outputs: {{text: '${{{{ steps.make.outputs.text }}}}'}}\nsteps:\n  - id: make\n    run: |\n      {MAKE_LARGE}\n"),
    );
    home.write(
        "workflows/outer.yaml",
        "outputs: {length: '${{ steps.inner.outputs.text | length }}'}
steps:
  - {id: inner, uses: workflow, with: {name: inner}}
",
    );
    let server = home.serve();
    server.has_version("inner", 1);
    let id = server.start("outer", &json!({}));
    let execution = server.ended_as(&id, "COMPLETED");
    assert_eq!(execution["result"], json!({"length": LARGE}));
    assert!(is_large(&step(&execution, "inner")["output"]["text"]));
}

fn a_retry_keeps_large_outputs(backend: Backend) {
    let home = home(backend);
    home.write(
        "workflows/make.yaml",
        format!(
            "outputs: {{length: '${{{{ steps.make.outputs.text | length }}}}'}}\nsteps:\n  - id: make\n    run: |\n      {MAKE_LARGE}\n  - id: check\n    run: test -e good\n"
        ),
    );
    let server = home.serve();
    let first = server.start("make", &json!({}));
    server.ended_as(&first, "FAILED");
    home.write("good", "");
    let answer = server.ask(RETRY, &json!({"input": {"id": first}}))["retryExecution"].take();
    let second = answer["execution"]["id"].as_str().unwrap_or_else(|| panic!("{answer:#}")).to_owned();
    let execution = server.ended_as(&second, "COMPLETED");
    assert_eq!(execution["result"], json!({"length": LARGE}));
    assert!(is_large(&step(&execution, "make")["output"]["text"]));
    let referred = "select count(*) from artifacts where artifact_kind = 'step_output'";
    assert_eq!(home.sql().number(referred), 2, "each execution holds the bytes");
}

fn an_artifact_that_cannot_be_kept_fails_its_step(backend: Backend) {
    let home = home(backend);
    home.write(
        "workflows/long.yaml",
        "steps: [{id: make, run: 'touch \"$COGWHEEL_ARTIFACTS/$(printf %0251d 7)\"; echo n=1 >> $COGWHEEL_OUTPUT'}]\n",
    );
    let server = home.serve();
    let id = server.start("long", &json!({}));
    let execution = server.ended_as(&id, "FAILED");
    let made = step(&execution, "make");
    assert_eq!((&made["error"]["kind"], &made["output"]["n"]), (&json!("output"), &json!(1)), "{made:#}");
    assert!(made["error"]["detail"].as_str().is_some_and(|why| why.contains("255 are allowed")), "{made:#}");
    assert_eq!(artifacts(&server, &id, "make"), json!([]));
}
