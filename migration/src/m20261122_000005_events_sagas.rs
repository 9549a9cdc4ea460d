//! The event store with its readers, and sagas.

use cogwheel_schema::OnDelete::{Cascade, Restrict, SetNull};
use cogwheel_schema::TableDef;
use cogwheel_schema::build::{
    bigint, char, global, hot, index, instant, int, json, smallint, std, text, unique, uuid, varchar, words,
};

pub(super) fn tables() -> Vec<TableDef> {
    vec![
        event_store(),
        event_consumers(),
        event_dead_letters(),
        saga_instances(),
        saga_timeouts(),
        saga_compensations(),
        saga_snapshots(),
    ]
}

fn event_store() -> TableDef {
    std("event_store")
        .columns([
            varchar("stream_id", 255),
            bigint("version"),
            bigint("position"),
            varchar("event_type", 100),
            smallint("schema_version").default("1"),
            varchar("aggregate_type", 50),
            uuid("aggregate_id").null(),
            json("event_data"),
            json("event_metadata").default("{}"),
            uuid("correlation_id").null(),
            uuid("causation_id").null(),
        ])
        .indexes([
            unique("uq_event_store_stream_id_version", "stream_id, version")
                .serves("append with expected version; read a stream"),
            unique("uq_event_store_position", "position").serves("global read"),
            index("idx_event_store_tenant_id", "tenant_id, position").serves("live feed of a tenant"),
            index("idx_event_store_event_type", "event_type, position").serves("read one kind"),
            index("idx_event_store_correlation_id", "correlation_id, position")
                .partial("correlation_id is not null")
                .serves("trace"),
        ])
        .check("ck_event_store_version", "version >= 1")
        .immutable()
        .identity("position")
        .transaction_id("recorded_xid", "idx_event_store_recorded_xid", "position")
}

fn event_consumers() -> TableDef {
    global("event_consumers")
        .columns([
            varchar("consumer_name", 100),
            bigint("last_position").default("0"),
            bigint("last_recorded_xid").default("0"),
            words("status", ["active", "paused", "failed"]).default("active"),
            int("failure_count").default("0"),
            instant("next_attempt_at").null(),
            text("last_error").null(),
            uuid("owner_node_id").null().references("nodes", SetNull),
            bigint("lease_epoch").default("0"),
            instant("lease_expires_at").null(),
        ])
        .indexes([unique("uq_event_consumers_consumer_name", "consumer_name")])
        .key_indexes(["owner_node_id"])
}

fn event_dead_letters() -> TableDef {
    std("event_dead_letters")
        .columns([
            uuid("event_consumer_id").references("event_consumers", Cascade),
            uuid("event_id").references("event_store", Restrict),
            words("status", ["open", "replayed", "discarded"]).default("open"),
            int("attempts"),
            json("error"),
            instant("resolved_at").null(),
            uuid("resolved_by_user_id").null().references("users", SetNull),
        ])
        .indexes([
            unique("uq_event_dead_letters_event", "event_consumer_id, event_id"),
            index("idx_event_dead_letters_tenant_id", "tenant_id, status, created_at").serves("open ones"),
        ])
        .key_indexes(["event_id", "resolved_by_user_id"])
}

