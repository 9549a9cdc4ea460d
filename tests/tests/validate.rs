//! Workflow files checked and tried out on the command line, without a server.

use std::fs;

use cogwheel_tests::{Backend, Home};
use serde_json::{Value, json};

/// A graph whose steps stand in the opposite order, with inputs and a schedule in a zone of its own.
const SOUND: &str = "\
name: orders
inputs:
  region: {type: string, enum: [eu, us], default: eu}
  count: {type: integer, minimum: 1}
on:
  schedule: [{id: morning, cron: '0 6 * * *', timezone: Asia/Tokyo, inputs: {count: 1}}]
steps:
  - {id: join, needs: [left, right], uses: log, with: {message: joined}}
  - {id: left, needs: fetch, run: echo left, timeout: 90s, retry: 3, if: success()}
  - {id: right, needs: fetch, run: echo right}
  - {id: fetch, run: echo fetch}
";

/// A home without settings; a database or a data folder would show in it.
fn home() -> Home {
    let home = Home::unmigrated(Backend::Sqlite);
    home.write("sound.yaml", SOUND);
    home
}

fn is_untouched(home: &Home) -> bool {
    !home.data().exists()
}

#[test]
fn a_sound_file_is_ok() {
    let mut home = home();
    // Settings do not matter, not even wrong ones.
    home.set("listen", "nowhere");
    let done = home.run(&["validate", "sound.yaml"]).with_code(0);
    assert_eq!(done.stdout, "sound.yaml: ok, workflow orders with 4 steps\n", "{done:#?}");
    assert_eq!(done.stderr, "", "{done:#?}");
    assert!(is_untouched(&home));
}

#[test]
fn every_problem_of_every_file_is_shown_with_its_place() {
    let home = home();
    home.write("one.yaml", "steps:\n  - {id: a, run: 'true'}\n  - {id: b, needs: aa, run: 'true'}\ncolour: red\n");
    home.write("two.yaml", "on: {schedule: [{cron: '61 * * * *'}]}\nsteps: [{run: 'true'}]\n");
    let found = home.run(&["validate", "one.yaml", "sound.yaml", "two.yaml"]).with_code(1);
    for part in [
        "--> one.yaml:3:20\n",
        "3 |   - {id: b, needs: aa, run: 'true'}\n",
        "--> one.yaml:4:1\n",
        "sound.yaml: ok",
        "--> two.yaml:1:24\n",
    ] {
        assert!(found.stdout.contains(part), "no {part:?}: {found:#?}");
    }
    assert_eq!(found.stdout.matches("error[COG").count(), 3, "{found:#?}");
    assert!(is_untouched(&home));
}

#[test]
fn what_cannot_be_read_is_named_and_the_others_are_still_checked() {
    let home = home();
    home.write("large.yaml", "#".repeat(1024 * 1024 + 1));
    fs::create_dir(home.path("folder.yaml")).expect("a new folder");
    let found = home.run(&["validate", "nowhere.yaml", "folder.yaml", "large.yaml", "sound.yaml"]).with_code(1);
    for part in
        ["nowhere.yaml cannot be read", "folder.yaml cannot be read", "COG0001", "large.yaml:1:1", "sound.yaml: ok"]
    {
        assert!(found.stdout.contains(part), "no {part:?}: {found:#?}");
    }
}

#[test]
fn programs_get_one_document() {
    let home = home();
    home.write("bad.yaml", "steps: []\n");
    let found =
        home.run(&["validate", "bad.yaml", "nowhere.yaml", "sound.yaml", "--output", "json"]).with_code(1).json();
    let [bad, nowhere, sound] = found["files"].as_array().expect("a list").as_slice() else {
        panic!("not three files: {found:#}");
    };
    assert_eq!(*sound, json!({"path": "sound.yaml", "name": "orders", "ok": true, "problems": []}));
    assert_eq!((&bad["path"], &bad["name"], &bad["ok"]), (&json!("bad.yaml"), &Value::Null, &json!(false)));
    let problem = &bad["problems"][0];
    assert_eq!((&problem["code"], &problem["line"]), (&json!("COG0109"), &json!(1)), "{problem:#}");
    assert!(problem["column"].is_u64() && problem["message"].is_string(), "{problem:#}");
    assert!(problem["text"].as_str().is_some_and(|text| text.contains("--> bad.yaml:1:")), "{problem:#}");
    assert_eq!(nowhere["problems"][0]["code"], "COG0201", "{nowhere:#}");
    assert_eq!(nowhere["problems"][0]["line"], Value::Null, "{nowhere:#}");
}

#[test]
fn a_wrong_command_line_is_code_2() {
    let home = home();
    let _ = home.run(&["validate"]).with_code(2);
    let refused = home.run(&["dry-run", "sound.yaml", "--input", "count"]).with_code(2);
    assert!(refused.stderr.contains("NAME=VALUE"), "{refused:#?}");
}

