//! Faults of an SQLite schema, each in a database of its own.

use cogwheel_store::verify::Options;

use super::fault::{Fault, all_are_named, rewrite, run};
use crate::databases::Template;

#[tokio::test]
async fn every_fault_of_an_sqlite_schema_is_named() {
    let faults: Vec<Fault> =
        [tables(), columns(), checks(), keys(), indexes(), triggers()].into_iter().flatten().collect();
    all_are_named(&Template::sqlite().await, Options::default(), &faults).await;
}

fn tables() -> Vec<Fault> {
    vec![
        run("drop table rate_limit_windows", ("missing_table", "rate_limit_windows", "rate_limit_windows")),
        run("drop table files_fts", ("missing_table", "files_fts", "files_fts")),
        run("create table stray (id integer)", ("extra_table", "stray", "stray")),
        run(
            "drop table leases; create table leases (id blob not null primary key) strict",
            ("table_options", "leases", "leases"),
        ),
        run(
            "drop table files_fts; create virtual table files_fts using fts5(filename, content='files')",
            ("virtual_table", "files_fts", "files_fts"),
        ),
    ]
}

fn columns() -> Vec<Fault> {
    vec![
        run("alter table users drop column phone", ("missing_column", "users", "phone")),
        run("alter table users add column nickname text", ("extra_column", "users", "nickname")),
        rewrite("users", "phone varchar(32)", "phone text", ("column_type", "users", "phone"))
            .saying("is text, declared as varchar(32)"),
        rewrite(
            "users",
            "display_name varchar(255) not null",
            "display_name varchar(255)",
            ("nullability", "users", "display_name"),
        ),
        rewrite("users", "phone varchar(32)", "phone varchar(32) not null", ("nullability", "users", "phone"))
            .saying("is not null"),
        rewrite("users", "default 'UTC'", "default 'GMT'", ("default", "users", "timezone"))
            .saying("is 'GMT', declared as 'UTC'"),
        rewrite("users", " default 'en'", "", ("default", "users", "locale")).saying("is none"),
        rewrite(
            "workflow_executions",
            "when 'critical' then 3",
            "when 'critical' then 4",
            ("generated", "workflow_executions", "priority_rank"),
        ),
        run("alter table leases rename column lease_name to duty_name", ("missing_column", "leases", "lease_name")),
    ]
}

fn checks() -> Vec<Fault> {
    let status = ("check", "workflows", "ck_workflows_status");
    vec![
        rewrite("workflows", ", 'paused', 'inactive')", ", 'paused')", status).saying("it lacks 'inactive'"),
        rewrite("workflows", "'draft', 'active'", "'draft', 'asleep', 'active'", status)
            .saying("it also allows 'asleep'"),
        rewrite("workflows", "'paused'", "'halted'", status).saying("it lacks 'paused' and has 'halted' instead"),
        rewrite(
            "users",
            ",\n  constraint ck_users_email check (email = lower(email))",
            "",
            ("missing_check", "users", "ck_users_email"),
        ),
        rewrite("users", "check (email = lower(email))", "check (email <> '')", ("check", "users", "ck_users_email")),
        rewrite(
            "users",
            "constraint ck_users_email",
            "constraint ck_users_mail",
            ("extra_check", "users", "ck_users_mail"),
        ),
        rewrite("users", "check (json_valid(preferences))", "check (1)", ("check", "users", "ck_users_preferences")),
        rewrite(
            "users",
            "check (is_active in (0, 1))",
            "check (is_active in (0, 1, 2))",
            ("check", "users", "ck_users_is_active"),
        ),
        rewrite(
            "users",
            "phone varchar(32)",
            "phone varchar(32) check (phone <> '')",
            ("extra_check", "users", "check (phone <> '')"),
        ),
    ]
}

