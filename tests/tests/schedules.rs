//! Cron schedules and their ledger.

use std::collections::BTreeSet;
use std::time::Duration;

use cogwheel_tests::{Backend, Home, Server, on_both_databases, until, within};
use serde_json::{Value, json};

on_both_databases!(
    every_second_is_fired_and_recorded_once,
    a_changed_schedule_counts_at_once,
    runs_that_queue_run_one_after_the_other,
    a_run_replaces_the_previous_one,
    an_instant_passes_while_the_previous_run_goes_on,
    a_schedule_is_switched_off_and_on,
    excluded_days_start_nothing,
    a_range_of_the_past_is_made_up_for_once,
    a_suspended_server_misses_nothing,
    a_day_of_missed_seconds_is_settled,
);

const FIRES: &str = "{ scheduleFires(first: 100) { nodes {
    dueAt outcome skipReason isCatchUp firedAt latenessMs execution { id status triggerType trigger } schedule { cron } } } }";

/// Waits for so many fired instants; the ledger, latest first.
fn ledger(server: &Server, count: usize) -> Vec<Value> {
    server.ask_until(&format!("{count} fires"), FIRES, &json!({}), |data| {
        let fires = data["scheduleFires"]["nodes"].as_array().expect("a list");
        (fires.iter().filter(|fire| fire["outcome"] == "FIRED").count() >= count).then(|| fires.clone())
    })
}

fn every_second_is_fired_and_recorded_once(backend: Backend) {
    let home = Home::new(backend);
    home.write(
        "workflows/tick.yaml",
        "on: {schedule: [{cron: '* * * * * *', overlap: allow}]}\nsteps: [{run: 'echo tick >> ticks.txt'}]\n",
    );
    let server = home.serve();
    for fire in ledger(&server, 3) {
        assert_eq!(fire["outcome"], "FIRED", "{fire:#}");
        assert!(fire["dueAt"].as_str().is_some_and(|due| due.ends_with('Z')), "{fire:#}");
        assert!(fire["latenessMs"].as_i64().is_some_and(|late| (0..5_000).contains(&late)), "{fire:#}");
        assert_eq!(fire["execution"]["triggerType"], "SCHEDULE", "{fire:#}");
        let id = fire["execution"]["id"].as_str().expect("an id");
        server.ended_as(id, "COMPLETED");
    }

    server.crash();
    let server = home.serve();
    ledger(&server, 5);
    server.stop();
    let mut sql = home.sql();
    assert_eq!(
        sql.number("select count(*) from schedule_fires"),
        sql.number("select count(distinct due_at) from schedule_fires")
    );
    assert_eq!(
        sql.number("select count(*) from schedule_fires where outcome = 'fired'"),
        sql.number("select count(*) from workflow_executions")
    );
}

fn a_changed_schedule_counts_at_once(backend: Backend) {
    let home = Home::new(backend);
    let yearly = |cron: &str| {
        format!("on: {{schedule: [{{cron: '{cron}', timezone: Europe/Berlin}}]}}\nsteps: [{{run: 'true'}}]\n")
    };
    home.write("workflows/rare.yaml", yearly("0 0 1 1 *"));
    let server = home.serve();
    let query = "{ schedules { nodes { cron timezone nextDueAt } } }";
    server.ask_until("the schedule", query, &json!({}), |data| {
        let schedule = &data["schedules"]["nodes"][0];
        let next = schedule["nextDueAt"].as_str()?;
        // Midnight in Berlin in winter.
        assert!(next.contains("-12-31T23:00:00"), "{schedule:#}");
        Some(())
    });

    home.write("workflows/rare.yaml", yearly("* * * * * *"));
    let crons: BTreeSet<_> = ledger(&server, 1).iter().map(|fire| fire["schedule"]["cron"].to_string()).collect();
    assert_eq!(crons.into_iter().collect::<Vec<_>>(), ["\"* * * * * *\""]);
}

/// One number of the database, once it is so large.
fn reaches(home: &Home, what: &str, sql: &str, least: i64) -> i64 {
    let mut database = home.sql();
    until(what, || {
        let number = database.number(sql);
        (number >= least).then_some(number)
    })
}

const FIRED: &str = "select count(*) from schedule_fires where outcome = 'fired'";
const ENDED: &str = "select count(*) from workflow_executions where status = 'completed'";

