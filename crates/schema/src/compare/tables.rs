//! Compares two tables part by part.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::{Difference, Findings, Kind};
use crate::live::{LiveColumn, LiveForeignKey, LiveIndex, LiveTable};

/// Adds every difference between a declared and a live table of one name.
pub(super) fn compare(table: &str, declared: &LiveTable, live: &LiveTable, found: &mut Vec<Difference>) {
    let mut findings = Findings { table, found };
    columns(&mut findings, &declared.columns, &live.columns);
    keys(&mut findings, declared, live);
    indexes(&mut findings, &declared.indexes, &live.indexes);
    texts(&mut findings, &declared.checks, &live.checks, [Kind::MissingCheck, Kind::ExtraCheck, Kind::Check], "check");
    texts(
        &mut findings,
        &declared.triggers,
        &live.triggers,
        [Kind::MissingTrigger, Kind::ExtraTrigger, Kind::Trigger],
        "trigger",
    );
    texts(
        &mut findings,
        &declared.policies,
        &live.policies,
        [Kind::MissingPolicy, Kind::ExtraPolicy, Kind::Policy],
        "policy",
    );
    whole(&mut findings, declared, live);
}

fn columns(findings: &mut Findings<'_>, declared: &BTreeMap<String, LiveColumn>, live: &BTreeMap<String, LiveColumn>) {
    let table = findings.table;
    for (name, column) in declared {
        let Some(held) = live.get(name) else {
            let message = format!("column {table}.{name} is declared and does not exist");
            findings.add(Kind::MissingColumn, name, Some(column.data_type.clone()), None, message);
            continue;
        };
        if column.data_type != held.data_type {
            let message = format!("column {table}.{name} is {}, declared as {}", held.data_type, column.data_type);
            findings.add(Kind::ColumnType, name, Some(column.data_type.clone()), Some(held.data_type.clone()), message);
        }
        if column.nullable != held.nullable {
            let word = |nullable| if nullable { "null" } else { "not null" };
            let message =
                format!("column {table}.{name} is {}, declared as {}", word(held.nullable), word(column.nullable));
            findings.add(
                Kind::Nullability,
                name,
                Some(word(column.nullable).to_owned()),
                Some(word(held.nullable).to_owned()),
                message,
            );
        }
        option(
            findings,
            Kind::Default,
            name,
            &format!("default of column {table}.{name}"),
            column.default.as_ref(),
            held.default.as_ref(),
        );
        let what = format!("generation of column {table}.{name}");
        option(findings, Kind::Generated, name, &what, column.generated.as_ref(), held.generated.as_ref());
    }
    for (name, held) in live {
        if !declared.contains_key(name) {
            let message = format!("column {table}.{name} exists and is not declared");
            findings.add(Kind::ExtraColumn, name, None, Some(held.data_type.clone()), message);
        }
    }
}

fn option(
    findings: &mut Findings<'_>,
    kind: Kind,
    object: &str,
    what: &str,
    declared: Option<&String>,
    live: Option<&String>,
) {
    if declared != live {
        let word = |text: Option<&String>| text.map_or("none", String::as_str).to_owned();
        let message = format!("{what} is {}, declared as {}", word(live), word(declared));
        findings.add(kind, object, declared.cloned(), live.cloned(), message);
    }
}

