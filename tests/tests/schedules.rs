//! Cron schedules and their ledger.

use std::collections::BTreeSet;

use cogwheel_tests::{Backend, Home, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(every_second_is_fired_and_recorded_once, a_changed_schedule_counts_at_once);

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
