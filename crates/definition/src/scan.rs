//! Finds the names that an expression uses, and where it uses them.

use std::fmt::Write as _;
use std::ops::Range;

/// What an expression refers to, beside its own literals and operators.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) references: Vec<Reference>,
    pub(crate) words: Vec<Word>,
    /// Where the literal filters stand, in quotes, that are given to `jq`.
    pub(crate) filters: Vec<Range<usize>>,
    /// Whether a part of it may be left out when it is evaluated, so that a missing value need not be an error.
    pub(crate) is_conditional: bool,
    /// How many names, literals and operators it has.
    pub(crate) tokens: usize,
    /// How many brackets stand inside of one another at most.
    pub(crate) brackets: usize,
    /// The expression with dotted step ids that contain a hyphen written as an index, which the evaluator reads.
    pub(crate) code: String,
}

/// A value of the context: a root name and the keys below it, as far as they are literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) path: Vec<String>,
    /// Where each part of the path stands in the expression.
    pub(crate) places: Vec<Range<usize>>,
}

/// A name that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) name: String,
    pub(crate) kind: WordKind,
    pub(crate) place: Range<usize>,
}

/// The ways in which a name is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WordKind {
    /// `name(…)`
    Function,
    /// `value | name`
    Filter,
    /// `value is name`
    Test,
    /// `value.name(…)`
    Method,
}

/// What stood before the next name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Dot,
    Pipe,
    Is,
}

/// Names, literals and operators that an expression may have.
pub(crate) const MAX_TOKENS: usize = 400;

/// Arguments longer than this are not looked at.
const MAX_ARGUMENT: usize = 16 * 1024;

const KEYWORDS: [&str; 13] =
    ["and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"];

/// The names in `text`. The text need not be a valid expression.
pub(crate) fn scan(text: &str) -> Scan {
    let mut scanner = Scanner { text, at: 0, copied: 0, before: Before::Nothing, open: 0, found: Scan::default() };
    while let Some(c) = scanner.peek() {
        scanner.take(c);
    }
    let rest = &text[scanner.copied..];
    scanner.found.code.push_str(rest);
    scanner.found
}

