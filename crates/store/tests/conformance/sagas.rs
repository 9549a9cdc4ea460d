//! Sagas: their rows, what is asked of them, and completed ones that are undone after all.

use cogwheel_definition::OnUndoFailure;
use cogwheel_engine::events::EventType;
use cogwheel_engine::ports::{
    Actor, AskInbox, EventLog, NewEvent, Reads, Record, SagaRow, SagaRows, Start, Store, Stream, TimeoutKind,
    TimeoutRow, TimeoutState, UndoAnswer, UndoRequest, UndoRow, UnwindAnswer, UnwindAsked, UnwindRequest,
};
use cogwheel_engine::views::SagaFilter;
use cogwheel_engine::{ExecutionId, Failure, FailureKind, TenantId};
use cogwheel_machine::{
    Cause, CauseKind, ExecutionStatus, SagaStatus, StepStatus, UndoDecision, UndoStatus, UnwoundBy,
};
use serde_json::json;
use uuid::Uuid;

use super::on_both;
use super::world::{PLAIN, World, at, step};

on_both! {
    a_saga_is_recorded_and_handed_over
    the_first_cause_stays
    a_decision_about_a_failed_undo_is_kept_for_its_owner
    an_undo_that_is_given_up_is_written_as_such
    only_a_failed_undo_of_a_saga_that_pauses_is_decided_about
    a_request_to_undo_a_live_saga_is_kept_and_wakes_it
    a_request_to_undo_that_comes_while_a_saga_is_let_go_of_is_not_lost
    a_saga_that_is_given_up_leaves_nothing_open
    a_completed_saga_is_undone_after_all
    time_limits_are_kept_until_they_fire_or_what_they_limit_ends
    a_workflow_with_steps_that_are_tried_until_they_succeed_is_saved
}

fn cause(kind: CauseKind, title: &str) -> Cause {
    Cause { kind, error: Failure::permanent(FailureKind::Exit, title) }
}

fn row(status: SagaStatus, cause: Option<Cause>) -> SagaRow {
    let is_over = matches!(status, SagaStatus::Completed | SagaStatus::Compensated | SagaStatus::Failed);
    SagaRow {
        saga_type: "onboard".to_owned(),
        status,
        unwind_number: u32::from(matches!(status, SagaStatus::Compensating | SagaStatus::Compensated)),
        cause,
        on_undo_failure: OnUndoFailure::Pause,
        current_step: 1,
        total_steps: 2,
        steps: json!([{ "id": "a", "class": "compensatable" }]),
        correlation_id: Uuid::from_u128(7),
        parent: None,
        deadline_at: Some(at(500)),
        started_at: Some(at(11)),
        completed_at: is_over.then(|| at(60)),
    }
}

fn undo(status: UndoStatus) -> UndoRow {
    UndoRow {
        unwind_number: 1,
        step_key: "a".to_owned(),
        step_ordinal: 0,
        unwind_order: 0,
        command: json!({ "uses": "shell" }),
        status,
        retry_count: 2,
        max_retries: 2,
        next_attempt_at: None,
        started_at: Some(at(30)),
        completed_at: (status == UndoStatus::Failed).then(|| at(31)),
        error: Some(json!({ "title": "exit code 3" })),
        resolution: None,
    }
}

/// A record of a saga that runs, with one step that has ended.
fn running(world: &World, start: &Start, rows: SagaRows) -> Record {
    let steps = vec![step(0, StepStatus::Completed)];
    Record { steps, saga: Some(Box::new(rows)), ..world.running(start, 0) }
}

fn of(saga: SagaRow) -> SagaRows {
    SagaRows { saga: Some(saga), ..SagaRows::default() }
}

/// A saga of which an undo has failed and waits for somebody.
async fn paused(world: &World, on_undo_failure: OnUndoFailure) -> Start {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    let saga = row(SagaStatus::Compensating, Some(cause(CauseKind::StepFailed, "exit code 3")));
    let rows = SagaRows { undos: vec![undo(UndoStatus::Failed)], ..of(SagaRow { on_undo_failure, ..saga }) };
    let mut record = running(world, &start, rows);
    record.head =
        record.head.map(|head| cogwheel_engine::ports::Head { status: ExecutionStatus::Compensating, ..head });
    world.store.record(record).await.unwrap();
    start
}

fn decide(world: &World, start: &Start, decision: UndoDecision) -> UndoRequest {
    UndoRequest {
        tenant: world.tenant,
        execution: start.row.id,
        step_key: "a".to_owned(),
        decision,
        reason: "the mailbox is gone".to_owned(),
        at: at(40),
    }
}

