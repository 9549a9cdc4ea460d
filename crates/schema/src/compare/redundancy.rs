//! Finds indexes that repeat others and foreign keys that no index leads.

use super::difference::{Difference, Findings, Kind};
use super::{KEYS_WITHOUT_INDEX, tables::describe_index};
use crate::live::{LiveIndex, LiveTable};

/// Names each index whose work another one, or the primary key, already does.
pub(super) fn duplicate_indexes(
    table: &str,
    live: &LiveTable,
    declared: Option<&LiveTable>,
    found: &mut Vec<Difference>,
) {
    let mut findings = Findings { table, found };
    for (name, index) in &live.indexes {
        if !index.unique
            && index.predicate.is_none()
            && index.method == "btree"
            && live.primary_key.starts_with(&index.columns)
        {
            let message = format!(
                "index {name} on {table} repeats the start of the primary key ({})",
                live.primary_key.join(", ")
            );
            findings.add(Kind::DuplicateIndex, name, None, Some(describe_index(index)), message);
            continue;
        }
        let is_declared = |name: &str| declared.is_some_and(|table| table.indexes.contains_key(name));
        let other = live.indexes.iter().find(|(other_name, other)| {
            let same = index.columns == other.columns && index.unique == other.unique;
            // Of two that are the same, the one that is not declared is named, else the later name.
            let yields = (is_declared(name), other_name.as_str()) < (is_declared(other_name), name.as_str());
            *other_name != name && repeats(index, other) && (!same || yields)
        });
        if let Some((other_name, other)) = other {
            let message = format!("index {name} on {table} repeats {other_name}: {}", describe_index(other));
            findings.add(Kind::DuplicateIndex, name, None, Some(describe_index(index)), message);
        }
    }
}

/// Whether everything `index` does, `other` does too.
fn repeats(index: &LiveIndex, other: &LiveIndex) -> bool {
    let same_kind = index.predicate == other.predicate && index.method == other.method;
    if index.unique {
        same_kind && other.unique && index.columns == other.columns
    } else {
        same_kind && other.columns.starts_with(&index.columns)
    }
}

/// Names each foreign key for which a delete of the parent would scan the table.
pub(super) fn keys_without_index(table: &str, live: &LiveTable, found: &mut Vec<Difference>) {
    let mut findings = Findings { table, found };
    for (columns, key) in &live.foreign_keys {
        let names: Vec<String> = columns.split(", ").map(str::to_owned).collect();
        let led = live.primary_key.starts_with(&names) || live.indexes.values().any(|index| leads(index, &names));
        if !led && !KEYS_WITHOUT_INDEX.contains(&(table, columns.as_str())) {
            let message = format!(
                "no index of {table} leads with {columns}, so each delete in {} scans {table}",
                key.target_table
            );
            findings.add(
                Kind::ForeignKeyWithoutIndex,
                &key.name,
                Some(format!("an index on ({columns})")),
                None,
                message,
            );
        }
    }
}

fn leads(index: &LiveIndex, columns: &[String]) -> bool {
    let serves_all = index.predicate.as_ref().is_none_or(|predicate| {
        let predicate = predicate.trim_start_matches('(').trim_end_matches(')').to_lowercase();
        columns.len() == 1 && predicate == format!("{} is not null", columns[0])
    });
    let plain: Vec<&str> = index.columns.iter().map(|column| column.trim_end_matches(" DESC")).collect();
    index.method == "btree" && serves_all && plain.starts_with(&columns.iter().map(String::as_str).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::live::LiveForeignKey;

    fn index(columns: &[&str], unique: bool, predicate: Option<&str>) -> LiveIndex {
        LiveIndex {
            columns: columns.iter().map(|&c| c.to_owned()).collect(),
            unique,
            predicate: predicate.map(str::to_owned),
            method: "btree".to_owned(),
        }
    }

    fn duplicates(indexes: &[(&str, LiveIndex)], declared: &[&str]) -> Vec<String> {
        let table = |names: Vec<&(&str, LiveIndex)>| LiveTable {
            primary_key: vec!["id".to_owned(), "n".to_owned()],
            indexes: names.into_iter().map(|(name, index)| ((*name).to_owned(), index.clone())).collect(),
            ..LiveTable::default()
        };
        let mut found = Vec::new();
        let declared = table(indexes.iter().filter(|(name, _)| declared.contains(name)).collect());
        duplicate_indexes("t", &table(indexes.iter().collect()), Some(&declared), &mut found);
        found.into_iter().map(|difference| difference.object).collect()
    }

    #[test]
    fn a_repeated_index_is_named_once() {
        let same = [("a_stray", index(&["x"], false, None)), ("idx", index(&["x"], false, None))];
        assert_eq!(duplicates(&same, &["idx"]), ["a_stray"]);
        assert_eq!(duplicates(&same, &["a_stray", "idx"]), ["idx"]);
        assert_eq!(duplicates(&[("p", index(&["x"], false, None)), ("q", index(&["x", "y"], true, None))], &[]), ["p"]);
        assert_eq!(duplicates(&[("k", index(&["id"], false, None))], &[]), ["k"]);
    }

    #[test]
    fn indexes_that_differ_in_work_stay() {
        let differ = [
            ("a", index(&["x"], true, None)),
            ("b", index(&["x", "y"], true, None)),
            ("c", index(&["x"], false, Some("y"))),
            ("d", index(&["x DESC"], false, None)),
        ];
        assert_eq!(duplicates(&differ, &[]), Vec::<String>::new());
    }

    #[test]
    fn a_key_needs_an_index_that_leads_with_it() {
        let key = |target: &str| LiveForeignKey {
            name: "fk".to_owned(),
            target_table: target.to_owned(),
            target_columns: vec!["id".to_owned()],
            on_delete: "RESTRICT".to_owned(),
        };
        let named = |index: LiveIndex| {
            let table = LiveTable {
                foreign_keys: BTreeMap::from([("x".to_owned(), key("u"))]),
                indexes: BTreeMap::from([("i".to_owned(), index)]),
                ..LiveTable::default()
            };
            let mut found = Vec::new();
            keys_without_index("t", &table, &mut found);
            found.len()
        };
        assert_eq!(named(index(&["x", "y"], false, None)), 0);
        assert_eq!(named(index(&["x"], false, Some("(x IS NOT NULL)"))), 0);
        assert_eq!(named(index(&["x"], false, Some("y = 1"))), 1);
        assert_eq!(named(index(&["y", "x"], false, None)), 1);
    }
}
