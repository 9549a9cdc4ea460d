//! Following executions.

use async_graphql::{Request, Response};
use cogwheel_access::Principal;
use cogwheel_engine::{ExecutionStatus, WorkflowId};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use serde_json::Value;

use crate::fake::{Fake, at, only_error};

/// A subscription's answers.
struct Answers(BoxStream<'static, Response>);

impl Answers {
    fn to(fake: &Fake, args: &str) -> Self {
        let query = format!(
            "subscription {{ executionChanged({args}) {{ position execution {{ status inputs steps {{ totalCount }} }} }} }}"
        );
        Self(fake.schema().subscribe(Principal::Admin, Request::new(query)))
    }

    /// The next change: its position, the execution's number and status.
    async fn next(&mut self) -> (String, i64, String) {
        let response = self.0.next().await.expect("the subscription goes on");
        assert!(response.errors.is_empty(), "{:?}", response.errors);
        let data = response.data.into_json().unwrap();
        let change = &data["executionChanged"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let execution = &change["execution"];
        (text(&change["position"]), execution["inputs"]["n"].as_i64().unwrap(), text(&execution["status"]))
    }

    async fn status(&mut self) -> String {
        self.next().await.2
    }

    async fn numbers(&mut self, count: usize) -> Vec<i64> {
        let mut numbers = Vec::new();
        for _ in 0..count {
            numbers.push(self.next().await.1);
        }
        numbers
    }

    async fn has_ended(&mut self) -> bool {
        self.0.next().await.is_none()
    }

    /// Whether nothing is there to be told.
    fn is_quiet(&mut self) -> bool {
        self.0.next().now_or_never().is_none()
    }
}

fn one(status: ExecutionStatus) -> (Fake, WorkflowId, cogwheel_engine::ExecutionId) {
    let fake = Fake::default();
    let workflow = fake.add_workflow("w0");
    let id = fake.add_execution(workflow, status);
    (fake, workflow, id)
}

#[tokio::test]
async fn the_present_state_comes_at_once_and_each_change_after_it() {
    let (fake, _, id) = one(ExecutionStatus::Queued);
    let mut answers = Answers::to(&fake, &format!("id: \"{id}\""));
    assert_eq!(answers.status().await, "QUEUED");
    fake.change(id, ExecutionStatus::Running, at(100));
    assert_eq!(answers.status().await, "RUNNING");
    fake.change(id, ExecutionStatus::Completed, at(101));
    assert_eq!(answers.status().await, "COMPLETED");
    assert!(answers.has_ended().await);
}

#[tokio::test]
async fn a_final_execution_is_told_once() {
    let (fake, _, id) = one(ExecutionStatus::Failed);
    let mut answers = Answers::to(&fake, &format!("id: \"{id}\""));
    assert_eq!(answers.status().await, "FAILED");
    assert!(answers.has_ended().await);
}

#[tokio::test]
async fn a_slow_client_skips_states_but_not_the_newest() {
    let (fake, _, id) = one(ExecutionStatus::Queued);
    let mut answers = Answers::to(&fake, &format!("id: \"{id}\""));
    assert_eq!(answers.status().await, "QUEUED");
    for second in 100..3_000 {
        fake.change(id, ExecutionStatus::Running, at(second));
    }
    fake.change(id, ExecutionStatus::Cancelled, at(3_000));
    assert_eq!(answers.status().await, "CANCELLED");
    assert!(answers.has_ended().await);
}

#[tokio::test]
async fn a_notice_without_a_change_is_not_told() {
    let (fake, workflow, id) = one(ExecutionStatus::Running);
    let other = fake.add_execution(workflow, ExecutionStatus::Running);
    let mut answers = Answers::to(&fake, &format!("id: \"{id}\""));
    answers.status().await;
    fake.notify(id, workflow);
    fake.change(other, ExecutionStatus::Completed, at(200));
    assert!(answers.is_quiet());
    let mut answers = Answers::to(&fake, "workflow: \"w0\"");
    assert_eq!(answers.numbers(1).await, [0]);
    fake.notify(id, workflow);
    assert!(answers.is_quiet());
}

#[tokio::test]
async fn who_comes_back_with_a_position_is_told_only_what_is_new() {
    let (fake, _, id) = one(ExecutionStatus::Running);
    let (position, ..) = Answers::to(&fake, &format!("id: \"{id}\"")).next().await;
    let args = format!("id: \"{id}\", after: \"{position}\"");
    let mut answers = Answers::to(&fake, &args);
    assert!(answers.is_quiet());
    fake.change(id, ExecutionStatus::Completed, at(50));
    assert_eq!(answers.status().await, "COMPLETED");
    let mut answers = Answers::to(&fake, &args);
    assert_eq!(answers.status().await, "COMPLETED");
    let (position, ..) = Answers::to(&fake, &format!("id: \"{id}\"")).next().await;
    let mut answers = Answers::to(&fake, &format!("id: \"{id}\", after: \"{position}\""));
    assert!(answers.has_ended().await, "all is told and nothing can follow");
}

#[tokio::test]
async fn a_workflows_live_executions_come_first_then_whatever_changes() {
    let fake = Fake::with(2, 2);
    let workflow = fake.rows(|rows| rows.workflows[0].id);
    let a = fake.add_execution(workflow, ExecutionStatus::Running);
    let b = fake.add_execution(workflow, ExecutionStatus::Queued);
    let other = fake.rows(|rows| rows.workflows[1].id);
    let foreign = fake.add_execution(other, ExecutionStatus::Running);
    let mut answers = Answers::to(&fake, "workflow: \"w0\"");
    assert_eq!(answers.numbers(2).await, [4, 5]);
    fake.change(foreign, ExecutionStatus::Completed, at(99));
    fake.change(b, ExecutionStatus::Completed, at(100));
    let (_, number, status) = answers.next().await;
    assert_eq!((number, status.as_str()), (5, "COMPLETED"));
    let new = fake.add_execution(workflow, ExecutionStatus::Queued);
    fake.change(new, ExecutionStatus::Queued, at(101));
    fake.change(a, ExecutionStatus::Failed, at(102));
    assert_eq!(answers.numbers(2).await, [4, 7]);
    assert!(answers.is_quiet());
}

#[tokio::test]
async fn who_comes_back_to_a_workflow_misses_nothing() {
    let fake = Fake::with(1, 3);
    let workflow = fake.rows(|rows| rows.workflows[0].id);
    let a = fake.add_execution(workflow, ExecutionStatus::Running);
    let b = fake.add_execution(workflow, ExecutionStatus::Running);
    let mut answers = Answers::to(&fake, "workflow: \"w0\"");
    assert_eq!(answers.numbers(2).await, [3, 4]);
    fake.change(a, ExecutionStatus::Running, at(1_000));
    let (position, ..) = answers.next().await;
    drop(answers);
    let new = fake.add_execution(workflow, ExecutionStatus::Queued);
    fake.change(b, ExecutionStatus::Completed, at(1_001));
    fake.change(new, ExecutionStatus::Completed, at(1_002));
    let mut answers = Answers::to(&fake, &format!("workflow: \"w0\", after: \"{position}\""));
    let mut told = answers.numbers(3).await;
    told.sort_unstable();
    assert_eq!(told, [3, 4, 5], "the live one and the two that ended meanwhile, not the three from before");
    assert!(answers.is_quiet());
}

#[tokio::test]
async fn lost_notices_make_it_look_at_everything_again() {
    let fake = Fake::default();
    let workflow = fake.add_workflow("w0");
    let a = fake.add_execution(workflow, ExecutionStatus::Running);
    let mut answers = Answers::to(&fake, "workflow: \"w0\"");
    assert_eq!(answers.numbers(1).await, [0]);
    let b = fake.add_execution(workflow, ExecutionStatus::Running);
    fake.change(b, ExecutionStatus::Completed, at(10));
    for second in 0..2_000 {
        fake.change(a, ExecutionStatus::Running, at(20 + second));
    }
    let mut told = answers.numbers(2).await;
    told.sort_unstable();
    assert_eq!(told, [0, 1]);
}

#[tokio::test]
async fn mistakes_are_told_by_code() {
    let (fake, _, id) = one(ExecutionStatus::Running);
    for (args, code) in [
        (String::new(), "BAD_USER_INPUT"),
        (format!("id: \"{id}\", workflow: \"w0\""), "BAD_USER_INPUT"),
        (format!("id: \"{id}\", after: \"x\""), "BAD_USER_INPUT"),
        ("id: \"x\"".to_owned(), "BAD_USER_INPUT"),
        ("id: \"00000000-0000-0000-0000-00000000dead\"".to_owned(), "NOT_FOUND"),
        ("workflow: \"nope\"".to_owned(), "NOT_FOUND"),
    ] {
        let args = if args.is_empty() { args } else { format!("({args})") };
        let query = format!("subscription {{ executionChanged{args} {{ position }} }}");
        let mut answers = fake.schema().subscribe(Principal::Admin, Request::new(query));
        let response = answers.next().await.unwrap();
        assert_eq!(only_error(&response).0, code, "{args}");
        assert!(answers.next().await.is_none());
    }
}
