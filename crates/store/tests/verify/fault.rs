//! A fault, how it is planted, and what must be said about it.

use std::error::Error as _;

use cogwheel_store::verify::{Options, Report, Verdict, verify};

use crate::databases::{Copy, Template};

/// How a live database is broken.
pub(crate) enum Plant {
    /// Runs statements.
    Run(String),
    /// Replaces a part of an SQLite object's stored definition: object, from, to.
    Rewrite(&'static str, &'static str, &'static str),
}

/// A fault and the finding that names it: kind, table, object.
pub(crate) struct Fault {
    pub(crate) plant: Plant,
    pub(crate) finding: (&'static str, &'static str, String),
    /// A part of the sentence.
    pub(crate) says: &'static str,
}

/// A fault planted by statements.
pub(crate) fn run(sql: &str, (kind, table, object): (&'static str, &'static str, &str)) -> Fault {
    Fault { plant: Plant::Run(sql.to_owned()), finding: (kind, table, object.to_owned()), says: "" }
}

/// A fault planted in a stored definition.
pub(crate) fn rewrite(
    definition: &'static str,
    from: &'static str,
    to: &'static str,
    (kind, table, object): (&'static str, &'static str, &str),
) -> Fault {
    Fault { plant: Plant::Rewrite(definition, from, to), finding: (kind, table, object.to_owned()), says: "" }
}

impl Fault {
    /// Demands that the sentence holds `part`.
    pub(crate) fn saying(mut self, part: &'static str) -> Self {
        self.says = part;
        self
    }
}

/// Plants the faults, of each table one at a time, and expects each to be named.
pub(crate) async fn all_are_named(template: &Template, options: Options, faults: &[Fault]) {
    let mut rounds: Vec<Vec<&Fault>> = Vec::new();
    for fault in faults {
        let free = rounds.iter_mut().find(|round| round.iter().all(|other| other.finding.1 != fault.finding.1));
        match free {
            Some(round) => round.push(fault),
            None => rounds.push(vec![fault]),
        }
    }
    named_in_rounds(template, &options, &rounds).await;
}

/// Plants all faults in one copy and expects each to be named; for checks that take long.
pub(crate) async fn all_are_named_together(template: &Template, options: Options, faults: &[Fault]) {
    named_in_rounds(template, &options, &[faults.iter().collect()]).await;
}

async fn named_in_rounds(template: &Template, options: &Options, rounds: &[Vec<&Fault>]) {
    let mut missed = Vec::new();
    for round in rounds {
        missed.extend(examine(template, options, round).await);
    }
    assert!(missed.is_empty(), "{} faults were missed:\n{}", missed.len(), missed.join("\n"));
}

/// What was missed of the faults planted in one copy.
async fn examine(template: &Template, options: &Options, faults: &[&Fault]) -> Vec<String> {
    let copy = template.copy().await;
    let report = plant_and_verify(&copy, options, faults).await;
    match report {
        Err(error) => vec![error],
        Ok(report) => faults
            .iter()
            .filter(|fault| !names(&report, fault))
            .map(|fault| format!("{:?} saying `{}` is not among:\n{}", fault.finding, fault.says, report.to_table()))
            .collect(),
    }
}

async fn plant_and_verify(copy: &Copy, options: &Options, faults: &[&Fault]) -> Result<Report, String> {
    for fault in faults {
        let planted = match &fault.plant {
            Plant::Run(sql) => copy.execute(sql).await,
            Plant::Rewrite(definition, from, to) => copy.rewrite(definition, from, to).await,
        };
        planted.map_err(|error| format!("{:?} could not be planted: {error}", fault.finding))?;
    }
    let db = copy.open().await;
    let report = verify(&db, &cogwheel_entity::declared_schema(), options.clone()).await;
    db.close().await.map_err(|error| error.to_string())?;
    report.map_err(|error| format!("{error}: {}", error.source().map_or_else(String::new, ToString::to_string)))
}

fn names(report: &Report, fault: &Fault) -> bool {
    let (kind, table, object) = &fault.finding;
    let named = report.findings.iter().any(|finding| {
        (&finding.kind, &finding.table, &finding.object) == (&(*kind).to_owned(), &(*table).to_owned(), object)
            && finding.message.contains(fault.says)
    });
    named && report.verdict == Verdict::Findings
}
