use super::*;
use crate::build::{boolean, global, index, instant, int, json, money, rank, std, unique, uuid, words};
use crate::change::{add_column, add_index, drop_index, keep};
use crate::def::OnDelete;

fn sample() -> TableDef {
    std("samples")
        .columns([
            uuid("parent_id").null().references("samples", OnDelete::SetNull),
            words("priority", ["low", "high"]).default("low"),
            rank("priority_rank", "priority", ["low", "high"]),
            boolean("is_open").default("true"),
            json("labels").default("{}"),
            json("note").null(),
            money("cost").null(),
            instant("ended_at").null(),
        ])
        .indexes([unique("uq_samples_open", "tenant_id, coalesce(parent_id, id)").partial("is_open = true")])
        .check("ck_samples_end", "(is_open = true) = (ended_at is null)")
}

#[test]
fn sqlite_guards_what_it_has_no_type_for() {
    let create = create_table(&sample(), Backend::Sqlite).remove(0);
    for line in [
        "id blob not null",
        "created_at text not null default (strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now'))",
        "constraint ck_samples_is_open check (is_open in (0, 1))",
        "constraint ck_samples_labels check (json_valid(labels))",
        "constraint ck_samples_note check (note is null or json_valid(note))",
        "constraint ck_samples_cost check (cost is null or abs(cost) < 100000000000)",
        "constraint ck_samples_priority check (priority in ('low', 'high'))",
        "constraint fk_samples_parent_id foreign key (parent_id) references samples (id) on delete set null",
    ] {
        assert!(create.contains(line), "{line} is missing in {create}");
    }
}

#[test]
fn changes_are_made_and_taken_back() {
    let by_end = index("idx_samples_ended_at", "ended_at").partial("ended_at is not null");
    let open = unique("uq_samples_open", "tenant_id, coalesce(parent_id, id)").partial("is_open = true");
    let changes =
        [add_column("samples", int("weight").null()), add_index("samples", by_end), drop_index("samples", open)];
    let made = changes.each_ref().map(|change| make_change(change, Backend::Sqlite).join("; "));
    assert_eq!(
        made,
        [
            "alter table samples add column weight integer",
            "create index idx_samples_ended_at on samples (ended_at) where ended_at is not null",
            "drop index uq_samples_open",
        ]
    );
    let taken_back = changes.each_ref().map(|change| take_back_change(change, Backend::Sqlite).join("; "));
    assert_eq!(
        taken_back,
        [
            "alter table samples drop column weight",
            "drop index idx_samples_ended_at",
            "create unique index uq_samples_open on samples (tenant_id, coalesce(parent_id, id)) where is_open = true",
        ]
    );
    let mut table = sample();
    for change in &changes {
        change.apply(&mut table);
    }
    let columns: Vec<&str> = table.columns.iter().rev().take(3).map(|column| column.name.as_str()).collect();
    assert_eq!(columns, ["updated_at", "created_at", "weight"]);
    let indexes: Vec<&str> = table.indexes.iter().map(|index| index.name.as_str()).collect();
    assert_eq!(indexes, ["idx_samples_ended_at"]);
}

#[test]
fn kept_rows_are_removed_under_their_lease_alone() {
    let change = keep("samples", "sample-retention");
    let mut table = sample();
    change.apply(&mut table);
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let made = make_change(&change, backend);
        assert!(made.iter().any(|statement| statement.contains("lease_name = 'sample-retention'")), "{made:?}");
        let created = create_table(&table, backend);
        assert!(made.iter().all(|statement| created.contains(statement)));
        let taken_back = take_back_change(&change, backend);
        assert_eq!(taken_back.len(), made.len());
    }
    assert_eq!(drop_table(&table, Backend::Postgres).last().unwrap(), "drop function cogwheel_keep_samples()");
}

#[test]
fn postgres_isolates_tenants() {
    let sql = create_table(&sample(), Backend::Postgres).join("\n");
    assert!(sql.contains("alter table samples enable row level security"));
    assert!(sql.contains("create policy tenant_isolation on samples to cogwheel_app using (tenant_id = "));
    assert!(sql.contains("create policy engine_all_rows on samples to cogwheel_engine using (true)"));
    assert!(sql.contains("priority_rank smallint not null generated always as"));
    assert!(!sql.contains("json_valid"));
}

#[test]
fn platform_tables_are_closed_to_requests() {
    let sql = create_table(&global("leases"), Backend::Postgres).join("\n");
    assert!(!sql.contains("cogwheel_app"));
    assert!(sql.contains("on leases to cogwheel_engine"));
}

#[test]
fn a_table_that_reveals_rows_takes_its_policy_back() {
    let table = std("memberships").columns([uuid("user_id").references("users", OnDelete::Cascade)]).reveals("user_id");
    let created = create_table(&table, Backend::Postgres).join("\n");
    assert!(created.contains("create policy tenant_isolation on users for select to cogwheel_app"));
    let dropped = drop_table(&table, Backend::Postgres);
    assert_eq!(dropped.len(), 5);
    assert_eq!(dropped[4], "drop table memberships");
    assert_eq!(drop_table(&table, Backend::Sqlite), ["drop table memberships"]);
}

#[test]
fn rendering_is_deterministic() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        assert_eq!(create_table(&sample(), backend), create_table(&sample(), backend));
    }
}