fn ask(world: &World, start: &Start) -> AskInbox {
    AskInbox {
        execution: start.row.id,
        tenant: world.tenant,
        waits: Vec::new(),
        children: Vec::new(),
        is_saga: true,
        at: at(50),
    }
}

fn unwind(world: &World, start: &Start, expected: ExecutionStatus) -> UnwindRequest {
    UnwindRequest {
        tenant: world.tenant,
        execution: start.row.id,
        expected,
        by: UnwoundBy::Operator,
        reason: Some("wrong customer".to_owned()),
        is_audited: true,
        cause: cause(CauseKind::Operator, "an operator asked"),
        told: None,
        at: at(70),
    }
}

async fn a_workflow_with_steps_that_are_tried_until_they_succeed_is_saved(world: &World) {
    let source = "name: forward\nsteps:\n  - {id: a, run: a, compensate: {run: u}}\n  - {id: b, run: b, pivot: true}\n  \
                  - {id: c, run: c, retriable: true}\n";
    world.save(source, at(0)).await;
    assert_eq!(world.number("select count(*) from workflows where max_retries = 100").await, 1);
}

async fn a_saga_is_recorded_and_handed_over(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (start, plain) = (world.started(&workflow).await, world.started(&workflow).await);
    world.store.record(running(world, &start, of(row(SagaStatus::Running, None)))).await.unwrap();
    world.store.record(world.running(&plain, 0)).await.unwrap();
    let shown = &world.store.sagas_of_executions(world.tenant, &[start.row.id, plain.row.id]).await.unwrap();
    assert_eq!((shown.len(), shown[0].status, shown[0].workflow.as_str()), (1, SagaStatus::Running, "onboard"));
    assert_eq!((shown[0].timeout_at, shown[0].current_step, shown[0].pauses), (Some(at(500)), 1, true));
    let filter = SagaFilter { status: vec![SagaStatus::Running], workflow: None };
    assert_eq!(world.store.count_sagas(world.tenant, &filter).await.unwrap(), 1);
    let next = world.next_node().await;
    for execution in world.claim(next, 9, at(40)).await.executions {
        let saga = execution.saga.map(|saga| (saga.cause, saga.unwind_number));
        assert_eq!(saga, (execution.id == start.row.id).then_some((None, 0)));
    }
}

async fn the_first_cause_stays(world: &World) {
    let start = paused(world, OnUndoFailure::Pause).await;
    let mut later = row(SagaStatus::Compensating, Some(cause(CauseKind::Cancelled, "later")));
    later.current_step = 2;
    world.store.record(Record { head: None, ..running(world, &start, of(later)) }).await.unwrap();
    let shown = &world.store.sagas_of_executions(world.tenant, &[start.row.id]).await.unwrap()[0];
    assert_eq!((shown.cause, shown.current_step), (Some(CauseKind::StepFailed), 2));
    assert_eq!(shown.cause_detail.as_ref().unwrap()["title"], "exit code 3");
    let stored = world.store.execution(world.tenant, start.row.id).await.unwrap().unwrap();
    let saga = stored.saga.unwrap();
    assert_eq!((saga.cause.unwrap(), saga.unwind_number), (cause(CauseKind::StepFailed, "exit code 3"), 1));
}

async fn a_decision_about_a_failed_undo_is_kept_for_its_owner(world: &World) {
    let start = paused(world, OnUndoFailure::Pause).await;
    assert_eq!(
        world.store.decide_undo(decide(world, &start, UndoDecision::Retry)).await.unwrap(),
        UndoAnswer::Recorded
    );
    let again = world.store.decide_undo(decide(world, &start, UndoDecision::Skip)).await.unwrap();
    assert_eq!(again, UndoAnswer::NotFailed(UndoStatus::Pending), "one decision at a time");
    let inbox = world.store.inbox(ask(world, &start)).await.unwrap();
    let [(0, decided)] = inbox.saga.decisions.as_slice() else { panic!("{:?}", inbox.saga) };
    assert_eq!((decided.decision, decided.retries, decided.at), (UndoDecision::Retry, 1, at(40)));
    assert!(decided.by.is_some(), "whoever holds the admin key has an account");
    // Whoever takes it over finds it too, and what is written of the undo later does not forget it.
    let rows = SagaRows { undos: vec![undo(UndoStatus::Failed)], ..SagaRows::default() };
    world.store.record(Record { head: None, ..running(world, &start, rows) }).await.unwrap();
    assert_eq!(
        world.store.decide_undo(decide(world, &start, UndoDecision::Force)).await.unwrap(),
        UndoAnswer::Recorded
    );
    let stored = world.store.execution(world.tenant, start.row.id).await.unwrap().unwrap();
    let known = &stored.saga.unwrap().resolutions[&0];
    assert_eq!((known.decision, known.retries), (UndoDecision::Force, 1));
    let shown = &world.store.compensations(world.tenant, &[start.row.id]).await.unwrap()[&start.row.id][0];
    assert_eq!((shown.status, shown.resolution), (UndoStatus::Completed, Some(UndoDecision::Force)));
    assert_eq!(shown.resolution_reason.as_deref(), Some("the mailbox is gone"));
    let audited = "select count(*) from audit_log where category = 'execution_control' and actor_type = 'user'
        and actor_user_id is not null and reason = 'the mailbox is gone' and action in ('saga.retry', 'saga.force')";
    assert_eq!(world.number(audited).await, 2);
    assert_eq!(world.number("select count(*) from users").await, 1);
}

