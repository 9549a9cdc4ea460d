//! What starts a workflow: the clock and files.

use cogwheel_schema::OnDelete::{Cascade, SetNull};
use cogwheel_schema::TableDef;
use cogwheel_schema::build::{bigint, boolean, index, instant, int, json, std, unique, uuid, varchar, words};

pub(super) fn tables() -> Vec<TableDef> {
    vec![schedules(), file_watches()]
}

fn schedules() -> TableDef {
    std("schedules")
        .columns([
            uuid("workflow_id").references("workflows", Cascade),
            varchar("trigger_key", 100),
            words("schedule_kind", ["cron", "interval", "once"]).default("cron"),
            varchar("cron_schedule", 255).null(),
            bigint("interval_seconds").null(),
            instant("run_at").null(),
            varchar("timezone", 64).default("UTC"),
            json("calendar").null(),
            words("catch_up", ["none", "last", "all"]).default("last"),
            bigint("catch_up_window_seconds").null(),
            words("overlap_policy", ["allow", "skip", "queue", "replace"]).default("skip"),
            words("dst_gap_policy", ["skip", "shift"]).default("shift"),
            words("dst_overlap_policy", ["first", "last", "both"]).default("first"),
            int("jitter_ms").default("0"),
            instant("starts_at").null(),
            instant("ends_at").null(),
            json("input_data").default("{}"),
            boolean("is_enabled").default("true"),
            instant("next_due_at").null(),
            instant("next_fire_at").null(),
            instant("last_due_at").null(),
            instant("last_fired_at").null(),
        ])
        .indexes([
            unique("uq_schedules_workflow_id_trigger_key", "workflow_id, trigger_key").serves("triggers of a workflow"),
            index("idx_schedules_next_fire_at", "next_fire_at")
                .partial("is_enabled = true and next_fire_at is not null")
                .serves("claim what is due"),
            index("idx_schedules_tenant_id", "tenant_id, next_due_at").serves("upcoming list"),
        ])
        .check(
            "ck_schedules_kind",
            "(schedule_kind = 'cron' and cron_schedule is not null) or \
             (schedule_kind = 'interval' and interval_seconds is not null and \
             interval_seconds > 0) or (schedule_kind = 'once' and run_at is not \
             null)",
        )
        .check("ck_schedules_catch_up_rule", "catch_up_window_seconds is null or catch_up_window_seconds > 0")
}

fn file_watches() -> TableDef {
    std("file_watches")
        .columns([
            uuid("workflow_id").references("workflows", Cascade),
            varchar("trigger_key", 100),
            words("watch_source", ["directory", "upload"]).default("directory"),
            varchar("location", 4096).null(),
            json("include_patterns").default("[]"),
            json("exclude_patterns").default("[]"),
            boolean("is_recursive").default("false"),
            json("file_extensions").default("[]"),
            json("mime_types").default("[]"),
            json("watch_events").default("[\"created\", \"modified\"]"),
            bigint("min_size").null(),
            bigint("max_size").null(),
            words("fire_on", ["ready", "processed"]).default("ready"),
            words("observe_mode", ["auto", "events", "poll"]).default("auto"),
            words("active_mode", ["events", "poll"]).null(),
            varchar("filesystem_type", 50).null(),
            int("settle_ms").default("1000"),
            int("scan_interval_seconds").default("60"),
            varchar("done_marker", 255).null(),
            int("batch_max_files").default("1"),
            int("batch_window_ms").default("0"),
            words("after_success", ["keep", "move", "delete"]).default("keep"),
            varchar("after_success_target", 4096).null(),
            words("after_failure", ["keep", "move", "delete"]).default("keep"),
            varchar("after_failure_target", 4096).null(),
            boolean("is_enabled").default("true"),
            words("health", ["starting", "healthy", "degraded", "failed"]).default("starting"),
            json("health_detail").null(),
            json("node_selector").default("{}"),
            uuid("owner_node_id").null().references("nodes", SetNull),
            bigint("lease_epoch").default("0"),
            instant("lease_expires_at").null(),
            instant("next_scan_at").null(),
            instant("last_scan_at").null(),
            instant("last_event_at").null(),
        ])
        .indexes([
            unique("uq_file_watches_workflow_id_trigger_key", "workflow_id, trigger_key"),
            index("idx_file_watches_tenant_id", "tenant_id, health").serves("watches that need attention"),
            index("idx_file_watches_next_scan_at", "next_scan_at")
                .partial("is_enabled = true and next_scan_at is not null")
                .serves("scans due"),
        ])
        .key_indexes(["owner_node_id"])
        .check("ck_file_watches_location", "watch_source = 'upload' or location is not null")
        .check(
            "ck_file_watches_after",
            "(after_success <> 'move' or after_success_target is not null) and \
             (after_failure <> 'move' or after_failure_target is not null)",
        )
        .check("ck_file_watches_batch", "batch_max_files >= 1 and settle_ms >= 0 and scan_interval_seconds >= 1")
}
