//! Rules between particular tables: counters, ownership, streams, trees, ledgers.

use cogwheel_schema::TableDef;

use super::{Check, Dialect};

/// The closed list of step types, and of the constructs that have rows like steps.
const STEP_TYPES: [&str; 20] = [
    "shell",
    "http",
    "sql",
    "file",
    "extract",
    "transform",
    "record",
    "set",
    "log",
    "wait",
    "emit",
    "approval",
    "workflow",
    "agent",
    "notify",
    "group",
    "foreach",
    "switch",
    "loop",
    "unwind",
];

/// Tables whose `step_ordinal` names a step without a foreign key, and the column of its execution.
const STEP_PAIRS: [(&str, &str); 6] = [
    ("hitl_approvals", "workflow_execution_id"),
    ("agent_executions", "workflow_execution_id"),
    ("execution_logs", "execution_id"),
    ("execution_files", "execution_id"),
    ("artifacts", "execution_id"),
    ("signals", "execution_id"),
];

/// Trees by parent column that no constraint keeps free of cycles.
const TREES: [(&str, &str); 5] = [
    ("departments", "parent_department_id"),
    ("workflow_executions", "parent_execution_id"),
    ("workflow_executions", "rerun_of_execution_id"),
    ("saga_instances", "parent_saga_id"),
    ("hitl_approvals", "escalated_from_approval_id"),
];

/// All checks; each names the tables it reads.
pub(super) fn checks(dialect: Dialect, tables: &[TableDef]) -> Vec<Check> {
    let mut checks = counters(dialect);
    checks.extend(work(dialect));
    checks.extend(workflows(dialect));
    checks.extend(STEP_PAIRS.iter().filter_map(|(name, execution)| {
        let table = tables.iter().find(|table| table.name == *name)?;
        Some(step_pair(dialect, table, execution))
    }));
    checks.extend(TREES.map(|(table, parent)| cycle(dialect, table, parent)));
    checks.extend(records(dialect));
    checks.extend(sagas(dialect));
    checks
}

fn check(kind: &'static str, table: &str, reads: &[&str], sql: String) -> Check {
    let reads = std::iter::once(&table).chain(reads).map(|&table| table.to_owned()).collect();
    Check { kind, table: table.to_owned(), reads, sql }
}

fn counters(dialect: Dialect) -> Vec<Check> {
    let id = dialect.uuid("w.id");
    // Terminal rows as the counters see them: all, the completed, those that went wrong.
    let counted = "select workflow_id, count(*) as ended, count(case when status = 'completed' then 1 end) as good, \
        count(case when status in ('failed', 'timed_out', 'compensated') then 1 end) as bad from workflow_executions \
        where status in ('completed', 'failed', 'cancelled', 'timed_out', 'compensated') group by workflow_id";
    let of_workflow =
        [("purged_executions", "ended"), ("purged_successful_executions", "good"), ("purged_failed_executions", "bad")]
            .map(|(purged, present)| format!("(p.{purged} + coalesce(c.{present}, 0))"));
    let compare = |columns: [&str; 3]| {
        let pairs = columns.iter().zip(&of_workflow);
        let differ: Vec<String> = pairs.clone().map(|(column, expected)| format!("w.{column} <> {expected}")).collect();
        let say: Vec<String> = pairs
            .map(|(column, expected)| {
                format!("'{column} is ' || w.{column} || ' (purged and present rows: ' || {expected} || ')'")
            })
            .collect();
        format!("{} as detail from PLACE where {}", say.join(" || ', ' || "), differ.join(" or "))
    };
    let workflows = compare(["total_executions", "successful_executions", "failed_executions"])
        .replace("PLACE", "workflows w join workflows p on p.id = w.id left join c on c.workflow_id = w.id");
    let job_flows = compare(["total_runs", "successful_runs", "failed_runs"]).replace(
        "PLACE",
        "job_flows w join workflows p on p.id = w.workflow_id left join c on c.workflow_id = w.workflow_id",
    );
    let with = format!("with c as ({counted}) select {id} as row_id, ");
    // Ended deliveries of the last 30 days are all still there; a cancelled one may or may not have been counted.
    let webhooks = format!(
        "with c as (select webhook_id, count(case when status in ('delivered', 'dead') then 1 end) as ended, \
         count(case when status in ('delivered', 'dead', 'cancelled') then 1 end) as most, count(case when status = \
         'dead' then 1 end) as dead \
         from webhook_deliveries group by webhook_id) \
         select {id} as row_id, 'total_calls is ' || w.total_calls || ' (ended deliveries: ' || coalesce(c.ended, 0) \
         || '), failed_calls is ' \
         || w.failed_calls || ' (dead deliveries: ' || coalesce(c.dead, 0) || ')' as detail \
         from webhooks w left join c on c.webhook_id = w.id \
         where w.total_calls < coalesce(c.ended, 0) or w.failed_calls < coalesce(c.dead, 0) \
         or (w.created_at > {} and (w.total_calls > coalesce(c.most, 0) or w.failed_calls > coalesce(c.dead, 0)))",
        dialect.days_ago(30)
    );
    let triggered = format!(
        "select {id} as row_id, 'last_triggered_at is before its newest delivery' as detail from webhooks w \
         where exists (select 1 from webhook_deliveries d where d.webhook_id = w.id \
         and (w.last_triggered_at is null or d.created_at > w.last_triggered_at))"
    );
    vec![
        check("counter", "workflows", &["workflow_executions"], format!("{with}{workflows}")),
        check("counter", "job_flows", &["workflow_executions", "workflows"], format!("{with}{job_flows}")),
        check("counter", "webhooks", &["webhook_deliveries"], webhooks),
        check("stale_time", "webhooks", &["webhook_deliveries"], triggered),
    ]
}

