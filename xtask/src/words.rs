//! Words that only some crates may write: database drivers, input and output, the engine's inner parts.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::edges::Member;

/// The crates that speak SQL. The tests do too: they break databases on purpose, and the benchmarks measure them bare.
const SPEAK_SQL: &[&str] = &[
    "cogwheel-store",
    "cogwheel-schema",
    "cogwheel-migration",
    "cogwheel-entity",
    "cogwheel-testkit",
    "cogwheel-tests",
    "cogwheel-bench",
];
const DRIVERS: &[&str] = &["rusqlite", "sqlx", "sea_orm", "sea_orm_migration"];

/// The crates that decide and never act; their tests may measure.
const PURE: &[&str] = &["cogwheel-definition", "cogwheel-machine"];
const IMPURE: &[&str] = &["async fn", "tokio", "std::fs", "std::net", "Utc::now", "SystemTime::now", "Instant::now"];

/// What step types may take from the engine: the ports, and what their answers are made of.
const OUTER: &[&str] = &["ports", "clock", "ExecutionId", "Failure", "FailureKind", "Outcome"];

/// Every forbidden word in the crates' sources, with its place.
pub(crate) fn breaches(root: &Path, members: &[Member]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for member in members.iter().filter(|member| member.name != "xtask") {
        for folder in ["src", "tests"].map(|folder| member.folder.join(folder)).iter().filter(|path| path.is_dir()) {
            in_folder(folder, &mut |path, text| {
                let place = path.strip_prefix(root).unwrap_or(path).display().to_string();
                found.extend(in_file(&member.name, &place, text));
            })?;
        }
    }
    Ok(found)
}

fn in_folder(folder: &Path, visit: &mut impl FnMut(&Path, &str)) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            in_folder(&path, visit)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            visit(&path, &text);
        }
    }
    Ok(())
}

fn in_file(member: &str, place: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = &code_of(line);
        let mut forbid = |word: &str, why: &str| {
            if names(code, word) {
                found.push(format!("{place}:{}: `{word}`: {why}", number + 1));
            }
        };
        if !SPEAK_SQL.contains(&member) {
            for driver in DRIVERS {
                forbid(driver, "only the store, the schema, the entities and the migrations know the database");
            }
        }
        if PURE.contains(&member) && place.contains("/src/") {
            for word in IMPURE {
                forbid(word, "this crate decides and never acts: time, files and tasks belong to the engine");
            }
        }
        if member == "cogwheel-steps" {
            found.extend(inner_paths(code).map(|path| {
                format!("{place}:{}: `cogwheel_engine::{path}`: step types use the engine's ports only", number + 1)
            }));
        }
    }
    found
}

/// What this line takes from the engine beside its ports and the types that they speak of.
fn inner_paths(code: &str) -> impl Iterator<Item = &str> {
    code.match_indices("cogwheel_engine::")
        .flat_map(|(at, prefix)| {
            let rest = &code[at + prefix.len()..];
            let listed = rest.strip_prefix('{').map(|list| list.split('}').next().unwrap_or(list));
            listed.unwrap_or(rest).split(',').take(if listed.is_some() { usize::MAX } else { 1 }).map(first_name)
        })
        .filter(|name| !OUTER.contains(name))
}

/// `StepType` of ` StepType as _;`.
fn first_name(path: &str) -> &str {
    let path = path.trim_start();
    let end = path.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(path.len());
    &path[..end]
}

/// The line without texts in quotes and without a `//` comment.
fn code_of(line: &str) -> String {
    let mut code = String::new();
    let mut letters = line.chars().peekable();
    let mut is_text = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if is_text => drop(letters.next()),
            '"' => is_text = !is_text,
            '/' if !is_text && letters.peek() == Some(&'/') => break,
            _ if is_text => {}
            _ => code.push(letter),
        }
    }
    code
}

/// Whether `word` stands in `code` as a word of its own.
fn names(code: &str, word: &str) -> bool {
    let part = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    code.match_indices(word)
        .any(|(at, _)| !part(code[..at].chars().next_back()) && !part(code[at + word.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_for_the_store() {
        let line = "use sea_orm::ConnectionTrait;";
        assert!(in_file("cogwheel-store", "crates/store/src/lib.rs", line).is_empty());
        assert_eq!(in_file("cogwheel-graphql", "crates/graphql/src/lib.rs", line).len(), 1);
    }

    #[test]
    fn pure_crates_neither_wait_nor_read_the_clock() {
        for line in ["pub async fn decide() {}", "let now = Utc::now();", "use std::fs;", "tokio::spawn(f);"] {
            assert!(!in_file("cogwheel-machine", "crates/machine/src/lib.rs", line).is_empty(), "{line}");
        }
        assert!(in_file("cogwheel-engine", "crates/engine/src/lib.rs", "pub async fn drive() {}").is_empty());
        assert!(in_file("cogwheel-machine", "crates/machine/tests/main.rs", "Instant::now()").is_empty());
    }

    #[test]
    fn comments_texts_and_longer_words_do_not_count() {
        let text = r#"//! Never names tokio.
let tokio_like = 1; // not tokio
let url = "https://tokio.rs/\"tokio\"";"#;
        assert!(in_file("cogwheel-machine", "crates/machine/src/lib.rs", text).is_empty());
        let text = r#"let url = "https://example.org"; tokio::spawn(url);"#;
        assert_eq!(in_file("cogwheel-machine", "crates/machine/src/lib.rs", text).len(), 1);
    }

    #[test]
    fn steps_use_ports_only() {
        let at = "crates/steps/src/lib.rs";
        assert!(in_file("cogwheel-steps", at, "use cogwheel_engine::ports::{StepType, StepContext};").is_empty());
        assert!(in_file("cogwheel-steps", at, "use cogwheel_engine::{Failure, ports::StepType, Outcome};").is_empty());
        assert_eq!(in_file("cogwheel-steps", at, "use cogwheel_engine::Engine;").len(), 1);
        assert_eq!(in_file("cogwheel-steps", at, "use cogwheel_engine::{Failure, Engine, views::Page};").len(), 2);
        assert!(in_file("cogwheel-engine", at, "use cogwheel_engine::Engine;").is_empty());
    }
}