/// No two executions of the schedule ran at once: each says when it begins and ends.
fn never_beside_another(home: &Home) {
    let mut running = 0;
    for line in home.read("order.txt").lines() {
        running += if line == "begin" { 1 } else { -1 };
        assert!((0..=1).contains(&running), "{}", home.read("order.txt"));
    }
}

fn runs_that_queue_run_one_after_the_other(backend: Backend) {
    for concurrency in ["", "concurrency: {limit: 3}\n"] {
        let home = Home::new(backend);
        let steps = "steps: [{run: 'echo begin >> order.txt; sleep 1.3; echo end >> order.txt'}]\n";
        let on = "on: {schedule: {cron: '* * * * * *', overlap: queue}}\n";
        home.write("workflows/tick.yaml", format!("{on}{concurrency}{steps}"));
        let server = home.serve();
        reaches(&home, "three ends", ENDED, 3);
        let fired = home.sql().number(FIRED);
        assert!(fired > 3, "what is due is recorded in time: {fired}");
        server.stop();
        never_beside_another(&home);
        let skipped = home.sql().number("select count(*) from schedule_fires where outcome = 'skipped'");
        assert_eq!(skipped, 0);
    }
}

fn a_run_replaces_the_previous_one(backend: Backend) {
    for concurrency in ["", "concurrency: {limit: 3, overflow: queue}\n"] {
        let home = Home::new(backend);
        let on = "on: {schedule: {every: 1s, overlap: replace}}\n";
        home.write("workflows/tick.yaml", format!("{on}{concurrency}steps: [{{run: sleep 60}}]\n"));
        let server = home.serve();
        let cancelled = "select count(*) from workflow_executions where status = 'cancelled'";
        reaches(&home, "two replaced ones", cancelled, 2);
        let mut sql = home.sql();
        let running = sql.number("select count(*) from workflow_executions where status in ('running', 'waiting')");
        assert!(running <= 1, "{running} run");
        let reason = sql.texts("select cancel_reason from workflow_executions where status = 'cancelled'");
        assert!(reason.iter().all(|reason| reason.starts_with("replaced by execution ")), "{reason:?}");
        drop(server);
    }
}

fn an_instant_passes_while_the_previous_run_goes_on(backend: Backend) {
    let home = Home::new(backend);
    let text = "on: {schedule: {cron: '* * * * * *'}}\n\
                steps: [{run: 'echo begin >> order.txt; sleep 1.5; echo end >> order.txt'}]\n";
    home.write("workflows/tick.yaml", text);
    let server = home.serve();
    reaches(&home, "two fires", FIRED, 2);
    reaches(
        &home,
        "a skipped instant",
        "select count(*) from schedule_fires where skip_reason = 'overlap' and fired_at is null",
        1,
    );
    server.stop();
    never_beside_another(&home);
}

fn a_schedule_is_switched_off_and_on(backend: Backend) {
    let home = Home::new(backend);
    let two = "on: {schedule: [{id: off, every: 1s, overlap: allow}, {id: on, every: 1s, overlap: allow}]}\n";
    home.write("workflows/tick.yaml", format!("{two}steps: [{{uses: set, with: {{x: 1}}}}]\n"));
    let server = home.serve();
    reaches(&home, "fires", FIRED, 2);
    let ids = server.ask("{ schedules { nodes { id triggerKey everyMs nextFires(count: 2) { dueAt } } } }", &json!({}));
    let schedule =
        ids["schedules"]["nodes"].as_array().and_then(|nodes| nodes.iter().find(|node| node["triggerKey"] == "off"));
    let schedule = schedule.expect("it is there");
    assert_eq!((&schedule["everyMs"], schedule["nextFires"].as_array().map(Vec::len)), (&json!(1000), Some(2)));
    let set = |server: &Server, enabled: bool| {
        let mutation = "mutation($id: ID!, $on: Boolean!) { setScheduleEnabled(input: {id: $id, enabled: $on}) {
            schedule { isEnabled } userErrors { message } } }";
        let answer = server.ask(mutation, &json!({ "id": schedule["id"], "on": enabled }));
        assert_eq!(answer["setScheduleEnabled"], json!({"schedule": {"isEnabled": enabled}, "userErrors": []}));
    };
    set(&server, false);
    let of = |key: &str, which: &str| {
        format!(
            "select count(*) from schedule_fires f join schedules s on s.id = f.schedule_id
             where s.trigger_key = '{key}' and {which}"
        )
    };
    let before = home.sql().number(&of("off", "f.outcome = 'fired'"));
    reaches(&home, "skipped instants", &of("off", "f.skip_reason = 'disabled'"), 2);
    let after = home.sql().number(&of("off", "f.outcome = 'fired'"));
    assert!(after <= before + 1, "one may have been on its way: {before}, then {after}");
    server.stop();
    let server = home.serve();
    let skipped = home.sql().number(&of("off", "f.skip_reason = 'disabled'"));
    reaches(&home, "off after a restart, too", &of("off", "f.skip_reason = 'disabled'"), skipped + 2);
    let fired = home.sql().number(&of("off", "f.outcome = 'fired'"));
    assert_eq!(fired, after);
    set(&server, true);
    reaches(&home, "fires again", &of("off", "f.outcome = 'fired'"), fired + 1);
    assert_eq!(home.sql().number(&of("on", "f.skip_reason = 'disabled'")), 0);
}

