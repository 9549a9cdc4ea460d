//! A database that is not as it was declared: named, and not served on.

use cogwheel_tests::{Backend, Home, on_both_databases};
use serde_json::Value;

on_both_databases!(
    a_missing_index_is_named_and_stops_the_start,
    an_extra_table_and_a_missing_column_are_named,
    an_edited_step_is_refused,
    broken_rows_are_found,
);

fn migrated(backend: Backend) -> Home {
    let home = Home::new(backend);
    let _ = home.run(&["db", "migrate"]).with_code(0);
    home
}

fn findings(home: &Home, arguments: &[&str]) -> Vec<String> {
    let arguments: Vec<_> = ["db", "verify", "--output", "json"].iter().chain(arguments).copied().collect();
    let report = home.run(&arguments).with_code(1).json();
    let findings = report["findings"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    findings.iter().map(Value::to_string).collect()
}

fn a_missing_index_is_named_and_stops_the_start(backend: Backend) {
    let home = migrated(backend);
    home.sql().execute("drop index idx_workflows_status");
    let found = findings(&home, &[]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("idx_workflows_status"), "{found:#?}");
    let human = home.run(&["db", "verify"]).with_code(1);
    assert!(human.stdout.contains("idx_workflows_status"), "{human:#?}");

    let refused = home.run(&["serve"]).with_code(1);
    assert!(refused.stderr.contains("idx_workflows_status"), "{refused:#?}");
    assert!(refused.stderr.contains("cogwheel db verify"), "{refused:#?}");
}

fn an_extra_table_and_a_missing_column_are_named(backend: Backend) {
    let home = migrated(backend);
    let mut sql = home.sql();
    sql.execute("create table stray (id integer primary key)");
    sql.execute("alter table artifacts add column stray_column integer");
    let found = findings(&home, &[]).join("\n");
    assert!(found.contains("stray") && found.contains("stray_column"), "{found}");
    assert!(home.run(&["serve"]).with_code(1).stderr.contains("stray_column"));
    sql.execute("alter table artifacts drop column stray_column");
    sql.execute("drop table stray");
    home.serve();
}

fn an_edited_step_is_refused(backend: Backend) {
    let home = migrated(backend);
    let mut sql = home.sql();
    let edit =
        format!("update migration_log set checksum = '{}' where migration_name like '%platform%'", "0".repeat(64));
    assert!(sql.try_execute(&edit).is_err(), "the ledger can be changed");
    if backend == Backend::Sqlite {
        let triggers = sql.texts("select sql from sqlite_master where type = 'trigger' and tbl_name = 'migration_log'");
        for name in sql.texts("select name from sqlite_master where type = 'trigger' and tbl_name = 'migration_log'") {
            sql.execute(&format!("drop trigger {name}"));
        }
        sql.execute(&edit);
        for trigger in triggers {
            sql.execute(&trigger);
        }
    } else {
        sql.execute("set session_replication_role = replica");
        sql.execute(&edit);
    }
    for arguments in [&["serve"][..], &["db", "migrate"]] {
        let refused = home.run(arguments).with_code(1);
        assert!(refused.stderr.contains("platform"), "{refused:#?}");
    }
    let status = home.run(&["db", "status", "--output", "json"]).with_code(1).json();
    assert!(status.as_array().expect("a list").iter().any(|step| step["state"] == "edited"), "{status:#}");
}

fn broken_rows_are_found(backend: Backend) {
    let home = Home::new(backend);
    home.write("workflows/one.yaml", "steps: [{run: 'true'}]\n");
    let server = home.serve();
    let id = server.start("one", &serde_json::json!({}));
    server.ended_as(&id, "COMPLETED");
    server.stop();
    let _ = home.run(&["db", "verify", "--data"]).with_code(0);
    home.sql().execute("update workflows set total_executions = 7, successful_executions = 7");
    let found = findings(&home, &["--data"]).join("\n");
    assert!(found.contains("total_executions"), "{found}");
    // The schema is as declared: the server starts.
    home.serve();
}