async fn an_undo_that_is_given_up_is_written_as_such(world: &World) {
    let start = paused(world, OnUndoFailure::Pause).await;
    assert_eq!(world.store.decide_undo(decide(world, &start, UndoDecision::Skip)).await.unwrap(), UndoAnswer::Recorded);
    let inbox = world.store.inbox(ask(world, &start)).await.unwrap();
    let resolution = Some(inbox.saga.decisions[0].1.clone());
    let rows = SagaRows { undos: vec![UndoRow { resolution, ..undo(UndoStatus::Skipped) }], ..SagaRows::default() };
    world.store.record(Record { head: None, ..running(world, &start, rows) }).await.unwrap();
    let shown = &world.store.compensations(world.tenant, &[start.row.id]).await.unwrap()[&start.row.id][0];
    assert_eq!((shown.status, shown.resolution), (UndoStatus::Skipped, Some(UndoDecision::Skip)));
    assert_eq!(shown.resolved_at, Some(at(40)));
}

async fn only_a_failed_undo_of_a_saga_that_pauses_is_decided_about(world: &World) {
    let start = paused(world, OnUndoFailure::Fail).await;
    let request = decide(world, &start, UndoDecision::Skip);
    assert_eq!(world.store.decide_undo(request.clone()).await.unwrap(), UndoAnswer::NotPaused);
    let other = UndoRequest { step_key: "b".to_owned(), ..request.clone() };
    assert_eq!(world.store.decide_undo(other).await.unwrap(), UndoAnswer::NoSuchUndo);
    let nobody = UndoRequest { execution: ExecutionId(Uuid::now_v7()), ..request };
    assert_eq!(world.store.decide_undo(nobody).await.unwrap(), UndoAnswer::Unknown);
    let foreign = UndoRequest { tenant: TenantId(Uuid::now_v7()), ..decide(world, &start, UndoDecision::Skip) };
    assert_eq!(world.store.decide_undo(foreign).await.unwrap(), UndoAnswer::Unknown);
    let workflow = world.save(PLAIN, at(0)).await;
    let plain = world.started(&workflow).await;
    let skip = decide(world, &plain, UndoDecision::Skip);
    assert_eq!(world.store.decide_undo(skip.clone()).await.unwrap(), UndoAnswer::NotPaused, "it has not begun");
    world.store.record(world.running(&plain, 0)).await.unwrap();
    assert_eq!(world.store.decide_undo(skip).await.unwrap(), UndoAnswer::NoSaga);
    assert_eq!(world.number("select count(*) from audit_log").await, 0);
}

async fn a_request_to_undo_a_live_saga_is_kept_and_wakes_it(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    let mut record = world.let_go(&start, 0, Some(at(9000)));
    record.saga = Some(Box::new(of(row(SagaStatus::Running, None))));
    world.store.record(record).await.unwrap();
    assert!(world.claim(world.node, 9, at(69)).await.executions.is_empty());
    let completed = unwind(world, &start, ExecutionStatus::Completed);
    assert_eq!(world.store.request_unwind(completed).await.unwrap(), UnwindAnswer::Moved, "it has not");
    for _ in 0..2 {
        let waiting = unwind(world, &start, ExecutionStatus::Waiting);
        assert_eq!(world.store.request_unwind(waiting).await.unwrap(), UnwindAnswer::Requested);
    }
    let again = UnwindRequest { is_audited: false, ..unwind(world, &start, ExecutionStatus::Waiting) };
    assert_eq!(world.store.request_unwind(again).await.unwrap(), UnwindAnswer::Requested);
    let audited = "select count(*) from audit_log where action = 'saga.compensate' and reason = 'wrong customer'";
    assert_eq!(world.number(audited).await, 2, "each time a person asks, and not when the engine repeats it");
    assert_eq!(world.claim(world.node, 9, at(70)).await.executions.len(), 1);
    let asked = UnwindAsked { by: UnwoundBy::Operator, reason: Some("wrong customer".to_owned()) };
    assert_eq!(world.store.inbox(ask(world, &start)).await.unwrap().saga.unwind, Some(asked));
    let plain = AskInbox { is_saga: false, ..ask(world, &start) };
    assert_eq!(world.store.inbox(plain).await.unwrap().saga.unwind, None);
}

