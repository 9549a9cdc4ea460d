//! What verification found, as one JSON document or a table for people.

use std::fmt::Write;

use cogwheel_schema::LiveSchema;
use cogwheel_schema::compare::Difference;
use serde::Serialize;

/// The part of the examination a finding comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Live schema against declared schema.
    Schema,
    /// The rows.
    Data,
    /// The query plans.
    Plans,
}

/// Whether anything was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing.
    Clean,
    /// At least one finding.
    Findings,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where it was found.
    pub part: Part,
    /// Its kind in `snake_case`: `missing_index`, `orphan`, `index_not_used` …
    pub kind: String,
    /// The table it is about.
    pub table: String,
    /// The column, constraint, index or row it is about.
    pub object: String,
    /// What is declared, where the finding is a difference of schemas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// What the database holds, where the finding is a difference of schemas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// The finding as a sentence.
    pub message: String,
}

impl Finding {
    pub(super) fn new(part: Part, kind: &str, table: &str, object: &str, message: String) -> Self {
        let [kind, table, object] = [kind, table, object].map(str::to_owned);
        Self { part, kind, table, object, declared: None, live: None, message }
    }
}

impl From<Difference> for Finding {
    fn from(difference: Difference) -> Self {
        let Difference { kind, table, object, declared, live, message } = difference;
        Self { part: Part::Schema, kind: kind.to_string(), table, object, declared, live, message }
    }
}

/// What was examined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Tables, those of full-text search not included.
    pub tables: usize,
    /// Columns.
    pub columns: usize,
    /// Foreign keys.
    pub foreign_keys: usize,
    /// Indexes beside primary keys.
    pub indexes: usize,
    /// Check constraints.
    pub checks: usize,
    /// Triggers.
    pub triggers: usize,
    /// Row-level-security policies.
    pub policies: usize,
    /// Rows of the tables whose data was checked.
    pub rows_checked: u64,
    /// Query plans looked at.
    pub plans_checked: usize,
    /// Time taken, in milliseconds.
    pub duration_ms: u64,
}

impl Figures {
    pub(super) fn of(live: &LiveSchema) -> Self {
        let mut figures = Self::default();
        for table in live.tables.values() {
            figures.tables += usize::from(table.virtual_definition.is_none());
            figures.columns += table.columns.len();
            figures.foreign_keys += table.foreign_keys.len();
            figures.indexes += table.indexes.len();
            figures.checks += table.checks.len();
            figures.triggers += table.triggers.len();
            figures.policies += table.policies.len();
        }
        figures
    }
}

/// The result of an examination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Clean or not.
    pub verdict: Verdict,
    /// Everything found.
    pub findings: Vec<Finding>,
    /// What was examined.
    pub figures: Figures,
}

impl Report {
    pub(super) fn new(findings: Vec<Finding>, figures: Figures) -> Self {
        let verdict = if findings.is_empty() { Verdict::Clean } else { Verdict::Findings };
        Self { verdict, findings, figures }
    }

    /// The findings as aligned columns, then the figures, then what to do.
    pub fn to_table(&self) -> String {
        let mut out = String::new();
        if !self.findings.is_empty() {
            let heading = ["PART", "KIND", "TABLE", "OBJECT", "WHAT DIFFERS"].map(str::to_owned);
            let rows: Vec<[String; 5]> = std::iter::once(heading).chain(self.findings.iter().map(cells)).collect();
            let widths = [0, 1, 2, 3].map(|n| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0));
            for row in &rows {
                for (cell, width) in row.iter().zip(widths) {
                    let _ = write!(out, "{cell:width$}  ");
                }
                out.push_str(&row[4]);
                out.push('\n');
            }
            out.push('\n');
        }
        let f = &self.figures;
        let _ = writeln!(
            out,
            "{} tables, {} columns, {} foreign keys, {} indexes, {} checks, {} triggers, {} policies; {} rows and {} \
             query plans checked in {} ms",
            f.tables,
            f.columns,
            f.foreign_keys,
            f.indexes,
            f.checks,
            f.triggers,
            f.policies,
            f.rows_checked,
            f.plans_checked,
            f.duration_ms
        );
        out.push_str(&self.advice());
        out.push('\n');
        out
    }

    /// One line that says what to do next.
    pub fn advice(&self) -> String {
        let parts = [
            (
                Part::Schema,
                "schema: run `cogwheel db status`; where steps are pending run `cogwheel db migrate`, otherwise undo \
                 what was changed by hand or restore a backup",
            ),
            (Part::Data, "data: correct or remove the rows named above, after a backup"),
            (
                Part::Plans,
                "plans: recreate the index if it is missing, otherwise report the query that stopped using it",
            ),
        ];
        let lines: Vec<&str> = parts
            .into_iter()
            .filter(|(part, _)| self.findings.iter().any(|finding| finding.part == *part))
            .map(|(_, line)| line)
            .collect();
        match self.findings.len() {
            0 => "clean: nothing to do".to_owned(),
            1 => format!("1 finding; {}", lines.join("; ")),
            count => format!("{count} findings; {}", lines.join("; ")),
        }
    }
}

fn cells(finding: &Finding) -> [String; 5] {
    let part = match finding.part {
        Part::Schema => "schema",
        Part::Data => "data",
        Part::Plans => "plans",
    };
    [part.to_owned(), finding.kind.clone(), finding.table.clone(), finding.object.clone(), finding.message.clone()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_differs_and_ends_with_what_to_do() {
        let finding = Finding::new(
            Part::Schema,
            "missing_index",
            "files",
            "idx_files_status",
            "index idx_files_status does not exist".to_owned(),
        );
        let table = Report::new(vec![finding], Figures::default()).to_table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[1], "schema  missing_index  files  idx_files_status  index idx_files_status does not exist");
        assert!(lines.last().is_some_and(|line| line.starts_with("1 finding; schema: run `cogwheel db status`")));
    }

    #[test]
    fn a_clean_report_is_short() {
        let report = Report::new(Vec::new(), Figures::default());
        assert_eq!(report.verdict, Verdict::Clean);
        assert!(report.to_table().ends_with("clean: nothing to do\n"));
        let document = serde_json::to_value(&report).unwrap();
        assert_eq!(document["verdict"], "clean");
    }
}
