//! What the saga does outside of the database.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use cogwheel_engine::ports::{BlobError, BlobKey, Blobs, Incoming, OpenBlob, StepContext, StepType};
use cogwheel_engine::{Failure, FailureKind, Outcome};
use serde_json::{Value, json};

use super::needed_by;

/// What was done and not undone. It takes the same twice, as whoever is called must.
#[derive(Debug, Default)]
pub(super) struct Outside(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    done: BTreeSet<String>,
    /// What was done before what it needs, or undone before what needs it.
    disorder: Vec<String>,
}

impl Outside {
    pub(super) fn clear(&self) {
        *self.0.lock().unwrap() = State::default();
    }

    pub(super) fn left(&self) -> BTreeSet<&'static str> {
        let state = self.0.lock().unwrap();
        super::GRAPH.iter().map(|(step, _)| *step).filter(|step| state.done.contains(*step)).collect()
    }

    pub(super) fn is_in_order(&self) -> bool {
        self.0.lock().unwrap().disorder.is_empty()
    }
}

#[async_trait]
impl StepType for Outside {
    fn name(&self) -> &'static str {
        "http"
    }

    fn only_computes(&self) -> bool {
        false
    }

    async fn run(&self, _: StepContext, input: Value) -> Outcome {
        let act = &input["json"];
        let (step, undo) = (act["step"].as_str().unwrap_or_default(), act["undo"] == true);
        if act["fails"] == act["step"] {
            let mut failure = Failure::permanent(FailureKind::Http, "it refuses");
            failure.code = Some("http.422".into());
            return Outcome::Failed { failure, output: Some(json!({ "status": 422 })) };
        }
        let mut state = self.0.lock().unwrap();
        let done = state.done.clone();
        if undo {
            let too_early = done.iter().filter(|other| needed_by(other).contains(step));
            state.disorder.extend(too_early.map(|other| format!("{step} was undone before {other}")));
            state.done.remove(step);
        } else {
            let missing = needed_by(step).into_iter().filter(|need| !done.contains(*need));
            state.disorder.extend(missing.map(|need| format!("{step} was done before {need}")));
            state.done.insert(step.to_owned());
        }
        Outcome::Completed { output: json!({ "status": 200 }) }
    }
}

/// Nothing of this is so large that it leaves the database.
pub(super) struct NoBlobs;

#[async_trait]
impl Blobs for NoBlobs {
    async fn put(&self, _: Vec<u8>) -> Result<BlobKey, BlobError> {
        unreachable!("nothing is large")
    }

    async fn put_file(&self, _: &Path, _: u64) -> Result<(BlobKey, u64), BlobError> {
        unreachable!("there are no files")
    }

    async fn receive(&self) -> Result<Box<dyn Incoming>, BlobError> {
        unreachable!("nothing is received")
    }

    async fn copy_to(&self, _: &BlobKey, _: &Path) -> Result<(), BlobError> {
        unreachable!("nothing is large")
    }

    async fn get(&self, _: &BlobKey, _: u64) -> Result<Vec<u8>, BlobError> {
        unreachable!("nothing is large")
    }

    async fn open(&self, _: &BlobKey, _: u64) -> Result<OpenBlob, BlobError> {
        unreachable!("nothing is large")
    }

    fn is_shared(&self) -> bool {
        false
    }
}
