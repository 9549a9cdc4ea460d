//! Rules over the declared schema.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use cogwheel_schema::{Backend, Extra, IndexDef, ddl};

/// Columns that name something else than a row of one known table.
const NO_KEY: [(&str, &str); 9] = [
    ("audit_log", "record_id"),
    ("event_store", "stream_id"),
    ("event_store", "aggregate_id"),
    ("saga_timeouts", "step_id"),
    ("saga_compensations", "step_id"),
    ("agent_executions", "external_run_id"),
    ("*", "correlation_id"),
    ("*", "causation_id"),
    ("*", "request_id"),
];

/// Tables whose rows are reached through their parent, so that `tenant_id` leads no index.
const NO_TENANT_INDEX: [&str; 7] = [
    "step_executions",
    "execution_logs",
    "signals",
    "execution_files",
    "saga_timeouts",
    "saga_compensations",
    "saga_snapshots",
];

/// Index names that tools and documents rely on.
const FIXED_NAMES: [&str; 12] = [
    "idx_workflows_status",
    "idx_workflows_enabled",
    "idx_workflows_scheduled",
    "idx_workflows_file_trigger",
    "idx_workflows_created_at",
    "idx_saga_instances_status",
    "idx_saga_instances_type",
    "idx_saga_timeouts_timeout_at",
    "idx_saga_compensations_saga_id",
    "idx_saga_snapshots_version",
    "idx_users_is_active",
    "idx_api_usage_logs_user_id",
];

fn has_key(table: &TableDef, column: &str) -> bool {
    table.foreign_keys.iter().any(|key| key.column == column)
}

#[test]
fn every_reference_has_a_key_or_a_reason() {
    let mut used: BTreeSet<&(&str, &str)> = BTreeSet::new();
    for table in declared_schema() {
        for column in table.columns.iter().filter(|column| column.name.ends_with("_id")) {
            let exemption =
                NO_KEY.iter().find(|(owner, name)| (*owner == table.name || *owner == "*") && *name == column.name);
            assert!(has_key(&table, &column.name) != exemption.is_some(), "{}.{}", table.name, column.name);
            used.extend(exemption);
        }
    }
    assert_eq!(used.len(), NO_KEY.len(), "an exemption is not needed any more");
}

#[test]
fn every_key_leads_an_index() {
    let mut exempt = Vec::new();
    for table in declared_schema() {
        for key in &table.foreign_keys {
            let leads = table.primary_key[0] == key.column
                || table.indexes.iter().any(|index| index.columns[0] == key.column && serves_key(index, &key.column));
            if !leads {
                assert_eq!(key.column, "tenant_id", "{}", table.name);
                exempt.push(table.name.clone());
            }
        }
    }
    exempt.sort();
    let mut expected = NO_TENANT_INDEX;
    expected.sort_unstable();
    assert_eq!(exempt, expected);
}

/// A look-up by the key implies that it is not null, nothing more.
fn serves_key(index: &IndexDef, column: &str) -> bool {
    index.predicate.as_ref().is_none_or(|predicate| *predicate == format!("{column} is not null"))
}

#[test]
fn every_reference_has_the_type_of_its_target() {
    let tables: BTreeMap<_, _> = declared_schema().into_iter().map(|table| (table.name.clone(), table)).collect();
    for table in tables.values() {
        for key in &table.foreign_keys {
            assert_eq!(tables[&key.target].primary_key, ["id"], "{}.{}", table.name, key.column);
            let column = table.columns.iter().find(|column| column.name == key.column).unwrap();
            assert_eq!(column.column_type, ColumnType::Uuid);
            assert!(key.on_delete != OnDelete::SetNull || column.nullable, "{}.{}", table.name, key.column);
        }
    }
}

#[test]
fn no_index_repeats_another() {
    for table in declared_schema() {
        for (position, index) in table.indexes.iter().enumerate() {
            for (_, other) in table.indexes.iter().enumerate().filter(|(known, _)| *known != position) {
                let prefix =
                    !index.unique && index.predicate == other.predicate && other.columns.starts_with(&index.columns);
                assert!(!prefix, "{} repeats {}", index.name, other.name);
            }
        }
    }
}

#[test]
fn names_follow_the_rules() {
    let tables = declared_schema();
    let indexes: Vec<_> = tables.iter().flat_map(|table| &table.indexes).collect();
    assert_eq!(indexes.iter().map(|index| &index.name).collect::<BTreeSet<_>>().len(), indexes.len());
    for name in FIXED_NAMES {
        assert!(indexes.iter().any(|index| index.name == name), "{name} is missing");
    }
    for table in &tables {
        let prefixes = [format!("idx_{}_", table.name), format!("uq_{}_", table.name)];
        for index in &table.indexes {
            assert!(prefixes.iter().any(|prefix| index.name.starts_with(prefix)), "{}", index.name);
            assert!(index.name.len() <= 63, "{}", index.name);
        }
        for check in &table.checks {
            assert!(check.name.starts_with(&format!("ck_{}_", table.name)) && check.name.len() <= 63, "{}", check.name);
        }
        for column in &table.columns {
            assert!(format!("ck_{}_{}", table.name, column.name).len() <= 63, "{}.{}", table.name, column.name);
        }
        for key in &table.foreign_keys {
            assert!(format!("fk_{}_{}", table.name, key.column).len() <= 63, "{}.{}", table.name, key.column);
        }
    }
}

