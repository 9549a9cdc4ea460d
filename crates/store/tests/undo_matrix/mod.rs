//! A saga of eight steps in a graph: each of them fails, each undo fails, the server dies at each write.
//!
//! However these come together, what is left outside is exactly what the record says is left, and the record is what its
//! events tell.

mod crashing;
mod outside;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use cogwheel_engine::clock::{Clock as _, SystemClock};
use cogwheel_engine::ports::{NewNode, Reads, StepRegistry, Store as _};
use cogwheel_engine::{
    Engine, EngineConfig, ExecutionId, ExecutionStatus, NodeId, Parts, SagaStatus, StartRequest, TenantId,
    UndoDecision, UndoStatus, UploadLimits,
};
use cogwheel_store::{ConnectOptions, Database, SqlStore, verify};
use serde_json::{Map, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::databases::{Copy, Template};
use crashing::{Crashing, Side};
use outside::{NoBlobs, Outside};

/// What each step needs.
const GRAPH: [(&str, &[&str]); 8] = [
    ("a", &[]),
    ("b", &["a"]),
    ("c", &["a"]),
    ("d", &["b"]),
    ("e", &["b", "c"]),
    ("f", &["d", "e"]),
    ("g", &["f"]),
    ("h", &["f"]),
];

/// No saga of this kind has so many writes.
const MOST_WRITES: usize = 200;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The text of the workflow: a step fails where the input `fails` names it, an undo where `stays` does.
fn workflow() -> String {
    let mut text = "name: graph\ninputs: {fails: {type: string}, stays: {type: string}}\nsteps:\n".to_owned();
    for (step, needs) in GRAPH {
        let act = |undo: bool, input: &str| {
            let body = format!("{{step: {step}, undo: {undo}, fails: '${{{{ inputs.{input} }}}}'}}");
            format!("uses: http, with: {{url: 'http://localhost', json: {body}}}")
        };
        let (act, undo) = (act(false, "fails"), act(true, "stays"));
        let needs = needs.join(", ");
        writeln!(text, "  - {{id: {step}, needs: [{needs}], {act}, compensate: {{{undo}}}}}").unwrap();
    }
    text
}

/// All that a step needs, however far back.
fn needed_by(step: &str) -> BTreeSet<&'static str> {
    let needs = GRAPH.iter().find(|(id, _)| *id == step).map(|(_, needs)| *needs).unwrap_or_default();
    needs.iter().flat_map(|need| needed_by(need).into_iter().chain([*need])).collect()
}

/// A database with what stands outside of it.
struct World {
    store: Arc<SqlStore>,
    copy: Copy,
    tenant: TenantId,
    folder: TempDir,
    outside: Arc<Outside>,
}

/// A server, as long as it lives.
struct Server {
    engine: Arc<Engine>,
    store: Arc<Crashing>,
}

impl World {
    async fn on(template: Template) -> Self {
        let copy = template.copy().await;
        let url = copy.url().trim_end_matches("?mode=rwc").to_owned();
        let database = Database::connect(&url, ConnectOptions::default()).await.unwrap();
        let store = Arc::new(database.open().await.unwrap());
        let tenant = store.default_tenant().await.unwrap();
        Self { store, copy, tenant, folder: tempfile::tempdir().unwrap(), outside: Arc::default() }
    }

    async fn serve(&self, crash: Option<(Side, usize)>) -> Server {
        let store = Crashing::new(&self.store, crash);
        let node = NewNode {
            id: NodeId(Uuid::now_v7()),
            name: "here".to_owned(),
            address: None,
            engine_version: "0.0.0".to_owned(),
            schema_fingerprint: String::new(),
            capacity: 4,
            lease: None,
            replaces: None,
            started_at: SystemClock.now(),
        };
        let parts = Parts {
            store: Arc::clone(&store) as _,
            reads: Arc::clone(&self.store) as _,
            blobs: Arc::new(NoBlobs),
            secrets: None,
            webhooks: None,
            steps: StepRegistry::new([Arc::clone(&self.outside) as _]),
            clock: Arc::new(SystemClock),
            node,
        };
        let engine = Engine::launch_without_triggers(self.config(), parts).await.unwrap();
        let text = workflow();
        let parsed = cogwheel_definition::parse(text.as_bytes(), "graph").unwrap();
        engine.save_workflow(parsed, text).await.unwrap();
        Server { engine, store }
    }

    fn config(&self) -> EngineConfig {
        EngineConfig {
            root: self.folder.path().to_path_buf(),
            work_dir: self.folder.path().join("work"),
            workflow_folders: Vec::new(),
            max_running_executions: 4,
            max_parallel_steps: 4,
            // So that snapshots come in between.
            snapshot_events: 10,
            kill_grace: Duration::from_millis(10),
            shutdown_grace: Duration::from_secs(5),
            watch_retry: Duration::from_secs(5),
            poll_interval: Duration::from_secs(10),
            file_rescan: "0 0 0 1 1 *".to_owned(),
            workflow_rescan: "0 0 0 1 1 *".to_owned(),
            uploads: UploadLimits { max_size: 1, allowed_types: Vec::new() },
        }
    }

