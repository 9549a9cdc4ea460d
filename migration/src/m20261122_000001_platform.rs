//! The ledger, tenants, accounts, access, keys, audit and usage.

use cogwheel_schema::OnDelete::{Cascade, Restrict, SetNull};
use cogwheel_schema::TableDef;
use cogwheel_schema::build::{
    bigint, boolean, bytes, char, child, date, global, index, instant, int, json, money, std, text, unique, uuid,
    varchar, words,
};

pub(super) fn tables() -> Vec<TableDef> {
    vec![
        migration_log(),
        tenants(),
        users(),
        user_identities(),
        user_sessions(),
        roles(),
        memberships(),
        encryption_keys(),
        api_keys(),
        audit_log(),
        api_usage_logs(),
        usage_records(),
        rate_limit_windows(),
    ]
}

fn migration_log() -> TableDef {
    global("migration_log")
        .columns([
            varchar("migration_name", 255),
            words("direction", ["up", "down"]),
            char("checksum", 64),
            char("schema_fingerprint", 64),
            varchar("engine_version", 50),
            instant("executed_at"),
            bigint("execution_time_ms"),
            text("description").null(),
        ])
        .indexes([index("idx_migration_log_migration_name", "migration_name, executed_at")
            .serves("last run of a step, edited-step check at start")])
        .immutable()
}

fn tenants() -> TableDef {
    global("tenants")
        .columns([
            varchar("slug", 63),
            varchar("name", 255),
            varchar("domain", 253).null(),
            words("status", ["pending_verification", "active", "inactive", "suspended", "purged"])
                .default("pending_verification"),
            boolean("is_system").default("false"),
            varchar("plan", 50).default("free"),
            words("rate_limit_tier", ["free", "standard", "professional", "enterprise"]).default("standard"),
            json("limits").default("{}"),
            json("settings").default("{}"),
            varchar("timezone", 64).default("UTC"),
            char("currency", 3).default("USD"),
            instant("trial_ends_at").null(),
            instant("purged_at").null(),
        ])
        .indexes([
            unique("uq_tenants_slug", "slug").serves("resolve by subdomain or header"),
            unique("uq_tenants_domain", "domain").partial("domain is not null").serves("resolve by custom domain"),
            unique("uq_tenants_is_system", "is_system").partial("is_system = true").serves("at most one"),
            index("idx_tenants_status", "status, created_at").serves("administration list"),
        ])
        .check("ck_tenants_slug", "slug = lower(slug)")
}

fn users() -> TableDef {
    global("users")
        .columns([
            varchar("email", 320),
            varchar("password_hash", 255).null(),
            varchar("display_name", 255),
            varchar("first_name", 100).null(),
            varchar("last_name", 100).null(),
            varchar("phone", 32).null(),
            varchar("avatar_url", 2048).null(),
            varchar("timezone", 64).default("UTC"),
            varchar("locale", 35).default("en"),
            json("preferences").default("{}"),
            uuid("default_tenant_id").null().references("tenants", SetNull),
            boolean("is_active").default("true"),
            boolean("is_system_admin").default("false"),
            instant("email_verified_at").null(),
            instant("last_login_at").null(),
            int("failed_login_attempts").default("0"),
            instant("locked_until").null(),
            instant("password_changed_at").null(),
            instant("deactivated_at").null(),
            instant("erased_at").null(),
        ])
        .indexes([
            unique("uq_users_email", "email").serves("sign-in"),
            index("idx_users_is_active", "display_name, id")
                .partial("is_active = true")
                .serves("list and pick active people"),
        ])
        .key_indexes(["default_tenant_id"])
        .check("ck_users_email", "email = lower(email)")
}

fn user_identities() -> TableDef {
    global("user_identities")
        .columns([
            uuid("user_id").references("users", Cascade),
            varchar("issuer", 255),
            varchar("subject", 255),
            varchar("email", 320).null(),
            instant("last_used_at").null(),
        ])
        .indexes([unique("uq_user_identities_issuer_subject", "issuer, subject").serves("sign-in")])
        .key_indexes(["user_id"])
}