fn keys(findings: &mut Findings<'_>, declared: &LiveTable, live: &LiveTable) {
    let table = findings.table;
    if declared.primary_key != live.primary_key {
        let (want, have) = (declared.primary_key.join(", "), live.primary_key.join(", "));
        let message = format!("primary key of {table} is ({have}), declared as ({want})");
        findings.add(Kind::PrimaryKey, table, Some(want), Some(have), message);
    }
    for (columns, key) in &declared.foreign_keys {
        let Some(held) = live.foreign_keys.get(columns) else {
            let message = format!(
                "foreign key {} on {table} ({columns}) to {} is declared and does not exist",
                key.name, key.target_table
            );
            findings.add(Kind::MissingForeignKey, &key.name, Some(describe_key(columns, key)), None, message);
            continue;
        };
        if (&key.target_table, &key.target_columns) != (&held.target_table, &held.target_columns) {
            let target = |key: &LiveForeignKey| format!("{} ({})", key.target_table, key.target_columns.join(", "));
            let message = format!(
                "foreign key {} on {table} ({columns}) refers to {}, declared as {}",
                key.name,
                target(held),
                target(key)
            );
            findings.add(Kind::ForeignKeyTarget, &key.name, Some(target(key)), Some(target(held)), message);
        }
        if key.on_delete != held.on_delete {
            let message = format!(
                "foreign key {} on {table} ({columns}) is on delete {}, declared as {}",
                key.name, held.on_delete, key.on_delete
            );
            findings.add(Kind::OnDelete, &key.name, Some(key.on_delete.clone()), Some(held.on_delete.clone()), message);
        }
        if key.name != held.name {
            let message =
                format!("foreign key on {table} ({columns}) is named `{}`, declared as {}", held.name, key.name);
            findings.add(Kind::ForeignKeyName, &key.name, Some(key.name.clone()), Some(held.name.clone()), message);
        }
    }
    for (columns, held) in &live.foreign_keys {
        if !declared.foreign_keys.contains_key(columns) {
            let message = format!(
                "foreign key {} on {table} ({columns}) to {} exists and is not declared",
                held.name, held.target_table
            );
            findings.add(Kind::ExtraForeignKey, &held.name, None, Some(describe_key(columns, held)), message);
        }
    }
}

fn describe_key(columns: &str, key: &LiveForeignKey) -> String {
    format!(
        "({columns}) references {} ({}) on delete {}",
        key.target_table,
        key.target_columns.join(", "),
        key.on_delete
    )
}

fn indexes(findings: &mut Findings<'_>, declared: &BTreeMap<String, LiveIndex>, live: &BTreeMap<String, LiveIndex>) {
    let table = findings.table;
    let noun = |index: &LiveIndex| if index.unique { "unique index" } else { "index" };
    for (name, index) in declared {
        let Some(held) = live.get(name) else {
            let message =
                format!("{} {name} on {table} is declared and does not exist: {}", noun(index), describe_index(index));
            findings.add(Kind::MissingIndex, name, Some(describe_index(index)), None, message);
            continue;
        };
        if index != held {
            let message = format!("index {name} on {table} differs in {}", index_parts(index, held).join(", "));
            findings.add(Kind::Index, name, Some(describe_index(index)), Some(describe_index(held)), message);
        }
    }
    for (name, held) in live {
        if !declared.contains_key(name) {
            let message =
                format!("{} {name} on {table} exists and is not declared: {}", noun(held), describe_index(held));
            findings.add(Kind::ExtraIndex, name, None, Some(describe_index(held)), message);
        }
    }
}

fn index_parts(declared: &LiveIndex, live: &LiveIndex) -> Vec<&'static str> {
    let bare =
        |index: &LiveIndex| index.columns.iter().map(|c| c.trim_end_matches(" DESC").to_owned()).collect::<Vec<_>>();
    let same_set = |a: &LiveIndex, b: &LiveIndex| {
        bare(a).into_iter().collect::<BTreeSet<_>>() == bare(b).into_iter().collect::<BTreeSet<_>>()
    };
    let mut parts = Vec::new();
    if declared.columns != live.columns {
        parts.push(if same_set(declared, live) { "order" } else { "columns" });
    }
    if declared.predicate != live.predicate {
        parts.push("predicate");
    }
    if declared.unique != live.unique {
        parts.push("uniqueness");
    }
    if declared.method != live.method {
        parts.push("method");
    }
    parts
}

/// An index in one line.
pub(super) fn describe_index(index: &LiveIndex) -> String {
    let unique = if index.unique { "unique " } else { "" };
    let predicate = index.predicate.as_ref().map(|predicate| format!(" where {predicate}")).unwrap_or_default();
    format!("{unique}{} ({}){predicate}", index.method, index.columns.join(", "))
}