async fn a_request_to_undo_that_comes_while_a_saga_is_let_go_of_is_not_lost(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let (asked, deaf, quiet) =
        (world.started(&workflow).await, world.started(&workflow).await, world.started(&workflow).await);
    for start in [&asked, &deaf, &quiet] {
        world.store.record(running(world, start, of(row(SagaStatus::Running, None)))).await.unwrap();
    }
    for start in [&asked, &deaf] {
        let request = unwind(world, start, ExecutionStatus::Running);
        assert_eq!(world.store.request_unwind(request).await.unwrap(), UnwindAnswer::Requested);
    }
    // What its owner wrote since, it wrote without having heard of the request.
    world.store.record(running(world, &asked, of(row(SagaStatus::Running, None)))).await.unwrap();
    for (start, heeds_unwind) in [(&asked, true), (&deaf, false), (&quiet, true)] {
        let mut record = world.let_go(start, 0, Some(at(9000)));
        record.saga = Some(Box::new(SagaRows { heeds_unwind, ..of(row(SagaStatus::Running, None)) }));
        world.store.record(record).await.unwrap();
    }
    let claimed = world.claim(world.node, 9, at(71)).await;
    let due: Vec<ExecutionId> = claimed.executions.iter().map(|execution| execution.id).collect();
    assert_eq!((due, claimed.next_due_at), (vec![asked.row.id], Some(at(9000))));
}

async fn a_saga_that_is_given_up_leaves_nothing_open(world: &World) {
    let (start, other) = (paused(world, OnUndoFailure::Pause).await, paused(world, OnUndoFailure::Pause).await);
    let timeout = |start: &Start| TimeoutRow {
        id: start.row.id.0,
        step_key: Some("a".to_owned()),
        kind: TimeoutKind::Compensation,
        state: TimeoutState::Pending(at(90)),
    };
    for start in [&start, &other] {
        let undos = vec![
            undo(UndoStatus::Running),
            UndoRow { step_key: "b".to_owned(), unwind_order: 1, ..undo(UndoStatus::Completed) },
        ];
        let rows = SagaRows { undos, timeouts: vec![timeout(start)], ..SagaRows::default() };
        world.store.record(Record { head: None, ..running(world, start, rows) }).await.unwrap();
    }
    let mut end = world.ended(&start, 0, ExecutionStatus::Failed);
    end.saga = Some(Box::new(SagaRows { gives_up: true, ..SagaRows::default() }));
    world.store.record(end).await.unwrap();
    let shown = &world.store.sagas_of_executions(world.tenant, &[start.row.id]).await.unwrap()[0];
    assert_eq!((shown.status, shown.cause), (SagaStatus::Failed, Some(CauseKind::StepFailed)));
    assert!(shown.completed_at.is_some());
    let ids = [start.row.id, other.row.id];
    let undos = world.store.compensations(world.tenant, &ids).await.unwrap();
    let standing = |start: &Start| undos[&start.row.id].iter().map(|undo| undo.status).collect::<Vec<_>>();
    assert_eq!(standing(&start), [UndoStatus::Failed, UndoStatus::Completed]);
    assert_eq!(standing(&other), [UndoStatus::Running, UndoStatus::Completed], "another one goes on");
    let timeouts = world.store.saga_timeouts(world.tenant, &ids).await.unwrap();
    assert!(!timeouts[&start.row.id][0].is_pending && timeouts[&other.row.id][0].is_pending);
    // One that is none, or has no row yet, is ended all the same.
    let plain = world.started(&world.save(PLAIN, at(0)).await).await;
    world.store.record(world.running(&plain, 0)).await.unwrap();
    let mut end = world.ended(&plain, 0, ExecutionStatus::Failed);
    end.saga = Some(Box::new(SagaRows { gives_up: true, ..SagaRows::default() }));
    world.store.record(end).await.unwrap();
    assert!(world.store.sagas_of_executions(world.tenant, &[plain.row.id]).await.unwrap().is_empty());
}