fn user_sessions() -> TableDef {
    global("user_sessions")
        .columns([
            uuid("user_id").references("users", Cascade),
            bytes("token_hash"),
            words("session_type", ["web", "mobile", "api", "cli"]).default("web"),
            uuid("current_tenant_id").null().references("tenants", Restrict),
            varchar("ip_address", 45).null(),
            varchar("user_agent", 512).null(),
            varchar("device_label", 100).null(),
            instant("started_at"),
            instant("last_activity_at"),
            instant("expires_at"),
            instant("ended_at").null(),
            words(
                "end_reason",
                ["signed_out", "expired", "terminated", "session_limit", "password_changed", "deactivated"],
            )
            .null(),
            uuid("impersonator_user_id").null().references("users", Restrict),
            text("impersonation_reason").null(),
        ])
        .indexes([
            unique("uq_user_sessions_token_hash", "token_hash").serves("authenticate a request"),
            index("idx_user_sessions_user_id", "user_id, last_activity_at")
                .serves("list mine; enforce the limit per user"),
            index("idx_user_sessions_expires_at", "expires_at").partial("ended_at is null").serves("expiry sweep"),
        ])
        .key_indexes(["current_tenant_id", "impersonator_user_id"])
        .check("ck_user_sessions_impersonation", "(impersonator_user_id is null) = (impersonation_reason is null)")
        .check("ck_user_sessions_end", "(ended_at is null) = (end_reason is null)")
}

fn roles() -> TableDef {
    std("roles")
        .columns([
            varchar("role_key", 50),
            varchar("name", 100),
            text("description").null(),
            json("permissions").default("[]"),
            boolean("is_builtin").default("false"),
        ])
        .indexes([unique("uq_roles_tenant_id_role_key", "tenant_id, role_key").serves("look-up by key; list")])
}

fn memberships() -> TableDef {
    std("memberships")
        .columns([
            uuid("user_id").references("users", Cascade),
            uuid("role_id").references("roles", Restrict),
            words("status", ["invited", "active", "suspended", "left"]).default("invited"),
            uuid("invited_by_user_id").null().references("users", SetNull),
            instant("invited_at").null(),
            instant("joined_at").null(),
            instant("left_at").null(),
        ])
        .indexes([
            unique("uq_memberships_tenant_id_user_id", "tenant_id, user_id").serves("gate of every request"),
            index("idx_memberships_user_id", "user_id, status").serves("my tenants"),
        ])
        .key_indexes(["role_id", "invited_by_user_id"])
        .reveals("user_id")
}

fn encryption_keys() -> TableDef {
    std("encryption_keys")
        .columns([
            words("algorithm", ["xchacha20_poly1305", "aes_256_gcm"]).default("xchacha20_poly1305"),
            bytes("wrapped_key"),
            varchar("master_key_ref", 200),
            words("status", ["active", "retiring", "retired"]).default("active"),
            instant("activated_at"),
            instant("retired_at").null(),
        ])
        .indexes([
            unique("uq_encryption_keys_active", "tenant_id")
                .partial("status = 'active'")
                .serves("key for new ciphertext"),
            index("idx_encryption_keys_tenant_id", "tenant_id, created_at").serves("rotation list"),
        ])
}

fn api_keys() -> TableDef {
    std("api_keys")
        .columns([
            uuid("user_id").null().references("users", SetNull),
            varchar("name", 255),
            varchar("key_prefix", 20),
            bytes("key_hash"),
            json("scopes").default("[]"),
            int("rate_limit_per_minute").null(),
            json("allowed_networks").null(),
            boolean("is_active").default("true"),
            instant("expires_at").null(),
            instant("last_used_at").null(),
            instant("revoked_at").null(),
            uuid("revoked_by_user_id").null().references("users", SetNull),
            uuid("replaces_api_key_id").null().references("api_keys", SetNull),
        ])
        .indexes([
            unique("uq_api_keys_key_hash", "key_hash").serves("authenticate a request"),
            unique("uq_api_keys_key_prefix", "key_prefix").serves("recognise a key in a list or a leak report"),
            index("idx_api_keys_tenant_id", "tenant_id, is_active, created_at").serves("list"),
        ])
        .key_indexes(["user_id", "revoked_by_user_id", "replaces_api_key_id"])
        .check("ck_api_keys_revoked", "revoked_at is null or is_active = false")
}