fn saga_instances() -> TableDef {
    std("saga_instances")
        .columns([
            uuid("execution_id").references("workflow_executions", Cascade),
            varchar("saga_type", 255),
            words("pattern", ["orchestration", "choreography"]).default("orchestration"),
            words("status", ["pending", "running", "completed", "compensating", "compensated", "failed"])
                .default("pending"),
            words("cause", ["step_failed", "timed_out", "cancelled", "operator", "parent"]).null(),
            json("cause_detail").null(),
            words("on_undo_failure", ["pause", "fail"]).default("pause"),
            int("current_step").default("0"),
            int("total_steps"),
            json("steps").default("[]"),
            json("input_data").default("{}"),
            json("output_data").null(),
            json("context").default("{}"),
            bigint("version").default("1"),
            int("unwind_number").default("0"),
            uuid("correlation_id"),
            uuid("parent_saga_id").null().references("saga_instances", SetNull),
            instant("timeout_at").null(),
            instant("started_at").null(),
            instant("completed_at").null(),
        ])
        .indexes([
            unique("uq_saga_instances_execution_id", "execution_id"),
            index("idx_saga_instances_status", "status, tenant_id, created_at")
                .serves("list by state; concurrency cap"),
            index("idx_saga_instances_type", "saga_type, tenant_id, created_at").serves("list by type; statistics"),
            index("idx_saga_instances_tenant_id", "tenant_id, created_at, id").serves("default list"),
            index("idx_saga_instances_correlation_id", "correlation_id").serves("trace; find by the caller's id"),
        ])
        .key_indexes(["parent_saga_id"])
        .check("ck_saga_instances_cause_rule", "status not in ('compensating', 'compensated') or cause is not null")
        .check(
            "ck_saga_instances_terminal",
            "(status in ('completed', 'compensated', 'failed')) = (completed_at is \
             not null)",
        )
        .refuse_update("cause", "old.cause is not null and new.cause is distinct from old.cause")
}

fn saga_timeouts() -> TableDef {
    hot("saga_timeouts")
        .columns([
            uuid("saga_id").references("saga_instances", Cascade),
            varchar("step_id", 255).null(),
            words("timeout_type", ["saga", "step", "compensation"]).default("saga"),
            instant("timeout_at"),
            words("status", ["pending", "fired", "cancelled"]).default("pending"),
            instant("fired_at").null(),
        ])
        .indexes([
            unique("uq_saga_timeouts_saga_id_step_id", "saga_id, coalesce(step_id, ''), timeout_type")
                .partial("status = 'pending'"),
            index("idx_saga_timeouts_timeout_at", "timeout_at").partial("status = 'pending'").serves("next deadlines"),
        ])
        .key_indexes(["saga_id"])
        .check("ck_saga_timeouts_fired", "(status = 'fired') = (fired_at is not null)")
}

fn saga_compensations() -> TableDef {
    hot("saga_compensations")
        .columns([
            uuid("saga_id").references("saga_instances", Cascade),
            int("unwind_number").default("1"),
            varchar("step_id", 255),
            int("step_ordinal"),
            int("unwind_order"),
            json("command"),
            words("status", ["pending", "running", "completed", "failed", "skipped"]).default("pending"),
            int("retry_count").default("0"),
            int("max_retries").default("3"),
            instant("next_attempt_at").null(),
            instant("started_at").null(),
            instant("completed_at").null(),
            json("error").null(),
            json("result").null(),
            uuid("correlation_id").null(),
            words("resolution", ["retried", "skipped", "forced"]).null(),
            text("resolution_reason").null(),
            uuid("resolved_by_user_id").null().references("users", Restrict),
        ])
        .indexes([
            unique("uq_saga_compensations_saga_id_step_id", "saga_id, unwind_number, step_id")
                .serves("once per step and unwind"),
            index("idx_saga_compensations_saga_id", "saga_id, unwind_number, unwind_order")
                .serves("the unwind in order"),
            index("idx_saga_compensations_status", "status, next_attempt_at")
                .partial("status in ('pending', 'running', 'failed')")
                .serves("open and stuck undos"),
        ])
        .key_indexes(["resolved_by_user_id"])
        .check(
            "ck_saga_compensations_resolution_rule",
            "(resolution is null) or (resolution_reason is not null and \
             resolved_by_user_id is not null)",
        )
        .check("ck_saga_compensations_skipped", "status <> 'skipped' or resolution is not null")
}

fn saga_snapshots() -> TableDef {
    hot("saga_snapshots")
        .columns([
            uuid("saga_id").references("saga_instances", Cascade),
            bigint("version"),
            bigint("stream_version"),
            words("status", ["pending", "running", "completed", "compensating", "compensated", "failed"]),
            int("current_step"),
            json("snapshot_data"),
            char("checksum", 64),
        ])
        .indexes([unique("idx_saga_snapshots_version", "saga_id, version")
            .serves("latest snapshot; unique index under its fixed name")])
        .check("ck_saga_snapshots_version", "version >= 1")
        .immutable()
}
