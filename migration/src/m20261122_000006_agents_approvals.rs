//! Agents, job flows and what people decide.

use cogwheel_schema::OnDelete::{Cascade, Restrict, SetNull};
use cogwheel_schema::TableDef;
use cogwheel_schema::build::{
    bigint, boolean, bytes, char, decimal, index, instant, int, json, money, rank, std, text, unique, uuid, varchar,
    words,
};

pub(super) fn tables() -> Vec<TableDef> {
    vec![engine_rubrics(), agents(), job_flows(), agent_executions(), hitl_approvals(), hitl_approval_votes()]
}

fn engine_rubrics() -> TableDef {
    std("engine_rubrics")
        .columns([
            varchar("engine_key", 50),
            varchar("name", 255),
            json("criteria"),
            json("weights"),
            decimal("threshold", 5, 2),
            boolean("is_default").default("false"),
        ])
        .indexes([
            unique("uq_engine_rubrics_name", "tenant_id, engine_key, name"),
            unique("uq_engine_rubrics_default", "tenant_id, engine_key")
                .partial("is_default = true")
                .serves("at most one default"),
        ])
        .check("ck_engine_rubrics_threshold", "threshold >= 0 and threshold <= 100")
}

fn agents() -> TableDef {
    std("agents")
        .columns([
            uuid("created_by_user_id").null().references("users", SetNull),
            uuid("organization_id").null().references("organizations", SetNull),
            varchar("name", 255),
            text("description").null(),
            words("agent_type", ["custom", "marketplace", "template"]).default("custom"),
            json("engines_used").default("[]"),
            json("config"),
            json("input_schema").null(),
            json("output_schema").null(),
            uuid("engine_rubric_id").null().references("engine_rubrics", SetNull),
            json("rubric_config").null(),
            words("status", ["draft", "active", "inactive", "archived"]).default("draft"),
            boolean("is_published").default("false"),
            int("version").default("1"),
            uuid("source_agent_id").null().references("agents", SetNull),
            words("runtime", ["internal", "external"]).default("internal"),
            varchar("endpoint_url", 2048).null(),
            uuid("callback_secret_id").null().references("secrets", Restrict),
            int("timeout_seconds").default("300"),
            bigint("max_tokens_per_execution").null(),
            money("max_cost_per_execution").null(),
            char("cost_currency", 3).null(),
        ])
        .indexes([index("idx_agents_tenant_id", "tenant_id, status, created_at").serves("list")])
        .key_indexes([
            "created_by_user_id",
            "organization_id",
            "engine_rubric_id",
            "source_agent_id",
            "callback_secret_id",
        ])
        .check(
            "ck_agents_runtime_rule",
            "runtime = 'internal' or (endpoint_url is not null and \
             callback_secret_id is not null)",
        )
        .check("ck_agents_cost_currency", "(max_cost_per_execution is null) = (cost_currency is null)")
        .gin("idx_agents_engines_used", "engines_used")
}

fn job_flows() -> TableDef {
    std("job_flows")
        .columns([
            uuid("agent_id").references("agents", Restrict),
            uuid("workflow_id").references("workflows", Restrict),
            varchar("job_title", 255),
            text("job_description").null(),
            uuid("organization_id").null().references("organizations", SetNull),
            uuid("branch_id").null().references("branches", SetNull),
            uuid("department_id").null().references("departments", SetNull),
            uuid("project_id").null().references("projects", SetNull),
            uuid("reporting_manager_id").null().references("users", SetNull),
            words("employment_type", ["full-time", "part-time", "on-demand"]).default("full-time"),
            words(
                "schedule_type",
                ["one-time", "hourly", "daily", "weekly", "monthly", "quarterly", "half-yearly", "yearly", "custom"],
            ),
            json("schedule_config").default("{}"),
            varchar("timezone", 64).default("UTC"),
            json("input_source"),
            json("output_destination"),
            words("hitl_mode", ["fully-ai", "hitl", "standby", "in-charge", "hybrid"]).default("fully-ai"),
            uuid("hitl_supervisor_id").null().references("users", SetNull),
            json("hitl_rules").null(),
            words("status", ["active", "inactive", "paused"]).default("active"),
            instant("last_run_at").null(),
            instant("next_run_at").null(),
            bigint("total_runs").default("0"),
            bigint("successful_runs").default("0"),
            bigint("failed_runs").default("0"),
        ])
        .indexes([
            unique("uq_job_flows_workflow_id", "workflow_id"),
            index("idx_job_flows_next_run_at", "next_run_at, status").serves("upcoming runs"),
            index("idx_job_flows_tenant_id", "tenant_id, status, created_at").serves("list"),
        ])
        .key_indexes([
            "agent_id",
            "organization_id",
            "branch_id",
            "department_id",
            "project_id",
            "reporting_manager_id",
            "hitl_supervisor_id",
        ])
        .check("ck_job_flows_counters", "total_runs >= successful_runs + failed_runs")
        .check("ck_job_flows_rules", "hitl_mode <> 'hybrid' or hitl_rules is not null")
}