fn work(dialect: Dialect) -> Vec<Check> {
    let id = dialect.uuid("e.id");
    // What nobody owns is in the pool: queued, or due at some time. Whoever finds a node dead puts what it owned there in
    // the same transaction. What an older release let go of is due at no time, and is taken by the next server.
    let owned = format!(
        "select {id} as row_id, 'it is ' || e.status || ' and ' || case when e.owner_node_id is null then 'has no \
         owner' \
         when n.id is null then 'its owner does not exist' else 'its owner is ' || n.status end as detail \
         from workflow_executions e left join nodes n on n.id = e.owner_node_id \
         where e.status in ('queued', 'running', 'waiting', 'compensating') and case when e.owner_node_id is null \
         then e.status in ('running', 'compensating') and e.next_wake_at is null \
             and exists (select 1 from nodes a where a.status not in ('stopped', 'lost')) \
         else n.id is null or n.status in ('stopped', 'lost') end"
    );
    let waiting = format!(
        "select {id} as row_id, 'it is waiting, and no timer, signal, child or approval will wake it' as detail from \
         workflow_executions e \
         where e.status = 'waiting' and e.next_wake_at is null \
         and not exists (select 1 from step_executions s where s.execution_id = e.id and s.status = 'waiting' \
             and (s.wait_signal_name is not null or s.wake_at is not null or s.timeout_at is not null)) \
         and not exists (select 1 from workflow_executions k where k.parent_execution_id = e.id \
             and k.status in ('queued', 'running', 'waiting', 'compensating')) \
         and not exists (select 1 from hitl_approvals a where a.workflow_execution_id = e.id and a.status = 'pending')"
    );
    let types = STEP_TYPES.map(|word| format!("'{word}'")).join(", ");
    let step_types = format!(
        "select {} || '/' || s.ordinal as row_id, 'step_type holds the unknown word ' || s.step_type as detail \
         from step_executions s where s.step_type not in ({types})",
        dialect.uuid("s.execution_id")
    );
    vec![
        check("no_owner", "workflow_executions", &["nodes"], owned),
        check("never_wakes", "workflow_executions", &["step_executions", "hitl_approvals"], waiting),
        check("unknown_word", "step_executions", &[], step_types),
    ]
}

fn workflows(dialect: Dialect) -> Vec<Check> {
    let id = dialect.uuid("w.id");
    let active = format!(
        "select {id} as row_id, 'it is active and has no active version' as detail from workflows w \
         where w.status = 'active' and w.deleted_at is null \
         and not exists (select 1 from workflow_versions v where v.workflow_id = w.id and v.is_active = true)"
    );
    // A row may be switched off without changing what the version says, so a flag may stand over disabled
    // rows; an enabled row needs its flag.
    let flag = |flag: &str, table: &str, only: &str| {
        format!(
            "select {id} as row_id, case when w.{flag} = true then '{flag} is true and {table} has no row of it' \
             else '{flag} is false and {table} has an enabled row of it' end as detail from workflows w where \
             w.deleted_at is null and \
             ((w.{flag} = true and not exists (select 1 from {table} t where t.workflow_id = w.id)) \
             or (w.{flag} = false and exists (select 1 from {table} t where t.workflow_id = w.id and t.is_enabled = \
             true{only})))"
        )
    };
    let scheduled = flag("is_scheduled", "schedules", "");
    let uploads = flag("trigger_on_file_upload", "file_watches", " and t.watch_source = 'upload'");
    vec![
        check("no_active_version", "workflows", &["workflow_versions"], active),
        check("derived_flag", "workflows", &["schedules"], scheduled),
        check("derived_flag", "workflows", &["file_watches"], uploads),
    ]
}

