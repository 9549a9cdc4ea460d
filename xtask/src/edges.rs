//! Which workspace crate may depend on which.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// What each crate may use, and what its tests may use on top.
const RULES: &[Rule] = &[
    Rule::new("cogwheel-definition", &[], &[]),
    Rule::new("cogwheel-machine", &["cogwheel-definition"], &[]),
    Rule::new("cogwheel-schema", &[], &[]),
    Rule::new("cogwheel-entity", &["cogwheel-schema"], &[]),
    Rule::new("cogwheel-migration", &["cogwheel-schema"], &["cogwheel-entity", "cogwheel-testkit"]),
    Rule::new("cogwheel-engine", &["cogwheel-machine", "cogwheel-definition"], &[]),
    Rule::new(
        "cogwheel-store",
        &["cogwheel-engine", "cogwheel-machine", "cogwheel-definition", "cogwheel-entity", "cogwheel-schema"],
        &["cogwheel-testkit", "cogwheel-migration"],
    ),
    Rule::new("cogwheel-steps", &["cogwheel-engine"], &[]),
    Rule::new("cogwheel-files", &["cogwheel-engine"], &[]),
    Rule::new("cogwheel-access", &[], &[]),
    Rule::new("cogwheel-graphql", &["cogwheel-engine", "cogwheel-access"], &[]),
    Rule::new("cogwheel-server", &["cogwheel-graphql", "cogwheel-engine", "cogwheel-access"], &[]),
    Rule::new(
        "cogwheel",
        &[
            "cogwheel-access",
            "cogwheel-definition",
            "cogwheel-engine",
            "cogwheel-entity",
            "cogwheel-files",
            "cogwheel-graphql",
            "cogwheel-machine",
            "cogwheel-migration",
            "cogwheel-schema",
            "cogwheel-server",
            "cogwheel-steps",
            "cogwheel-store",
        ],
        &[],
    ),
    Rule::new("cogwheel-testkit", &[], &[]),
    Rule::new("cogwheel-tests", &["cogwheel-testkit"], &[]),
    Rule::new(
        "cogwheel-bench",
        &[
            "cogwheel-definition",
            "cogwheel-engine",
            "cogwheel-files",
            "cogwheel-migration",
            "cogwheel-steps",
            "cogwheel-store",
            "cogwheel-testkit",
            "cogwheel-tests",
        ],
        &[],
    ),
    Rule::new("xtask", &[], &[]),
];

struct Rule {
    name: &'static str,
    uses: &'static [&'static str],
    tests_use: &'static [&'static str],
}

impl Rule {
    const fn new(name: &'static str, uses: &'static [&'static str], tests_use: &'static [&'static str]) -> Self {
        Self { name, uses, tests_use }
    }

    fn allows(&self, edge: &Edge) -> bool {
        self.uses.contains(&edge.to.as_str()) || (edge.only_tests && self.tests_use.contains(&edge.to.as_str()))
    }
}

/// A crate of the workspace.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    edges: Vec<Edge>,
}

struct Edge {
    to: String,
    only_tests: bool,
}

/// The workspace's crates and what they say they depend on, out of `cargo metadata --no-deps`.
pub(crate) fn members(metadata: &Value) -> Result<Vec<Member>> {
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    let names: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    packages
        .iter()
        .map(|package| {
            let manifest = PathBuf::from(package["manifest_path"].as_str().context("a package has no manifest")?);
            let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
            let edges = dependencies.iter().filter_map(|dependency| {
                let to = dependency["name"].as_str().filter(|name| names.contains(name))?.to_owned();
                Some(Edge { to, only_tests: dependency["kind"].as_str() == Some("dev") })
            });
            Ok(Member {
                name: package["name"].as_str().context("a package has no name")?.to_owned(),
                folder: manifest.parent().context("a manifest lies in no folder")?.to_path_buf(),
                edges: edges.collect(),
            })
        })
        .collect()
}

/// Every edge that no rule allows, and every crate that has no rule.
pub(crate) fn breaches(members: &[Member]) -> Vec<String> {
    let mut found = Vec::new();
    for member in members {
        let Some(rule) = RULES.iter().find(|rule| rule.name == member.name) else {
            found.push(format!("`{}` has no rule: say in xtask/src/edges.rs what it may use", member.name));
            continue;
        };
        for edge in member.edges.iter().filter(|edge| !rule.allows(edge)) {
            let whose = if edge.only_tests { "tests of " } else { "" };
            found.push(format!("{whose}`{}` may not use `{}`", member.name, edge.to));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(name: &str, to: &str, kind: Option<&str>) -> Vec<String> {
        let metadata = json!({"packages": [
            {"name": name, "manifest_path": "/w/a/Cargo.toml", "dependencies": [
                {"name": to, "kind": kind}, {"name": "serde", "kind": null}]},
            {"name": to, "manifest_path": "/w/b/Cargo.toml", "dependencies": []},
        ]});
        breaches(&members(&metadata).expect("the metadata is complete"))
    }

    #[test]
    fn allowed_edges_pass() {
        assert!(found("cogwheel-machine", "cogwheel-definition", None).is_empty());
        assert!(found("cogwheel-server", "cogwheel-graphql", None).is_empty());
        assert!(found("cogwheel", "cogwheel-store", None).is_empty());
    }

    #[test]
    fn other_edges_are_named() {
        assert_eq!(
            found("cogwheel-definition", "cogwheel-machine", None),
            ["`cogwheel-definition` may not use `cogwheel-machine`"]
        );
        assert_eq!(
            found("cogwheel-graphql", "cogwheel-store", None),
            ["`cogwheel-graphql` may not use `cogwheel-store`"]
        );
    }

    #[test]
    fn what_tests_may_use_the_crate_itself_may_not() {
        assert!(found("cogwheel-store", "cogwheel-testkit", Some("dev")).is_empty());
        assert_eq!(
            found("cogwheel-store", "cogwheel-testkit", None),
            ["`cogwheel-store` may not use `cogwheel-testkit`"]
        );
        assert_eq!(
            found("cogwheel-tests", "cogwheel", Some("dev")),
            ["tests of `cogwheel-tests` may not use `cogwheel`"]
        );
    }

    #[test]
    fn a_crate_without_a_rule_is_a_breach() {
        assert_eq!(
            found("cogwheel-utils", "xtask", None),
            ["`cogwheel-utils` has no rule: say in xtask/src/edges.rs what it may use"]
        );
    }

    #[test]
    fn the_rules_have_no_circle() {
        fn reaches(from: &str, to: &str) -> bool {
            let uses = RULES.iter().find(|rule| rule.name == from).map(|rule| rule.uses).unwrap_or_default();
            uses.iter().any(|used| *used == to || reaches(used, to))
        }
        for rule in RULES {
            assert!(!reaches(rule.name, rule.name), "`{}` would use itself", rule.name);
        }
    }
}