/// Compares named texts; `kinds` are those of a missing, an extra and a changed one.
fn texts(
    findings: &mut Findings<'_>,
    declared: &BTreeMap<String, String>,
    live: &BTreeMap<String, String>,
    kinds: [Kind; 3],
    noun: &str,
) {
    let table = findings.table;
    let [missing, extra, changed] = kinds;
    for (name, text) in declared {
        match live.get(name) {
            None => {
                findings.add(
                    missing,
                    name,
                    Some(text.clone()),
                    None,
                    format!("{noun} {name} on {table} is declared and does not exist"),
                );
            }
            Some(held) if held != text => {
                let words = if changed == Kind::Check { word_difference(text, held) } else { String::new() };
                let message = format!("{noun} {name} on {table} is not as declared{words}");
                findings.add(changed, name, Some(text.clone()), Some(held.clone()), message);
            }
            Some(_) => {}
        }
    }
    for (name, held) in live {
        if !declared.contains_key(name) {
            findings.add(
                extra,
                name,
                None,
                Some(held.clone()),
                format!("{noun} {name} on {table} exists and is not declared"),
            );
        }
    }
}

/// The words in quotes that only one of two conditions lists, as the end of a sentence.
fn word_difference(declared: &str, live: &str) -> String {
    let words =
        |text: &str| text.split('\'').skip(1).step_by(2).map(|word| format!("'{word}'")).collect::<BTreeSet<_>>();
    let (want, have) = (words(declared), words(live));
    let list = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>().join(", ");
    let (lacks, adds) = (list(&want, &have), list(&have, &want));
    match (lacks.is_empty(), adds.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!(": it lacks {lacks}"),
        (true, false) => format!(": it also allows {adds}"),
        (false, false) => format!(": it lacks {lacks} and has {adds} instead"),
    }
}

fn whole(findings: &mut Findings<'_>, declared: &LiveTable, live: &LiveTable) {
    let table = findings.table;
    let security = |table: &LiveTable| match (table.row_security, table.row_security_forced) {
        (false, _) => "off",
        (true, false) => "on, not for the owner",
        (true, true) => "on, for the owner too",
    };
    if security(declared) != security(live) {
        let (want, have) = (security(declared).to_owned(), security(live).to_owned());
        let message = format!("row-level security of {table} is {have}, declared as {want}");
        findings.add(Kind::RowSecurity, table, Some(want), Some(have), message);
    }
    let parts = [
        (Kind::Partition, "partition key", &declared.partitioned_by, &live.partitioned_by),
        (Kind::TableOptions, "table option", &declared.options, &live.options),
        (Kind::VirtualTable, "definition", &declared.virtual_definition, &live.virtual_definition),
    ];
    for (kind, noun, want, have) in parts {
        option(findings, kind, table, &format!("{noun} of {table}"), want.as_ref(), have.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_enum_names_the_words() {
        assert_eq!(word_difference("s in ('a', 'b')", "s in ('a', 'b')"), "");
        assert_eq!(word_difference("s in ('a', 'b')", "s in ('a')"), ": it lacks 'b'");
        assert_eq!(word_difference("s in ('a')", "s = ANY (ARRAY['a'::text, 'c'::text])"), ": it also allows 'c'");
        assert_eq!(word_difference("s in ('a', 'b')", "s in ('a', 'c')"), ": it lacks 'b' and has 'c' instead");
    }

    #[test]
    fn a_changed_index_names_its_parts() {
        let index = |columns: [&str; 2], predicate: Option<&str>, unique| LiveIndex {
            columns: columns.map(str::to_owned).to_vec(),
            unique,
            predicate: predicate.map(str::to_owned),
            method: "btree".to_owned(),
        };
        let declared = index(["a", "b DESC"], Some("a > 1"), false);
        assert_eq!(index_parts(&declared, &index(["a", "b"], Some("a > 1"), false)), ["order"]);
        assert_eq!(index_parts(&declared, &index(["b DESC", "a"], None, true)), ["order", "predicate", "uniqueness"]);
        assert_eq!(index_parts(&declared, &index(["a", "c"], Some("a > 1"), false)), ["columns"]);
    }
}
