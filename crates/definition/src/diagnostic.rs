//! The problems of a document, and how they are shown to its author.

use std::fmt::{self, Write as _};

use crate::source::{Source, Span};

/// More problems than this are counted, not listed.
const LISTED: usize = 100;

macro_rules! codes {
    ($($name:ident = $text:literal, $meaning:literal;)*) => {
        /// What kind of problem it is. The text of a code never changes its meaning;
        /// `docs/errors.md` explains each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $meaning] $name,)* }

        impl Code {
            /// Every code, in the order of its text.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable text, such as `COG0103`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    TooLarge = "COG0001", "The file is larger than a workflow may be.";
    NotUtf8 = "COG0002", "The file is not UTF-8 text.";
    Syntax = "COG0003", "The file is not YAML.";
    DuplicateKey = "COG0004", "A key stands twice in one mapping.";
    TooComplex = "COG0005", "The document is nested too deeply or has too many values.";
    Empty = "COG0006", "The file holds no document.";
    SeveralDocuments = "COG0007", "The file holds more than one document.";
    UnknownKey = "COG0101", "A key that the language does not have.";
    NotYet = "COG0102", "A part of the language that this release does not run.";
    UnknownNeed = "COG0103", "A step needs a step that does not exist.";
    WrongType = "COG0104", "A value of another type was expected.";
    MissingKey = "COG0105", "A key that must be there is not.";
    InvalidValue = "COG0106", "A value is outside of what is allowed.";
    InvalidName = "COG0107", "A name has characters or a length that names may not have.";
    InvalidDuration = "COG0108", "A length of time cannot be read.";
    NoSteps = "COG0109", "The workflow has no steps.";
    DuplicateId = "COG0110", "Two steps, or two triggers, have the same id.";
    Cycle = "COG0111", "Steps need each other in a circle.";
    UnknownStepType = "COG0112", "A step uses a step type that does not exist.";
    Saga = "COG0113", "A rule of sagas is broken: what can be undone, and what cannot.";
    InvalidCron = "COG0120", "A cron expression cannot be read or never comes due.";
    UnknownTimezone = "COG0121", "A time zone is not in the IANA database.";
    InvalidPattern = "COG0122", "A file pattern cannot be read.";
    InvalidInput = "COG0123", "A trigger or a default gives an input a value it does not take.";
    ExpressionSyntax = "COG0130", "An expression cannot be read.";
    UnknownName = "COG0131", "An expression uses a name that does not exist.";
    NotUpstream = "COG0132", "An expression reads a step that has not run by then.";
    ExpressionInScript = "COG0133", "A script contains an expression.";
    ExpressionNotAllowed = "COG0134", "An expression stands where none is evaluated.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One problem and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The kind of problem.
    pub code: Code,
    /// What is wrong, with the offending text.
    pub message: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Number of characters concerned on that line, at least 1.
    pub length: usize,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, message, line, column, .. } = self;
        write!(f, "{line}:{column}: {code}: {message}")?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// All problems of one document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostics {
    /// The file they are about, where the caller knows one.
    pub file: Option<String>,
    /// The problems in the order in which they stand in the document; the first hundred of them.
    pub items: Vec<Diagnostic>,
    /// How many more there are.
    pub omitted: usize,
}

impl std::error::Error for Diagnostics {}

/// One line for each problem.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            if let Some(file) = &self.file {
                write!(f, "{file}:")?;
            }
            write!(f, "{item}")?;
        }
        self.write_omitted(f)
    }
}

impl Diagnostics {
    /// A single problem.
    pub(crate) fn one(diagnostic: Diagnostic) -> Self {
        Self { items: vec![diagnostic], ..Self::default() }
    }

    /// The same problems, said to be those of `file`.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// The problems as a compiler shows them: each with its line of `source` and a mark under the place.
    pub fn render(&self, source: impl AsRef<[u8]>, file_name: &str) -> String {
        let text = String::from_utf8_lossy(source.as_ref());
        let lines: Vec<&str> = text.lines().collect();
        let mut out = self.items.iter().map(|item| item.snippet(&lines, file_name)).collect::<Vec<_>>().join("\n");
        out.push_str(&Omitted(self).to_string());
        out
    }