fn agent_executions() -> TableDef {
    std("agent_executions")
        .columns([
            uuid("agent_id").references("agents", Restrict),
            uuid("job_flow_id").null().references("job_flows", SetNull),
            uuid("workflow_execution_id").references("workflow_executions", Cascade),
            int("step_ordinal"),
            int("attempt").default("1"),
            words("triggered_by", ["user", "api_key", "schedule", "job_flow", "workflow", "event"]).default("workflow"),
            uuid("triggered_by_user_id").null().references("users", SetNull),
            words("status", ["pending", "running", "waiting", "completed", "failed", "cancelled", "timed_out"])
                .default("pending"),
            words("hitl_status", ["not_required", "pending", "approved", "rejected", "escalated", "expired"])
                .default("not_required"),
            json("input_data"),
            json("output_data").null(),
            json("error").null(),
            varchar("external_run_id", 200).null(),
            bytes("callback_token_hash").null(),
            varchar("model_used", 100).null(),
            bigint("input_tokens").default("0"),
            bigint("output_tokens").default("0"),
            money("cost").null(),
            char("currency", 3).null(),
            json("rubric_scores").null(),
            decimal("rubric_score", 5, 2).null(),
            decimal("ai_confidence", 5, 4).null(),
            instant("started_at").null(),
            instant("completed_at").null(),
            bigint("execution_time_ms").null(),
        ])
        .indexes([
            unique("uq_agent_executions_step", "workflow_execution_id, step_ordinal, attempt")
                .serves("one per attempt; runs of an execution"),
            unique("uq_agent_executions_callback_token_hash", "callback_token_hash")
                .partial("callback_token_hash is not null")
                .serves("authenticate a callback"),
            index("idx_agent_executions_tenant_id_agent_id_status", "tenant_id, agent_id, status")
                .serves("runs of an agent by state"),
            index("idx_agent_executions_agent_id", "agent_id, created_at").serves("history of an agent"),
            index("idx_agent_executions_job_flow_id_status", "job_flow_id, status")
                .partial("job_flow_id is not null")
                .serves("runs of a job flow by state"),
        ])
        .key_indexes(["triggered_by_user_id"])
        .check(
            "ck_agent_executions_terminal",
            "(status in ('completed', 'failed', 'cancelled', 'timed_out')) = \
             (completed_at is not null)",
        )
        .check("ck_agent_executions_cost_currency", "(cost is null) = (currency is null)")
}

