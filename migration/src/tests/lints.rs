//! Rules over the text of the chain.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cogwheel_schema::Backend;
use sea_orm_migration::MigrationTrait as _;

use super::{all_tables, steps};
use crate::ledger::{self, Direction};

const BACKENDS: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

fn rendered() -> impl Iterator<Item = String> {
    steps().into_iter().flat_map(|step| {
        BACKENDS.into_iter().flat_map(move |backend| {
            [Direction::Up, Direction::Down].into_iter().flat_map(move |direction| step.statements(direction, backend))
        })
    })
}

#[test]
fn released_steps_are_what_they_were() {
    let mut pinned = String::new();
    for step in steps() {
        let [sqlite, postgres] = BACKENDS.map(|backend| ledger::checksum(&step.statements(Direction::Up, backend)));
        writeln!(pinned, "{} {sqlite} {postgres}", step.name()).unwrap();
    }
    let released = include_str!("../../checksums.txt");
    assert_eq!(pinned, released, "a released step or its rendering changed: add a step instead of editing one");
}

#[test]
fn no_guard_accepts_an_object_by_its_name() {
    for statement in rendered() {
        assert!(!statement.to_lowercase().contains("if not exists"), "{statement}");
    }
}

#[test]
fn migrations_hold_schema_only() {
    let schema = ["create ", "drop ", "grant ", "revoke ", "alter table ", "do $$ begin "];
    for statement in rendered() {
        let ranks_search = statement.starts_with("insert into files_") && statement.contains("'rank'");
        assert!(ranks_search || schema.iter().any(|start| statement.starts_with(start)), "{statement}");
        assert!(!statement.starts_with("grant ") || statement.contains(" to cogwheel_"), "{statement}");
    }
}

#[test]
fn names_rise_and_objects_are_created_once() {
    let names: Vec<_> = steps().iter().map(crate::step::Step::name).collect();
    assert!(names.is_sorted() && names.iter().collect::<BTreeSet<_>>().len() == names.len());
    for backend in BACKENDS {
        let mut created = BTreeSet::new();
        for statement in steps().iter().flat_map(|step| step.statements(Direction::Up, backend)) {
            if let Some(object) = statement.strip_prefix("drop trigger ") {
                // One that goes may come again in another form.
                let name = object.split_whitespace().next().unwrap_or_default();
                created.retain(|known: &String| !known.starts_with(&format!("trigger {name} ")));
            }
            let Some(object) = statement.strip_prefix("create ") else { continue };
            // A policy is named per table, everything else per schema.
            let words = if object.starts_with("policy") { 4 } else { 3 };
            let object: Vec<_> = object.split_whitespace().take(words).collect();
            assert!(created.insert(object.join(" ")), "{object:?} is created twice");
        }
    }
}

#[test]
fn keys_point_at_tables_that_stand() {
    let mut standing = BTreeSet::new();
    for table in all_tables() {
        standing.insert(table.name.clone());
        for key in &table.foreign_keys {
            assert!(standing.contains(&key.target), "{}.{} points at {}", table.name, key.column, key.target);
        }
    }
}

#[test]
fn every_step_runs_in_a_transaction() {
    assert!(steps().iter().all(|step| step.use_transaction() == Some(true)));
}
