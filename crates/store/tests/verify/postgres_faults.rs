//! Faults of a PostgreSQL schema, each in a database of its own.

use cogwheel_store::verify::Options;

use super::fault::{Fault, all_are_named, run};
use crate::databases::Template;

#[tokio::test]
async fn every_fault_of_a_postgres_table_is_named() {
    let faults: Vec<Fault> = [tables(), columns(), checks()].into_iter().flatten().collect();
    all_are_named(&Template::postgres().await, Options::default(), &faults).await;
}

#[tokio::test]
async fn every_fault_of_a_postgres_key_index_or_policy_is_named() {
    let faults: Vec<Fault> = [keys(), indexes(), triggers(), policies()].into_iter().flatten().collect();
    all_are_named(&Template::postgres().await, Options::default(), &faults).await;
}

fn tables() -> Vec<Fault> {
    vec![
        run("drop table rate_limit_windows", ("missing_table", "rate_limit_windows", "rate_limit_windows")),
        run("create table stray (id integer)", ("extra_table", "stray", "stray")),
        run(
            "drop table api_usage_logs; create table api_usage_logs (id uuid primary key)",
            ("partition", "api_usage_logs", "api_usage_logs"),
        )
        .saying("is none, declared as RANGE (id)"),
    ]
}

fn columns() -> Vec<Fault> {
    vec![
        run("alter table users drop column phone", ("missing_column", "users", "phone")),
        run("alter table users add column nickname text", ("extra_column", "users", "nickname")),
        run("alter table users alter column phone type text", ("column_type", "users", "phone"))
            .saying("is text, declared as character varying(32)"),
        run("alter table files alter column file_size type integer", ("column_type", "files", "file_size")),
        run("alter table users alter column display_name drop not null", ("nullability", "users", "display_name")),
        run("alter table users alter column phone set not null", ("nullability", "users", "phone"))
            .saying("is not null, declared as null"),
        run("alter table users alter column timezone set default 'GMT'", ("default", "users", "timezone"))
            .saying("'GMT'"),
        run("alter table users alter column locale drop default", ("default", "users", "locale")).saying("is none"),
        run(
            "alter table workflow_executions alter column priority_rank drop expression",
            ("generated", "workflow_executions", "priority_rank"),
        ),
        run("alter table event_store alter column position drop identity", ("generated", "event_store", "position")),
        run("alter table leases rename column lease_name to duty_name", ("extra_column", "leases", "duty_name")),
    ]
}

fn checks() -> Vec<Fault> {
    let status = ("check", "workflows", "ck_workflows_status");
    vec![
        run(
            "alter table workflows drop constraint ck_workflows_status, add constraint ck_workflows_status check (status in ('draft', 'active', 'paused'))",
            status,
        )
        .saying("it lacks 'inactive'"),
        run(
            "alter table workflows drop constraint ck_workflows_status, add constraint ck_workflows_status \
             check (status in ('draft', 'asleep', 'active', 'paused', 'inactive'))",
            status,
        )
        .saying("it also allows 'asleep'"),
        run("alter table users drop constraint ck_users_email", ("missing_check", "users", "ck_users_email")),
        run("alter table users add constraint ck_stray check (phone <> '')", ("extra_check", "users", "ck_stray")),
        run(
            "alter table users drop constraint ck_users_email, add constraint ck_users_email check (email = lower(email)) not valid",
            ("check", "users", "ck_users_email"),
        ),
    ]
}

fn keys() -> Vec<Fault> {
    let department = "fk_workflows_department_id";
    vec![
        run("alter table workflows drop constraint fk_workflows_department_id", ("missing_foreign_key", "workflows", department)),
        run(
            "alter table workflows drop constraint fk_workflows_department_id, add constraint fk_workflows_department_id \
             foreign key (department_id) references branches (id) on delete set null",
            ("foreign_key_target", "workflows", department),
        ),
        run(
            "alter table workflows drop constraint fk_workflows_department_id, add constraint fk_workflows_department_id \
             foreign key (department_id) references departments (id) on delete cascade",
            ("on_delete", "workflows", department),
        )
        .saying("is on delete CASCADE, declared as SET NULL"),
        run("alter table workflows rename constraint fk_workflows_department_id to fk_other", ("foreign_key_name", "workflows", department)),
        run(
            "alter table leases add column tenant_id uuid constraint fk_leases_tenant_id references tenants (id)",
            ("extra_foreign_key", "leases", "fk_leases_tenant_id"),
        ),
        run("drop index idx_workflows_department_id", ("foreign_key_without_index", "workflows", department)),
        run(
            "alter table execution_logs drop constraint pk_execution_logs, add constraint pk_execution_logs primary key (execution_id, sequence, logged_at)",
            ("primary_key", "execution_logs", "execution_logs"),
        ),
    ]
}

