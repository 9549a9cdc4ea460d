//! Makes a runnable filter of its text.

use std::sync::LazyLock;

use jaq_core::compile::Undefined;
use jaq_core::load::lex::{Lexer, Token};
use jaq_core::load::parse::{Def, Parser, Term};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::native::{self, Fun};
use jaq_core::{Compiler, Error, Filter};
use jaq_json::Val;
use jaq_std::ValT as _;

use super::meter::{self, Metered};
use super::{convert, guard};

/// What the evaluator starts with: a definition whose body is the filter.
const MAIN: &str = "cogwheel_filter";

/// The native filters that show a filter the host, end a program or print; and `fromjson`, which is ours.
const LEFT_OUT: [&str; 5] = ["env", "halt", "stderr_empty", "debug_empty", "fromjson"];

/// What is defined by those.
const UNDEFINED: [&str; 4] = ["stderr", "debug", "halt", "halt_error"];

/// What every filter may use, with its checks.
static PRELUDE: LazyLock<Vec<Def<&'static str>>> = LazyLock::new(|| {
    jaq_core::defs()
        .chain(jaq_std::defs())
        .chain(jaq_json::defs())
        .filter(|definition| !UNDEFINED.contains(&definition.name))
        .map(guard::definition)
        .collect()
});

/// The filter that `text` stands for, or all that is wrong with it.
pub(super) fn filter(text: &str) -> Result<Filter<Metered>, String> {
    let main = Def { name: MAIN, args: Vec::new(), body: guard::term(parse(text)?) };
    let arena = Arena::default();
    let modules = Loader::new(PRELUDE.iter().cloned().chain([main]))
        .load(&arena, File { code: MAIN, path: () })
        .map_err(|_| "the filter could not be loaded".to_owned())?;
    Compiler::default().with_funs(natives()).compile(modules).map_err(|files| {
        let names = files.into_iter().flat_map(|(_, names)| names);
        join(names.map(|(name, what)| format!("{}: {} is not defined", place(text, name), described(name, &what))))
    })
}

fn parse(text: &str) -> Result<Term<&str>, String> {
    let tokens = Lexer::new(text).lex().map_err(|problems| {
        join(problems.into_iter().map(|(wanted, at)| format!("{}: a {} is missing", place(text, at), wanted.as_str())))
    })?;
    Parser::new(&tokens).parse(Parser::term).map_err(|problems| {
        join(problems.into_iter().map(|(wanted, found)| {
            let found = Token::opt_as_str(found, text);
            let got = if found.is_empty() { "its end".to_owned() } else { format!("`{}`", shortened(found)) };
            format!("{}: {} is expected where {got} is", place(text, found), wanted.as_str())
        }))
    })
}

fn natives() -> impl Iterator<Item = Fun<Metered>> {
    let theirs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    theirs.filter(|(name, ..)| !LEFT_OUT.contains(name)).chain(meter::checks()).chain([from_json()])
}

/// `fromjson` as JSON has it: the evaluator's own reader takes more than JSON, and text that is nested as deep as the
/// stack is.
fn from_json() -> Fun<Metered> {
    native::run(("fromjson", native::v(0), |(_, value)| {
        let parsed = value.as_utf8_bytes().map(serde_json::from_slice);
        native::bome(match parsed {
            Some(Ok(parsed)) => Ok(convert::read(&parsed)),
            Some(Err(error)) => Err(Error::str(format_args!("cannot parse {value} as JSON: {error}"))),
            None => Err(Error::<Val>::typ(value, "string")),
        })
    }))
}

/// Where in `text` its part `part` is, for people.
fn place(text: &str, part: &str) -> String {
    let at = part.as_ptr().addr().checked_sub(text.as_ptr().addr()).filter(|at| text.is_char_boundary(*at));
    let Some(before) = at.map(|at| &text[..at]) else {
        return "the filter".to_owned();
    };
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    format!("line {}, column {}", before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn described(name: &str, what: &Undefined) -> String {
    match what {
        Undefined::Filter(arity) => format!("the filter `{name}/{arity}`"),
        what => format!("the {} `{name}`", what.as_str()),
    }
}

fn shortened(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(20).collect()
}

fn join(problems: impl Iterator<Item = String>) -> String {
    problems.collect::<Vec<_>>().join("; ")
}
