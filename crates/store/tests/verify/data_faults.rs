//! Rows that contradict each other are named by table and id.

use cogwheel_schema::Backend;
use cogwheel_store::verify::{Options, verify};

use super::fault::{Fault, all_are_named, run};
use crate::databases::Template;

const ONLY_DATA: Options = Options { data: true, plans: false, queries: Vec::new() };

/// A little of everything, consistent; `#40` stands for the id that ends in 40, `#bytes` for some bytes.
const SEED: &str = "
insert into tenants (id, slug, name) values (#1, 'one', 'One'), (#2, 'two', 'Two');
insert into users (id, email, display_name) values (#10, 'a@example.org', 'A');
insert into organizations (id, tenant_id, name) values (#20, #1, 'O');
insert into departments (id, tenant_id, organization_id, parent_department_id, name) values (#21, #1, #20, null, 'P'), (#22, #1, #20, #21, 'C');
insert into nodes (id, node_name, status, engine_version, schema_fingerprint, started_at)
  values (#30, 'n', 'active', '1', 'f', '2026-01-01T00:00:00+00:00');
insert into workflows (id, tenant_id, name, status, is_scheduled, trigger_on_file_upload, total_executions, successful_executions, failed_executions)
  values (#40, #1, 'a', 'active', true, true, 3, 1, 1);
insert into workflow_versions (id, tenant_id, workflow_id, version, source_text, definition, checksum, language_version, step_count, is_active)
  values (#41, #1, #40, 1, 'name: a', '{}', '3870260320435287cb7bb973f6c6ce940630c8530d0d2c5f9409635c1d4678ea', '1', 1, true);
insert into schedules (id, tenant_id, workflow_id, trigger_key, cron_schedule, last_due_at)
  values (#42, #1, #40, 'daily', '0 7 * * *', '2026-01-02T07:00:00+00:00');
insert into schedule_fires (id, tenant_id, schedule_id, due_at, outcome, fired_at) values
  (#43, #1, #42, '2026-01-01T07:00:00+00:00', 'fired', '2026-01-01T07:00:00+00:00'),
  (#44, #1, #42, '2026-01-02T07:00:00+00:00', 'fired', '2026-01-02T07:00:00+00:00');
insert into file_watches (id, tenant_id, workflow_id, trigger_key, watch_source) values (#45, #1, #40, 'upload', 'upload');
insert into workflow_executions
  (id, tenant_id, workflow_id, workflow_version_id, status, trigger_type, correlation_id, completed_at, owner_node_id, next_wake_at, parent_execution_id) values
  (#50, #1, #40, #41, 'completed', 'manual', #50, '2026-01-01T00:00:00+00:00', null, null, null),
  (#51, #1, #40, #41, 'timed_out', 'manual', #51, '2026-01-01T00:00:00+00:00', null, null, null),
  (#52, #1, #40, #41, 'cancelled', 'manual', #52, '2026-01-01T00:00:00+00:00', null, null, null),
  (#53, #1, #40, #41, 'running', 'manual', #53, null, #30, null, null),
  (#54, #1, #40, #41, 'waiting', 'manual', #54, null, null, '2026-01-01T00:00:00+00:00', null),
  (#55, #1, #40, #41, 'queued', 'workflow', #53, null, null, null, #53);
insert into step_executions (tenant_id, execution_id, ordinal, step_key, step_name, step_type, status, completed_at)
  values (#1, #50, 0, 's', 's', 'shell', 'completed', '2026-01-01T00:00:00+00:00');
insert into execution_logs (tenant_id, execution_id, sequence, step_ordinal, message, logged_at)
  values (#1, #50, 1, 0, 'hello', '2026-01-01T00:00:00+00:00');
insert into files (id, tenant_id, file_source, filename, original_filename, file_size, status, first_seen_at, settled_at, decision_reason)
  values (#60, #1, 'upload', 'a.csv', 'a.csv', 1, 'ready', '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00', 'new_version');
insert into encryption_keys (id, tenant_id, wrapped_key, master_key_ref, activated_at) values (#71, #1, #bytes, 'm', '2026-01-01T00:00:00+00:00');
insert into webhooks (id, tenant_id, name, url, events, secret_ciphertext, encryption_key_id, total_calls, failed_calls, last_triggered_at)
  values (#70, #1, 'w', 'https://example.org', '[]', #bytes, #71, 2, 1, '2026-01-01T00:00:00+00:00');
insert into webhook_deliveries (id, tenant_id, webhook_id, event_type, request_body, status, delivered_at, dead_at, created_at) values
  (#72, #1, #70, 'e', '{}', 'delivered', '2026-01-01T00:00:00+00:00', null, '2026-01-01T00:00:00+00:00'),
  (#73, #1, #70, 'e', '{}', 'dead', null, '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00');
insert into event_store (id, tenant_id, stream_id, version, position, event_type, aggregate_type, event_data, created_at, hash) values
  (#80, #1, 'w-1', 1, 1, 'e', 'w', '{}', '2026-01-01T00:00:00+00:00',
   'b263e82fb58cba2006e63e20562711f8e9985597242c89a7d373347b964789e4'),
  (#81, #1, 'w-1', 2, 2, 'e', 'w', '{}', '2026-01-01T00:00:00+00:00',
   '88e54bc8e0e301e3f22a125454dd4aa0cd6c8b38d86c88ded17ddadfefa7b02a'),
  (#82, #1, 'w-1', 3, 3, 'e', 'w', '{}', '2026-01-01T00:00:00+00:00',
   'beb492b81ab0510439075d02362183642722ef1e9dccf44d491be6d28ec533de');
insert into agents (id, tenant_id, name, config) values (#90, #1, 'g', '{}');
insert into job_flows (id, tenant_id, agent_id, workflow_id, job_title, schedule_type, input_source, output_destination, total_runs, successful_runs, failed_runs)
  values (#91, #1, #90, #40, 'j', 'daily', '{}', '{}', 3, 1, 1);
";

#[tokio::test]
async fn every_fault_of_sqlite_rows_is_named() {
    let mut faults = shared(Backend::Sqlite);
    faults.push(fault(
        Backend::Sqlite,
        "update users set preferences = '{' where id = #10",
        "invalid_json",
        "users",
        "10",
    ));
    faults.push(fault(
        Backend::Sqlite,
        "update workflows set origin = 'magic' where id = #40",
        "unknown_word",
        "workflows",
        "40",
    ));
    let spelling = "update users set last_login_at = '2026-01-01 00:00:00' where id = #10";
    faults.push(fault(Backend::Sqlite, spelling, "invalid_instant", "users", "10"));
    let limits = "update workflows set max_retries = 500";
    faults.push(run(limits, ("integrity", "database", "integrity_check")).saying("workflows"));
    planted(Template::sqlite().await, &faults).await;
}

#[tokio::test]
async fn every_fault_of_postgres_rows_is_named() {
    let mut faults = shared(Backend::Postgres);
    let word = "alter table workflows drop constraint ck_workflows_origin; update workflows set origin = 'magic' where id = #40";
    faults.push(fault(Backend::Postgres, word, "unknown_word", "workflows", "40"));
    planted(Template::postgres().await, &faults).await;
}

async fn planted(mut template: Template, faults: &[Fault]) {
    template.seed(&written(template.backend(), SEED)).await;
    let copy = template.copy().await;
    let db = copy.open().await;
    let report = verify(&db, &cogwheel_entity::declared_schema(), ONLY_DATA).await.unwrap();
    db.close().await.unwrap();
    assert!(report.findings.is_empty(), "consistent rows have findings:\n{}", report.to_table());
    assert!(report.figures.rows_checked > 30);
    let let_go = "update workflow_executions set owner_node_id = null where id = #53";
    let stopped = "update nodes set status = 'stopped' where id = #30";
    let due = "update workflow_executions set owner_node_id = null, next_wake_at = '2026-01-01T00:00:00+00:00'
        where id = #53";
    is_consistent(&template, &[stopped, let_go], "the next server takes it over").await;
    is_consistent(&template, &[due], "it is in the pool").await;
    all_are_named(&template, ONLY_DATA, faults).await;
}

async fn is_consistent(template: &Template, changes: &[&str], why: &str) {
    let copy = template.copy().await;
    for change in changes {
        copy.execute(&written(template.backend(), change)).await.unwrap();
    }
    let db = copy.open().await;
    let report = verify(&db, &cogwheel_entity::declared_schema(), ONLY_DATA).await.unwrap();
    db.close().await.unwrap();
    assert!(report.findings.is_empty(), "{why}:\n{}", report.to_table());
}

/// Writes `#40` and `#bytes` as the database does.
fn written(backend: Backend, sql: &str) -> String {
    let mut parts = sql.split('#');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (word, rest) = part.split_at(part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len()));
        let literal = match (word, backend) {
            ("bytes", Backend::Sqlite) => "x'00'".to_owned(),
            ("bytes", Backend::Postgres) => "'\\x00'::bytea".to_owned(),
            (digits, Backend::Sqlite) => format!("x'{digits:0>32}'"),
            (digits, Backend::Postgres) => format!("'{digits:0>32}'::uuid"),
        };
        out.push_str(&literal);
        out.push_str(rest);
    }
    out
}

fn id(digits: &str) -> String {
    format!("00000000-0000-0000-0000-{digits:0>12}")
}

fn fault(backend: Backend, sql: &str, kind: &'static str, table: &'static str, digits: &str) -> Fault {
    run(&written(backend, sql), (kind, table, &id(digits)))
}

fn shared(backend: Backend) -> Vec<Fault> {
    let fault = |sql: &str, kind, table, digits: &str| fault(backend, sql, kind, table, digits);
    let composite = |sql: &str, kind, table, object: String| run(&written(backend, sql), (kind, table, &object));
    let identities: Vec<String> = (100..125).map(|n| format!("(#{n}, #99, 'i', 's{n}')")).collect();
    let many = format!("insert into user_identities (id, user_id, issuer, subject) values {}", identities.join(", "));
    let log = |execution: &str, ordinal: &str| {
        format!(
            "insert into execution_logs (tenant_id, execution_id, sequence, step_ordinal, message, logged_at) \
             values (#1, {execution}, 2, {ordinal}, 'm', '2026-01-01T00:00:00+00:00')"
        )
    };
    let version = "insert into workflow_versions (id, tenant_id, workflow_id, version, source_text, definition, checksum, language_version, step_count) \
        values (#46, #1, #40, 2, 'name: b', '{}', 'wrong', '1', 1)";
    let step = "insert into step_executions (tenant_id, execution_id, ordinal, step_key, step_name, step_type) values (#1, #53, 3, 's', 's', 'sorcery')";
    let gap =
        "insert into leases (id, lease_name) values (#94, 'event-retention'); delete from event_store where id = #81;
        delete from leases";
    let forged =
        "insert into event_store (id, tenant_id, stream_id, version, position, event_type, aggregate_type, event_data)
        values (#83, #1, 'w-1', 4, 4, 'e', 'w', '{}')";
    vec![
        fault("update workflows set department_id = #99 where id = #40", "orphan", "workflows", "40")
            .saying("department_id is 00000000-"),
        composite(&log("#99", "null"), "orphan", "execution_logs", format!("{}/2", id("99"))),
        composite(&many, "orphan", "user_identities", "more".to_owned()).saying("25 in all"),
        fault("update departments set tenant_id = #2 where id = #21", "tenant_mismatch", "departments", "21")
            .saying("its organization_id names row"),
        fault("update departments set tenant_id = #2 where id = #21", "tenant_mismatch", "departments", "22")
            .saying("its parent_department_id names row"),
        composite(
            "update workflow_executions set tenant_id = #2 where id = #50",
            "tenant_mismatch",
            "step_executions",
            format!("{}/0", id("50")),
        ),
        fault("update workflows set total_executions = 9 where id = #40", "counter", "workflows", "40")
            .saying("total_executions is 9 (purged and present rows: 3)"),
        fault("update workflows set purged_failed_executions = 1 where id = #40", "counter", "workflows", "40")
            .saying("failed_executions is 1 (purged and present rows: 2)"),
        fault("delete from workflow_executions where id = #50", "counter", "workflows", "40"),
        fault("update job_flows set successful_runs = 2 where id = #91", "counter", "job_flows", "91"),
        fault("update webhooks set total_calls = 1 where id = #70", "counter", "webhooks", "70"),
        fault("update webhooks set total_calls = 7 where id = #70", "counter", "webhooks", "70"),
        fault("update webhooks set last_triggered_at = null where id = #70", "stale_time", "webhooks", "70"),
        composite(step, "unknown_word", "step_executions", format!("{}/3", id("53"))).saying("sorcery"),
        composite(&log("#50", "7"), "missing_step", "execution_logs", format!("{}/2", id("50"))).saying("names step 7"),
        fault(
            "update workflow_executions set owner_node_id = null where id = #53",
            "no_owner",
            "workflow_executions",
            "53",
        )
        .saying("has no owner"),
        fault("update nodes set status = 'lost' where id = #30", "no_owner", "workflow_executions", "53")
            .saying("its owner is lost"),
        fault(
            "update workflow_executions set owner_node_id = #99 where id = #54",
            "no_owner",
            "workflow_executions",
            "54",
        )
        .saying("its owner does not exist"),
        fault(
            "update workflow_executions set next_wake_at = null where id = #54",
            "never_wakes",
            "workflow_executions",
            "54",
        ),
        fault("update workflow_versions set is_active = false where id = #41", "no_active_version", "workflows", "40"),
        fault("update workflows set is_scheduled = false where id = #40", "derived_flag", "workflows", "40")
            .saying("schedules has an enabled row"),
        fault("delete from file_watches where id = #45", "derived_flag", "workflows", "40")
            .saying("trigger_on_file_upload is true"),
        fault("update workflows set trigger_on_file_upload = false where id = #40", "derived_flag", "workflows", "40")
            .saying("file_watches has an enabled row"),
        fault(version, "checksum", "workflow_versions", "46"),
        composite(gap, "event_gap", "event_store", "w-1".to_owned()).saying("versions 1 to 3 hold 2 events"),
        fault(gap, "event_chain", "event_store", "82").saying("the event with version 2 is missing before it"),
        fault(forged, "event_chain", "event_store", "83").saying("its hash is"),
        fault("update departments set parent_department_id = #22 where id = #21", "cycle", "departments", "21"),
        fault(
            "update workflow_executions set parent_execution_id = #55 where id = #53",
            "cycle",
            "workflow_executions",
            "55",
        ),
        fault("update files set decision_reason = null where id = #60", "no_decision", "files", "60"),
        run("alter table workflows drop column purged_executions", ("not_checked", "workflows", "counter")),
        fault("delete from schedule_fires where id = #44", "missing_fire", "schedules", "42"),
    ]
}