fn excluded_days_start_nothing(backend: Backend) {
    let home = Home::new(backend);
    let on = "on: {schedule: {cron: '* * * * * *', exclude: ['01-01..12-31']}}\n";
    home.write("workflows/tick.yaml", format!("{on}steps: [{{run: 'true'}}]\n"));
    let server = home.serve();
    reaches(&home, "skipped instants", "select count(*) from schedule_fires where skip_reason = 'calendar'", 2);
    assert_eq!(home.sql().number(FIRED), 0);
    drop(server);
}

fn a_range_of_the_past_is_made_up_for_once(backend: Backend) {
    let home = Home::new(backend);
    let on = "on: {schedule: {cron: '0 6 * * *', timezone: Europe/Berlin, exclude: 2026-03-30}}\n";
    let steps = "steps: [{run: 'echo $DUE >> due.txt', env: {DUE: '${{ trigger.schedule.due_at }}'}}]\n";
    home.write("workflows/daily.yaml", format!("{on}{steps}"));
    let server = home.serve();
    let schedules = "{ schedules { nodes { id lastDueAt nextDueAt } } }";
    let find = |data: &Value| data["schedules"]["nodes"].get(0).cloned();
    let schedule = server.ask_until("the schedule", schedules, &json!({}), find);
    let fill = "mutation($id: ID!, $from: DateTime!, $until: DateTime!) {
        backfillSchedule(input: {id: $id, from: $from, until: $until}) {
          due started alreadyDecided excluded executionIds userErrors { code message } } }";
    let range = |from: &str, until: &str| json!({ "id": schedule["id"], "from": from, "until": until });
    let march = range("2026-03-28T00:00:00Z", "2026-03-31T23:59:59Z");
    let done = server.ask(fill, &march)["backfillSchedule"].clone();
    assert_eq!((&done["due"], &done["started"], &done["excluded"]), (&json!(4), &json!(3), &json!(1)), "{done:#}");
    let again = server.ask(fill, &march)["backfillSchedule"].clone();
    assert_eq!((&again["started"], &again["alreadyDecided"]), (&json!(0), &json!(3)), "{again:#}");
    let more = server.ask(fill, &range("2026-03-27T00:00:00Z", "2026-03-31T23:59:59Z"))["backfillSchedule"].clone();
    assert_eq!((&more["started"], &more["alreadyDecided"]), (&json!(1), &json!(3)), "{more:#}");
    reaches(&home, "four ends", ENDED, 4);
    let mut due: Vec<String> = home.read("due.txt").lines().map(str::to_owned).collect();
    due.sort();
    let expected = ["2026-03-27T05:00:00Z", "2026-03-28T05:00:00Z", "2026-03-29T04:00:00Z", "2026-03-31T04:00:00Z"];
    assert_eq!(due, expected, "in order of their instants, and each once");
    let after = server.ask(schedules, &json!({}))["schedules"]["nodes"][0].clone();
    assert_eq!((&after["nextDueAt"], &after["lastDueAt"]), (&schedule["nextDueAt"], &Value::Null));
    let backwards =
        server.ask(fill, &range("2026-03-31T00:00:00Z", "2026-03-01T00:00:00Z"))["backfillSchedule"].clone();
    assert_eq!(backwards["userErrors"][0]["code"], "INVALID_RANGE");
    let future = server.ask(fill, &range("2999-01-01T00:00:00Z", "2999-02-01T00:00:00Z"))["backfillSchedule"].clone();
    assert_eq!(future["due"], 0);
}

