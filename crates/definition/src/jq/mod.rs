//! Runs jq filters within bounds.
//!
//! A filter is a program that its author may get wrong: it can loop, recurse or grow without end, and nothing ends a
//! thread from outside. So every filter is compiled together with checks ([`guard`]) that draw on a meter
//! ([`meter`]), and an exhausted meter ends it in a way that no `try` catches. It sees nothing of the host:
//! no environment, no further input, no output but its results.

mod compile;
mod convert;
mod guard;
mod meter;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jaq_core::{Ctx, Filter, Vars};
use serde_json::Value;

use meter::{Meter, Metered};

/// The longest filter, in bytes; a parser recurses as deep as a filter is nested.
const MAX_FILTER: usize = 8 * 1024;

/// How many results a filter may have.
const MAX_RESULTS: usize = 1_000_000;

/// What a filter may use, in units of [`meter`]; about ten million steps.
const FUEL: u64 = 100_000_000;

/// The stack that a filter runs on: evaluator and parser recurse, and an overflow would end the server. Memory is only
/// taken for what is used of it.
const STACK: usize = 128 * 1024 * 1024;

/// The results of `filter` for `input`, in their order.
///
/// Numbers come back as jq writes them: a whole number has no fraction, what is no number is `null`, and infinity is
/// the largest number there is. It takes a bounded time, which may be seconds.
///
/// # Errors
///
/// What is wrong with the filter and where, what it failed with, or which bound it broke, as one line of text.
pub fn jq(filter: &str, input: &Value) -> Result<Vec<Value>, String> {
    bounded(filter, input, FUEL)
}

fn bounded(filter: &str, input: &Value, fuel: u64) -> Result<Vec<Value>, String> {
    if filter.len() > MAX_FILTER {
        return Err(format!("the filter is longer than {MAX_FILTER} bytes"));
    }
    std::thread::scope(|scope| {
        let runs = std::thread::Builder::new()
            .name("jq".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || run(filter, input, &Meter::new(fuel, STACK)))
            .map_err(|error| format!("the filter could not be started: {error}"))?;
        runs.join().unwrap_or_else(|_| Err("the filter made its evaluator fail".to_owned()))
    })
}

/// Filters that were compiled, so that one that is used for each of many values is compiled once.
static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Filter<Metered>>>>> = LazyLock::new(Mutex::default);

/// How many of them are kept.
const MAX_COMPILED: usize = 256;

fn compiled(filter: &str) -> Result<Arc<Filter<Metered>>, String> {
    let kept = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept().get(filter) {
        return Ok(Arc::clone(known));
    }
    let new = Arc::new(compile::filter(filter)?);
    let mut kept = kept();
    if kept.len() == MAX_COMPILED {
        kept.clear();
    }
    kept.insert(filter.to_owned(), Arc::clone(&new));
    Ok(new)
}

fn run(filter: &str, input: &Value, meter: &Meter) -> Result<Vec<Value>, String> {
    let filter = compiled(filter)?;
    let context = Ctx::<Metered>::new(meter.over(&filter.lut), Vars::new([]));
    let mut results = Vec::new();
    for result in filter.id.run((context, convert::read(input))) {
        let value = match result.map_err(jaq_core::Exn::get_err) {
            Ok(value) => value,
            Err(Ok(error)) => return Err(one_line(&error.to_string())),
            Err(Err(_)) => return Err(meter.broken()),
        };
        if results.len() == MAX_RESULTS {
            return Err(format!("the filter has more than {MAX_RESULTS} results"));
        }
        // What is shared within a value is written out on its way out.
        meter.weigh(&value).map_err(|bound| bound.to_string())?;
        results.push(convert::write(&value)?);
    }
    Ok(results)
}

/// An evaluator's message may quote a whole value: as much of it as people read, on one line.
fn one_line(message: &str) -> String {
    const MAX_CHARS: usize = 500;

    let shown: String =
        message.chars().map(|character| if character.is_control() { ' ' } else { character }).take(MAX_CHARS).collect();
    if shown.len() < message.len() { format!("{shown}…") } else { shown }
}
