//! Bytes an execution takes in and gives out, and who may use them.

use cogwheel_schema::OnDelete::{Cascade, SetNull};
use cogwheel_schema::TableDef;
use cogwheel_schema::build::{bigint, char, child, index, instant, int, json, std, text, unique, uuid, varchar, words};

pub(super) fn tables() -> Vec<TableDef> {
    vec![artifacts(), files(), execution_files(), resource_grants()]
}

fn artifacts() -> TableDef {
    std("artifacts")
        .columns([
            uuid("execution_id").references("workflow_executions", Cascade),
            int("step_ordinal").null(),
            varchar("name", 255),
            words("artifact_kind", ["artifact", "step_output", "log_archive"]).default("artifact"),
            varchar("storage_key", 1024),
            varchar("mime_type", 255),
            bigint("file_size"),
            char("file_hash", 64),
            instant("expires_at").null(),
        ])
        .indexes([
            unique("uq_artifacts_execution_id_name", "execution_id, name"),
            index("idx_artifacts_tenant_id", "tenant_id, created_at").serves("storage per tenant"),
            index("idx_artifacts_storage_key", "storage_key").serves("are these bytes still referenced"),
            index("idx_artifacts_expires_at", "expires_at").partial("expires_at is not null").serves("sweep"),
        ])
        .check("ck_artifacts_size", "file_size >= 0")
}

fn files() -> TableDef {
    std("files")
        .columns([
            uuid("file_watch_id").null().references("file_watches", SetNull),
            words("file_source", ["watch", "upload", "step"]),
            words("change_kind", ["created", "modified", "deleted"]).default("created"),
            varchar("filename", 255),
            varchar("original_filename", 255),
            varchar("file_path", 4096).null(),
            char("path_hash", 64).null(),
            varchar("storage_key", 1024).null(),
            varchar("mime_type", 255).null(),
            bigint("file_size"),
            char("file_hash", 64).null(),
            instant("modified_at").null(),
            varchar("device_identity", 64).null(),
            varchar("inode_identity", 64).null(),
            char("fingerprint", 64).null(),
            words(
                "status",
                ["detected", "settling", "ready", "processing", "processed", "failed", "skipped", "deleted"],
            )
            .default("detected"),
            words(
                "decision_reason",
                [
                    "new_version",
                    "duplicate_version",
                    "filtered_pattern",
                    "filtered_extension",
                    "filtered_mime",
                    "filtered_size",
                    "hidden_or_temporary",
                    "vanished",
                    "unreadable",
                    "unsafe_content",
                    "workflow_not_executable",
                    "quota",
                ],
            )
            .null(),
            varchar("batch_key", 100).null(),
            int("retry_count").default("0"),
            json("error").null(),
            text("extracted_content").null(),
            json("extraction_metadata").null(),
            words("scan_status", ["not_scanned", "clean", "rejected", "scan_failed"]).default("not_scanned"),
            words("after_state", ["none", "pending", "done", "failed"]).default("none"),
            uuid("uploaded_by_user_id").null().references("users", SetNull),
            instant("first_seen_at"),
            instant("settled_at").null(),
            instant("processed_at").null(),
            instant("deleted_at").null(),
            instant("bytes_removed_at").null(),
        ])
        .indexes([
            unique("uq_files_file_watch_id_fingerprint", "file_watch_id, fingerprint")
                .partial("file_watch_id is not null")
                .serves("a version is handled once"),
            unique("uq_files_open_candidate", "file_watch_id, path_hash")
                .partial("status in ('detected', 'settling')")
                .serves("one open candidate per path"),
            index("idx_files_file_watch_id", "file_watch_id, first_seen_at")
                .partial("file_watch_id is not null")
                .serves("ledger of a watch"),
            index("idx_files_tenant_id", "tenant_id, created_at, id").serves("default list"),
            index("idx_files_status", "tenant_id, status, created_at").serves("list by status; statistics"),
            index("idx_files_open", "status, updated_at")
                .partial("status in ('detected', 'settling', 'ready', 'processing')")
                .serves("work not finished; age alarm"),
            index("idx_files_file_hash", "file_hash").partial("file_hash is not null").serves("same content"),
            index("idx_files_storage_key", "storage_key")
                .partial("storage_key is not null")
                .serves("are these bytes still referenced"),
        ])
        .key_indexes(["uploaded_by_user_id"])
        .check("ck_files_size", "file_size >= 0 and retry_count >= 0")
        .check("ck_files_skipped", "status <> 'skipped' or decision_reason is not null")
        .check("ck_files_deleted", "(status = 'deleted') = (deleted_at is not null)")
        .search(
            [("filename", 'A'), ("original_filename", 'A'), ("extracted_content", 'B'), ("mime_type", 'C')],
            Some("filename"),
        )
}

fn execution_files() -> TableDef {
    child("execution_files", ["execution_id", "file_id", "role"])
        .columns([
            uuid("execution_id").references("workflow_executions", Cascade),
            uuid("file_id").references("files", Cascade),
            words("role", ["input", "output"]),
            int("step_ordinal").null(),
        ])
        .key_indexes(["file_id"])
}

fn resource_grants() -> TableDef {
    std("resource_grants")
        .columns([
            uuid("workflow_id").null().references("workflows", Cascade),
            uuid("file_id").null().references("files", Cascade),
            uuid("user_id").null().references("users", Cascade),
            uuid("team_id").null().references("teams", Cascade),
            words("access_level", ["read", "write", "owner"]).default("read"),
            uuid("granted_by_user_id").null().references("users", SetNull),
            instant("expires_at").null(),
        ])
        .indexes([
            unique("uq_resource_grants_pair", "coalesce(workflow_id, file_id), coalesce(user_id, team_id)")
                .serves("one grant per pair"),
            index("idx_resource_grants_tenant_id", "tenant_id"),
        ])
        .key_indexes(["workflow_id", "file_id", "user_id", "team_id", "granted_by_user_id"])
        .check("ck_resource_grants_resource", "(workflow_id is null) <> (file_id is null)")
        .check("ck_resource_grants_grantee", "(user_id is null) <> (team_id is null)")
}
