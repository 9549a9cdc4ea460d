//! The statements of the hot path; the conformance tests run every one of them on its database.

pub(super) mod saga;

/// The states in which an execution may still be written, as the partial indexes spell them.
macro_rules! live {
    () => {
        "('queued', 'running', 'waiting', 'compensating')"
    };
}

macro_rules! execution_columns {
    () => {
        "id, tenant_id, workflow_id, workflow_version_id, trigger_type, trigger_key, trigger_data, input_data, \
         idempotency_key, correlation_id, owner_node_id, priority, concurrency_key, concurrency_limit, \
         parent_execution_id, parent_step_ordinal, rerun_of_execution_id, rerun_from_ordinal, retry_count, \
         next_wake_at, status, started_at, deadline_at, completed_at, execution_time_ms, result_data, error, created_at"
    };
}

macro_rules! file_columns {
    () => {
        "id, tenant_id, file_watch_id, change_kind, filename, file_path, path_hash, file_size, file_hash, mime_type, \
         modified_at, device_identity, inode_identity, fingerprint, first_seen_at, settled_at, after_state, batch_key, \
         status, processed_at, created_at"
    };
}

macro_rules! upload_columns {
    () => {
        "id, tenant_id, file_watch_id, filename, original_filename, storage_key, mime_type, file_size, status, \
         decision_reason, error, created_at"
    };
}

/// Whether an execution that took a file in is still going, and whether one of them did not complete; `$id` is the file's.
macro_rules! of_upload {
    ($id:literal, $which:literal) => {
        concat!(
            "exists (select 1 from execution_files o join workflow_executions e on e.id = o.execution_id
               where o.file_id = ",
            $id,
            " and o.role = 'input' and ",
            $which,
            ")"
        )
    };
}

macro_rules! fire_columns {
    () => {
        "id, tenant_id, schedule_id, due_at, outcome, skip_reason, is_catch_up, fired_at, lateness_ms, execution_id, \
         created_at"
    };
}

macro_rules! step_columns {
    () => {
        "tenant_id, execution_id, ordinal, step_key, parent_ordinal, step_name, step_type, status, effect_state, \
         attempt, attempt_history, input_data, output_data, is_output_offloaded, error, lease_epoch, wake_at, timeout_at, \
         wait_signal_name, wait_correlation_key, started_at, completed_at, execution_time_ms, updated_at"
    };
}

macro_rules! step_changes {
    () => {
        " on conflict (execution_id, ordinal) do update set status = excluded.status,
          effect_state = excluded.effect_state, attempt = excluded.attempt, attempt_history = excluded.attempt_history, input_data = excluded.input_data,
          output_data = excluded.output_data, is_output_offloaded = excluded.is_output_offloaded, error = excluded.error, lease_epoch = excluded.lease_epoch,
          wake_at = excluded.wake_at, timeout_at = excluded.timeout_at, wait_signal_name = excluded.wait_signal_name,
          wait_correlation_key = excluded.wait_correlation_key, started_at = excluded.started_at, completed_at = excluded.completed_at,
          execution_time_ms = excluded.execution_time_ms, updated_at = excluded.updated_at"
    };
}

macro_rules! log_columns {
    () => {
        "tenant_id, execution_id, sequence, step_ordinal, attempt, log_level, stream, message, logged_at, created_at"
    };
}

/// The key of the bytes is their hash as well.
macro_rules! artifact_columns {
    () => {
        "id, tenant_id, execution_id, step_ordinal, name, artifact_kind, storage_key, mime_type, file_size, created_at, \
         updated_at, file_hash"
    };
}

macro_rules! artifact_changes {
    () => {
        " on conflict (execution_id, name) do update set step_ordinal = excluded.step_ordinal,
          artifact_kind = excluded.artifact_kind, storage_key = excluded.storage_key, mime_type = excluded.mime_type,
          file_size = excluded.file_size, file_hash = excluded.file_hash, updated_at = excluded.updated_at"
    };
}

/// The live executions of a tenant's key, out of the two indexes that hold each of them once.
macro_rules! live_of_key {
    ($tenant:literal, $key:literal) => {
        concat!(
            "select id from workflow_executions where tenant_id = ",
            $tenant,
            " and concurrency_key = ",
            $key,
            " and concurrency_key is not null and completed_at is null
              and (owner_node_id is not null or status <> 'queued')
             union all
             select id from workflow_executions where tenant_id = ",
            $tenant,
            " and concurrency_key = ",
            $key,
            " and owner_node_id is null and status = 'queued' and concurrency_key is not null"
        )
    };
}

