//! Test files: which workflow, what happens to its steps, and what must become of its execution.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cogwheel_definition::document_values;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A file of tests about one workflow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestFile {
    /// The workflow's file, from the folder of this one.
    pub(super) workflow: PathBuf,
    pub(super) tests: Vec<TestCase>,
}

/// One execution of the workflow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestCase {
    pub(super) name: String,
    #[serde(default)]
    pub(super) inputs: Map<String, Value>,
    /// What happens to steps, by their keys; all others run as they are.
    #[serde(default)]
    pub(super) steps: BTreeMap<String, Act>,
    pub(super) expect: Expected,
    /// How many seconds the execution may take.
    #[serde(default = "a_minute")]
    pub(super) max_seconds: u32,
}

fn a_minute() -> u32 {
    60
}

/// What happens to a step instead of, or beside, running it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Act {
    /// It completes with these outputs, without being run.
    Outputs(Value),
    /// It fails with this message, without being run.
    Fail(String),
    /// Its first attempts fail, then it runs.
    FailFirst(u32),
    /// It runs, and its time is up before it tells how that went.
    TimeOut(WhenTimedOut),
    /// It runs this many times with the same step key, and must complete each time.
    Repeat(u32),
}

/// What a step has done by the time its time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WhenTimedOut {
    /// Nothing.
    Before,
    /// Everything.
    After,
}

/// What must become of the execution. What is not said may be anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub(super) status: Option<ExpectedStatus>,
    /// The keys of exactly the steps that were undone, in any order.
    pub(super) undone: Option<Vec<String>>,
    /// The keys of exactly the steps that had to be undone and could not be.
    pub(super) not_undone: Option<Vec<String>>,
    /// The states of steps, by their keys.
    #[serde(default)]
    pub(super) steps: BTreeMap<String, String>,
    /// Outputs of the workflow; others may be there as well.
    #[serde(default)]
    pub(super) outputs: Map<String, Value>,
    /// What stands in the error.
    pub(super) error: Option<String>,
}

/// Where an execution may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ExpectedStatus {
    Completed,
    Failed,
    TimedOut,
    Compensated,
    /// Undos failed, and wait for somebody to decide.
    Paused,
}

impl ExpectedStatus {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Compensated => "compensated",
            Self::Paused => "paused",
        }
    }
}

impl TestFile {
    /// Reads a file; what is wrong with it is told with its name.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let source = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let values =
            document_values(&source).map_err(|problems| problems.render(&source, &path.display().to_string()))?;
        let file: Self = serde_json::from_value(values)
            .map_err(|error| format!("{} is not a test file: {error}", path.display()))?;
        match file.tests.iter().find_map(TestCase::mistake) {
            Some(mistake) => Err(format!("{}: {mistake}", path.display())),
            None if file.tests.is_empty() => Err(format!("{}: `tests` is empty", path.display())),
            None => Ok(file),
        }
    }
}

impl TestCase {
    fn mistake(&self) -> Option<String> {
        let nothing_to_repeat = self.steps.iter().find(|(_, act)| matches!(act, Act::Repeat(0 | 1)));
        nothing_to_repeat
            .map(|(key, _)| format!("test `{}`: `repeat` of `{key}` is the number of runs, 2 or more", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TestFile, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.yaml");
        std::fs::write(&path, text).unwrap();
        TestFile::read(&path)
    }

    #[test]
    fn all_words_are_read() {
        let file = read(
            "workflow: ../w.yaml\ntests:\n  - name: one\n    inputs: {a: 1}\n    max_seconds: 5\n    steps:\n      \
             a: {outputs: {x: 1}}\n      b: {fail: no}\n      c: {fail_first: 2}\n      d: {time_out: after}\n      \
             e: {repeat: 2}\n    expect: {status: compensated, undone: [a], not_undone: [], steps: {b: failed}, \
             outputs: {y: 2}, error: 'no'}\n",
        )
        .unwrap();
        assert_eq!(file.tests[0].steps.len(), 5);
        assert_eq!(file.tests[0].expect.status, Some(ExpectedStatus::Compensated));
    }

    #[test]
    fn mistakes_are_told_with_the_file() {
        for (text, told) in [
            ("workflow: w.yaml\ntests: []\n", "`tests` is empty"),
            ("workflow: w.yaml\ntests: [{name: a, expect: {state: failed}}]\n", "unknown field `state`"),
            ("workflow: w.yaml\ntests: [{name: a, steps: {x: {fial: no}}, expect: {}}]\n", "unknown variant `fial`"),
            ("workflow: w.yaml\ntests: [{name: a, steps: {x: {repeat: 1}}, expect: {}}]\n", "2 or more"),
            ("workflow: [\n", "t.yaml"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(told) && refused.contains("t.yaml"), "{refused}");
        }
    }
}