fn indexes() -> Vec<Fault> {
    let claim = ("index", "workflow_executions", "idx_workflow_executions_queue");
    vec![
        run("drop index idx_workflows_status", ("missing_index", "workflows", "idx_workflows_status")),
        run("drop index idx_workflows_labels", ("missing_index", "workflows", "idx_workflows_labels")),
        run("drop index uq_users_email", ("missing_index", "users", "uq_users_email")).saying("unique index"),
        run("create index idx_stray on users (timezone)", ("extra_index", "users", "idx_stray")),
        run(
            "drop index idx_workflow_executions_queue; create index idx_workflow_executions_queue on workflow_executions (priority_rank, id) where owner_node_id is null and status = 'queued' and concurrency_key is null",
            claim,
        )
        .saying("differs in order"),
        run(
            "drop index idx_workflow_executions_queue; create index idx_workflow_executions_queue on workflow_executions (priority_rank desc, id)",
            claim,
        )
        .saying("differs in predicate"),
        run("drop index uq_users_email; create index uq_users_email on users (email)", ("index", "users", "uq_users_email")).saying("differs in uniqueness"),
        run("drop index uq_tenants_slug; create unique index uq_tenants_slug on tenants (slug, name)", ("index", "tenants", "uq_tenants_slug"))
            .saying("differs in columns"),
        run("drop index idx_users_is_active; create index idx_users_is_active on users using hash (display_name) where is_active = true", ("index", "users", "idx_users_is_active"))
            .saying("method"),
        run("update pg_index set indisvalid = false where indexrelid = 'idx_workflows_status'::regclass", ("index", "workflows", "idx_workflows_status"))
            .saying("method"),
        run("create index idx_again on workflows (status, tenant_id, created_at)", ("duplicate_index", "workflows", "idx_again")),
        run("create index idx_start on workflows (status, tenant_id)", ("duplicate_index", "workflows", "idx_start")).saying("repeats idx_workflows_status"),
        run("create index idx_key on workflows (id)", ("duplicate_index", "workflows", "idx_key")).saying("primary key"),
    ]
}

fn triggers() -> Vec<Fault> {
    vec![
        run("drop trigger trg_users_updated_at on users", ("missing_trigger", "users", "trg_users_updated_at")),
        run("alter table users disable trigger trg_users_updated_at", ("trigger", "users", "trg_users_updated_at")),
        run(
            "create or replace function cogwheel_refuse_update() returns trigger language plpgsql as $$ begin return new; end $$",
            ("trigger", "audit_log", "trg_audit_log_immutable"),
        ),
        run(
            "create trigger trg_stray before insert on users for each row execute function cogwheel_refuse_update()",
            ("extra_trigger", "users", "trg_stray"),
        ),
    ]
}

fn policies() -> Vec<Fault> {
    vec![
        run("drop policy tenant_isolation on workflows", ("missing_policy", "workflows", "tenant_isolation")),
        run("create policy stray on workflows using (true)", ("extra_policy", "workflows", "stray")),
        run("alter policy tenant_isolation on workflows using (true)", ("policy", "workflows", "tenant_isolation")),
        run("alter policy engine_all_rows on workflows to public", ("policy", "workflows", "engine_all_rows")),
        run("alter table workflows disable row level security", ("row_security", "workflows", "workflows"))
            .saying("is off"),
        run("alter table workflows force row level security", ("row_security", "workflows", "workflows"))
            .saying("for the owner too"),
    ]
}
