//! `cogwheel validate`: checks workflow files as the server would, without a server, settings or a database.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cogwheel_definition::{Diagnostic, Diagnostics, MAX_SOURCE_BYTES, Workflow};
use serde::Serialize;
use serde_json::json;

use crate::cli::Output;
use crate::output;

/// The code that `docs/errors.md` explains and that the server gives such a file, too.
const UNREADABLE: &str = "COG0201";

/// One thing that is wrong, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    /// A stable code, for what `docs/errors.md` explains.
    pub(super) code: Option<String>,
    /// What is wrong.
    pub(super) message: String,
    /// Line, from 1, for what stands in the file.
    pub(super) line: Option<usize>,
    /// Column in characters, from 1, for what stands in the file.
    pub(super) column: Option<usize>,
    /// What to do about it.
    pub(super) help: Option<String>,
    /// All of it as people read it.
    pub(super) text: String,
}

/// What checking one file came to, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The file as it was named.
    path: String,
    /// The workflow it defines, if it is sound.
    name: Option<String>,
    /// Whether it is sound.
    ok: bool,
    /// Why it is not; the first hundred problems.
    problems: Vec<Problem>,
}

/// Why a file defines no workflow.
#[derive(Debug)]
pub(super) struct Unsound {
    /// For programs.
    pub(super) report: Report,
    /// For people.
    pub(super) text: String,
}

/// Checks every file and prints what each came to; code 1 when one is not sound.
pub(super) fn run(files: &[PathBuf], print: Output) -> anyhow::Result<ExitCode> {
    let (mut reports, mut texts) = (Vec::new(), Vec::new());
    for path in files {
        let (report, text) = match check(path) {
            Ok(workflow) => {
                let text = format!("{}: ok, {}", path.display(), summary(&workflow));
                (Report::sound(path, &workflow), text)
            }
            Err(unsound) => (unsound.report, unsound.text),
        };
        reports.push(report);
        texts.push(text.trim_end().to_owned());
    }
    output::answer(print, &json!({ "files": reports }), &texts.join("\n"))?;
    Ok(if reports.iter().all(|report| report.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The workflow of a file, or all that is wrong with it.
pub(super) fn check(path: &Path) -> Result<Workflow, Box<Unsound>> {
    load(path).map(|(workflow, _)| workflow)
}

/// The workflow of a file with its text, or all that is wrong with it.
pub(super) fn load(path: &Path) -> Result<(Workflow, String), Box<Unsound>> {
    let source = read(path).map_err(|error| Unsound::unreadable(path, &error))?;
    // The name that the server would give it, too.
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let workflow = cogwheel_definition::parse(&source, &stem)
        .map_err(|diagnostics| Box::new(Unsound::refused(path, &source, &diagnostics)))?;
    Ok((workflow, String::from_utf8_lossy(&source).into_owned()))
}

/// The content, cut off just beyond what a workflow may have: the check then says that it is too large.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut source = Vec::new();
    File::open(path)?.take(MAX_SOURCE_BYTES as u64 + 1).read_to_end(&mut source)?;
    Ok(source)
}

/// The workflow in half a sentence.
pub(super) fn summary(workflow: &Workflow) -> String {
    let plural = if workflow.steps.len() == 1 { "" } else { "s" };
    format!("workflow {} with {} step{plural}", workflow.name, workflow.steps.len())
}

impl Problem {
    fn of(diagnostic: &Diagnostic, source: &[u8], file: &str) -> Self {
        let alone = Diagnostics { items: vec![diagnostic.clone()], ..Diagnostics::default() };
        Self {
            code: Some(diagnostic.code.to_string()),
            message: diagnostic.message.clone(),
            line: Some(diagnostic.line),
            column: Some(diagnostic.column),
            help: diagnostic.help.clone(),
            text: alone.render(source, file),
        }
    }
}

impl Report {
    /// Of a file that is as it should be.
    pub(super) fn sound(path: &Path, workflow: &Workflow) -> Self {
        Self { path: path.display().to_string(), name: Some(workflow.name.clone()), ok: true, problems: Vec::new() }
    }

    /// Of a file, or of what was asked of it, that is not.
    pub(super) fn unsound(path: &Path, name: Option<String>, problems: Vec<Problem>) -> Self {
        Self { path: path.display().to_string(), name, ok: false, problems }
    }
}

impl Unsound {
    fn unreadable(path: &Path, error: &io::Error) -> Self {
        let message = format!("{} cannot be read: {error}", path.display());
        let help = "check that it exists, is a file and may be read";
        let text = format!("error[{UNREADABLE}]: {message}\n = help: {help}");
        let problem = Problem {
            code: Some(UNREADABLE.to_owned()),
            message,
            line: None,
            column: None,
            help: Some(help.to_owned()),
            text: text.clone(),
        };
        Self { report: Report::unsound(path, None, vec![problem]), text }
    }

    fn refused(path: &Path, source: &[u8], diagnostics: &Diagnostics) -> Self {
        let file = path.display().to_string();
        let problems = diagnostics.items.iter().map(|item| Problem::of(item, source, &file)).collect();
        Self { report: Report::unsound(path, None, problems), text: diagnostics.render(source, &file) }
    }
}
