//! Where settings come from: defaults, then the file, then the environment, then flags.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use toml::de::{DeTable, DeValue};

use super::table::{self, SETTINGS};

/// What the variables of the tests begin with.
const TEST_VARIABLES: &str = "COGWHEEL_TEST_";

/// What the variables begin with that hold secrets nobody has set.
const SECRET_VARIABLES: &str = "COGWHEEL_SECRET_";

/// Variables with the settings' prefix that are not settings: the file's own, what steps are given, and the build's.
const OTHER_VARIABLES: &[&str] = &[
    "COGWHEEL_CONFIG",
    "COGWHEEL_OUTPUT",
    "COGWHEEL_STEP_KEY",
    "COGWHEEL_EXECUTION_ID",
    "COGWHEEL_WORKFLOW",
    "COGWHEEL_STEP",
    "COGWHEEL_ATTEMPT",
    "COGWHEEL_WORKDIR",
    "COGWHEEL_BUILD_CACHE",
];

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File { path: PathBuf, line: usize, column: usize },
    Variable(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// A value as it was given, not yet read as anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Raw {
    Text(String),
    List(Vec<String>),
    Switch(bool),
    Number(String),
    /// Something no setting takes.
    Other(&'static str),
}

/// A value with the place it came from.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) raw: Raw,
    pub(crate) origin: Origin,
}

/// All values that count, by key, and everything that was wrong on the way.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) given: BTreeMap<&'static str, Given>,
    pub(crate) problems: Vec<String>,
}

impl Sources {
    /// The defaults alone.
    pub(crate) fn defaults() -> Self {
        let mut sources = Self::default();
        for setting in SETTINGS {
            let document = format!("value = {}", setting.default);
            // The table is checked by a test; a default that is no TOML would be missing here and named there.
            if let Ok(table) = DeTable::parse(&document)
                && let Some(value) = table.get_ref().get("value")
            {
                let given = Given { raw: raw(value.get_ref()), origin: Origin::Default };
                sources.given.insert(setting.key, given);
            }
        }
        sources
    }

    /// Lays a configuration file over what is there.
    pub(crate) fn file(&mut self, path: &Path, text: &str) {
        let document = match DeTable::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let (line, column) = place(text, error.span().map_or(0, |span| span.start));
                self.problems.push(format!("{}:{line}:{column}: {}", path.display(), error.message()));
                return;
            }
        };
        for (name, value) in document.get_ref() {
            if let DeValue::Table(section) = value.get_ref() {
                for (inner, value) in section {
                    let key = format!("{}.{}", name.get_ref(), inner.get_ref());
                    self.file_value(path, text, &key, inner.span().start, value.get_ref());
                }
            } else {
                self.file_value(path, text, name.get_ref(), name.span().start, value.get_ref());
            }
        }
    }

    fn file_value(&mut self, path: &Path, text: &str, key: &str, at: usize, value: &DeValue<'_>) {
        let (line, column) = place(text, at);
        let origin = Origin::File { path: path.to_owned(), line, column };
        self.put(key, raw(value), origin);
    }

    /// Lays the environment over what is there.
    pub(crate) fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (name, value) in variables {
            let is_other = [TEST_VARIABLES, SECRET_VARIABLES].iter().any(|prefix| name.starts_with(prefix))
                || OTHER_VARIABLES.contains(&name.as_str());
            if !name.starts_with("COGWHEEL_") || is_other {
                continue;
            }
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) {
                let given = Given { raw: Raw::Text(value), origin: Origin::Variable(name) };
                self.given.insert(setting.key, given);
            } else {
                let near = nearest(&name, SETTINGS.iter().map(table::Setting::variable));
                self.problems.push(format!("environment variable {name} is not a setting{near}"));
            }
        }
    }

    /// Lays the flags over what is there.
    pub(crate) fn flags(&mut self, matches: &ArgMatches) {
        for setting in SETTINGS {
            if let Some(value) = matches.get_one::<String>(setting.key) {
                let given = Given { raw: Raw::Text(value.clone()), origin: Origin::Flag(setting.flag()) };
                self.given.insert(setting.key, given);
            }
        }
    }

    fn put(&mut self, key: &str, raw: Raw, origin: Origin) {
        if let Some(setting) = table::find(key) {
            self.given.insert(setting.key, Given { raw, origin });
        } else {
            let near = nearest(key, SETTINGS.iter().map(|setting| setting.key.to_owned()));
            self.problems.push(format!("{origin}: unknown setting `{key}`{near}"));
        }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Boolean(switch) => Raw::Switch(*switch),
        DeValue::Integer(number) => Raw::Number(number.to_string()),
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                _ => None,
            });
            texts.collect::<Option<Vec<_>>>().map_or(Raw::Other("a list of other things than text"), Raw::List)
        }
        DeValue::Float(_) => Raw::Other("a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn nearest(name: &str, known: impl Iterator<Item = String>) -> String {
    known
        .map(|candidate| (strsim::jaro_winkler(name, &candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, candidate)| format!("; did you mean `{candidate}`?"))
}