    /// What `look` finds, as soon as it finds something.
    async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("{what} did not come to pass"))
    }

    async fn status(&self, id: ExecutionId) -> Option<ExecutionStatus> {
        let found = self.store.executions_by_id(self.tenant, &[id]).await.unwrap();
        found.first().map(|execution| execution.status)
    }

    /// Whether the saga stands still: it has ended, or waits for a decision about an undo. Then the key of its step.
    async fn settled(&self, id: ExecutionId) -> Option<Option<String>> {
        if self.status(id).await?.is_terminal() {
            return Some(None);
        }
        let undos = self.store.compensations(self.tenant, &[id]).await.unwrap().remove(&id)?;
        let failed = undos.iter().find(|undo| undo.status == UndoStatus::Failed)?;
        let held_up = needed_by(&failed.step_key);
        let is_still = undos.iter().all(|undo| match undo.status {
            UndoStatus::Running => false,
            UndoStatus::Pending => held_up.contains(undo.step_key.as_str()),
            UndoStatus::Completed | UndoStatus::Failed | UndoStatus::Skipped => true,
        });
        is_still.then(|| Some(failed.step_key.clone()))
    }

    /// One saga in which `fails` fails, and the undo of `stays`, with a server that dies there. Whether it died at all.
    async fn case(&self, fails: &str, stays: &str, crash: (Side, usize)) -> bool {
        let told = format!("{fails} fails, the undo of {stays} fails, death {crash:?}");
        self.outside.clear();
        let server = self.serve(Some(crash)).await;
        let inputs = Map::from_iter([("fails".to_owned(), json!(fails)), ("stays".to_owned(), json!(stays))]);
        let request = StartRequest::manual("graph", inputs, Some(told.clone()));
        let started = server.engine.start(request.clone()).await;
        let died = match &started {
            Ok(started) => tokio::select! {
                () = server.store.died() => true,
                _ = self.until(&told, async || self.settled(started.id).await) => false,
            },
            Err(_) => true,
        };
        server.engine.stop_now().await;

        let server = self.serve(None).await;
        // Whoever got no answer asks again with the same key.
        let id = match started {
            Ok(started) => started.id,
            Err(_) => server.engine.start(request).await.unwrap().id,
        };
        let paused = self.until(&told, async || self.settled(id).await).await;
        assert!(self.outside.is_in_order(), "{told}: {:?}", self.outside);
        let left = self.outside.left();
        match &paused {
            None => {
                let end = self.status(id).await;
                // The first step has nothing before it; where its attempt was lost, it may have happened all the same.
                let may_have_nothing = fails == GRAPH[0].0 && end == Some(ExecutionStatus::Failed);
                assert!(may_have_nothing || end == Some(ExecutionStatus::Compensated), "{told}: {end:?}");
                assert_eq!(left, BTreeSet::new(), "{told}: something is left");
            }
            Some(step) => {
                assert_eq!(step, stays, "{told}");
                let saga = self.store.sagas_of_executions(self.tenant, &[id]).await.unwrap().remove(0);
                assert_eq!(saga.status, SagaStatus::Compensating, "{told}");
                // A step that fails did nothing, though it may have: then it is undone as well.
                let own: BTreeSet<&str> = BTreeSet::from([stays]).into_iter().filter(|step| *step != fails).collect();
                let expected: BTreeSet<&str> = needed_by(stays).union(&own).copied().collect();
                assert_eq!(left, expected, "{told}: what does not depend on it is undone");
                server.engine.decide_undo(id, stays.to_owned(), UndoDecision::Skip, told.clone()).await.unwrap();
                let end = self.until(&told, async || self.status(id).await.filter(|end| end.is_terminal())).await;
                assert_eq!(end, ExecutionStatus::Failed, "{told}");
                let left = self.outside.left();
                assert_eq!(left, own, "{told}: all else is undone");
                let ended = self.store.executions_by_id(self.tenant, &[id]).await.unwrap().remove(0);
                let error = ended.error.unwrap_or_default();
                assert_eq!(error["not_undone"], json!([stays]), "{told}: {error}");
                assert_eq!(error["step"], fails, "{told}: the first cause stays");
            }
        }
        server.engine.stop_now().await;
        died
    }

    /// The record is what its events tell, and nothing in it contradicts itself.
    async fn verify(&self) {
        let db = self.copy.open().await;
        let options = verify::Options { data: true, ..verify::Options::default() };
        let report = verify::verify(&db, &cogwheel_entity::declared_schema(), options).await.unwrap();
        assert!(report.findings.is_empty(), "{:#?}", report.findings);
        db.close().await.unwrap();
    }
}

/// Every undo that fails or none, and every write on either side of which the server dies; with a `stride`, other writes of
/// each of these.
async fn each_undo_and_each_write(world: &World, fails: &str, stride: usize) {
    let undos = GRAPH.iter().map(|(step, _)| *step).chain(["none"]);
    let mut deaths = 0;
    for (place, stays) in undos.enumerate() {
        for side in [Side::Before, Side::After] {
            let mut write = 1 + (place + usize::from(side == Side::After)) % stride;
            while world.case(fails, stays, (side, write)).await {
                (write, deaths) = (write + stride, deaths + 1);
                assert!(write < MOST_WRITES);
            }
        }
    }
    assert!(deaths > 2 * GRAPH.len() / stride, "{fails}: it died {deaths} times");
    world.verify().await;
    world.store.close().await;
}

macro_rules! each_step {
    ($($name:ident $step:literal)+) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let world = super::World::on(crate::databases::Template::sqlite().await).await;
                super::each_undo_and_each_write(&world, $step, 1).await;
            })+
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let world = super::World::on(crate::databases::Template::postgres().await).await;
                super::each_undo_and_each_write(&world, $step, 6).await;
            })+
        }
    };
}

each_step! {
    a_fails "a"
    b_fails "b"
    c_fails "c"
    d_fails "d"
    e_fails "e"
    f_fails "f"
    g_fails "g"
    h_fails "h"
}
