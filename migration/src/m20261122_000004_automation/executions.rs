//! Runs of workflows: executions, steps, logs, signals.

use cogwheel_schema::OnDelete::{Cascade, Restrict, SetNull};
use cogwheel_schema::build::{
    bigint, boolean, child, hot, index, instant, int, json, rank, std, text, unique, uuid, varchar, words,
};
use cogwheel_schema::{IndexDef, TableDef};

pub(super) fn tables() -> Vec<TableDef> {
    vec![workflow_executions(), schedule_fires(), step_executions(), execution_logs(), signals()]
}

fn workflow_executions() -> TableDef {
    std("workflow_executions")
        .columns([
            uuid("workflow_id").references("workflows", Restrict),
            uuid("workflow_version_id").references("workflow_versions", Restrict),
            words(
                "status",
                [
                    "queued",
                    "running",
                    "waiting",
                    "completed",
                    "failed",
                    "cancelled",
                    "timed_out",
                    "compensating",
                    "compensated",
                ],
            )
            .default("queued"),
            words("trigger_type", ["manual", "schedule", "file", "webhook", "event", "workflow", "job_flow"]),
            varchar("trigger_key", 100).null(),
            json("trigger_data").default("{}"),
            json("input_data").default("{}"),
            json("result_data").null(),
            json("error").null(),
            words("priority", ["low", "normal", "high", "critical"]).default("normal"),
            rank("priority_rank", "priority", ["low", "normal", "high", "critical"]),
            varchar("concurrency_key", 255).null(),
            varchar("idempotency_key", 255).null(),
            uuid("correlation_id"),
            uuid("triggered_by_user_id").null().references("users", SetNull),
            uuid("parent_execution_id").null().references("workflow_executions", SetNull),
            int("parent_step_ordinal").null(),
            uuid("rerun_of_execution_id").null().references("workflow_executions", SetNull),
            int("rerun_from_ordinal").null(),
            int("retry_count").default("0"),
            uuid("owner_node_id").null().references("nodes", SetNull),
            bigint("lease_epoch").default("0"),
            instant("lease_expires_at").null(),
            instant("next_wake_at").null(),
            instant("deadline_at").null(),
            instant("started_at").null(),
            instant("completed_at").null(),
            bigint("execution_time_ms").null(),
            instant("cancel_requested_at").null(),
            uuid("cancel_requested_by_user_id").null().references("users", SetNull),
            text("cancel_reason").null(),
        ])
        .indexes(workflow_execution_indexes())
        .key_indexes([
            "owner_node_id",
            "workflow_version_id",
            "parent_execution_id",
            "rerun_of_execution_id",
            "cancel_requested_by_user_id",
        ])
        .check(
            "ck_workflow_executions_terminal",
            "(status in ('completed', 'failed', 'cancelled', 'timed_out', \
             'compensated')) = (completed_at is not null)",
        )
        .check(
            "ck_workflow_executions_idle",
            "status not in ('completed', 'failed', 'cancelled', 'timed_out', \
             'compensated') or (owner_node_id is null and next_wake_at is null and \
             lease_expires_at is null)",
        )
        .refuse_update(
            "final",
            "old.status in ('completed', 'failed', 'cancelled', 'timed_out', \
             'compensated') and (new.status is distinct from old.status or \
             new.result_data is distinct from old.result_data or new.error is \
             distinct from old.error or new.started_at is distinct from \
             old.started_at or new.completed_at is distinct from old.completed_at \
             or new.execution_time_ms is distinct from old.execution_time_ms)",
        )
}

fn workflow_execution_indexes() -> Vec<IndexDef> {
    vec![
        unique("uq_workflow_executions_idempotency_key", "tenant_id, workflow_id, idempotency_key")
            .partial("idempotency_key is not null")
            .serves("same key, same run"),
        index("idx_workflow_executions_claim", "priority_rank desc, id")
            .partial("status = 'queued'")
            .serves("take the next"),
        index("idx_workflow_executions_next_wake_at", "next_wake_at")
            .partial("next_wake_at is not null")
            .serves("timers due"),
        index("idx_workflow_executions_lease_expires_at", "lease_expires_at")
            .partial("lease_expires_at is not null")
            .serves("shorter grants that ended"),
        index("idx_workflow_executions_workflow_id", "workflow_id, created_at, id")
            .serves("history of a workflow; retention"),
        index("idx_workflow_executions_live", "workflow_id, concurrency_key")
            .partial("status in ('running', 'waiting', 'compensating')")
            .serves("slots in use = live rows"),
        index("idx_workflow_executions_concurrency_key", "concurrency_key, tenant_id")
            .partial(
                "concurrency_key is not null and status in ('queued', 'running', \
                 'waiting', 'compensating')",
            )
            .serves("slots and queue of a key"),
        index("idx_workflow_executions_tenant_id", "tenant_id, created_at, id").serves("default list; last 24 hours"),
        index("idx_workflow_executions_status", "tenant_id, status, created_at").serves("list by status; statistics"),
        index("idx_workflow_executions_triggered_by_user_id", "triggered_by_user_id, created_at")
            .partial("triggered_by_user_id is not null")
            .serves("my runs"),
        index("idx_workflow_executions_correlation_id", "correlation_id").serves("trace"),
    ]
}

