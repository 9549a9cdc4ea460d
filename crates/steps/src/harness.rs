//! Runs single attempts in tests.

use std::sync::Arc;
use std::time::Duration;

use cogwheel_engine::clock::SystemClock;
use cogwheel_engine::ports::{LogLevel, LogLine, LogSink, LogStream, Recorded, StepContext, StepType, Workplace};
use cogwheel_engine::{ExecutionId, Failure, FailureKind, Outcome};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// An attempt to run, with folders of its own.
pub(crate) struct Attempt {
    pub(crate) context: StepContext,
    /// What the attempt writes to its log.
    pub(crate) lines: mpsc::Receiver<(i32, i32, LogLine)>,
    folder: TempDir,
}

/// How an attempt ended.
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    lines: Vec<LogLine>,
    _folder: TempDir,
}

impl Attempt {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let work_dir = folder.path().join("work");
        std::fs::create_dir(&work_dir).unwrap();
        let (sender, lines) = mpsc::channel(16);
        let execution = ExecutionId(Uuid::now_v7());
        let place = Workplace { artifacts_dir: work_dir.join("artifacts"), output_file: work_dir.join("output") };
        std::fs::create_dir(&place.artifacts_dir).unwrap();
        std::fs::write(&place.output_file, "").unwrap();
        let context = StepContext {
            execution,
            workflow: "import".to_owned(),
            step: "load".to_owned(),
            attempt: 2,
            step_key: format!("{execution}/{}", Uuid::now_v7()),
            root: folder.path().to_owned(),
            work_dir,
            place: Some(place),
            kill_grace: Duration::from_secs(30),
            logs: LogSink::new(sender, 0, 2, Arc::new(SystemClock)),
            recorded: Recorded::default(),
            stop: CancellationToken::new(),
        };
        context.recorded.announce();
        Self { context, lines, folder }
    }

    /// Runs the attempt to its end and reads its log meanwhile.
    pub(crate) async fn run(self, step_type: &dyn StepType, input: Value) -> Ended {
        self.run_with(step_type, input, |_| {}).await
    }

    /// The same; `on_line` sees each log line as it comes.
    pub(crate) async fn run_with(
        self,
        step_type: &dyn StepType,
        input: Value,
        mut on_line: impl FnMut(&LogLine),
    ) -> Ended {
        let Self { context, lines: mut receiver, folder } = self;
        let read = async {
            let mut lines = Vec::new();
            while let Some((step, attempt, line)) = receiver.recv().await {
                assert_eq!((step, attempt), (0, 2));
                on_line(&line);
                lines.push(line);
            }
            lines
        };
        let (outcome, lines) = tokio::join!(step_type.run(context, input), read);
        Ended { outcome, lines, _folder: folder }
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn completed(&self) -> Value {
        match &self.outcome {
            Outcome::Completed { output } => output.clone(),
            other => panic!("it did not complete: {other:?}"),
        }
    }

    /// The failure, whose kind must be `kind`, and what was put out before it.
    #[track_caller]
    pub(crate) fn failed(&self, kind: FailureKind) -> (Failure, Value) {
        match &self.outcome {
            Outcome::Failed { failure, output } if failure.kind == kind => {
                (failure.clone(), output.clone().unwrap_or_default())
            }
            other => panic!("it did not fail with {kind:?}: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn was_stopped(&self) {
        assert!(matches!(self.outcome, Outcome::Stopped), "{:?}", self.outcome);
    }

    pub(crate) fn logged(&self) -> Vec<(LogStream, LogLevel, &str)> {
        self.lines.iter().map(|line| (line.stream, line.level, line.message.as_str())).collect()
    }

    /// The lines of one stream.
    pub(crate) fn lines_of(&self, stream: LogStream) -> Vec<&str> {
        self.lines.iter().filter(|line| line.stream == stream).map(|line| line.message.as_str()).collect()
    }
}
