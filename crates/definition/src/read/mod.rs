//! From the tree of a document to a workflow.

mod fields;
mod flow;
mod inputs;
mod reader;
mod steps;
mod triggers;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Report};
use crate::names::{self, Known, Scope};
use crate::source::{Source, Span};
use crate::tree::{self, Kind, Node};
use crate::workflow::DEFAULT_TIMEOUT;
use crate::{Block, MAX_SOURCE_BYTES, Priority, Template, Workflow, graph};

use reader::Reader;
pub(crate) use steps::{Steps, fixed_outputs};

const KEYS: [&str; 10] =
    ["name", "description", "labels", "inputs", "outputs", "on", "env", "defaults", "timeout", "steps"];

const NOT_YET: [&str; 7] = ["concurrency", "queue_timeout", "priority", "on_failure", "finally", "saga", "history"];

/// Reads and checks the bytes of one document.
pub(crate) fn document(bytes: &[u8], fallback_name: &str) -> Result<Workflow, Diagnostics> {
    let source = Source::new(text(bytes)?);
    let mut report = Report::new(&source);
    let workflow = tree::read(&mut report).and_then(|root| workflow(&mut report, &root, fallback_name));
    match (report.finish(), workflow) {
        (None, Some(workflow)) => Ok(workflow),
        (problems, _) => Err(problems.unwrap_or_default()),
    }
}

/// The bytes as text, without a byte order mark.
fn text(bytes: &[u8]) -> Result<&str, Diagnostics> {
    let one = |code, message: String, (line, column), help: &str| {
        Diagnostics::one(Diagnostic { code, message, line, column, length: 1, help: Some(help.to_owned()) })
    };
    if bytes.len() > MAX_SOURCE_BYTES {
        // Readers stop just beyond the limit, so the length of what is here is not the file's.
        let message = format!("the file has more than {MAX_SOURCE_BYTES} bytes, the most that a workflow may have");
        return Err(one(
            Code::TooLarge,
            message,
            (1, 1),
            "keep data out of the workflow, in files that its steps read",
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let (valid, rest) = bytes.split_at(error.valid_up_to());
        let place = Source::new(&String::from_utf8_lossy(valid)).position(valid.len());
        let byte = rest.first().copied().unwrap_or_default();
        let message = format!("the byte 0x{byte:02X} is not UTF-8 text");
        one(Code::NotUtf8, message, place, "save the file as UTF-8")
    })?;
    Ok(text.strip_prefix('\u{FEFF}').unwrap_or(text))
}

fn workflow(report: &mut Report<'_>, root: &Node, fallback_name: &str) -> Option<Workflow> {
    if let Kind::Scalar { value: Value::Null, .. } = &*root.kind {
        report.add(
            Code::Empty,
            root.span,
            "the file holds no workflow",
            "a workflow needs at least `steps`".to_owned(),
        );
        return None;
    }
    let mut reader = Reader::new(report);
    let fields = reader.fields(root, "a workflow", &KEYS, &NOT_YET)?;
    let name = match fields.get("name") {
        Some(node) => reader.title(node, "name"),
        None => Some(fallback_name.to_owned()),
    };
    let description = fields.get("description").and_then(|node| reader.prose(node, "description"));
    let labels = fields.get("labels").map(|node| reader.labels(node)).unwrap_or_default();
    let inputs = fields.get("inputs").map(|node| reader.inputs(node));
    let env = fields.get("env").map(|node| reader.env(node, Scope::WorkflowEnv));
    let outputs = fields.get("outputs").map(|node| reader.outputs(node, Scope::Outputs)).unwrap_or_default();
    let defaults = fields.get("defaults").map(|node| reader.defaults(node)).unwrap_or_default();
    let timeout = fields.get("timeout").and_then(|node| reader.timeout(node, "timeout"));
    let steps = if let Some(node) = fields.get("steps") {
        reader.steps(node, &defaults)
    } else {
        reader.missing(&fields, "steps", Code::NoSteps, "the workflow has no `steps`");
        Steps::unknown()
    };
    let mut known = Known {
        inputs: match &inputs {
            None => Some(Vec::new()),
            Some(read) => read.is_whole.then(|| read.names.clone()),
        },
        env: match &env {
            None => Some(Vec::new()),
            Some(read) => read.is_whole.then(|| read.values.keys().cloned().collect()),
        },
        has_files: false,
        has_schedules: false,
    };
    let inputs = inputs.unwrap_or_default();
    let triggers = fields.get("on").map(|node| reader.triggers(node, &inputs)).unwrap_or_default();
    known.has_files = triggers.has_files;
    known.has_schedules = triggers.has_schedules;
    let (report, used) = reader.finish();
    let graph = graph::resolve(report, &steps);
    names::check(report, &used, &known, &steps, &graph);
    Some(Workflow {
        name: checked_fallback(report, name?, fields.get("name").is_none(), root.span)?,
        description,
        labels,
        inputs: inputs.inputs,
        outputs: outputs.values,
        triggers: triggers.triggers,
        env: env.map(|env| env.values).unwrap_or_default(),
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
        queue_timeout: None,
        priority: Priority::default(),
        concurrency: None,
        blocks: vec![Block { steps: (0..steps.drafts.len()).collect(), owner: None }],
        steps: steps.into_steps(graph.needs),
        on_failure: None,
        finally: None,
    })
}

/// The stem of a file may be anything; as a name it must follow the rules for names.
fn checked_fallback(report: &mut Report<'_>, name: String, is_fallback: bool, span: Span) -> Option<String> {
    match reader::title_problem(&name) {
        Some(problem) if is_fallback => {
            let message = format!("the file's name cannot be the workflow's: {problem}");
            report.add(Code::InvalidName, span, message, "add a `name`".to_owned());
            None
        }
        _ => Some(name),
    }
}

/// Named values as far as they could be read.
#[derive(Default)]
pub(crate) struct Values {
    pub(crate) values: BTreeMap<String, Template>,
    /// Whether the section was a mapping, so that a name that is not in it does not exist.
    pub(crate) is_whole: bool,
}