fn compensating(world: &World) -> NewEvent {
    NewEvent {
        id: Uuid::from_u128(world.tenant.0.as_u128() ^ 7),
        event_type: EventType::WorkflowCompensating,
        data: json!({ "subject": "onboard", "data": { "status": "compensating" } }),
        actor: Actor::Engine,
        depth: 1,
        correlation_id: None,
        causation_id: None,
    }
}

async fn a_completed_saga_is_undone_after_all(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    world.store.record(running(world, &start, of(row(SagaStatus::Running, None)))).await.unwrap();
    let mut ended = world.ended(&start, 0, ExecutionStatus::Completed);
    ended.saga = Some(Box::new(of(row(SagaStatus::Completed, None))));
    world.store.record(ended).await.unwrap();
    let running_one = unwind(world, &start, ExecutionStatus::Running);
    assert_eq!(world.store.request_unwind(running_one).await.unwrap(), UnwindAnswer::Moved, "it has ended");
    let told = Some(compensating(world));
    let request = UnwindRequest { told, ..unwind(world, &start, ExecutionStatus::Completed) };
    assert_eq!(world.store.request_unwind(request.clone()).await.unwrap(), UnwindAnswer::Requested);
    assert_eq!(world.store.request_unwind(request).await.unwrap(), UnwindAnswer::Moved, "it is live again");
    let stream = Stream::execution(start.row.id);
    let events = world.store.stream_events(world.tenant, stream.name(), 0, 9).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(told, ["saga.unwind_requested", "workflow.compensating"], "told once, with what it tells of");
    let claimed = world.claim(world.node, 9, at(71)).await.executions;
    let [execution] = claimed.as_slice() else { panic!("{claimed:?}") };
    let saga = execution.saga.clone().unwrap();
    assert_eq!((execution.status, saga.unwind_number), (ExecutionStatus::Compensating, 1));
    assert_eq!(saga.cause.unwrap().kind, CauseKind::Operator);
    assert_eq!(execution.error.as_ref().unwrap().title, "an operator asked");
    assert!(execution.epoch > 1, "whoever ran it before can write nothing any more");
    let counted = "select count(*) from workflows where total_executions = 0 and successful_executions = 0";
    assert_eq!(world.number(counted).await, 1, "it counts once it has ended");
    let epoch = execution.epoch;
    let mut ended = world.ended(&start, epoch, ExecutionStatus::Compensated);
    ended.saga =
        Some(Box::new(of(row(SagaStatus::Compensated, Some(cause(CauseKind::Operator, "an operator asked"))))));
    world.store.record(ended).await.unwrap();
    let counted = "select count(*) from workflows where total_executions = 1 and failed_executions = 1";
    assert_eq!(world.number(counted).await, 1);
}

async fn time_limits_are_kept_until_they_fire_or_what_they_limit_ends(world: &World) {
    let workflow = world.save(PLAIN, at(0)).await;
    let start = world.started(&workflow).await;
    let limit = |id: u128, key: Option<&str>, kind, state| TimeoutRow {
        id: Uuid::from_u128(id),
        step_key: key.map(str::to_owned),
        kind,
        state,
    };
    let with = |saga: Option<SagaRow>, timeouts| SagaRows { saga, timeouts, ..SagaRows::default() };
    let pending = |until| {
        vec![
            limit(1, None, TimeoutKind::Saga, TimeoutState::Pending(at(500))),
            limit(2, Some("a"), TimeoutKind::Step, TimeoutState::Pending(at(until))),
        ]
    };
    let first = with(Some(row(SagaStatus::Running, None)), pending(90));
    world.store.record(running(world, &start, first)).await.unwrap();
    world.store.record(Record { head: None, ..running(world, &start, with(None, pending(80))) }).await.unwrap();
    let open = "select count(*) from saga_timeouts where status = 'pending'";
    assert_eq!(world.number(open).await, 2, "the next attempt has the same one");
    let over = vec![
        limit(1, None, TimeoutKind::Saga, TimeoutState::Cancelled),
        limit(2, Some("a"), TimeoutKind::Step, TimeoutState::Fired(at(81))),
    ];
    world.store.record(Record { head: None, ..running(world, &start, with(None, over)) }).await.unwrap();
    let shown = &world.store.saga_timeouts(world.tenant, &[start.row.id]).await.unwrap()[&start.row.id];
    let shown: Vec<_> = shown.iter().map(|one| (one.timeout_at, one.fired_at, one.is_pending)).collect();
    assert_eq!(shown, [(at(80), Some(at(81)), false), (at(500), None, false)]);
}