#[test]
fn declarations_speak_of_columns_that_exist() {
    for table in declared_schema() {
        let is_column = |name: &str| table.columns.iter().any(|column| column.name == name);
        for index in &table.indexes {
            for column in index.columns.iter().filter(|column| !column.contains('(')) {
                let column = column.strip_suffix(" desc").unwrap_or(column);
                assert!(is_column(column), "{}: {column}", index.name);
            }
        }
        for extra in &table.extras {
            match extra {
                Extra::PartitionBy(column)
                | Extra::Gin { column, .. }
                | Extra::Reveals(column)
                | Extra::Identity(column) => {
                    assert!(is_column(column), "{}: {column}", table.name);
                }
                Extra::Search(search) => {
                    assert!(search.columns.iter().all(|(column, _)| is_column(column)), "{}", table.name);
                }
                Extra::RefuseUpdate { .. }
                | Extra::Keep { .. }
                | Extra::PublicRead(_)
                | Extra::TransactionId { .. } => {}
            }
        }
    }
}

#[test]
fn every_table_keeps_time_and_tenant() {
    for table in declared_schema() {
        let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert!(names.ends_with(&["created_at", "updated_at"]), "{}", table.name);
        assert_eq!(names.contains(&"tenant_id"), table.shape != Shape::Global, "{}", table.name);
        assert_eq!(names[0] == "id", table.shape != Shape::Child, "{}", table.name);
    }
}

#[test]
fn money_stands_beside_its_currency() {
    for table in declared_schema() {
        for money in table.columns.iter().filter(|column| column.column_type == ColumnType::Money) {
            let currency = table
                .columns
                .iter()
                .find(|column| column.column_type == ColumnType::Char(3) && column.name.ends_with("currency"));
            assert_eq!(
                currency.map(|currency| currency.nullable),
                Some(money.nullable),
                "{}.{}",
                table.name,
                money.name
            );
        }
    }
}

#[test]
fn figures_are_those_of_the_schema() {
    let tables = declared_schema();
    let keys: Vec<_> = tables.iter().flat_map(|table| &table.foreign_keys).collect();
    let keys_with = |action| keys.iter().filter(|key| key.on_delete == action).count();
    let indexes: Vec<_> = tables.iter().flat_map(|table| &table.indexes).collect();
    let columns: Vec<_> = tables.iter().flat_map(|table| &table.columns).collect();
    assert_eq!(tables.len(), 55);
    assert_eq!(tables.iter().filter(|table| table.shape != Shape::Global).count(), 47);
    assert_eq!(columns.len(), 951);
    assert_eq!(columns.iter().filter(|column| matches!(column.column_type, ColumnType::Enum(_))).count(), 88);
    assert_eq!(tables.iter().map(|table| table.checks.len()).sum::<usize>(), 60);
    assert_eq!(keys.len(), 170);
    assert_eq!([OnDelete::SetNull, OnDelete::Cascade, OnDelete::Restrict].map(keys_with), [62, 42, 66]);
    assert_eq!(indexes.len(), 241);
    assert_eq!(indexes.iter().filter(|index| index.unique).count(), 57);
    assert_eq!(indexes.iter().filter(|index| index.predicate.is_some()).count(), 138);
}

#[test]
fn decisions_outlive_people() {
    let tables = declared_schema();
    let key = |table: &str, column: &str| {
        let table = tables.iter().find(|known| known.name == table).unwrap();
        table.foreign_keys.iter().find(|key| key.column == column).unwrap().on_delete
    };
    for (table, column) in [
        ("audit_log", "actor_user_id"),
        ("audit_log", "impersonator_user_id"),
        ("user_sessions", "impersonator_user_id"),
        ("hitl_approvals", "reviewed_by_user_id"),
        ("hitl_approval_votes", "user_id"),
        ("saga_compensations", "resolved_by_user_id"),
    ] {
        assert_eq!(key(table, column), OnDelete::Restrict, "{table}.{column}");
    }
}

#[test]
fn checks_depend_on_nothing_but_their_row() {
    let tables = declared_schema();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let sql = ddl::create_schema(&tables, backend);
        for index in sql.iter().filter(|statement| statement.contains("index ")) {
            assert!(!index.contains("now") && !index.contains("random"), "{index}");
        }
    }
    for check in tables.iter().flat_map(|table| &table.checks) {
        for word in ["now", "random", "select", "current_"] {
            assert!(!check.condition.contains(word), "{}", check.name);
        }
    }
}