fn a_suspended_server_misses_nothing(backend: Backend) {
    let home = Home::new(backend);
    let on = "on: {schedule: {cron: '* * * * * *', overlap: allow, catch_up: all}}\n";
    home.write("workflows/tick.yaml", format!("{on}steps: [{{uses: set, with: {{x: 1}}}}]\n"));
    let server = home.serve();
    reaches(&home, "a fire", FIRED, 1);
    server.suspend();
    pause_for(Duration::from_secs(6));
    server.resume();
    let fired = reaches(&home, "what came due meanwhile", FIRED, 8);
    let mut sql = home.sql();
    assert_eq!(sql.number(&span(backend)), fired, "one for each second");
    assert_eq!(sql.number("select count(*) from schedule_fires"), sql.number(FIRED));
}

fn a_day_of_missed_seconds_is_settled(backend: Backend) {
    let home = Home::new(backend);
    let on = "on: {schedule: {cron: '* * * * * *', overlap: allow, catch_up: none}}\n";
    home.write("workflows/tick.yaml", format!("{on}steps: [{{uses: set, with: {{x: 1}}}}]\n"));
    let server = home.serve();
    reaches(&home, "a fire", FIRED, 1);
    server.stop();
    let mut sql = home.sql();
    let (ago, a_day_ago) = match backend {
        Backend::Sqlite => (
            "strftime('%Y-%m-%dT%H:%M:%S+00:00', due_at, '-1 day')",
            "strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now', '-1 day')",
        ),
        Backend::Postgres => ("due_at - interval '1 day'", "date_trunc('second', now()) - interval '1 day'"),
    };
    sql.execute(&format!("update schedule_fires set due_at = {ago}"));
    sql.execute(&format!("update schedules set starts_at = {a_day_ago}, last_due_at = null"));
    let fired = sql.number(FIRED);
    let server = home.serve();
    let missed = "select count(*) from schedule_fires where skip_reason = 'catch_up_none'";
    within(Duration::from_mins(4), "a day of instants", || (sql.number(missed) >= 86_400).then_some(()));
    within(Duration::from_mins(1), "the present", || (sql.number(FIRED) > fired).then_some(()));
    let peak = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let peak = peak.lines().find(|line| line.starts_with("VmHWM:")).expect("the kernel counts it").to_owned();
    let kib: u64 = peak.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
    assert!(kib < 300 * 1024, "{peak}");
    drop(server);
}

/// How many seconds the ledger spans.
fn span(backend: Backend) -> String {
    match backend {
        Backend::Sqlite => {
            "select cast(strftime('%s', max(due_at)) - strftime('%s', min(due_at)) + 1 as integer) from schedule_fires"
        }
        Backend::Postgres => "select extract(epoch from max(due_at) - min(due_at))::bigint + 1 from schedule_fires",
    }
    .to_owned()
}

#[expect(clippy::disallowed_methods, reason = "the server must be still for a time, and nothing tells of it")]
fn pause_for(time: Duration) {
    std::thread::sleep(time);
}

#[test]
fn the_command_line_shows_what_comes() {
    let home = Home::unmigrated(Backend::Sqlite);
    let next = |more: &[&str]| {
        let mut arguments =
            vec!["cron", "next", "30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2026-10-24T12:00:00Z"];
        arguments.extend(more);
        home.run(&arguments)
    };
    let shown = next(&["--count", "2", "--json"]).with_code(0).json();
    assert_eq!(shown["next"][0]["utc"], "2026-10-25T00:30:00+00:00");
    assert_eq!((&shown["next"][0]["dst"], &shown["next"][1]["dst"]), (&json!("first"), &Value::Null));
    let both = next(&["--until", "2026-10-26", "--dst-overlap", "both", "--output", "json"]).with_code(0).json();
    assert_eq!(both["next"].as_array().map(Vec::len), Some(2), "{both:#}");
    let text = next(&["--dst-overlap", "last"]).with_code(0).stdout;
    assert!(text.lines().count() == 11 && text.contains("2026-10-25T02:30:00+01:00  second of two"), "{text}");
    let wrong = home.run(&["cron", "next", "0 0 30 2 *", "--timezone", "Europe/Berln"]).with_code(2);
    assert!(wrong.stderr.contains("it never comes due: February never has a day 30"), "{wrong:?}");
    assert!(wrong.stderr.contains("did you mean `Europe/Berlin`?"), "{wrong:?}");
    assert!(home.run(&["cron", "next", "@daily", "--dst-gap", "jump"]).code == 2);
}