fn step_pair(dialect: Dialect, table: &TableDef, execution: &str) -> Check {
    let name = &table.name;
    let sql = format!(
        "select {} as row_id, 'it names step ' || t.step_ordinal || ' of execution ' || {} || ', which does not \
         exist' as detail from {name} t \
         where t.step_ordinal is not null and t.{execution} is not null \
         and not exists (select 1 from step_executions s where s.execution_id = t.{execution} and s.ordinal = \
         t.step_ordinal)",
        dialect.row_id(table, "t"),
        dialect.uuid(&format!("t.{execution}"))
    );
    check("missing_step", name, &["step_executions"], sql)
}

/// A row with a parent lies in a cycle, or below one, when walking down from the roots does not reach it.
fn cycle(dialect: Dialect, table: &str, parent: &str) -> Check {
    let sql = format!(
        "with recursive reached(id) as (\
         select c.id from {table} c left join {table} p on p.id = c.{parent} where c.{parent} is not null and \
         p.{parent} is null \
         union all select c.id from {table} c join reached r on c.{parent} = r.id) \
         select {} as row_id, '{parent} leads back to itself' as detail from {table} t \
         where t.{parent} is not null and not exists (select 1 from reached r where r.id = t.id)",
        dialect.uuid("t.id")
    );
    check("cycle", table, &[], sql)
}

/// A saga stands where its execution stands, and ends with all of its parts.
fn sagas(dialect: Dialect) -> Vec<Check> {
    let id = dialect.uuid("g.id");
    let standing = format!(
        "select {id} as row_id, 'it is ' || g.status || ' and its execution is ' || e.status as detail \
         from saga_instances g join workflow_executions e on e.id = g.execution_id \
         where (g.status = 'compensating') <> (e.status = 'compensating') \
         or (g.status = 'completed') <> (e.status = 'completed') \
         or (g.status in ('completed', 'compensated', 'failed')) <> (e.completed_at is not null) \
         or (e.status = 'compensated' and g.status <> 'compensated')"
    );
    let undone = format!(
        "select {} as row_id, 'its undo is ' || c.status || ' and the saga is ' || g.status as detail \
         from saga_compensations c join saga_instances g on g.id = c.saga_id and g.unwind_number = c.unwind_number \
         where (g.status = 'compensated' and c.status <> 'completed') \
         or (g.status in ('compensated', 'failed') and c.status in ('pending', 'running'))",
        dialect.uuid("c.id")
    );
    let open = format!(
        "select {} as row_id, 'it is pending and its saga is ' || g.status as detail \
         from saga_timeouts t join saga_instances g on g.id = t.saga_id \
         where t.status = 'pending' and g.status in ('completed', 'compensated', 'failed')",
        dialect.uuid("t.id")
    );
    vec![
        check("saga_standing", "saga_instances", &["workflow_executions"], standing),
        check("saga_standing", "saga_compensations", &["saga_instances"], undone),
        check("saga_standing", "saga_timeouts", &["saga_instances"], open),
    ]
}

fn records(dialect: Dialect) -> Vec<Check> {
    let compensations = format!(
        "select {} as row_id, 'it names step ' || c.step_ordinal || ' of its execution, which does not exist' as \
         detail \
         from saga_compensations c join saga_instances i on i.id = c.saga_id \
         where not exists (select 1 from step_executions s where s.execution_id = i.execution_id and s.ordinal = \
         c.step_ordinal)",
        dialect.uuid("c.id")
    );
    let gaps = "select stream_id as row_id, 'versions ' || min(version) || ' to ' || max(version) || ' hold ' || \
        count(*) || ' events' as detail \
        from event_store group by stream_id having max(version) - min(version) + 1 <> count(*)"
        .to_owned();
    let decisions = format!(
        "select {} as row_id, 'it is settled and no decision is recorded' as detail from files f where f.settled_at \
         is not null and f.decision_reason is null",
        dialect.uuid("f.id")
    );
    // The ledger row and last_due_at are written together; the oldest ledger rows go with retention.
    let fires = format!(
        "select {} as row_id, 'its last due instant has no row in schedule_fires' as detail from schedules s \
         where s.last_due_at is not null and exists (select 1 from schedule_fires f where f.schedule_id = s.id) \
         and not exists (select 1 from schedule_fires f where f.schedule_id = s.id and f.due_at = s.last_due_at)",
        dialect.uuid("s.id")
    );
    vec![
        check("missing_step", "saga_compensations", &["saga_instances", "step_executions"], compensations),
        check("event_gap", "event_store", &[], gaps),
        check("no_decision", "files", &[], decisions),
        check("missing_fire", "schedules", &["schedule_fires"], fires),
    ]
}