/// The byte length of the quoted text at the start of `text`, or all of it when the quote is not closed.
pub(crate) fn quoted_length(text: &str) -> usize {
    let mut chars = text.char_indices();
    let quote = chars.next().map(|(_, c)| c);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if Some(c) == quote {
            return at + c.len_utf8();
        }
    }
    text.len()
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// How much of the text has been copied to the rewritten code.
    copied: usize,
    before: Before,
    open: usize,
    found: Scan,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn take(&mut self, c: char) {
        self.found.tokens += usize::from(!c.is_whitespace());
        match c {
            '"' | '\'' => {
                self.at += quoted_length(self.rest());
                self.before = Before::Nothing;
            }
            c if is_name_start(c) => self.name(),
            c if c.is_ascii_digit() => {
                self.at += self.length(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
                self.before = Before::Nothing;
            }
            c => {
                self.at += c.len_utf8();
                match c {
                    '(' | '[' | '{' => self.open += 1,
                    ')' | ']' | '}' => self.open = self.open.saturating_sub(1),
                    _ => {}
                }
                self.found.brackets = self.found.brackets.max(self.open);
                self.before = match c {
                    '.' => Before::Dot,
                    '|' => Before::Pipe,
                    c if c.is_whitespace() => self.before,
                    _ => Before::Nothing,
                };
            }
        }
    }

    /// The byte length of the leading characters that satisfy `accept`.
    fn length(&self, accept: impl Fn(char) -> bool) -> usize {
        self.rest().find(|c| !accept(c)).unwrap_or_else(|| self.rest().len())
    }

    fn name(&mut self) {
        let place = self.at..self.at + self.length(is_name_part);
        let name = &self.text[place.clone()];
        let before = std::mem::replace(&mut self.before, Before::Nothing);
        self.at = place.end;
        let next = self.rest().trim_start();
        match before {
            Before::Pipe => {
                self.found.is_conditional |= matches!(name, "default" | "d");
                self.word(name.to_owned(), WordKind::Filter, place);
            }
            Before::Is if name == "not" => self.before = Before::Is,
            Before::Is => {
                self.found.is_conditional |= matches!(name, "defined" | "undefined");
                self.word(name.to_owned(), WordKind::Test, place);
            }
            Before::Dot if next.starts_with('(') => self.word(name.to_owned(), WordKind::Method, place),
            Before::Dot => {}
            Before::Nothing if KEYWORDS.contains(&name) => {
                self.found.is_conditional |= matches!(name, "and" | "or" | "if");
                if name == "is" {
                    self.before = Before::Is;
                }
            }
            Before::Nothing if next.starts_with('=') && !next.starts_with("==") => {}
            Before::Nothing if next.starts_with('(') => self.word(name.to_owned(), WordKind::Function, place),
            Before::Nothing => self.reference(place),
        }
    }

    fn word(&mut self, name: String, kind: WordKind, place: Range<usize>) {
        // An expression with more tokens is refused, so that looking ahead for each of them would be for nothing.
        if name == "jq" && self.found.tokens <= MAX_TOKENS {
            let argument = match kind {
                WordKind::Function => self.argument(1),
                WordKind::Filter => self.argument(0),
                WordKind::Test | WordKind::Method => None,
            };
            self.found.filters.extend(argument.filter(|place| self.is_quoted(place)));
        }
        self.found.words.push(Word { name, kind, place });
    }

    /// Where the argument of this index stands, of a call whose name has just been read.
    fn argument(&self, index: usize) -> Option<Range<usize>> {
        let list = self.rest().trim_start().strip_prefix('(')?;
        let mut start = self.text.len() - list.len();
        let mut at = start;
        let (mut open, mut passed) = (0_usize, 0);
        while let Some(c) = self.text.get(at..)?.chars().next().filter(|_| at - start < MAX_ARGUMENT) {
            match c {
                '"' | '\'' => {
                    at += quoted_length(&self.text[at..]);
                    continue;
                }
                '(' | '[' | '{' => open += 1,
                ')' | ',' if open == 0 => {
                    if passed == index {
                        let argument = self.text[start..at].trim();
                        let start = start + self.text[start..at].len() - self.text[start..at].trim_start().len();
                        return Some(start..start + argument.len());
                    }
                    if c == ')' {
                        return None;
                    }
                    passed += 1;
                    start = at + 1;
                }
                ')' | ']' | '}' => open = open.saturating_sub(1),
                _ => {}
            }
            at += c.len_utf8();
        }
        None
    }

    fn is_quoted(&self, place: &Range<usize>) -> bool {
        let text = &self.text[place.clone()];
        text.starts_with(['"', '\'']) && quoted_length(text) == text.len()
    }

    fn reference(&mut self, root: Range<usize>) {
        let mut reference = Reference { path: vec![self.text[root.clone()].to_owned()], places: vec![root] };
        while let Some((key, place)) = self.key(&reference.path) {
            self.found.tokens += 1;
            reference.path.push(key);
            reference.places.push(place);
        }
        if reference.path.len() > 1
            && self.rest().starts_with('(')
            && let (Some(name), Some(place)) = (reference.path.pop(), reference.places.pop())
        {
            self.word(name, WordKind::Method, place);
        }
        self.found.references.push(reference);
    }

    /// The next literal key after a reference: `.name` or `['name']`.
    fn key(&mut self, path: &[String]) -> Option<(String, Range<usize>)> {
        if let Some(rest) = self.rest().strip_prefix('.') {
            rest.chars().next().filter(|&c| is_name_start(c))?;
            let dot = self.at;
            self.at += 1;
            let is_step = path == ["steps"];
            let length = self.length(|c| is_name_part(c) || is_step && c == '-');
            let place = self.at..self.at + length;
            let key = self.text[place.clone()].to_owned();
            self.at = place.end;
            if key.contains('-') {
                self.found.code.push_str(&self.text[self.copied..dot]);
                let _ = write!(self.found.code, "[\"{key}\"]");
                self.copied = self.at;
            }
            return Some((key, place));
        }
        let inner = self.rest().strip_prefix('[')?.trim_start();
        let start = self.text.len() - inner.len();
        inner.starts_with(['"', '\'']).then_some(())?;
        let end = start + quoted_length(inner);
        let after = self.text[end..].trim_start().strip_prefix(']')?;
        let place = start + 1..end.saturating_sub(1).max(start + 1);
        let key = self.text.get(place.clone())?;
        if key.contains('\\') {
            return None;
        }
        self.at = self.text.len() - after.len();
        Some((key.to_owned(), place))
    }
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_name_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::scan;

    fn paths(text: &str) -> Vec<String> {
        scan(text).references.into_iter().map(|reference| reference.path.join("/")).collect()
    }

    fn words(text: &str) -> Vec<String> {
        scan(text).words.into_iter().map(|word| format!("{:?} {}", word.kind, word.name)).collect()
    }

    #[test]
    fn finds_references() {
        assert_eq!(paths("inputs.a + steps.b.outputs['c d'] * 2"), ["inputs/a", "steps/b/outputs/c d"]);
        assert_eq!(paths("steps[inputs.which].outputs"), ["steps", "inputs/which"]);
        assert_eq!(paths("'inputs.a' ~ \"x \\\" env.y\" ~ now"), ["now"]);
        assert_eq!(paths("{'a': inputs.b, 'c': [env.D]}"), ["inputs/b", "env/D"]);
        assert_eq!(paths("inputs.n-1"), ["inputs/n"]);
        assert_eq!(paths("1.5 + 2e3"), [""; 0]);
    }

    #[test]
    fn reads_hyphens_in_step_ids() {
        let found = scan("steps.step-1.outputs.n - 1");
        assert_eq!(found.references[0].path, ["steps", "step-1", "outputs", "n"]);
        assert_eq!(found.code, "steps[\"step-1\"].outputs.n - 1");
    }

    #[test]
    fn finds_calls() {
        assert_eq!(
            words("basename(trigger.file.path) | replace('a', 'b') | default(value=1)"),
            ["Function basename", "Filter replace", "Filter default"]
        );
        assert_eq!(words("inputs.a is not none and inputs.b is defined"), ["Test none", "Test defined"]);
        assert_eq!(words("inputs.a.upper()"), ["Method upper"]);
    }

    #[test]
    fn survives_anything() {
        for text in [
            "",
            "'",
            "\"\\",
            "a.",
            "a['",
            "a[''",
            "steps.",
            "steps.-",
            "ß.ä",
            "[[[",
            "a['\u{1F600}']",
            "|||",
            "is is not",
        ] {
            scan(text);
        }
    }
}
