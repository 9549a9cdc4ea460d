//! The statements of the pool. Each part of it has an index that holds nothing else.

/// A part of the pool: what can be taken of it, by an instant `$2` where that matters.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    condition: &'static str,
    order: &'static str,
}

impl Part {
    /// Whether the instant matters.
    pub(crate) fn is_timed(self) -> bool {
        self.condition.contains("$2")
    }

    /// Its rows in its order, but for the ids of `misread`, which is made of `$1`; as many as the last parameter says.
    pub(crate) fn limited(self, misread: &str) -> String {
        let last = if self.is_timed() { 3 } else { 2 };
        format!(
            "select id, cast(priority_rank as bigint) as rank from workflow_executions
             where id not in {misread} and {} order by {} limit ${last}",
            self.condition, self.order
        )
    }
}

/// Queued for too long, or cancelled while queued.
pub(crate) const OVERDUE: Part =
    Part { condition: "owner_node_id is null and status = 'queued' and next_wake_at <= $2", order: "next_wake_at" };

/// Waiting, and due.
pub(crate) const DUE: Part =
    Part { condition: "owner_node_id is null and status = 'waiting' and next_wake_at <= $2", order: "next_wake_at" };

/// Begun, and waiting for nothing.
pub(crate) const ADRIFT: Part = Part {
    condition: "owner_node_id is null and status in ('running', 'compensating')",
    order: "priority_rank desc, id",
};

/// Queued without a key.
pub(crate) const QUEUE: Part = Part {
    condition: "owner_node_id is null and status = 'queued' and concurrency_key is null
                and (next_wake_at is null or next_wake_at > $2)",
    order: "priority_rank desc, id",
};

pub(crate) const FIRST_DUE: &str = "select next_wake_at from workflow_executions
    where owner_node_id is null and status = 'waiting' and next_wake_at is not null and id not in MISREAD
    order by next_wake_at limit 1";
pub(crate) const FIRST_OVERDUE: &str = "select next_wake_at from workflow_executions
    where owner_node_id is null and status = 'queued' and next_wake_at is not null and id not in MISREAD
    order by next_wake_at limit 1";

/// What a node owns because it claimed it: what it started itself has the first epoch.
pub(crate) const CLAIMED: &str =
    "select id, lease_epoch from workflow_executions where owner_node_id = $1 and lease_epoch > 0";

pub(crate) const ALIVE: &str = "select id from nodes where id = $1 and status in ('starting', 'active', 'draining')";
pub(crate) const TAKE: &str = "update workflow_executions set owner_node_id = $1, lease_epoch = lease_epoch + 1,
    lease_expires_at = null, updated_at = $2 where id in ";

/// Whether anything is queued under a key.
pub(crate) const ANY_KEYED: &str = "select 1 as found from workflow_executions
    where owner_node_id is null and status = 'queued' and concurrency_key is not null limit 1";

/// The first queued execution of each key with how many slots of the key are in use. Jumps from key to key, so that it
/// costs what there are keys, not what is queued; SQLite seeks by both parts of the place only if the second is no column.
pub(crate) const HEADS: &str = "with recursive heads(id) as (
        select (select id from workflow_executions
            where owner_node_id is null and status = 'queued' and concurrency_key is not null
              and (next_wake_at is null or next_wake_at > $1) and id not in MISREAD
            order by tenant_id, concurrency_key, priority_rank desc, id limit 1)
        union all
        select (select n.id from workflow_executions n
            where n.owner_node_id is null and n.status = 'queued' and n.concurrency_key is not null
              and (n.tenant_id, n.concurrency_key) > (e.tenant_id, e.concurrency_key || '')
              and (n.next_wake_at is null or n.next_wake_at > $1) and n.id not in MISREAD
            order by n.tenant_id, n.concurrency_key, n.priority_rank desc, n.id limit 1)
        from heads cross join workflow_executions e where e.id = heads.id
    )
    select e.id, e.tenant_id, e.concurrency_key, e.concurrency_limit, cast(e.priority_rank as bigint) as rank,
        (select count(*) from workflow_executions s
            where s.tenant_id = e.tenant_id and s.concurrency_key = e.concurrency_key and s.concurrency_key is not null
              and s.completed_at is null and (s.owner_node_id is not null or s.status <> 'queued')) as taken
    from heads cross join workflow_executions e where e.id = heads.id";

/// The first `$5` queued executions of the key `$4` of tenant `$3`.
pub(crate) const OF_KEY: &str = "select id, cast(priority_rank as bigint) as rank, concurrency_limit
    from workflow_executions
    where owner_node_id is null and status = 'queued' and concurrency_key is not null
      and (next_wake_at is null or next_wake_at > $1) and id not in MISREAD
      and tenant_id = $3 and concurrency_key = $4
    order by priority_rank desc, id limit $5";

/// Makes an execution due; one that is owned is told by its owner.
pub(crate) const WAKE: &str = "update workflow_executions set next_wake_at = $1, updated_at = $1
    where id = $2 and owner_node_id is null and status in ('running', 'waiting', 'compensating')";

/// The candidates among `id in` that a schedule started which wants its executions one after the other, and whether another
/// one of it is going.
pub(crate) const TURNS: &str = "select c.id, s.id as schedule_id, exists (
        select 1 from workflow_executions e where e.workflow_id = s.workflow_id and e.trigger_key = s.trigger_key
          and e.trigger_type = 'schedule' and e.completed_at is null
          and (e.owner_node_id is not null or e.status <> 'queued')) as is_busy
    from workflow_executions c join schedules s on s.workflow_id = c.workflow_id and s.trigger_key = c.trigger_key
    where c.trigger_type = 'schedule' and c.completed_at is null and s.overlap_policy <> 'allow' and c.id in ";
