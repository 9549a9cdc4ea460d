//! What is automated: templates, workflows, versions and the values they use.

use cogwheel_schema::OnDelete::{Cascade, Restrict, SetNull};
use cogwheel_schema::TableDef;
use cogwheel_schema::build::{
    bigint, boolean, bytes, char, index, instant, int, json, std, text, unique, uuid, varchar, words,
};

pub(super) fn tables() -> Vec<TableDef> {
    vec![workflow_templates(), workflows(), workflow_versions(), variables(), secrets()]
}

fn workflow_templates() -> TableDef {
    std("workflow_templates")
        .columns([
            varchar("name", 255),
            int("template_version").default("1"),
            text("description").null(),
            varchar("category", 100),
            json("tags").default("[]"),
            text("source_text"),
            json("definition"),
            json("parameters_schema").null(),
            words("status", ["draft", "published", "archived"]).default("draft"),
            boolean("is_public").default("false"),
            bigint("usage_count").default("0"),
            uuid("created_by_user_id").null().references("users", SetNull),
        ])
        .indexes([
            unique("uq_workflow_templates_name", "tenant_id, name, template_version"),
            index("idx_workflow_templates_category", "category, name")
                .partial("is_public = true")
                .serves("public gallery"),
        ])
        .key_indexes(["created_by_user_id"])
        .public_read("is_public = true and status = 'published'")
}

fn workflows() -> TableDef {
    std("workflows")
        .columns([
            varchar("name", 255),
            text("description").null(),
            json("labels").default("{}"),
            words("workflow_kind", ["standard", "job_flow", "ad_hoc"]).default("standard"),
            words("origin", ["api", "directory", "template", "import"]).default("api"),
            varchar("origin_path", 1024).null(),
            uuid("organization_id").null().references("organizations", SetNull),
            uuid("department_id").null().references("departments", SetNull),
            uuid("project_id").null().references("projects", SetNull),
            uuid("workflow_template_id").null().references("workflow_templates", SetNull),
            uuid("created_by_user_id").null().references("users", SetNull),
            words("status", ["draft", "active", "paused", "inactive"]).default("draft"),
            boolean("is_enabled").default("true"),
            boolean("is_scheduled").default("false"),
            boolean("trigger_on_file_upload").default("false"),
            json("trigger_file_extensions").default("[]"),
            int("max_retries").default("3"),
            int("timeout_seconds").default("300"),
            words("default_priority", ["low", "normal", "high", "critical"]).default("normal"),
            int("concurrency_limit").null(),
            int("retention_days").null(),
            int("retention_count").null(),
            bigint("total_executions").default("0"),
            bigint("successful_executions").default("0"),
            bigint("failed_executions").default("0"),
            instant("last_execution_at").null(),
            bigint("purged_executions").default("0"),
            bigint("purged_successful_executions").default("0"),
            bigint("purged_failed_executions").default("0"),
            instant("deleted_at").null(),
        ])
        .indexes([
            unique("uq_workflows_tenant_id_name", "tenant_id, name")
                .partial("deleted_at is null")
                .serves("look-up by name"),
            index("idx_workflows_created_at", "tenant_id, created_at, id").serves("default list, newest first"),
            index("idx_workflows_status", "status, tenant_id, created_at").serves("list by status"),
            index("idx_workflows_enabled", "tenant_id, id")
                .partial("is_enabled = true and status = 'active' and deleted_at is null")
                .serves("executable workflows; load at start"),
            index("idx_workflows_scheduled", "tenant_id, id")
                .partial("is_scheduled = true and deleted_at is null")
                .serves("calendar of scheduled work"),
            index("idx_workflows_file_trigger", "tenant_id, id")
                .partial("trigger_on_file_upload = true and deleted_at is null")
                .serves("match an upload"),
        ])
        .key_indexes(["organization_id", "department_id", "project_id", "workflow_template_id", "created_by_user_id"])
        .check(
            "ck_workflows_limits",
            "max_retries between 0 and 100 and timeout_seconds > 0 and \
             (concurrency_limit is null or concurrency_limit > 0)",
        )
        .check("ck_workflows_counters", "total_executions >= successful_executions + failed_executions")
        .gin("idx_workflows_labels", "labels")
}

fn workflow_versions() -> TableDef {
    std("workflow_versions")
        .columns([
            uuid("workflow_id").references("workflows", Cascade),
            int("version"),
            words("source_format", ["yaml", "json"]).default("yaml"),
            text("source_text"),
            json("definition"),
            char("checksum", 64),
            varchar("language_version", 20),
            int("step_count"),
            boolean("has_compensation").default("false"),
            boolean("is_active").default("false"),
            instant("activated_at").null(),
            text("change_note").null(),
            uuid("created_by_user_id").null().references("users", SetNull),
        ])
        .indexes([
            unique("uq_workflow_versions_workflow_id_version", "workflow_id, version").serves("history; pick one"),
            unique("uq_workflow_versions_active", "workflow_id")
                .partial("is_active = true")
                .serves("at most one active; load for a start"),
            index("idx_workflow_versions_tenant_id", "tenant_id, created_at"),
        ])
        .key_indexes(["created_by_user_id"])
        .check("ck_workflow_versions_version", "version >= 1")
        .frozen_except(["is_active", "activated_at", "updated_at"], ["created_by_user_id"])
}

fn variables() -> TableDef {
    std("variables")
        .columns([
            uuid("workflow_id").null().references("workflows", Cascade),
            varchar("name", 100),
            json("value"),
            text("description").null(),
            uuid("updated_by_user_id").null().references("users", SetNull),
        ])
        .indexes([
            unique("uq_variables_tenant_id_name", "tenant_id, name").partial("workflow_id is null"),
            unique("uq_variables_workflow_id_name", "workflow_id, name")
                .partial("workflow_id is not null")
                .serves("all of one workflow"),
            index("idx_variables_tenant_id", "tenant_id, updated_at"),
        ])
        .key_indexes(["updated_by_user_id"])
}

fn secrets() -> TableDef {
    std("secrets")
        .columns([
            uuid("workflow_id").null().references("workflows", Cascade),
            varchar("name", 100),
            text("description").null(),
            words("provider", ["internal", "environment", "file", "vault"]).default("internal"),
            varchar("external_ref", 500).null(),
            bytes("ciphertext").null(),
            uuid("encryption_key_id").null().references("encryption_keys", Restrict),
            int("secret_version").default("1"),
            instant("rotated_at").null(),
            instant("last_used_at").null(),
            instant("expires_at").null(),
            uuid("created_by_user_id").null().references("users", SetNull),
        ])
        .indexes([
            unique("uq_secrets_tenant_id_name", "tenant_id, name").partial("workflow_id is null"),
            unique("uq_secrets_workflow_id_name", "workflow_id, name").partial("workflow_id is not null"),
            index("idx_secrets_tenant_id", "tenant_id, updated_at"),
        ])
        .key_indexes(["encryption_key_id", "created_by_user_id"])
        .check(
            "ck_secrets_value",
            "(provider = 'internal' and ciphertext is not null and \
             encryption_key_id is not null) or (provider <> 'internal' and \
             external_ref is not null and ciphertext is null)",
        )
}