fn schedule_fires() -> TableDef {
    std("schedule_fires")
        .columns([
            uuid("schedule_id").references("schedules", Cascade),
            instant("due_at"),
            words("outcome", ["fired", "skipped"]),
            words(
                "skip_reason",
                [
                    "overlap",
                    "concurrency",
                    "catch_up_none",
                    "catch_up_superseded",
                    "outside_window",
                    "dst_gap",
                    "dst_overlap",
                    "calendar",
                    "disabled",
                    "workflow_not_executable",
                    "quota",
                ],
            )
            .null(),
            boolean("is_catch_up").default("false"),
            instant("fired_at").null(),
            bigint("lateness_ms").null(),
            uuid("execution_id").null().references("workflow_executions", SetNull),
        ])
        .indexes([
            unique("uq_schedule_fires_schedule_id_due_at", "schedule_id, due_at")
                .serves("exactly one outcome per due instant"),
            index("idx_schedule_fires_tenant_id", "tenant_id, due_at").serves("calendar, lateness statistics"),
        ])
        .key_indexes(["execution_id"])
        .check(
            "ck_schedule_fires_outcome_rule",
            "(outcome = 'fired' and fired_at is not null and skip_reason is null) \
             or (outcome = 'skipped' and skip_reason is not null and fired_at is \
             null)",
        )
}

fn step_executions() -> TableDef {
    child("step_executions", ["execution_id", "ordinal"])
        .columns([
            uuid("execution_id").references("workflow_executions", Cascade),
            int("ordinal"),
            varchar("step_key", 255),
            int("run_number").default("1"),
            varchar("step_name", 255),
            varchar("step_type", 50),
            int("parent_ordinal").null(),
            words(
                "status",
                [
                    "pending",
                    "running",
                    "waiting",
                    "retrying",
                    "completed",
                    "failed",
                    "skipped",
                    "cancelled",
                    "timed_out",
                ],
            )
            .default("pending"),
            words("effect_state", ["none", "applied", "unknown"]).default("none"),
            int("attempt").default("0"),
            json("attempt_history").default("[]"),
            json("input_data").null(),
            json("output_data").null(),
            boolean("is_output_offloaded").default("false"),
            json("error").null(),
            json("external_handle").null(),
            bigint("lease_epoch").default("0"),
            instant("wake_at").null(),
            instant("timeout_at").null(),
            varchar("wait_signal_name", 255).null(),
            varchar("wait_correlation_key", 255).null(),
            instant("started_at").null(),
            instant("completed_at").null(),
            bigint("execution_time_ms").null(),
        ])
        .indexes([
            unique("uq_step_executions_step_key", "execution_id, step_key, run_number")
                .serves("find an instance by its key"),
            index("idx_step_executions_waiting", "tenant_id, wait_signal_name, wait_correlation_key")
                .partial("status = 'waiting' and wait_signal_name is not null")
                .serves("match a signal"),
        ])
        .check(
            "ck_step_executions_terminal",
            "(status in ('completed', 'failed', 'skipped', 'cancelled', \
             'timed_out')) = (completed_at is not null)",
        )
        .check("ck_step_executions_ordinal", "ordinal >= 0 and attempt >= 0 and run_number >= 1")
}

fn execution_logs() -> TableDef {
    child("execution_logs", ["execution_id", "sequence"])
        .columns([
            uuid("execution_id").references("workflow_executions", Cascade),
            bigint("sequence"),
            int("step_ordinal").null(),
            int("attempt").null(),
            words("log_level", ["debug", "info", "warn", "error"]).default("info"),
            words("stream", ["engine", "stdout", "stderr"]).default("engine"),
            text("message"),
            int("line_count").default("1"),
            json("fields").null(),
            instant("logged_at"),
        ])
        .check("ck_execution_logs_sequence", "sequence >= 0 and line_count >= 1")
        .immutable()
        .partition_by("execution_id")
}

fn signals() -> TableDef {
    hot("signals")
        .columns([
            varchar("signal_name", 255),
            varchar("correlation_key", 255).null(),
            uuid("execution_id").null().references("workflow_executions", Cascade),
            words("status", ["pending", "consumed", "expired"]).default("pending"),
            json("payload").default("{}"),
            varchar("idempotency_key", 255).null(),
            instant("received_at"),
            instant("expires_at").null(),
            instant("consumed_at").null(),
            int("step_ordinal").null(),
            uuid("sent_by_user_id").null().references("users", SetNull),
        ])
        .indexes([
            unique("uq_signals_idempotency_key", "tenant_id, signal_name, idempotency_key")
                .partial("idempotency_key is not null"),
            index("idx_signals_pending", "tenant_id, signal_name, correlation_key")
                .partial("status = 'pending'")
                .serves("a wait begins: is it here already"),
            index("idx_signals_execution_id", "execution_id, signal_name")
                .partial("execution_id is not null")
                .serves("signals of a run"),
            index("idx_signals_expires_at", "expires_at")
                .partial("status = 'pending' and expires_at is not null")
                .serves("expiry sweep"),
        ])
        .key_indexes(["sent_by_user_id"])
        .check("ck_signals_target", "execution_id is not null or correlation_key is not null")
}
