//! The limits of the system: watches used up, reports lost, permission taken away, and several nodes on one folder.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use cogwheel_tests::{Backend, Home, Server, on_both_databases, within};
use serde_json::{Value, json};

on_both_databases!(
    without_room_for_watches_scans_find_the_files,
    lost_reports_lose_no_files,
    what_may_not_be_read_is_told_and_taken_when_it_may,
);

const WATCH: &str =
    "{ fileWatches { nodes { health problem mode overflows limitReached lastError lastErrorAt lastScanAt } } }";

const INTAKE: &str = "on: {file: {path: inbox, match: '**/*.csv', settle: 0s}}
steps: [{uses: log, with: {message: '${{ trigger.file.name }}'}}]
";

fn watch(server: &Server, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    server.ask_until(what, WATCH, &json!({}), |data| {
        let watch = &data["fileWatches"]["nodes"][0];
        is_it(watch).then(|| watch.clone())
    })
}

/// Whether this machine lets us do that; where it does not, there is nothing to see.
fn can(wrapper: &[&str]) -> bool {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn without_room_for_watches_scans_find_the_files(backend: Backend) {
    // In a namespace of its own, nobody else's limit is lowered. Some folders are watched by the server itself.
    let few = "echo 4 > /proc/sys/user/max_inotify_watches && exec \"$@\"";
    let wrapper = ["unshare", "--user", "--map-root-user", "sh", "-c", few, "sh"];
    if !can(&wrapper) {
        return;
    }
    let home = Home::new(backend);
    home.write("workflows/intake.yaml", INTAKE);
    let server = home.serve_under(&wrapper);
    for folder in 0..8 {
        fs::create_dir(home.path(&format!("inbox/{folder}"))).expect("a new folder");
    }
    let full = watch(&server, "a watch at its limit", |watch| watch["limitReached"] == true);
    assert_eq!(full["health"], "DEGRADED");
    assert!(
        full["problem"].as_str().is_some_and(|problem| problem.contains("fs.inotify.max_user_watches")),
        "{full:#}"
    );
    assert!(full["lastError"].is_string() && full["lastErrorAt"].is_string(), "{full:#}");
    for folder in 0..8 {
        home.write(&format!("inbox/{folder}/a.csv"), "x");
    }
    server.ended_executions("intake", 8);
    for folder in 0..8 {
        fs::remove_dir_all(home.path(&format!("inbox/{folder}"))).expect("it can be removed");
    }
    watch(&server, "a healthy watch", |watch| watch["health"] == "HEALTHY" && watch["limitReached"] == false);
}

fn lost_reports_lose_no_files(backend: Backend) {
    // Four reports a file: more than the kernel keeps for a reader that does not read.
    const FILES: usize = 6000;
    let home = Home::new(backend);
    home.write("workflows/intake.yaml", INTAKE);
    let server = home.serve();
    watch(&server, "a healthy watch", |watch| watch["health"] == "HEALTHY");
    server.suspend();
    for number in 0..FILES {
        fs::write(home.path(&format!("inbox/{number}.csv")), number.to_string()).expect("a new file");
    }
    server.resume();
    within(Duration::from_mins(2), "all files", || {
        (server.count_executions("intake", &["COMPLETED"]) >= FILES as u64).then_some(())
    });
    home.write("inbox/last.csv", "");
    within(Duration::from_mins(1), "the last file", || {
        (server.count_executions("intake", &["COMPLETED"]) > FILES as u64).then_some(())
    });
    assert_eq!(server.all_executions("intake").len(), FILES + 1);
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap_or_default();
    if limit.trim().parse().is_ok_and(|limit: usize| limit < 4 * FILES) {
        let lost = watch(&server, "lost reports", |watch| watch["overflows"].as_i64() > Some(0));
        assert!(lost["lastError"].as_str().is_some_and(|error| error.contains("lost")), "{lost:#}");
    }
}

fn what_may_not_be_read_is_told_and_taken_when_it_may(backend: Backend) {
    // The superuser may read everything, unless it gives that up.
    let plain = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    if !can(&plain) {
        return;
    }
    let home = Home::new(backend);
    home.write("workflows/intake.yaml", INTAKE);
    let server = home.serve_under(&plain);
    let may = |path: &str, mode| {
        fs::set_permissions(home.path(path), Permissions::from_mode(mode)).expect("the mode can be set");
    };
    home.write("elsewhere/closed.csv", "x");
    may("elsewhere/closed.csv", 0o000);
    fs::rename(home.path("elsewhere/closed.csv"), home.path("inbox/closed.csv")).expect("it can be moved");
    let reason = "{ files { nodes { filename decisionReason detail } } }";
    server.ask_until("the refusal", reason, &json!({}), |data| {
        let file = &data["files"]["nodes"][0];
        let is_told = file["detail"].as_str().is_some_and(|detail| detail.contains("denied"));
        (file["decisionReason"] == "UNREADABLE" && is_told).then_some(())
    });
    may("inbox/closed.csv", 0o600);
    server.ended_executions("intake", 1);

    may("inbox", 0o000);
    home.write("workflows/intake.yaml", INTAKE.replace("settle: 0s", "settle: 1ms"));
    let failed = watch(&server, "a failed watch", |watch| watch["health"] == "FAILED");
    assert!(failed["problem"].as_str().is_some_and(|problem| problem.contains("denied")), "{failed:#}");
    may("inbox", 0o700);
    watch(&server, "a healthy watch", |watch| watch["health"] == "HEALTHY");
    home.write("inbox/open.csv", "x");
    server.ended_executions("intake", 2);
}

#[test]
fn two_nodes_on_one_folder_take_each_file_once() {
    const FILES: usize = 300;
    let mut home = Home::new(Backend::Postgres);
    home.set("cluster.lease", "2s");
    let moving = INTAKE.replace("settle: 0s", "settle: 0s, after: {success: inbox/done}");
    home.write("workflows/intake.yaml", moving);
    let one = home.serve();
    let _two = home.serve_from("data-two");
    for number in 0..FILES {
        home.write(&format!("inbox/{number}.csv"), number.to_string());
    }
    within(Duration::from_mins(1), "all files to be moved", || {
        let moved = fs::read_dir(home.path("inbox/done")).map_or(0, Iterator::count);
        (moved >= FILES).then_some(())
    });
    home.write("inbox/last.csv", "");
    within(Duration::from_mins(1), "the last file", || home.path("inbox/done/last.csv").exists().then_some(()));
    let executions = one.all_executions("intake");
    assert_eq!(executions.len(), FILES + 1);
    assert_eq!(fs::read_dir(home.path("inbox/done")).expect("it is there").count(), FILES + 1);
}