fn hitl_approvals() -> TableDef {
    std("hitl_approvals")
        .columns([
            uuid("workflow_execution_id").references("workflow_executions", Cascade),
            int("step_ordinal"),
            uuid("execution_id").null().references("agent_executions", Cascade),
            uuid("agent_id").null().references("agents", SetNull),
            uuid("job_flow_id").null().references("job_flows", SetNull),
            varchar("title", 255),
            json("task_data"),
            json("form_schema").null(),
            json("ai_decision").null(),
            decimal("ai_confidence", 5, 4).null(),
            decimal("rubric_score", 5, 2).null(),
            words("status", ["pending", "approved", "rejected", "escalated", "expired", "cancelled"])
                .default("pending"),
            words("priority", ["low", "normal", "high", "urgent"]).default("normal"),
            rank("priority_rank", "priority", ["low", "normal", "high", "urgent"]),
            uuid("assigned_to_user_id").null().references("users", SetNull),
            uuid("assigned_team_id").null().references("teams", SetNull),
            int("required_approvals").default("1"),
            boolean("exclude_starter").default("false"),
            uuid("reviewed_by_user_id").null().references("users", Restrict),
            instant("reviewed_at").null(),
            text("reviewer_comments").null(),
            json("modified_output").null(),
            json("corrections").null(),
            json("decision_data").null(),
            instant("expires_at").null(),
            words("expiry_action", ["reject", "approve", "escalate"]).default("reject"),
            uuid("escalate_to_user_id").null().references("users", SetNull),
            uuid("escalated_from_approval_id").null().references("hitl_approvals", SetNull),
            int("escalation_level").default("0"),
            text("escalation_reason").null(),
            instant("reminded_at").null(),
        ])
        .indexes([
            unique("uq_hitl_approvals_open", "workflow_execution_id, step_ordinal")
                .partial("status = 'pending'")
                .serves("one open question per step"),
            index("idx_hitl_approvals_tenant_id_status_assigned_to_user_id", "tenant_id, status, assigned_to_user_id")
                .serves("inbox by state"),
            index(
                "idx_hitl_approvals_assigned_to_user_id",
                "assigned_to_user_id, status, priority_rank desc, created_at",
            )
            .partial("assigned_to_user_id is not null")
            .serves("my pending list in true priority order"),
            index("idx_hitl_approvals_assigned_team_id", "assigned_team_id, status, priority_rank desc, created_at")
                .partial("assigned_team_id is not null")
                .serves("my team's list"),
            index("idx_hitl_approvals_expires_at", "expires_at")
                .partial("status = 'pending' and expires_at is not null")
                .serves("deadlines"),
            index("idx_hitl_approvals_job_flow_id", "job_flow_id, status")
                .partial("job_flow_id is not null")
                .serves("approvals of a job flow"),
            index("idx_hitl_approvals_reviewed_by_user_id", "reviewed_by_user_id, reviewed_at")
                .partial("reviewed_by_user_id is not null")
                .serves("decisions of a person"),
        ])
        .key_indexes([
            "workflow_execution_id",
            "execution_id",
            "agent_id",
            "escalate_to_user_id",
            "escalated_from_approval_id",
        ])
        .check(
            "ck_hitl_approvals_decided",
            "status not in ('approved', 'rejected') or (reviewed_by_user_id is not \
             null and reviewed_at is not null)",
        )
        .check("ck_hitl_approvals_rejected", "status <> 'rejected' or reviewer_comments is not null")
        .check("ck_hitl_approvals_escalated", "status <> 'escalated' or escalation_reason is not null")
        .check("ck_hitl_approvals_required", "required_approvals >= 1")
}

fn hitl_approval_votes() -> TableDef {
    std("hitl_approval_votes")
        .columns([
            uuid("approval_id").references("hitl_approvals", Cascade),
            uuid("user_id").references("users", Restrict),
            uuid("via_team_id").null().references("teams", SetNull),
            words("verdict", ["approved", "rejected"]).null(),
            text("comment").null(),
            instant("voted_at").null(),
        ])
        .indexes([
            unique("uq_hitl_approval_votes_approval_id_user_id", "approval_id, user_id").serves("one vote per person"),
            index("idx_hitl_approval_votes_open", "user_id, approval_id")
                .partial("verdict is null")
                .serves("what waits for me, where several are asked"),
            index("idx_hitl_approval_votes_tenant_id", "tenant_id, created_at"),
        ])
        .key_indexes(["user_id", "via_team_id"])
        .check("ck_hitl_approval_votes_voted", "(verdict is null) = (voted_at is null)")
}
