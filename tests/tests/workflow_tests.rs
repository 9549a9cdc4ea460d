//! `cogwheel test`: steps that fail, time out and are repeated, and what is said of the outcome.

use std::path::Path;

use cogwheel_tests::{Backend, Home};
use serde_json::Value;

struct Tested {
    code: i32,
    out: String,
    complaints: String,
}

fn test(home: &Home, arguments: &[&str]) -> Tested {
    let output = home.command(&["test"]).args(arguments).output().expect("the binary runs");
    assert!(!home.data().exists(), "a data folder was made");
    Tested {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        complaints: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Each step notes in a file that it ran, and each undo that it did.
const ORDER: &str = "\
steps:
  - id: reserve
    run: echo reserve >> ran
    compensate: {run: echo release >> ran}
  - id: pay
    run: echo pay >> ran
    retry: {attempts: 3, delay: 1ms}
    compensate: {run: echo refund >> ran}
  - {id: ship, run: echo ship >> ran}
";

fn home_with(tests: &str) -> Home {
    let home = Home::unmigrated(Backend::Sqlite);
    home.write("order.yaml", ORDER);
    home.write("order-tests.yaml", format!("workflow: order.yaml\ntests:\n{tests}"));
    home
}

fn ran(home: &Home) -> Vec<String> {
    let text = std::fs::read_to_string(home.path("ran")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn what_fails_is_undone_without_being_run() {
    let home = home_with(
        "  - {name: paid in vain, steps: {ship: {fail: no ship}}, expect: {status: compensated, undone: [reserve, pay], error: no ship}}\n",
    );
    let tested = test(&home, &["order-tests.yaml"]);
    assert_eq!(tested.code, 0, "{} {}", tested.out, tested.complaints);
    assert_eq!(ran(&home), ["reserve", "pay", "refund", "release"]);
}

#[test]
fn what_timed_out_may_have_happened() {
    for (when, pays) in [("before", 0), ("after", 3)] {
        let home = home_with(&format!(
            "  - {{name: late, steps: {{pay: {{time_out: {when}}}}}, expect: {{status: compensated, undone: [reserve, pay], \
             steps: {{pay: timed_out, ship: skipped}}}}}}\n"
        ));
        let tested = test(&home, &["order-tests.yaml"]);
        assert_eq!(tested.code, 0, "{} {}", tested.out, tested.complaints);
        let paid = ran(&home).iter().filter(|line| *line == "pay").count();
        assert_eq!(paid, pays, "once for each attempt, if at all");
        assert!(ran(&home).ends_with(&["refund".to_owned(), "release".to_owned()]));
    }
}

#[test]
fn steps_are_repeated_and_fail_at_first() {
    let home = home_with(
        "  - {name: twice, steps: {reserve: {repeat: 2}, pay: {fail_first: 2}}, expect: {status: completed, undone: []}}\n",
    );
    let tested = test(&home, &["order-tests.yaml"]);
    assert_eq!(tested.code, 0, "{} {}", tested.out, tested.complaints);
    assert_eq!(ran(&home), ["reserve", "reserve", "pay", "ship"]);
}

#[test]
fn an_undo_that_fails_is_paused_at() {
    let home = home_with(
        "  - {name: stuck, steps: {ship: {fail: no}, pay.compensate: {fail: bank closed}}, expect: {status: paused, undone: [], \
         not_undone: [pay, reserve]}}\n",
    );
    let tested = test(&home, &["order-tests.yaml"]);
    assert_eq!(tested.code, 0, "{} {}", tested.out, tested.complaints);
}

#[test]
fn what_stands_past_the_pivot_is_not_undone() {
    let home = home_with(
        "  - {name: past, steps: {ship: {fail: no}}, expect: {status: failed, undone: [], not_undone: [reserve]}}\n",
    );
    home.write(
        "order.yaml",
        "steps:\n  - {id: reserve, run: 'true', compensate: {run: 'true'}}\n  - {id: pay, run: 'true', pivot: true}\n  \
         - {id: ship, run: 'true', retry: 1}\n",
    );
    let tested = test(&home, &["order-tests.yaml"]);
    assert_eq!(tested.code, 0, "{} {}", tested.out, tested.complaints);
}

#[test]
fn differences_are_told() {
    let home = home_with(
        "  - {name: good, expect: {status: completed}}\n  - {name: bad, steps: {shop: {fail: no}}, expect: {status: compensated, undone: [pay]}}\n",
    );
    let tested = test(&home, &["order-tests.yaml", "--output", "json"]);
    assert_eq!(tested.code, 1, "{}", tested.complaints);
    let told: Value = serde_json::from_str(&tested.out).expect("JSON");
    let tests = &told["files"][0]["tests"];
    assert_eq!((&told["ok"], &tests[0]["ok"]), (&Value::Bool(false), &Value::Bool(true)));
    let differences: Vec<_> =
        tests[1]["differences"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(
        differences,
        [
            "status: expected compensated, was completed",
            "undone: expected [pay], was []",
            "no attempt of `shop` began: is it the key of a step that runs?",
        ]
    );
}

#[test]
fn a_file_that_is_no_test_is_refused() {
    for (text, told) in [
        ("  - {name: a, steps: {pay: {fial: no}}, expect: {}}\n", "unknown variant `fial`"),
        ("  - {name: a, expect: {state: failed}}\n", "unknown field `state`"),
    ] {
        let tested = test(&home_with(text), &["order-tests.yaml"]);
        assert_eq!(tested.code, 2);
        assert!(
            tested.complaints.contains(told) && tested.complaints.contains("order-tests.yaml"),
            "{}",
            tested.complaints
        );
    }
    let home = home_with("  - {name: a, expect: {}}\n");
    home.write("order.yaml", "steps: [{run: true}]\n");
    let tested = test(&home, &["order-tests.yaml"]);
    assert!(tested.code == 2 && tested.complaints.contains("order.yaml"), "{}", tested.complaints);
    assert_eq!(test(&home, &["absent.yaml"]).code, 2);
}

#[test]
fn the_tests_that_come_along_pass() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the repository");
    let home = Home::unmigrated(Backend::Sqlite);
    let folder = repository.join("examples/tests");
    let tested = test(&home, &[folder.to_str().expect("it is UTF-8")]);
    assert_eq!(tested.code, 0, "{} {}", tested.out, tested.complaints);
    assert!(tested.out.ends_with("4 tests, 0 failed\n"), "{}", tested.out);
}
