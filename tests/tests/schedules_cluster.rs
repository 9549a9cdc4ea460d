//! Two servers on one PostgreSQL share schedules while they are killed, suspended and edited at random: each due instant has
//! one outcome, and no execution comes of none.
//!
//! `COGWHEEL_SCHEDULE_ROUNDS` says how many blows they are dealt, `COGWHEEL_SCHEDULE_SEED` which.

use std::time::{Duration, Instant};

use cogwheel_tests::{Backend, Home, Server, until, within};
use serde_json::json;

/// Schedules that come due each second, by their policies.
const SCHEDULES: &str = "\
on:
  schedule:
    - {id: allow, cron: '* * * * * *', overlap: allow, catch_up: all}
    - {id: skip, cron: '* * * * * *', overlap: skip, catch_up: last}
    - {id: queue, cron: '*/2 * * * * *', overlap: queue, catch_up: none}
    - {id: every, every: 1s, overlap: allow, catch_up: last, jitter: 300ms}
    - {id: switched, every: 1s, overlap: allow, catch_up: all}
";
const STEPS: &str = "steps: [{uses: set, with: {x: 1}}]\n";

fn workflow(comment: usize) -> String {
    format!("# {comment}\n{SCHEDULES}{STEPS}")
}

/// A small generator: the same seed deals the same blows.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[expect(clippy::disallowed_methods, reason = "blows fall at random times, not when something has happened")]
fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

fn switch(server: &Server, id: &str, enabled: bool) {
    let mutation = "mutation($id: ID!, $on: Boolean!) { setScheduleEnabled(input: {id: $id, enabled: $on}) {
        userErrors { message } } }";
    let answer = server.ask(mutation, &json!({ "id": id, "on": enabled }));
    assert_eq!(answer["setScheduleEnabled"]["userErrors"], json!([]));
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was proven is a figure of the documentation")]
fn random_blows_leave_one_outcome_for_each_instant() {
    let mut home = Home::new(Backend::Postgres);
    home.set("cluster.lease", "2s");
    home.write("workflows/tick.yaml", workflow(0));
    let mut draw = Draw(number("COGWHEEL_SCHEDULE_SEED", 1) | 1);
    let rounds = number("COGWHEEL_SCHEDULE_ROUNDS", 8);
    let folders = ["data", "data-two"];
    let mut servers = folders.map(|folder| Some(home.serve_from(folder)));
    let query = "{ schedules { nodes { id triggerKey } } }";
    let switched = servers[0].as_ref().expect("it runs").ask_until("the schedules", query, &json!({}), |data| {
        let nodes = data["schedules"]["nodes"].as_array()?;
        nodes.iter().find(|node| node["triggerKey"] == "switched")?["id"].as_str().map(str::to_owned)
    });
    let (began, mut kills, mut suspends) = (Instant::now(), 0, 0);
    for round in 0..usize::try_from(rounds).expect("it is small") {
        pause(300 + draw.below(1500));
        let at = usize::from(draw.below(2) == 1);
        let server = servers[at].take().expect("both run");
        match draw.below(5) {
            0 => {
                suspends += 1;
                server.suspend();
                pause(500 + draw.below(5000));
                server.resume();
                servers[at] = Some(server);
            }
            1 => {
                home.write("workflows/tick.yaml", workflow(round + 1));
                servers[at] = Some(server);
            }
            2 => {
                switch(&server, &switched, draw.below(2) == 0);
                servers[at] = Some(server);
            }
            both => {
                kills += 1;
                server.crash();
                if both == 4 && draw.below(2) == 0 {
                    kills += 1;
                    servers[1 - at].take().expect("both run").crash();
                    pause(draw.below(3000));
                    servers[1 - at] = Some(home.serve_from(folders[1 - at]));
                }
                servers[at] = Some(home.serve_from(folders[at]));
            }
        }
    }
    let lasted = began.elapsed().as_secs();
    let mut sql = home.sql();
    let late = "select count(*) from schedules where is_enabled and last_due_at < now() - interval '3 seconds'";
    until("every schedule to be up to date", || (sql.number(late) == 0).then_some(()));
    for server in servers.into_iter().flatten() {
        assert!(server.stop().success());
    }
    // Due instants of the range that the ledger spans and that have no outcome, or several.
    let missing = "select coalesce(sum(wanted - present), 0)::bigint from (
        select count(*) as present, count(distinct f.due_at) as different,
          (extract(epoch from max(f.due_at) - min(f.due_at))
             / case when s.trigger_key = 'queue' then 2 else 1 end)::bigint + 1 as wanted
        from schedule_fires f join schedules s on s.id = f.schedule_id group by s.id) counted";
    assert_eq!(sql.number(missing), 0, "an instant without an outcome");
    let doubled =
        "select count(*) from (select 1 from schedule_fires group by schedule_id, due_at having count(*) > 1) d";
    assert_eq!(sql.number(doubled), 0);
    let fired = sql.number("select count(*) from schedule_fires where outcome = 'fired'");
    let of_fires = "select count(distinct execution_id) from schedule_fires where outcome = 'fired'";
    assert_eq!(sql.number(of_fires), fired, "a fired instant has an execution of its own");
    assert_eq!(sql.number("select count(*) from workflow_executions"), fired, "and no execution has none");
    let outcomes = sql.number("select count(*) from schedule_fires");
    let schedules = sql.number("select count(distinct schedule_id) from schedule_fires");
    assert_eq!(schedules, 5);
    println!("{kills} kills, {suspends} suspends, {lasted} s: {outcomes} outcomes, {fired} executions");
    let server = home.serve();
    within(Duration::from_mins(2), "all executions to end", || {
        (sql.number("select count(*) from workflow_executions where completed_at is null and trigger_key <> 'queue'")
            < 5)
        .then_some(())
    });
    drop(server);
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
}

/// Longer than what counts as missed.
const STILL: u64 = 66_000;

#[test]
fn a_server_that_was_still_for_a_minute_asks_the_ledger() {
    let mut home = Home::new(Backend::Postgres);
    home.set("cluster.lease", "2s");
    let on = "on: {schedule: {cron: '* * * * * *', overlap: allow, catch_up: none}}\n";
    home.write("workflows/tick.yaml", format!("{on}{STEPS}"));
    let (one, two) = (home.serve(), home.serve_from("data-two"));
    let mut sql = home.sql();
    let fired = "select count(*) from schedule_fires where outcome = 'fired'";
    until("a fire", || (sql.number(fired) > 0).then_some(()));
    two.suspend();
    pause(STILL);
    two.resume();
    let so_far = sql.number(fired);
    until("some more", || (sql.number(fired) > so_far + 5).then_some(()));
    let skipped = sql.number("select count(*) from schedule_fires where outcome = 'skipped'");
    assert_eq!(skipped, 0, "the other server was there all the time");
    assert!(one.stop().success() && two.stop().success());
}
