//! Puts the meter's checks into a filter, wherever one could go on or grow without end.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};

use super::meter::{CHECK, TIMES, WEIGH};

/// The variable that `l += r` binds to the value of `r`; no filter can spell it.
const OPERAND: &str = "$operand!";

/// A definition with a check at its start: whatever recurses passes one, and a tail call stays one.
pub(super) fn definition(definition: Def<&str>) -> Def<&str> {
    let Def { name, args, body } = definition;
    Def { name, args, body: pipe(call(CHECK), term(body)) }
}

/// The same filter with its checks.
pub(super) fn term(filter: Term<&str>) -> Term<&str> {
    match filter {
        Term::Id | Term::Num(_) | Term::Var(_) | Term::Break(_) | Term::Arr(None) => filter,
        Term::Recurse => checked(Term::Recurse),
        Term::Str(format, parts) => Term::Str(format, parts.into_iter().map(text_part).collect()),
        Term::Arr(Some(values)) => Term::Arr(Some(Box::new(weighed(term(*values))))),
        Term::Obj(fields) => object(fields),
        Term::Neg(inner) => Term::Neg(boxed(*inner)),
        Term::BinOp(left, operator, right) => operation(term(*left), operator, term(*right)),
        Term::Label(name, inner) => Term::Label(name, boxed(*inner)),
        Term::Fold(name, values, bound, parts) => {
            Term::Fold(name, boxed(*values), pattern(bound), parts.into_iter().map(term).collect())
        }
        Term::TryCatch(inner, catch) => Term::TryCatch(boxed(*inner), catch.map(|catch| boxed(*catch))),
        Term::IfThenElse(cases, otherwise) => Term::IfThenElse(
            cases.into_iter().map(|(condition, then)| (term(condition), term(then))).collect(),
            otherwise.map(|otherwise| boxed(*otherwise)),
        ),
        Term::Def(definitions, inner) => Term::Def(definitions.into_iter().map(definition).collect(), boxed(*inner)),
        Term::Call(name, arguments) => {
            let counts = name == "range" && arguments.len() == 3;
            let call = Term::Call(name, arguments.into_iter().map(term).collect());
            if counts { checked(call) } else { call }
        }
        Term::Path(head, parts) => path(term(*head), parts),
    }
}

/// A field written `{$x}` has no value to weigh, so the object is.
fn object<'s>(fields: Vec<(Term<&'s str>, Option<Term<&'s str>>)>) -> Term<&'s str> {
    let is_short = fields.iter().any(|(_, value)| value.is_none());
    let field = |(name, value): (_, Option<_>)| (term(name), value.map(|value| weighed(term(value))));
    let object = Term::Obj(fields.into_iter().map(field).collect());
    if is_short { weighed(object) } else { object }
}

/// Operands come with their checks.
fn operation<'s>(left: Term<&'s str>, operator: BinaryOp<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    match operator {
        BinaryOp::Math(operator) => math(left, operator, right),
        BinaryOp::Comma => binary(checked(left), BinaryOp::Comma, right),
        BinaryOp::Pipe(bound) => binary(left, BinaryOp::Pipe(bound.map(pattern)), right),
        BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateAlt => binary(left, operator, weighed(right)),
        // The evaluator's own meaning of `l += r`, with the addition in reach: `r as $x | l |= . + $x`.
        BinaryOp::UpdateMath(operator) => {
            let update = math(Term::Id, operator, Term::Var(OPERAND));
            let updated = binary(left, BinaryOp::Update, update);
            binary(weighed(right), BinaryOp::Pipe(Some(Pattern::Var(OPERAND))), updated)
        }
        BinaryOp::Alt | BinaryOp::Or | BinaryOp::And | BinaryOp::Cmp(_) => binary(left, operator, right),
    }
}

fn math<'s>(left: Term<&'s str>, operator: Math, right: Term<&'s str>) -> Term<&'s str> {
    match operator {
        // A product can be too large to be made at all.
        Math::Mul => checked(Term::Call(TIMES, vec![left, right])),
        operator => checked(binary(left, BinaryOp::Math(operator), right)),
    }
}

/// Going through values is a step for each: loops within loops multiply.
fn path<'s>(head: Term<&'s str>, parts: Path<Term<&'s str>>) -> Term<&'s str> {
    let iterates = parts.0.iter().any(|(part, _)| matches!(part, Part::Range(None, None)));
    let part = |part| match part {
        Part::Index(index) => Part::Index(term(index)),
        Part::Range(from, to) => Part::Range(from.map(term), to.map(term)),
    };
    let parts = Path(parts.0.into_iter().map(|(inner, optional)| (part(inner), optional)).collect());
    let path = Term::Path(Box::new(head), parts);
    if iterates { checked(path) } else { path }
}

fn pattern(bound: Pattern<&str>) -> Pattern<&str> {
    match bound {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(parts) => Pattern::Arr(parts.into_iter().map(pattern).collect()),
        Pattern::Obj(parts) => Pattern::Obj(parts.into_iter().map(|(key, part)| (term(key), pattern(part))).collect()),
    }
}

fn text_part<'s>(part: StrPart<&'s str, Term<&'s str>>) -> StrPart<&'s str, Term<&'s str>> {
    match part {
        StrPart::Term(inner) => StrPart::Term(term(inner)),
        StrPart::Str(_) | StrPart::Char(_) => part,
    }
}

fn boxed(inner: Term<&str>) -> Box<Term<&str>> {
    Box::new(term(inner))
}

fn checked(inner: Term<&str>) -> Term<&str> {
    pipe(inner, call(CHECK))
}

fn weighed(inner: Term<&str>) -> Term<&str> {
    pipe(inner, call(WEIGH))
}

fn pipe<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    binary(left, BinaryOp::Pipe(None), right)
}

fn binary<'s>(left: Term<&'s str>, operator: BinaryOp<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), operator, Box::new(right))
}

fn call(name: &'static str) -> Term<&'static str> {
    Term::Call(name, Vec::new())
}
