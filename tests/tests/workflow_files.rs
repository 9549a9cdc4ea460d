//! Workflow files that come, change, break and go while the server runs.

use std::fs;

use cogwheel_tests::{Backend, Home, Server, on_both_databases, until};
use serde_json::{Value, json};

on_both_databases!(
    files_take_effect_while_it_runs,
    a_broken_file_leaves_the_last_good_version,
    every_bad_file_is_one_clear_problem,
    a_file_broken_at_the_start_is_reported,
);

const FILES: &str = "{ workflowFiles { path workflow problems { code message line column help } } }";

/// Waits until the file is known; its record.
fn record(server: &Server, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    server.ask_until(&format!("the record of {name}"), FILES, &json!({}), |data| {
        let files = data["workflowFiles"].as_array().expect("a list");
        let named = |file: &&Value| file["path"].as_str().is_some_and(|path| path.ends_with(name));
        files.iter().find(named).filter(|file| is_it(file)).cloned()
    })
}

fn has_problems(file: &Value) -> bool {
    file["problems"] != json!([])
}

fn says(word: &str) -> String {
    format!("outputs: {{said: {word}}}\nsteps: [{{uses: log, with: {{message: {word}}}}}]\n")
}

fn said(server: &Server, workflow: &str) -> Value {
    let id = server.start(workflow, &json!({}));
    server.ended_as(&id, "COMPLETED")["result"]["said"].take()
}

fn files_take_effect_while_it_runs(backend: Backend) {
    let home = Home::new(backend);
    let server = home.serve();
    home.write("workflows/parrot.yaml", says("one"));
    server.has_version("parrot", 1);
    assert_eq!(said(&server, "parrot"), "one");

    home.write("workflows/parrot.yaml", says("two"));
    server.has_version("parrot", 2);
    assert_eq!(said(&server, "parrot"), "two");

    // Written in place, as an editor may.
    fs::write(home.path("workflows/parrot.yaml"), says("three")).expect("it can be written");
    server.has_version("parrot", 3);
    assert_eq!(said(&server, "parrot"), "three");

    fs::remove_file(home.path("workflows/parrot.yaml")).expect("it can be removed");
    server.ask_until("the file to be forgotten", FILES, &json!({}), |data| {
        (data["workflowFiles"] == json!([])).then_some(())
    });
    // The list of files is a moment ahead of what can be started.
    let refused = until("the workflow to be gone", || {
        let refused = server.start_payload(&json!({"workflow": "parrot"}));
        refused["execution"].is_null().then_some(refused)
    });
    assert!(refused["userErrors"] != json!([]), "{refused:#}");

    home.write("workflows/parrot.yaml", says("back"));
    record(&server, "parrot.yaml", |file| file["workflow"] == "parrot");
    assert_eq!(said(&server, "parrot"), "back");
}

fn a_broken_file_leaves_the_last_good_version(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/parrot.yaml", says("good"));
    let server = home.serve();
    home.write("workflows/parrot.yaml", "outputs: {said: bad}\nsteps:\n  - {uses: log, wiht: {message: bad}}\n");
    let file = record(&server, "parrot.yaml", has_problems);
    assert_eq!(file["workflow"], "parrot");
    let problem = &file["problems"][0];
    assert_eq!((&problem["line"], &problem["column"]), (&json!(3), &json!(17)), "{file:#}");
    assert!(problem["message"].as_str().is_some_and(|message| message.contains("wiht")), "{file:#}");
    assert_eq!(said(&server, "parrot"), "good");

    home.write("workflows/parrot.yaml", says("mended"));
    record(&server, "parrot.yaml", |file| !has_problems(file));
    assert_eq!(said(&server, "parrot"), "mended");
}

/// Name, content, code, line, column.
fn bad_files() -> Vec<(&'static str, Vec<u8>, &'static str, u32, u32)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let level = |level: usize, of: &str| format!("a{level}: &a{level} [{}]\n", [of; 10].join(", "));
    let aliases = (1..9).map(|above| level(above, &format!("*a{}", above - 1)));
    let bomb: String = std::iter::once(level(0, "x")).chain(aliases).collect();
    let mut huge = text("steps: [{run: 'true'}]\n");
    huge.resize(10 << 20, b'#');
    vec![
        ("unknown-key", text("steps:\n  - run: 'true'\n    retries: 3\n"), "COG0101", 3, 5),
        ("wrong-type", text("steps:\n  - run: [1, 2]\n"), "COG0104", 2, 10),
        ("cycle", text("steps:\n  - {id: a, needs: b, run: x}\n  - {id: b, needs: a, run: x}\n"), "COG0111", 0, 0),
        ("duplicate-id", text("steps:\n  - {id: a, run: x}\n  - {id: a, run: y}\n"), "COG0110", 3, 10),
        ("unknown-need", text("steps:\n  - {id: a, needs: [nobody], run: x}\n"), "COG0103", 2, 21),
        ("bad-cron", text("on:\n  schedule:\n    - cron: 61 * * * *\nsteps: [{run: x}]\n"), "COG0120", 3, 13),
        (
            "bad-zone",
            text("on:\n  schedule:\n    - {cron: '0 0 * * *', timezone: Mars/Base}\nsteps: [{run: x}]\n"),
            "COG0121",
            3,
            37,
        ),
        ("not-utf8", [b"steps:\n  - run: ".as_slice(), b"\xff\xfe\n"].concat(), "COG0002", 2, 10),
        ("huge", huge, "COG0001", 0, 0),
        ("bomb", text(&format!("{bomb}steps: [{{run: x}}]\n")), "COG0005", 0, 0),
    ]
}

fn every_bad_file_is_one_clear_problem(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/good.yaml", says("good"));
    let server = home.serve();
    for (name, content, code, line, column) in bad_files() {
        home.write(&format!("workflows/{name}.yaml"), content);
        let file = record(&server, &format!("{name}.yaml"), has_problems);
        let problems = file["problems"].as_array().expect("a list");
        assert_eq!(problems.len(), 1, "{name}: {file:#}");
        assert_eq!(problems[0]["code"], code, "{name}: {file:#}");
        let place = [&problems[0]["line"], &problems[0]["column"]].map(|number| number.as_u64().expect("a number"));
        assert!(place[0] >= 1 && place[1] >= 1, "{name}: {file:#}");
        if line > 0 {
            assert_eq!(place, [u64::from(line), u64::from(column)], "{name}: {file:#}");
        }
        assert!(file["workflow"].is_null(), "{name}: {file:#}");
        let refused = server.start_payload(&json!({"workflow": name}));
        assert_eq!(refused["userErrors"][0]["code"], "UNKNOWN_WORKFLOW", "{name}: {refused:#}");
    }
    assert_eq!(said(&server, "good"), "good");
    assert_eq!(server.get("/health/ready").status, 200);
}

fn a_file_broken_at_the_start_is_reported(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/good.yaml", says("good"));
    home.write("workflows/bad.yaml", "steps: 5\n");
    let server = home.serve();
    let file = record(&server, "bad.yaml", has_problems);
    assert_eq!(file["problems"][0]["line"], 1, "{file:#}");
    assert_eq!(said(&server, "good"), "good");
    let log = server.log();
    assert!(log.contains("bad.yaml:1:8"), "{log}");
}