/// Whether it was asked that everything an execution did be undone.
macro_rules! asked_to_undo {
    ($id:literal) => {
        concat!(
            "exists (select 1 from saga_instances where execution_id = ",
            $id,
            " and unwind_requested_at is not null)"
        )
    };
}

/// What may have come for an execution while its owner let go of it; `$id` and `$at` are expressions.
macro_rules! something_came {
    ($id:literal, $at:literal) => {
        concat!(
            "(exists (select 1 from step_executions s join signals g
                 on g.tenant_id = s.tenant_id and g.signal_name = s.wait_signal_name and g.status = 'pending'
                and (g.execution_id = s.execution_id
                     or (g.execution_id is null and g.correlation_key = s.wait_correlation_key))
                and (g.expires_at is null or g.expires_at > ",
            $at,
            ")
               where s.execution_id = ",
            $id,
            " and s.status = 'waiting' and s.wait_signal_name is not null)
             or exists (select 1 from step_executions s join workflow_executions k
                 on k.parent_execution_id = s.execution_id and k.parent_step_ordinal = s.ordinal
               where s.execution_id = ",
            $id,
            " and s.status = 'waiting' and k.completed_at is not null
               and not exists (select 1 from workflow_executions o where o.parent_execution_id = s.execution_id
                   and o.parent_step_ordinal = s.ordinal and o.completed_at is null)))"
        )
    };
}

pub(super) mod sqlite {
    //! One row a statement, prepared once.

    pub(crate) const FIND_BY_KEY: &str = "select id from workflow_executions
        where tenant_id = ?1 and workflow_id = ?2 and idempotency_key = ?3";
    pub(crate) const FIND_BY_DUE: &str =
        "select execution_id from schedule_fires where schedule_id = ?1 and due_at = ?2";
    pub(crate) const FIND_BY_VERSION: &str = "select l.execution_id from files f
        left join execution_files l on l.file_id = f.id and l.role = 'input'
        where f.file_watch_id = ?1 and f.fingerprint = ?2";

