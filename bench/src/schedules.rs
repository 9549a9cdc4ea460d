//! Many schedules: all due in the same second, and none due for a year.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use cogwheel_engine::clock::{Clock as _, SystemClock};
use cogwheel_tests::{Backend, Home, within};
use serde_json::json;

use crate::figure::{Figure, Times, milliseconds, rate};
use crate::raw;

/// How many schedules there are, by workflows and schedules of each.
const WORKFLOWS: usize = 1000;
const EACH: usize = 10;
/// How far ahead their instant lies: until then all of them are loaded.
const AHEAD: TimeDelta = TimeDelta::seconds(45);
/// How long the idle server is looked at.
const IDLE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_mins(5);

const FIRED: &str = "select count(*) from schedule_fires where outcome = 'fired'";
const ENDED: &str = "select count(*) from workflow_executions where status = 'completed'";

/// Ten thousand schedules come due in one second of the year.
pub(crate) fn schedules(backend: Backend) -> Vec<Figure> {
    let home = Home::new(backend);
    let due = (SystemClock.now() + AHEAD).with_nanosecond(0).expect("a whole second");
    for number in 0..WORKFLOWS {
        home.write(&format!("workflows/w{number}.yaml"), workflow(due));
    }
    let server = home.serve();
    let mut sql = home.sql();
    let expected = i64::try_from(WORKFLOWS * EACH).expect("it is small");
    within(PATIENCE, "all schedules", || (sql.number("select count(*) from schedules") == expected).then_some(()));
    let left = (due - SystemClock.now()).to_std().expect("all are loaded before they are due");
    pause(left);
    let began = Instant::now();
    within(PATIENCE, "the ledger to be full", || (sql.number(FIRED) == expected).then_some(()));
    let recorded = began.elapsed();
    within(PATIENCE, "all executions to end", || (sql.number(ENDED) == expected).then_some(()));
    let ended = began.elapsed();
    let lateness = sql.texts("select cast(lateness_ms as text) from schedule_fires where outcome = 'fired'");
    let lateness = lateness.iter().map(|late| Duration::from_millis(late.parse().expect("a number")));
    let times = Times::of(lateness);

    // What has just ended is tidied up; afterwards nothing is due for a year.
    pause(Duration::from_secs(3));
    let before = raw::cpu_time_of(server.pid());
    pause(IDLE);
    let idle = raw::cpu_time_of(server.pid()).saturating_sub(before);
    drop(server);
    let percent = 100.0 * idle.as_secs_f64() / IDLE.as_secs_f64();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (rows, _) = runtime.block_on(raw::limits(backend));
    let starts = rate(WORKFLOWS * EACH, recorded);
    vec![
        Figure {
            workload: "10 000 schedules due in the same second, overlap `skip`, one no-op step each: lateness",
            backend: Some(backend),
            measured: format!(
                "{}; all recorded after {:.2} s ({starts:.0}/s), all ended after {:.2} s",
                times.summary(),
                recorded.as_secs_f64(),
                ended.as_secs_f64()
            ),
            raw: format!("{rows:.0} rows/s by 1 000"),
            reach: "p99 < 1 s",
            peers: "Node-RED 1 000 in the same minute: p50 125 ms (nothing durable)",
            value: json!({ "lateness": times.json(), "recorded_ms": milliseconds(recorded),
                "ended_ms": milliseconds(ended), "raw_rows_per_second": rows }),
        },
        Figure {
            workload: "10 000 schedules of which none is due: CPU of the server",
            backend: Some(backend),
            measured: format!("{percent:.2} % of a core over {} s", IDLE.as_secs()),
            raw: String::new(),
            reach: "< 1 % of a core",
            peers: "tokio-cron-scheduler with 10 000 jobs: < 0.5 % (nothing durable)",
            value: json!({ "percent": percent }),
        },
    ]
}

/// A workflow whose schedules all come due at this instant, once a year.
fn workflow(due: DateTime<Utc>) -> String {
    let mut text = "on:\n  schedule:\n".to_owned();
    for _ in 0..EACH {
        let _ = writeln!(text, "    - cron: '{}'", due.format("%-S %-M %-H %-d %-m *"));
    }
    text + "steps: [{uses: set, with: {x: 1}}]\n"
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, that waits for an instant")]
fn pause(time: Duration) {
    thread::sleep(time);
}