fn keys() -> Vec<Fault> {
    let version = "fk_workflow_executions_workflow_version_id";
    let department = "constraint fk_workflows_department_id foreign key (department_id) references departments (id) on delete set null";
    vec![
        rewrite(
            "workflows",
            ",\n  constraint fk_workflows_department_id foreign key (department_id) references departments (id) on delete set null",
            "",
            ("missing_foreign_key", "workflows", "fk_workflows_department_id"),
        ),
        rewrite("workflows", department, "constraint fk_workflows_department_id foreign key (department_id) references branches (id) on delete set null", ("foreign_key_target", "workflows", "fk_workflows_department_id"))
            .saying("refers to branches (id), declared as departments (id)"),
        rewrite("workflow_executions", "references workflow_versions (id) on delete restrict", "references workflow_versions (id) on delete cascade", ("on_delete", "workflow_executions", version))
            .saying("is on delete CASCADE, declared as RESTRICT"),
        rewrite("workflow_executions", "references workflow_versions (id) on delete restrict", "references workflow_versions (id)", ("on_delete", "workflow_executions", version))
            .saying("NO ACTION"),
        rewrite("workflows", "constraint fk_workflows_department_id ", "", ("foreign_key_name", "workflows", "fk_workflows_department_id")),
        rewrite("users", "phone varchar(32)", "phone varchar(32) constraint fk_users_phone references tenants (id)", ("extra_foreign_key", "users", "fk_users_phone")),
        rewrite("users", "phone varchar(32)", "phone varchar(32) constraint fk_users_phone references tenants (id)", ("foreign_key_without_index", "users", "fk_users_phone")),
        run("drop index idx_workflows_department_id", ("foreign_key_without_index", "workflows", "fk_workflows_department_id")),
        run(
            "drop index idx_memberships_role_id; create index idx_memberships_role_id on memberships (role_id) where status = 'active'",
            ("foreign_key_without_index", "memberships", "fk_memberships_role_id"),
        ),
        rewrite("execution_logs", "primary key (execution_id, sequence)", "primary key (sequence, execution_id)", ("primary_key", "execution_logs", "execution_logs"))
            .saying("is (sequence, execution_id)"),
    ]
}

fn indexes() -> Vec<Fault> {
    let claim = ("index", "workflow_executions", "idx_workflow_executions_queue");
    vec![
        run("drop index idx_workflows_status", ("missing_index", "workflows", "idx_workflows_status")),
        run("drop index uq_users_email", ("missing_index", "users", "uq_users_email")).saying("unique index"),
        run("create index idx_stray on users (timezone)", ("extra_index", "users", "idx_stray")),
        run("create unique index uq_stray on users (phone)", ("extra_index", "users", "uq_stray"))
            .saying("unique index"),
        rewrite("idx_workflow_executions_queue", "priority_rank desc, id", "priority_rank, id", claim)
            .saying("differs in order"),
        rewrite("idx_workflow_executions_queue", " and status = 'queued'", "", claim).saying("differs in predicate"),
        rewrite("idx_workflow_executions_queue", "status = 'queued'", "status = 'running'", claim)
            .saying("differs in predicate"),
        rewrite("idx_workflow_executions_queue", "CREATE INDEX", "CREATE UNIQUE INDEX", claim)
            .saying("differs in uniqueness"),
        rewrite(
            "idx_workflows_status",
            "status, tenant_id, created_at",
            "tenant_id, status, created_at",
            ("index", "workflows", "idx_workflows_status"),
        )
        .saying("differs in order"),
        rewrite(
            "idx_workflows_status",
            "status, tenant_id, created_at",
            "status, tenant_id",
            ("index", "workflows", "idx_workflows_status"),
        )
        .saying("differs in columns"),
        run(
            "create index idx_again on workflows (status, tenant_id, created_at)",
            ("duplicate_index", "workflows", "idx_again"),
        ),
        run("create index idx_start on workflows (status, tenant_id)", ("duplicate_index", "workflows", "idx_start"))
            .saying("repeats idx_workflows_status"),
        run("create index idx_key on workflows (id)", ("duplicate_index", "workflows", "idx_key"))
            .saying("primary key"),
        run(
            "create index idx_part on workflows (tenant_id) where is_scheduled = true and deleted_at is null",
            ("duplicate_index", "workflows", "idx_part"),
        ),
    ]
}

fn triggers() -> Vec<Fault> {
    vec![
        run("drop trigger trg_users_updated_at", ("missing_trigger", "users", "trg_users_updated_at")),
        run("drop trigger trg_audit_log_immutable", ("missing_trigger", "audit_log", "trg_audit_log_immutable")),
        run(
            "create trigger trg_stray after insert on users begin select 1; end",
            ("extra_trigger", "users", "trg_stray"),
        ),
        rewrite(
            "trg_users_updated_at",
            "new.updated_at is old.updated_at",
            "false",
            ("trigger", "users", "trg_users_updated_at"),
        ),
    ]
}
