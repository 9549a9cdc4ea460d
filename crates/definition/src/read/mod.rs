//! From the tree of a document to a workflow.

mod actions;
mod blocks;
mod execution;
mod fields;
mod files;
mod flow;
mod groups;
mod inputs;
mod json_schema;
mod loops;
mod outside;
mod reader;
mod saga;
mod schedules;
mod steps;
mod triggers;
mod waits;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Report};
use crate::names::{self, Known, KnownFiles, Scope};
use crate::source::{Source, Span};
use crate::tree::{self, Kind, Node};
use crate::workflow::DEFAULT_TIMEOUT;
use crate::{MAX_SOURCE_BYTES, Template, Workflow, graph, keys, undo};

pub(crate) use blocks::{Draft, Drafts, Level};
pub(crate) use execution::MAX_LIMIT;
use fields::Fields;
pub(crate) use files::{LONGEST_MARKER, MAX_BATCH};
pub(crate) use flow::MAX_ATTEMPTS;
pub(crate) use loops::MAX_ROUNDS;
use reader::Reader;
pub(crate) use saga::WrittenSaga;
pub(crate) use steps::takes_retry;

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

/// The values of one document as JSON, without a look at what they mean.
pub(crate) fn values(bytes: &[u8]) -> Result<Value, Diagnostics> {
    let source = Source::new(text(bytes)?);
    let mut report = Report::new(&source);
    let root = tree::read(&mut report);
    match (report.finish(), root) {
        (None, Some(root)) => Ok(root.to_json()),
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
    let fields = reader.fields(root, &keys::WORKFLOW)?;
    let name = match fields.get("name") {
        Some(node) => reader.title(node, "name"),
        None => Some(fallback_name.to_owned()),
    };
    let description = fields.get("description").and_then(|node| reader.prose(node, "description"));
    let labels = fields.get("labels").map(|node| reader.labels(node)).unwrap_or_default();
    let inputs = fields.get("inputs").map(|node| reader.inputs(node));
    let env = fields.get("env").map(|node| reader.env(node, Scope::WorkflowEnv));
    let outputs = fields.get("outputs").map(|node| reader.outputs(node, Scope::Outputs)).unwrap_or_default();
    reader.defaults = fields.get("defaults").map(|node| reader.defaults(node)).unwrap_or_default();
    let timeout = fields.get("timeout").and_then(|node| reader.timeout(node, "timeout"));
    let queue_timeout = fields.get("queue_timeout").and_then(|node| reader.timeout(node, "queue_timeout"));
    let priority = fields.get("priority").and_then(|node| reader.priority(node)).unwrap_or_default();
    let history = fields.get("history").and_then(|node| reader.history(node)).unwrap_or_default();
    let concurrency = fields.get("concurrency").and_then(|node| reader.concurrency(node));
    let saga = fields.entry("saga").map(|entry| reader.saga(entry));
    blocks(&mut reader, &fields);
    // A deadline that is given says how long the steps may take, where nothing else does.
    let deadline = saga.as_ref().and_then(|saga| saga.policy.deadline);
    let limit = timeout.unwrap_or_else(|| deadline.unwrap_or_default().max(DEFAULT_TIMEOUT));
    if timeout.is_some() || fields.get("timeout").is_none() {
        reader.check_waits(limit, timeout.is_some());
        if let Some(saga) = &saga {
            reader.check_deadline(saga, limit);
        }
    }
    let mut known = Known {
        inputs: match &inputs {
            None => Some(Vec::new()),
            Some(read) => read.is_whole.then(|| read.names.clone()),
        },
        env: match &env {
            None => Some(Vec::new()),
            Some(read) => read.is_whole.then(|| read.values.keys().cloned().collect()),
        },
        triggers: Vec::new(),
        files: KnownFiles::default(),
    };
    let inputs = inputs.unwrap_or_default();
    let triggers = fields.get("on").map(|node| reader.triggers(node, &inputs)).unwrap_or_default();
    known.triggers = triggers.kinds;
    known.files = triggers.files;
    let (report, mut drafts, used) = reader.finish();
    drafts.check_ids(report);
    let graph = graph::resolve(report, &drafts);
    names::check(report, &used, &known, &drafts, &graph);
    undo::check(report, &mut drafts, &graph, saga.as_ref());
    let (on_failure, finally) = (drafts.on_failure, drafts.finally);
    let (mut steps, mut blocks) = drafts.finish(graph.needs)?;
    let saga = undo::saga(saga.map(|saga| saga.policy), &mut steps, &mut blocks);
    Some(Workflow {
        name: checked_fallback(report, name?, fields.get("name").is_none(), root.span)?,
        description,
        labels,
        inputs: inputs.inputs,
        outputs: outputs.values,
        triggers: triggers.triggers,
        env: env.map(|env| env.values).unwrap_or_default(),
        timeout: limit,
        queue_timeout,
        priority,
        history,
        concurrency,
        steps,
        blocks,
        on_failure,
        finally,
        saga,
    })
}

/// Reads the workflow's own lists of steps, its main one first.
fn blocks(reader: &mut Reader<'_, '_>, fields: &Fields<'_>) {
    if let Some(node) = fields.get("steps") {
        reader.block(node, "`steps`", None);
    } else {
        reader.missing(fields, "steps", Code::NoSteps, "the workflow has no `steps`");
        let main = reader.open_block(None);
        reader.drafts.blocks[main].is_whole = false;
    }
    // The index is known before the steps are read, which are called after it.
    if let Some(node) = fields.get("on_failure") {
        reader.drafts.on_failure = Some(reader.drafts.blocks.len());
        reader.block(node, "`on_failure`", None);
    }
    if let Some(node) = fields.get("finally") {
        reader.drafts.finally = Some(reader.drafts.blocks.len());
        reader.block(node, "`finally`", None);
    }
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