fn audit_log() -> TableDef {
    std("audit_log")
        .columns([
            words(
                "category",
                [
                    "data_change",
                    "authentication",
                    "authorization",
                    "administration",
                    "decision",
                    "export",
                    "execution_control",
                    "security",
                ],
            ),
            varchar("action", 100),
            words("outcome", ["success", "denied", "failed"]).default("success"),
            varchar("table_name", 63).null(),
            varchar("record_id", 200).null(),
            words("operation", ["insert", "update", "delete"]).null(),
            json("old_data").null(),
            json("new_data").null(),
            json("changed_fields").null(),
            words("actor_type", ["user", "api_key", "engine", "agent", "anonymous"]).default("engine"),
            uuid("actor_user_id").null().references("users", Restrict),
            uuid("impersonator_user_id").null().references("users", Restrict),
            uuid("api_key_id").null().references("api_keys", Restrict),
            boolean("is_sensitive").default("false"),
            words("risk_level", ["low", "medium", "high", "critical"]).default("low"),
            uuid("correlation_id").null(),
            uuid("request_id").null(),
            varchar("ip_address", 45).null(),
            varchar("user_agent", 512).null(),
            text("reason").null(),
            int("duration_ms").null(),
        ])
        .indexes([
            index("idx_audit_log_tenant_id", "tenant_id, created_at").serves("trail of a tenant, export"),
            index("idx_audit_log_category", "tenant_id, category, created_at").serves("filtered trail"),
            index("idx_audit_log_record_id", "record_id, table_name, created_at")
                .partial("record_id is not null")
                .serves("history of one row"),
            index("idx_audit_log_actor_user_id", "actor_user_id, created_at")
                .partial("actor_user_id is not null")
                .serves("activity of one person"),
            index("idx_audit_log_api_key_id", "api_key_id, created_at")
                .partial("api_key_id is not null")
                .serves("acts of a key"),
            index("idx_audit_log_correlation_id", "correlation_id")
                .partial("correlation_id is not null")
                .serves("everything one request did"),
        ])
        .key_indexes(["impersonator_user_id"])
        .check("ck_audit_log_change", "(operation is null) or (table_name is not null and record_id is not null)")
        .immutable()
        .partition_by("id")
}

fn api_usage_logs() -> TableDef {
    std("api_usage_logs")
        .columns([
            varchar("service_name", 100),
            varchar("endpoint", 255),
            varchar("method", 10),
            uuid("user_id").null().references("users", SetNull),
            uuid("api_key_id").null().references("api_keys", SetNull),
            int("status_code").null(),
            boolean("success").default("true"),
            int("response_time_ms").null(),
            text("error_message").null(),
            uuid("correlation_id").null(),
            bigint("input_tokens").default("0"),
            bigint("output_tokens").default("0"),
            varchar("model_used", 100).null(),
            money("cost").null(),
            char("currency", 3).null(),
        ])
        .indexes([
            index("idx_api_usage_logs_tenant_id", "tenant_id, created_at").serves("hourly and daily aggregates"),
            index("idx_api_usage_logs_service_name", "tenant_id, service_name, created_at")
                .serves("trend of one service"),
            index("idx_api_usage_logs_user_id", "user_id, created_at")
                .partial("user_id is not null")
                .serves("usage of one person"),
            index("idx_api_usage_logs_api_key_id", "api_key_id, created_at")
                .partial("api_key_id is not null")
                .serves("usage of a key"),
            index("idx_api_usage_logs_correlation_id", "correlation_id")
                .partial("correlation_id is not null")
                .serves("trace"),
        ])
        .check("ck_api_usage_logs_cost_currency", "(cost is null) = (currency is null)")
        .partition_by("id")
}

fn usage_records() -> TableDef {
    std("usage_records")
        .columns([
            date("record_date"),
            bigint("workflow_executions").default("0"),
            bigint("agent_executions").default("0"),
            bigint("api_calls").default("0"),
            bigint("webhook_deliveries").default("0"),
            bigint("input_tokens").default("0"),
            bigint("output_tokens").default("0"),
            bigint("storage_bytes").default("0"),
            money("cost").default("0"),
            char("currency", 3).default("USD"),
        ])
        .indexes([unique("uq_usage_records_tenant_id_record_date", "tenant_id, record_date")
            .serves("upsert of the day; range read; quota check")])
}

fn rate_limit_windows() -> TableDef {
    child("rate_limit_windows", ["tenant_id", "bucket_key", "window_start_at"])
        .columns([
            varchar("bucket_key", 150),
            instant("window_start_at"),
            int("window_seconds").default("60"),
            int("token_limit"),
            int("tokens_drawn").default("0"),
        ])
        .indexes([index("idx_rate_limit_windows_window_start_at", "window_start_at").serves("sweep")])
        .check("ck_rate_limit_windows_tokens", "tokens_drawn <= token_limit")
}