    fn write_omitted(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.omitted {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more problems"),
        }
    }
}

struct Omitted<'a>(&'a Diagnostics);

impl fmt::Display for Omitted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_omitted(f)
    }
}

impl Diagnostic {
    fn snippet(&self, lines: &[&str], file_name: &str) -> String {
        let gutter = " ".repeat(self.line.to_string().len());
        let Self { code, message, line, column, .. } = self;
        let mut out = format!("error[{code}]: {message}\n{gutter}--> {file_name}:{line}:{column}\n");
        if let Some((shown, before)) = lines.get(line - 1).and_then(|text| window(text, *column)) {
            let mark = "^".repeat(self.length.min(shown.chars().count().saturating_sub(before)).max(1));
            let pad = " ".repeat(before);
            let _ = write!(out, "{gutter} |\n{line} | {shown}\n{gutter} | {pad}{mark}\n");
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "{gutter} = help: {help}");
        }
        out
    }
}

/// At most a terminal's width of a line around `column`, and how many characters of it precede the place.
fn window(line: &str, column: usize) -> Option<(String, usize)> {
    const WIDTH: usize = 160;
    let skip = column.saturating_sub(WIDTH / 2);
    let skip = if line.chars().nth(WIDTH).is_none() { 0 } else { skip };
    let shown: String = line.chars().skip(skip).take(WIDTH).map(|c| if c.is_control() { ' ' } else { c }).collect();
    (!shown.is_empty()).then_some((shown, column - 1 - skip.min(column - 1)))
}

/// Collects problems while a document is read.
pub(crate) struct Report<'a> {
    pub(crate) source: &'a Source<'a>,
    found: Vec<(Span, Code, String, Option<String>)>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(source: &'a Source<'a>) -> Self {
        Self { source, found: Vec::new() }
    }

    pub(crate) fn add(&mut self, code: Code, span: Span, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.found.push((span, code, message.into(), help.into()));
    }

    /// Whether there are so many problems that finding out what was meant is no longer worth its time.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() > 2 * LISTED
    }

    /// All problems so far, or nothing if there are none.
    pub(crate) fn finish(&mut self) -> Option<Diagnostics> {
        self.found.sort();
        self.found.dedup();
        let omitted = self.found.len().saturating_sub(LISTED);
        let items: Vec<Diagnostic> = self
            .found
            .drain(..)
            .take(LISTED)
            .map(|(span, code, message, help)| {
                let (line, column) = self.source.position(span.start);
                let length = self.source.length(span);
                Diagnostic { code, message, line, column, length, help }
            })
            .collect();
        (!items.is_empty()).then_some(Diagnostics { file: None, items, omitted })
    }
}

/// `text` in back quotes, shortened to what fits in a message.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let flat: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.chars().nth(SHOWN) {
        None => format!("`{flat}`"),
        Some(_) => format!("`{flat}…`"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Diagnostic, Diagnostics};

    #[test]
    fn every_code_has_an_entry_in_the_reference() {
        let page = include_str!("../../../docs/errors.md");
        for code in Code::ALL {
            let heading = format!("## {code}");
            let entry = page.split(&heading).nth(1).unwrap_or_else(|| panic!("no entry for {code}"));
            let entry = entry.split("\n## ").next().unwrap();
            assert!(entry.contains("**Why.**") && entry.contains("**Fix.**"), "{code} says too little");
        }
    }

    #[test]
    fn renders_a_snippet() {
        let diagnostics = Diagnostics::one(Diagnostic {
            code: Code::UnknownNeed,
            message: "step `load` needs `chek`".into(),
            line: 2,
            column: 10,
            length: 4,
            help: Some("did you mean `check`?".into()),
        });
        let expected = "\
error[COG0103]: step `load` needs `chek`
 --> a.yaml:2:10
  |
2 |   needs: chek
  |          ^^^^
  = help: did you mean `check`?
";
        assert_eq!(diagnostics.render("steps:\n  needs: chek\n", "a.yaml"), expected);
        assert_eq!(
            diagnostics.in_file("a.yaml").to_string(),
            "a.yaml:2:10: COG0103: step `load` needs `chek` (did you mean `check`?)"
        );
    }
}