    pub(crate) const INSERT_EXECUTION: &str = concat!(
        "insert into workflow_executions (",
        execution_columns!(),
        ", updated_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
          ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?28) on conflict (id) do nothing"
    );
    pub(crate) const LIVE_OF_KEY: &str = live_of_key!("?1", "?2");
    pub(crate) const REPLACE: &str = "update workflow_executions set
        cancel_reason = case when cancel_requested_at is null then ?3 else cancel_reason end,
        cancel_requested_at = coalesce(cancel_requested_at, ?2),
        next_wake_at = case when owner_node_id is null then ?2 else next_wake_at end, updated_at = ?2
        where id = ?1";
    pub(crate) const INSERT_FILE: &str = concat!(
        "insert into files (",
        file_columns!(),
        ", updated_at, original_filename, file_source, decision_reason)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?21, ?5, 'watch',
                 'new_version')"
    );
    pub(crate) const INSERT_UPLOAD: &str = concat!(
        "insert into files (",
        upload_columns!(),
        ", updated_at, first_seen_at, settled_at, modified_at, file_hash, file_source, change_kind)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12, ?12, ?12, ?12, ?6, 'upload', 'created')
         on conflict (id) do nothing"
    );
    pub(crate) const LINK_FILE: &str = "insert into execution_files
        (tenant_id, execution_id, file_id, role, created_at, updated_at) values (?1, ?2, ?3, 'input', ?4, ?4)";
    pub(crate) const INSERT_FIRE: &str = concat!(
        "insert into schedule_fires (",
        fire_columns!(),
        ", updated_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)
         on conflict (schedule_id, due_at) do nothing"
    );
    pub(crate) const MOVE_SCHEDULE: &str = "update schedules set
        last_due_at = case when ?2 is null or last_due_at > ?2 then last_due_at else ?2 end,
        next_due_at = case when is_enabled = false then null when ?2 < last_due_at then next_due_at else ?3 end,
        next_fire_at = case when is_enabled = false then null when ?2 < last_due_at then next_fire_at else ?4 end,
        last_fired_at = coalesce(?5, last_fired_at), updated_at = ?6 where id = ?1";
    pub(crate) const IS_PAUSED: &str = "select 1 from schedules where id = ?1 and paused_at is not null";
    pub(crate) const BACKFILLED: &str =
        "update schedules set last_fired_at = coalesce(?2, last_fired_at), updated_at = ?3 where id = ?1";

    pub(crate) const READ_FENCE: &str = "select lease_epoch, status from workflow_executions where id = ?1";
    pub(crate) const UPDATE_EXECUTION: &str = concat!(
        "update workflow_executions set status = ?3, owner_node_id = ?4, started_at = ?5, deadline_at = ?6,
         next_wake_at = ?7, completed_at = ?8, execution_time_ms = ?9, result_data = ?10, error = ?11, updated_at = ?12,
         lease_expires_at = null
         where id = ?1 and lease_epoch = ?2 and status in ",
        live!()
    );
    pub(crate) const UPSERT_STEP: &str = concat!(
        "insert into step_executions (",
        step_columns!(),
        ", created_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
          ?22, ?23, ?24, ?24)",
        step_changes!()
    );
    pub(crate) const UPSERT_ARTIFACT: &str = concat!(
        "insert into artifacts (",
        artifact_columns!(),
        ") values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?7)",
        artifact_changes!()
    );
    pub(crate) const INSERT_LOG: &str = concat!(
        "insert into execution_logs (",
        log_columns!(),
        ", updated_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10) on conflict (execution_id, sequence) do nothing"
    );
    /// What an ended execution may leave to be settled: looking costs a tenth of an update that finds nothing.
    pub(crate) const LEFT_OVERS: &str = "select
        exists (select 1 from execution_files where execution_id = ?1 and role = 'input'),
        exists (select 1 from signals where execution_id = ?1 and status = 'pending')";
    pub(crate) const COUNT_ENDS: &str = "update workflows set total_executions = total_executions + ?2,
        successful_executions = successful_executions + ?3, failed_executions = failed_executions + ?4,
        last_execution_at = ?5, updated_at = ?5 where id = ?1";
    pub(crate) const EXPIRE_SIGNALS: &str =
        "update signals set status = 'expired', updated_at = ?2 where execution_id = ?1 and status = 'pending'";
    pub(crate) const WAKE: &str = concat!(
        "update workflow_executions set next_wake_at = ?2, updated_at = ?2 where id = ?1 and status in ",
        live!()
    );
    /// Whether the request to cancel is the last that was written of it.
    pub(crate) const IS_CANCEL_NEW: &str = "select cancel_requested_at is not null and cancel_requested_at = updated_at from workflow_executions where id = ?1";
    pub(crate) const WAKE_IF_SOMETHING_CAME: &str = concat!(
        "update workflow_executions set next_wake_at = ?2, updated_at = ?2 where id = ?1 and owner_node_id is null
         and (?3 or ?4 and ",
        asked_to_undo!("?1"),
        " or ",
        something_came!("?1", "?2"),
        ")"
    );
    /// An upload may have set several executions off: it is settled with the last of them.
    pub(crate) const SETTLE_FILES: &str = concat!(
        "update files set processed_at = ?3, updated_at = ?3, status = case when file_source = 'upload' and ",
        of_upload!("files.id", "e.status <> 'completed'"),
        " then 'failed' else ?2 end
         where status = 'processing'
           and id in (select file_id from execution_files where execution_id = ?1 and role = 'input')
           and not (file_source = 'upload' and ",
        of_upload!("files.id", "e.completed_at is null"),
        ")"
    );
}

pub(super) mod postgres {
    //! All rows of one kind in a statement; `$1` is an array of JSON objects named like the columns.

    macro_rules! executions {
        () => {
            " from jsonb_to_recordset($1::jsonb) as r(id uuid, tenant_id uuid, workflow_id uuid, workflow_version_id uuid,
              trigger_type text, trigger_key text, trigger_data jsonb, input_data jsonb, idempotency_key text,
              correlation_id uuid, owner_node_id uuid, priority text, concurrency_key text, concurrency_limit int,
              parent_execution_id uuid, parent_step_ordinal int, rerun_of_execution_id uuid, rerun_from_ordinal int,
              retry_count int, next_wake_at timestamptz, status text, started_at timestamptz, deadline_at timestamptz,
              completed_at timestamptz, execution_time_ms bigint, result_data jsonb, error jsonb, created_at timestamptz)"
        };
    }

    macro_rules! files {
        () => {
            " from jsonb_to_recordset($1::jsonb) as r(id uuid, tenant_id uuid, file_watch_id uuid, change_kind text,
              filename text, file_path text, path_hash text, file_size bigint, file_hash text, mime_type text,
              modified_at timestamptz, device_identity text, inode_identity text, fingerprint text, first_seen_at timestamptz,
              settled_at timestamptz, after_state text, batch_key text, status text, processed_at timestamptz,
              execution_id uuid, created_at timestamptz)"
        };
    }

    macro_rules! fires {
        () => {
            " from jsonb_to_recordset($1::jsonb) as r(id uuid, tenant_id uuid, schedule_id uuid, due_at timestamptz,
              outcome text, skip_reason text, is_catch_up boolean, fired_at timestamptz, lateness_ms bigint,
              execution_id uuid, created_at timestamptz)"
        };
    }

    macro_rules! upsert_steps {
        ($beside:literal) => {
            concat!(
                "insert into step_executions (",
                step_columns!(),
                ", created_at) select ",
                step_columns!(),
                ", updated_at from jsonb_to_recordset($1::jsonb) as r(tenant_id uuid, execution_id uuid, ordinal int, step_key text,
                  parent_ordinal int, step_name text, step_type text, status text, effect_state text, attempt int,
                  attempt_history jsonb, input_data jsonb, output_data jsonb, is_output_offloaded boolean, error jsonb,
                  lease_epoch bigint, wake_at timestamptz, timeout_at timestamptz, wait_signal_name text,
                  wait_correlation_key text, started_at timestamptz, completed_at timestamptz, execution_time_ms bigint,
                  updated_at timestamptz)",
                $beside,
                step_changes!()
            )
        };
    }

    macro_rules! insert_logs {
        ($rows:literal, $beside:literal) => {
            concat!(
                "insert into execution_logs (",
                log_columns!(),
                ", updated_at) select ",
                log_columns!(),
                ", created_at from jsonb_to_recordset(",
                $rows,
                "::jsonb) as r(tenant_id uuid, execution_id uuid, sequence bigint, step_ordinal int, attempt int,
                  log_level text, stream text, message text, logged_at timestamptz, created_at timestamptz)",
                $beside,
                " on conflict (execution_id, sequence) do nothing"
            )
        };
    }

    pub(crate) const FIND_BY_DUE: &str = concat!(
        "select f.schedule_id, f.due_at, f.execution_id",
        fires!(),
        " join schedule_fires f using (schedule_id, due_at)"
    );
    pub(crate) const FIND_BY_VERSION: &str = concat!(
        "select r.execution_id as refused_id, l.execution_id",
        files!(),
        " join files f using (file_watch_id, fingerprint) left join execution_files l on l.file_id = f.id and l.role = 'input'"
    );
    pub(crate) const FIND_BY_KEY: &str = concat!(
        "select r.id, e.id as execution_id, r.owner_node_id is null or (e.lease_epoch = 0
           and (e.owner_node_id = r.owner_node_id or e.completed_at is not null)) as is_own",
        executions!(),
        " join workflow_executions e on e.id = r.id
            or (e.tenant_id = r.tenant_id and e.workflow_id = r.workflow_id and e.idempotency_key = r.idempotency_key)"
    );

    pub(crate) const INSERT_EXECUTIONS: &str = concat!(
        "insert into workflow_executions (",
        execution_columns!(),
        ", updated_at) select id, tenant_id, workflow_id, workflow_version_id, trigger_type, trigger_key,
         coalesce(trigger_data, 'null'), coalesce(input_data, 'null'), idempotency_key, correlation_id, owner_node_id,
         priority, concurrency_key, concurrency_limit, parent_execution_id, parent_step_ordinal, rerun_of_execution_id,
         rerun_from_ordinal, retry_count, next_wake_at, status, started_at, deadline_at, completed_at, execution_time_ms,
         result_data, error, created_at, created_at",
        executions!(),
        " on conflict do nothing returning id"
    );
    pub(crate) const INSERT_FILES: &str = concat!(
        "insert into files (",
        file_columns!(),
        ", updated_at, original_filename, file_source, decision_reason) select ",
        file_columns!(),
        ", created_at, filename, 'watch', 'new_version'",
        files!(),
        " on conflict (file_watch_id, fingerprint) where file_watch_id is not null do nothing returning id"
    );
    /// In an order that all transactions keep: each waits for those that insert the same ids.
    pub(crate) const INSERT_UPLOADS: &str = concat!(
        "insert into files (",
        upload_columns!(),
        ", updated_at, first_seen_at, settled_at, modified_at, file_hash, file_source, change_kind) select ",
        upload_columns!(),
        ", created_at, created_at, created_at, created_at, storage_key, 'upload', 'created'
         from jsonb_to_recordset($1::jsonb) as r(id uuid, tenant_id uuid, file_watch_id uuid, filename text,
           original_filename text, storage_key text, mime_type text, file_size bigint, status text, decision_reason text,
           error jsonb, created_at timestamptz) order by id on conflict (id) do nothing returning id"
    );
    pub(crate) const REMOVE_FILES: &str = concat!("delete from files where id in (select id", files!(), ")");
    pub(crate) const LINK_FILES: &str = concat!(
        "insert into execution_files (tenant_id, execution_id, file_id, role, created_at, updated_at)
         select tenant_id, execution_id, id, 'input', created_at, created_at",
        files!()
    );
    pub(crate) const INSERT_FIRES: &str = concat!(
        "insert into schedule_fires (",
        fire_columns!(),
        ", updated_at) select ",
        fire_columns!(),
        ", created_at",
        fires!(),
        " on conflict (schedule_id, due_at) do nothing returning id"
    );
    pub(crate) const MOVE_SCHEDULES: &str = "update schedules s set
        last_due_at = greatest(s.last_due_at, r.last_due_at),
        next_due_at = case when s.is_enabled = false then null when r.last_due_at < s.last_due_at then s.next_due_at
          else r.next_due_at end,
        next_fire_at = case when s.is_enabled = false then null when r.last_due_at < s.last_due_at then s.next_fire_at
          else r.next_fire_at end,
        last_fired_at = coalesce(r.last_fired_at, s.last_fired_at), updated_at = r.updated_at
        from jsonb_to_recordset($1::jsonb) as r(id uuid, last_due_at timestamptz, next_due_at timestamptz,
          next_fire_at timestamptz, last_fired_at timestamptz, updated_at timestamptz)
        where s.id = r.id";
    pub(crate) const BACKFILLED: &str = "update schedules s set
        last_fired_at = coalesce(r.last_fired_at, s.last_fired_at), updated_at = r.updated_at
        from jsonb_to_recordset($1::jsonb) as r(id uuid, last_fired_at timestamptz, updated_at timestamptz)
        where s.id = r.id";
    pub(crate) const SCHEDULES_NOW: &str = "select s.id, s.paused_at is not null as is_off, exists (select 1 from workflow_executions e where e.workflow_id = s.workflow_id
          and e.trigger_key = s.trigger_key and e.trigger_type = 'schedule' and e.completed_at is null) as is_busy
        from jsonb_to_recordset($1::jsonb) as r(id uuid) join schedules s on s.id = r.id";

    /// One after the other, in an order that all transactions keep.
    pub(crate) const LOCK_KEYS: &str = "select pg_advisory_xact_lock(k.lock) from (
        select distinct hashtextextended(r.concurrency_key, hashtextextended(r.tenant_id::text, 0)) as lock
        from jsonb_to_recordset($1::jsonb) as r(tenant_id uuid, concurrency_key text) order by lock) k";
    pub(crate) const LIVE_OF_KEY: &str =
        concat!("select id from (", live_of_key!("$1", "$2"), ") live where id <> all($3) order by id limit $4");
    pub(crate) const REPLACE: &str = "update workflow_executions set
        cancel_reason = case when cancel_requested_at is null then $3 else cancel_reason end,
        cancel_requested_at = coalesce(cancel_requested_at, $2),
        next_wake_at = case when owner_node_id is null then $2 else next_wake_at end, updated_at = $2
        where id in (select id from workflow_executions where id = any($1) and completed_at is null order by id for update)";

    pub(crate) const LOCK_FENCES: &str = "select id, lease_epoch, status, trigger_type,
        coalesce(cancel_requested_at = updated_at, false) as is_cancel_new
        from workflow_executions where id = any($1) order by id for update";
    pub(crate) const UPDATE_EXECUTIONS: &str = "update workflow_executions e set status = r.status,
        owner_node_id = r.owner_node_id, started_at = r.started_at, deadline_at = r.deadline_at,
        next_wake_at = r.next_wake_at, completed_at = r.completed_at, execution_time_ms = r.execution_time_ms,
        result_data = r.result_data, error = r.error, updated_at = r.updated_at, lease_expires_at = null
        from jsonb_to_recordset($1::jsonb) as r(id uuid, status text, owner_node_id uuid, started_at timestamptz,
          deadline_at timestamptz, next_wake_at timestamptz, completed_at timestamptz, execution_time_ms bigint,
          result_data jsonb, error jsonb, updated_at timestamptz)
        where e.id = r.id";
    pub(crate) const UPSERT_STEPS: &str = upsert_steps!("");
    /// The steps and lines of one execution, if whoever writes still owns it: one round trip, where a transaction of its
    /// own takes five.
    pub(crate) const UPSERT_OWN_STEPS: &str = concat!(
        "with fence as (select id as held from workflow_executions
           where id = $2 and lease_epoch = $3 and status in ",
        live!(),
        " for update), lines as (",
        insert_logs!("$4", " cross join fence"),
        ") ",
        upsert_steps!(" cross join fence")
    );
    pub(crate) const UPSERT_ARTIFACTS: &str = concat!(
        "insert into artifacts (",
        artifact_columns!(),
        ") select id, tenant_id, execution_id, step_ordinal, name, artifact_kind, storage_key, mime_type, file_size,
          created_at, created_at, storage_key
         from jsonb_to_recordset($1::jsonb) as r(id uuid, tenant_id uuid, execution_id uuid, step_ordinal int, name text,
          artifact_kind text, storage_key text, mime_type text, file_size bigint, created_at timestamptz)",
        artifact_changes!()
    );
    pub(crate) const INSERT_LOGS: &str = insert_logs!("$1", "");
    pub(crate) const EXPIRE_SIGNALS: &str = "update signals g set status = 'expired', updated_at = r.updated_at
        from jsonb_to_recordset($1::jsonb) as r(id uuid, updated_at timestamptz)
        where g.execution_id = r.id and g.status = 'pending'";
    pub(crate) const WAKE: &str = concat!(
        "update workflow_executions e set next_wake_at = r.at, updated_at = r.at
         from jsonb_to_recordset($1::jsonb) as r(id uuid, at timestamptz) where e.id = r.id and e.status in ",
        live!()
    );
    pub(crate) const WAKE_IF_SOMETHING_CAME: &str = concat!(
        "update workflow_executions e set next_wake_at = r.at, updated_at = r.at
         from jsonb_to_recordset($1::jsonb) as r(id uuid, at timestamptz, asked boolean, heeds_unwind boolean)
         where e.id = r.id and e.owner_node_id is null and (r.asked or r.heeds_unwind and ",
        asked_to_undo!("r.id"),
        " or ",
        something_came!("r.id", "r.at"),
        ")"
    );
    pub(crate) const COUNT_ENDS: &str = "update workflows w set total_executions = w.total_executions + r.total,
        successful_executions = w.successful_executions + r.successful,
        failed_executions = w.failed_executions + r.failed, last_execution_at = r.at, updated_at = r.at
        from jsonb_to_recordset($1::jsonb) as r(id uuid, total bigint, successful bigint, failed bigint, at timestamptz)
        where w.id = r.id";
    /// Uploads are only locked, and answered: [`SETTLE_UPLOADS`] looks at them next. Executions that end side by side may have
    /// the same uploads, so the rows are locked in an order that all transactions keep. `is not distinct from` keeps the
    /// planner away from the index of open files: it would read all of them each time.
    pub(crate) const SETTLE_FILES: &str = "with due as (
          select f.id, r.file_status, r.updated_at
          from jsonb_to_recordset($1::jsonb) as r(id uuid, file_status text, updated_at timestamptz)
          join execution_files l on l.execution_id = r.id and l.role = 'input'
          join files f on f.id = l.file_id
          where f.status is not distinct from 'processing' order by f.id for update of f)
        update files f set
        status = case when f.file_source = 'upload' then f.status else due.file_status end,
        processed_at = case when f.file_source = 'upload' then f.processed_at else due.updated_at end,
        updated_at = due.updated_at
        from due where f.id = due.id
        returning case when f.file_source = 'upload' then f.id end as upload_id";
    /// An upload may have set several executions off: it is settled with the last of them. Whoever has its row locked sees
    /// the ends that others have recorded.
    pub(crate) const SETTLE_UPLOADS: &str = concat!(
        "update files f set processed_at = f.updated_at, status = case when ",
        of_upload!("f.id", "e.status <> 'completed'"),
        " then 'failed' else 'processed' end where f.id = any($1) and not ",
        of_upload!("f.id", "e.completed_at is null")
    );
}
