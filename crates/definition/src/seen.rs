//! What expressions may read, as whoever evaluates them provides it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use minijinja::Value;
use minijinja::value::Serde;
use serde_json::Value as Json;

use crate::suggest;

/// The fields of a step that expressions may read.
const STEP: [&str; 3] = ["outputs", "status", "error"];

/// The names that an expression may read, where it stands.
pub trait Names {
    /// The value of a root name other than `steps`.
    fn root(&self, name: &str) -> Option<Cow<'_, Json>>;

    /// The root names there are, for messages.
    fn roots(&self) -> Vec<&str>;

    /// The step that is meant by this id.
    fn step(&self, id: &str) -> Option<SeenStep<'_>>;

    /// The ids of the steps that can be read.
    fn step_ids(&self) -> Vec<&str>;
}

/// What is known of a step.
#[derive(Debug, Clone)]
pub struct SeenStep<'a> {
    /// What it put out; null before its end.
    pub outputs: Cow<'a, Json>,
    /// Where it stands.
    pub status: &'a str,
    /// Why it did not complete; null otherwise.
    pub error: Cow<'a, Json>,
}

impl SeenStep<'_> {
    fn field(&self, name: &str) -> Option<Cow<'_, Json>> {
        match name {
            "outputs" => Some(Cow::Borrowed(&self.outputs)),
            "status" => Some(Cow::Owned(self.status.into())),
            "error" => Some(Cow::Borrowed(&self.error)),
            _ => None,
        }
    }
}

/// A mapping of root names, its `steps` a mapping from ids.
impl Names for Json {
    fn root(&self, name: &str) -> Option<Cow<'_, Json>> {
        self.get(name).map(Cow::Borrowed)
    }

    fn roots(&self) -> Vec<&str> {
        self.as_object().into_iter().flat_map(|roots| roots.keys().map(String::as_str)).collect()
    }

    fn step(&self, id: &str) -> Option<SeenStep<'_>> {
        let step = self.get("steps")?.get(id)?;
        let field = |name| step.get(name).map_or(Cow::Owned(Json::Null), Cow::Borrowed);
        let status = step.get("status").and_then(Json::as_str).unwrap_or_default();
        Some(SeenStep { outputs: field("outputs"), status, error: field("error") })
    }

    fn step_ids(&self) -> Vec<&str> {
        let steps = self.get("steps").and_then(Json::as_object);
        steps.into_iter().flat_map(|steps| steps.keys().map(String::as_str)).collect()
    }
}

/// Whether every part of `path` is there. The evaluator would take a missing value for unequal to everything.
pub(crate) fn resolves(names: &dyn Names, path: &[String]) -> Result<(), String> {
    let Some((root, below)) = path.split_first() else {
        return Ok(());
    };
    if root != "steps" {
        let value = names.root(root).ok_or_else(|| missing(path, 0, names.roots()))?;
        return resolves_below(&value, path, 1);
    }
    let Some((id, below)) = below.split_first() else {
        return Ok(());
    };
    let step = names.step(id).ok_or_else(|| missing(path, 1, names.step_ids()))?;
    match below.first() {
        None => Ok(()),
        Some(name) => {
            let field = step.field(name).ok_or_else(|| missing(path, 2, STEP.to_vec()))?;
            resolves_below(&field, path, 3)
        }
    }
}

/// Whether the parts of `path` from `depth` on are there below `value`.
fn resolves_below(value: &Json, path: &[String], depth: usize) -> Result<(), String> {
    let mut value = value;
    for (depth, key) in path.iter().enumerate().skip(depth) {
        let Json::Object(entries) = value else {
            return match value {
                Json::Null => Err(format!("`{}` is null and has no `{key}`", path[..depth].join("."))),
                _ => Ok(()),
            };
        };
        value = entries.get(key).ok_or_else(|| missing(path, depth, entries.keys().map(String::as_str).collect()))?;
    }
    Ok(())
}

fn missing(path: &[String], depth: usize, names: Vec<&str>) -> String {
    let key = &path[depth];
    let hint = match suggest::did_you_mean(key, names.iter().copied()) {
        Some(hint) => format!("; {hint}"),
        None if names.is_empty() => String::new(),
        None => format!("; there is {}", names.into_iter().take(20).collect::<Vec<_>>().join(", ")),
    };
    match depth {
        0 => format!("there is no `{key}`{hint}"),
        _ => format!("`{}` has no `{key}`{hint}", path[..depth].join(".")),
    }
}

/// What lies on one of the paths, so that large values nobody reads are not copied.
pub(crate) fn project(names: &dyn Names, paths: &[&[String]]) -> Value {
    let mut projected: BTreeMap<&str, Value> = BTreeMap::new();
    for root in paths.iter().filter_map(|path| path.first()) {
        if projected.contains_key(root.as_str()) {
            continue;
        }
        let below = below(paths, root);
        if root == "steps" {
            projected.insert(root, project_steps(names, &below));
        } else if let Some(value) = names.root(root) {
            projected.insert(root, project_value(&value, &below));
        }
    }
    projected.into()
}

fn project_steps(names: &dyn Names, paths: &[&[String]]) -> Value {
    let reads_all = paths.iter().any(|path| path.is_empty());
    let ids = if reads_all {
        names.step_ids()
    } else {
        paths.iter().filter_map(|path| path.first()).map(String::as_str).collect()
    };
    let mut projected: BTreeMap<&str, Value> = BTreeMap::new();
    for id in ids {
        if projected.contains_key(id) {
            continue;
        }
        let Some(step) = names.step(id) else { continue };
        let below = below(paths, id);
        let reads_whole = reads_all || below.iter().any(|path| path.is_empty());
        let mut fields: BTreeMap<&str, Value> = BTreeMap::new();
        for name in STEP {
            let deeper = self::below(&below, name);
            if let Some(field) = step.field(name).filter(|_| reads_whole || !deeper.is_empty()) {
                let value = if reads_whole { Value::from(Serde(&*field)) } else { project_value(&field, &deeper) };
                fields.insert(name, value);
            }
        }
        projected.insert(id, fields.into());
    }
    projected.into()
}

fn project_value(value: &Json, paths: &[&[String]]) -> Value {
    let Json::Object(entries) = value else {
        return Value::from(Serde(value));
    };
    if paths.iter().any(|path| path.is_empty()) {
        return Value::from(Serde(value));
    }
    let mut projected = BTreeMap::new();
    for (key, entry) in entries {
        let below = below(paths, key);
        if !below.is_empty() {
            projected.insert(key.as_str(), project_value(entry, &below));
        }
    }
    projected.into()
}

/// The rest of the paths that go through `key`.
fn below<'p>(paths: &[&'p [String]], key: &str) -> Vec<&'p [String]> {
    paths.iter().filter(|path| path.first().is_some_and(|first| first == key)).map(|path| &path[1..]).collect()
}