#[test]
fn a_dry_run_shows_inputs_waves_and_due_instants() {
    let home = home();
    let plan = home.run(&["dry-run", "sound.yaml", "--input", "count=3", "--output", "json"]).with_code(0).json();
    assert_eq!((&plan["ok"], &plan["name"]), (&json!(true), &json!("orders")), "{plan:#}");
    assert_eq!(plan["inputs"], json!({"region": "eu", "count": 3}));
    let waves = plan["waves"].as_array().expect("a list");
    let ids = |wave: &Value| -> Vec<Value> {
        wave.as_array().expect("a list").iter().map(|step| step["id"].clone()).collect()
    };
    assert_eq!(waves.iter().map(ids).collect::<Vec<_>>(), [vec!["fetch"], vec!["left", "right"], vec!["join"]]);
    assert_eq!(
        waves[1][0],
        json!({"id": "left", "type": "shell", "needs": ["fetch"], "timeout_ms": 90_000,
                                  "attempts": 3, "if": "${{ success() }}"})
    );
    let schedule = &plan["schedules"][0];
    assert_eq!((&schedule["key"], &schedule["timezone"]), (&json!("morning"), &json!("Asia/Tokyo")), "{schedule:#}");
    let next = schedule["next"].as_array().expect("a list");
    assert_eq!(next.len(), 5, "{schedule:#}");
    for due in next {
        let ends = |key: &str, end: &str| due[key].as_str().is_some_and(|text| text.ends_with(end));
        assert!(ends("utc", "T21:00:00+00:00") && ends("local", "T06:00:00+09:00"), "{due:#}");
    }
    assert!(next.windows(2).all(|pair| pair[0]["utc"].as_str() < pair[1]["utc"].as_str()), "{schedule:#}");

    let shown = home.run(&["dry-run", "sound.yaml", "--input", "count=3"]).with_code(0).stdout;
    let parts = ["region", "1     fetch", "2     left", "1m30s", "3     join", "NEXT IN Asia/Tokyo"];
    let places = parts.map(|part| shown.find(part).unwrap_or_else(|| panic!("no {part:?}: {shown}")));
    assert!(places.is_sorted(), "{shown}");
    assert!(is_untouched(&home));
}

#[test]
fn a_dry_run_shows_the_folders_that_are_watched() {
    let home = home();
    home.write(
        "watching.yaml",
        "on: {file: {path: in, events: deleted, poll: 90s, done_marker: _OK, batch: {max_files: 7}, after: {success: done/}}}
steps: [{run: 'true'}]
",
    );
    let plan = home.run(&["dry-run", "watching.yaml", "--output", "json"]).with_code(0).json();
    assert_eq!(
        plan["files"][0],
        json!({"key": "file-0", "source": "directory", "path": "in", "match": ["*"], "ignore": [], "mime": [],
               "min_size": null, "max_size": null, "events": ["deleted"], "settle_ms": 1000,
               "poll": "1m30s", "done_marker": "_OK", "batch": {"max_files": 7, "max_wait_ms": 10_000},
               "after_success": "done/", "after_failure": "keep"})
    );
    let shown = home.run(&["dry-run", "watching.yaml"]).with_code(0).stdout;
    let line = "folder `in` (file-0): deleted of *, once _OK is there, up to 7 together after 10s; afterwards done/ (failed: keep)";
    assert!(shown.contains(line), "{shown}");

    home.write(
        "uploads.yaml",
        "on: {file: {source: upload, match: '*.csv', mime: [text/csv, image/*], min_size: 1, max_size: 2KiB}}\nsteps: [{run: 'true'}]\n",
    );
    let shown = home.run(&["dry-run", "uploads.yaml"]).with_code(0).stdout;
    assert!(shown.contains("uploads (file-0): *.csv that are text/csv or image/* of 1 to 2048 bytes\n"), "{shown}");
}

#[test]
fn a_dry_run_refuses_wrong_inputs_and_broken_files() {
    let home = home();
    let refused = home.run(&["dry-run", "sound.yaml", "--input", "regoin=us", "--input", "count=many"]).with_code(1);
    for part in ["did you mean `region`", "`count` must be of type integer", "sound.yaml"] {
        assert!(refused.stdout.contains(part), "no {part:?}: {refused:#?}");
    }
    let twice = ["dry-run", "sound.yaml", "--input", "count=1", "--input", "count=2", "--output", "json"];
    let refused = home.run(&twice).with_code(1).json();
    assert_eq!(refused["problems"][0]["message"], "`count` is given more than once", "{refused:#}");

    home.write("bad.yaml", "steps: []\n");
    let refused = home.run(&["dry-run", "bad.yaml"]).with_code(1);
    assert!(refused.stdout.contains("--> bad.yaml:1:"), "{refused:#?}");
}
