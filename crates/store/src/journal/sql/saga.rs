//! The statements for sagas. Executions that are none cause none of them.

macro_rules! undo_columns {
    () => {
        "id, tenant_id, saga_id, unwind_number, step_id, step_ordinal, unwind_order, command, status, retry_count, \
         max_retries, next_attempt_at, started_at, completed_at, error, resolution, resolution_reason, \
         resolved_by_user_id, updated_at"
    };
}

/// The first cause is the cause. Whoever asked for the unwinding is kept.
macro_rules! saga_changes {
    () => {
        " on conflict (id) do update set status = excluded.status,
          cause = coalesce(saga_instances.cause, excluded.cause),
          cause_detail = case when saga_instances.cause is null then excluded.cause_detail else saga_instances.cause_detail end,
          current_step = excluded.current_step, version = saga_instances.version + 1,
          unwind_number = excluded.unwind_number, timeout_at = excluded.timeout_at, started_at = excluded.started_at,
          completed_at = excluded.completed_at, updated_at = excluded.updated_at"
    };
}

/// What operators decided stays.
macro_rules! undo_changes {
    () => {
        " on conflict (saga_id, unwind_number, step_id) do update set status = excluded.status,
          unwind_order = excluded.unwind_order, command = excluded.command, retry_count = excluded.retry_count,
          next_attempt_at = excluded.next_attempt_at, started_at = excluded.started_at,
          completed_at = excluded.completed_at, error = excluded.error, updated_at = excluded.updated_at"
    };
}

macro_rules! timeout_changes {
    () => {
        " on conflict (id) do update set timeout_at = excluded.timeout_at, status = 'pending', fired_at = null,
          updated_at = excluded.updated_at"
    };
}

pub(in crate::journal) mod sqlite {
    //! One row a statement, prepared once.

    pub(crate) const UPSERT_SAGA: &str = concat!(
        "insert into saga_instances (id, execution_id, tenant_id, saga_type, status, cause, cause_detail, on_undo_failure,
           current_step, total_steps, steps, unwind_number, correlation_id, parent_saga_id, timeout_at, started_at,
           completed_at, created_at, updated_at)
         values (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
           (select id from saga_instances where execution_id = ?13), ?14, ?15, ?16, ?17, ?17)",
        saga_changes!()
    );
    pub(crate) const UPSERT_UNDO: &str = concat!(
        "insert into saga_compensations (",
        undo_columns!(),
        ", created_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
          ?19, ?19)",
        undo_changes!()
    );
    pub(crate) const UPSERT_TIMEOUT: &str = concat!(
        "insert into saga_timeouts (id, tenant_id, saga_id, step_id, timeout_type, timeout_at, updated_at, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        timeout_changes!()
    );
    pub(crate) const END_TIMEOUT: &str =
        "update saga_timeouts set status = ?2, fired_at = ?3, updated_at = ?4 where id = ?1 and status = 'pending'";
    /// What closes a saga of which nobody can tell what becomes.
    pub(crate) const GIVE_UP: [&str; 3] = [
        "update saga_instances set status = 'failed', completed_at = ?2, version = version + 1, updated_at = ?2
         where id = ?1 and completed_at is null",
        "update saga_compensations set status = 'failed', next_attempt_at = null, completed_at = ?2, updated_at = ?2
         where saga_id = ?1 and status in ('pending', 'running')",
        "update saga_timeouts set status = 'cancelled', updated_at = ?2 where saga_id = ?1 and status = 'pending'",
    ];
}

pub(in crate::journal) mod postgres {
    //! All rows of one kind in a statement; `$1` is an array of JSON objects named like the columns.

    pub(crate) const UPSERT_SAGAS: &str = concat!(
        "insert into saga_instances (id, execution_id, tenant_id, saga_type, status, cause, cause_detail, on_undo_failure,
           current_step, total_steps, steps, unwind_number, correlation_id, parent_saga_id, timeout_at, started_at,
           completed_at, created_at, updated_at)
         select r.id, r.id, r.tenant_id, r.saga_type, r.status, r.cause, r.cause_detail, r.on_undo_failure, r.current_step,
           r.total_steps, coalesce(r.steps, 'null'), r.unwind_number, r.correlation_id,
           (select p.id from saga_instances p where p.execution_id = r.parent_id), r.timeout_at, r.started_at,
           r.completed_at, r.updated_at, r.updated_at
         from json_to_recordset($1::json) as r(id uuid, tenant_id uuid, saga_type text, status text, cause text,
           cause_detail jsonb, on_undo_failure text, current_step int, total_steps int, steps jsonb,
           unwind_number int, correlation_id uuid, parent_id uuid, timeout_at timestamptz, started_at timestamptz,
           completed_at timestamptz, updated_at timestamptz)",
        saga_changes!()
    );
    pub(crate) const UPSERT_UNDOS: &str = concat!(
        "insert into saga_compensations (",
        undo_columns!(),
        ", created_at) select id, tenant_id, saga_id, unwind_number, step_id, step_ordinal, unwind_order,
           coalesce(command, 'null'), status, retry_count, max_retries, next_attempt_at, started_at, completed_at, error,
           resolution, resolution_reason, resolved_by_user_id, updated_at, updated_at
         from json_to_recordset($1::json) as r(id uuid, tenant_id uuid, saga_id uuid, unwind_number int, step_id text,
           step_ordinal int, unwind_order int, command jsonb, status text, retry_count int, max_retries int,
           next_attempt_at timestamptz, started_at timestamptz, completed_at timestamptz, error jsonb,
           resolution text, resolution_reason text, resolved_by_user_id uuid, updated_at timestamptz)",
        undo_changes!()
    );
    pub(crate) const UPSERT_TIMEOUTS: &str = concat!(
        "insert into saga_timeouts (id, tenant_id, saga_id, step_id, timeout_type, timeout_at, updated_at, created_at)
         select id, tenant_id, saga_id, step_id, timeout_type, timeout_at, updated_at, updated_at
         from json_to_recordset($1::json) as r(id uuid, tenant_id uuid, saga_id uuid, step_id text, timeout_type text,
           timeout_at timestamptz, updated_at timestamptz)",
        timeout_changes!()
    );
    pub(crate) const END_TIMEOUTS: &str =
        "update saga_timeouts t set status = r.status, fired_at = r.fired_at, updated_at = r.updated_at
        from json_to_recordset($1::json) as r(id uuid, status text, fired_at timestamptz, updated_at timestamptz)
        where t.id = r.id and t.status = 'pending'";
    /// What closes sagas of which nobody can tell what becomes.
    pub(crate) const GIVE_UP: [&str; 3] = [
        "update saga_instances g set status = 'failed', completed_at = r.updated_at, version = g.version + 1,
           updated_at = r.updated_at
         from json_to_recordset($1::json) as r(id uuid, updated_at timestamptz)
         where g.id = r.id and g.completed_at is null",
        "update saga_compensations c set status = 'failed', next_attempt_at = null, completed_at = r.updated_at,
           updated_at = r.updated_at
         from json_to_recordset($1::json) as r(id uuid, updated_at timestamptz)
         where c.saga_id = r.id and c.status in ('pending', 'running')",
        "update saga_timeouts t set status = 'cancelled', updated_at = r.updated_at
         from json_to_recordset($1::json) as r(id uuid, updated_at timestamptz)
         where t.saga_id = r.id and t.status = 'pending'",
    ];
}
