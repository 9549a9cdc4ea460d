//! `cogwheel test`: runs workflows as their tests say, and compares what became of them.

mod file;
mod outcome;
mod scripted;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use cogwheel_engine::{Engine, ExecutionId};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::run::{self, DataFolder};
use super::validate;
use crate::cli::{GivenInput, Output};
use crate::settings::Settings;
use crate::{EXIT_USAGE, output};
use file::{TestCase, TestFile};
use outcome::Became;
use scripted::Script;

/// The pause between two looks at an execution.
const PAUSE: Duration = Duration::from_millis(10);

/// What one test came to.
#[derive(Debug, Serialize)]
struct Verdict {
    name: String,
    ok: bool,
    seconds: f64,
    /// What was not as expected.
    differences: Vec<String>,
}

/// What the tests of one file came to.
#[derive(Debug, Serialize)]
struct FileVerdict {
    path: String,
    workflow: String,
    tests: Vec<Verdict>,
}

/// Runs the tests of these files, and of the files in these folders.
pub(super) async fn run(settings: &Settings, paths: &[PathBuf], print: Output) -> anyhow::Result<ExitCode> {
    let mut verdicts = Vec::new();
    for path in files_of(paths)? {
        match run_file(settings, &path).await? {
            Ok(verdict) => verdicts.push(verdict),
            Err(mistake) => {
                output::note(&mistake);
                return Ok(ExitCode::from(EXIT_USAGE));
            }
        }
    }
    let tests = || verdicts.iter().flat_map(|file| &file.tests);
    let failed = tests().filter(|test| !test.ok).count();
    let mut lines = Vec::new();
    for file in &verdicts {
        lines.push(format!("{} ({})", file.path, file.workflow));
        for test in &file.tests {
            let word = if test.ok { "ok    " } else { "FAILED" };
            lines.push(format!("  {word}  {} ({:.2} s)", test.name, test.seconds));
            lines.extend(test.differences.iter().map(|difference| format!("          {difference}")));
        }
    }
    lines.push(format!("{} tests, {failed} failed", tests().count()));
    output::answer(print, &json!({ "ok": failed == 0, "files": verdicts }), &lines.join("\n"))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The files that are named, with those that lie in the folders that are.
fn files_of(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside: Vec<PathBuf> =
            std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
        inside.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml"));
        inside.sort();
        anyhow::ensure!(!inside.is_empty(), "{} has no test files (*.yaml)", path.display());
        files.append(&mut inside);
    }
    Ok(files)
}

/// Runs the tests of a file, or tells why it has none that could be run.
async fn run_file(settings: &Settings, path: &Path) -> anyhow::Result<Result<FileVerdict, String>> {
    let file = match TestFile::read(path) {
        Ok(file) => file,
        Err(mistake) => return Ok(Err(mistake)),
    };
    let workflow = path.parent().unwrap_or_else(|| Path::new("")).join(&file.workflow);
    let name = match validate::check(&workflow) {
        Ok(workflow) => workflow.name,
        Err(unsound) => return Ok(Err(unsound.text)),
    };
    let mut tests = Vec::new();
    for case in file.tests {
        let began = Instant::now();
        let name = case.name.clone();
        let differences = run_case(settings, &workflow, case).await?;
        let seconds = began.elapsed().as_secs_f64();
        tests.push(Verdict { name, ok: differences.is_empty(), seconds, differences });
    }
    Ok(Ok(FileVerdict { path: path.display().to_string(), workflow: name, tests }))
}

/// Runs one test on a database of its own; answers what was not as expected.
async fn run_case(settings: &Settings, file: &Path, case: TestCase) -> anyhow::Result<Vec<String>> {
    let given = case.inputs.into_iter().map(|(name, value)| GivenInput { name, value }).collect();
    let subject = match run::prepare(file, given) {
        Ok(subject) => subject,
        Err(unsound) => return Ok(vec![unsound.text]),
    };
    let Some(folder) = DataFolder::make(None)? else { return Ok(vec!["there is no folder to run it in".to_owned()]) };
    let script = Script::new(case.steps);
    let (engine, store) = run::launch(settings, folder.path(), script.registry()).await?;
    let limit = Duration::from_secs(case.max_seconds.into());
    let became = async {
        let id = subject.start(&engine).await?;
        timeout(limit, until_ended(&engine, id)).await.unwrap_or(Ok(None))
    };
    let became = became.await;
    engine.stop_now().await;
    store.close().await;
    let Some(became) = became? else {
        return Ok(vec![format!("it did not end within {} s (`max_seconds`)", case.max_seconds)]);
    };
    let mut differences = became.differences(&case.expect);
    let unreached = script.not_reached();
    differences
        .extend(unreached.iter().map(|key| format!("no attempt of `{key}` began: is it the key of a step that runs?")));
    Ok(differences)
}

async fn until_ended(engine: &Engine, id: ExecutionId) -> anyhow::Result<Option<Became>> {
    loop {
        let became = Became::read(engine, id).await?;
        if became.has_ended {
            return Ok(Some(became));
        }
        sleep(PAUSE).await;
    }
}
