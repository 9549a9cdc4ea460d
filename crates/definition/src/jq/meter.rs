//! Measures what a filter uses, and ends it when that is too much.

use std::cell::Cell;
use std::fmt;

use jaq_core::box_iter::box_once;
use jaq_core::data::HasLut;
use jaq_core::native::{self, Fun};
use jaq_core::{DataT, Exn, Lut, Native, ValX};
use jaq_json::{Num, Val};

/// What a step takes; a value takes one unit, and text one for every [`BYTES_A_UNIT`].
const STEP: u64 = 10;
const BYTES_A_UNIT: usize = 4;

/// How much of the stack in use makes a step dearer by one unit.
const STACK_A_UNIT: usize = 1024;

/// The largest text, in bytes, and the longest list.
const MAX_TEXT: usize = 16 * 1024 * 1024;
const MAX_LIST: usize = 1_000_000;

/// The longest whole number, in bits.
const MAX_BITS: u64 = 16 * 1024;

/// How deep values may be nested; what reads them back knows 128 levels.
const MAX_DEPTH: usize = 100;

/// The names of the checks; no filter can spell them.
pub(super) const CHECK: &str = "check!";
pub(super) const WEIGH: &str = "weigh!";
pub(super) const TIMES: &str = "times!";

/// A bound that a filter broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    Fuel,
    Stack,
    Text,
    List,
    Number,
    Depth,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fuel => f.write_str("the filter takes too many steps or makes too much data"),
            Self::Stack => f.write_str("the filter calls itself too deeply"),
            Self::Text => write!(f, "the filter makes a text of more than {MAX_TEXT} bytes"),
            Self::List => write!(f, "the filter makes a list of more than {MAX_LIST} values"),
            Self::Number => f.write_str("the filter makes a number that is too large"),
            Self::Depth => write!(f, "the filter makes a value of more than {MAX_DEPTH} levels"),
        }
    }
}

/// What one run of a filter has left.
pub(super) struct Meter {
    fuel: Cell<u64>,
    /// Where the stack was at the start, and how far from there it may get.
    stack: (usize, usize),
    broken: Cell<Option<Bound>>,
}

impl Meter {
    /// A meter for a run that begins here, on a fresh stack of that many bytes.
    pub(super) fn new(fuel: u64, stack: usize) -> Self {
        // Between two checks, and to free what a filter leaves, a part of the stack stays unused.
        Self { fuel: Cell::new(fuel), stack: (here(), stack / 2), broken: Cell::new(None) }
    }

    /// What the evaluator needs to run a filter on this meter.
    pub(super) fn over<'a>(&'a self, lut: &'a Lut<Metered>) -> Data<'a> {
        Data { lut, meter: self }
    }

    /// Why the run was ended.
    pub(super) fn broken(&self) -> String {
        self.broken.get().map_or_else(|| "the filter was ended".to_owned(), |bound| bound.to_string())
    }

    /// Takes a step that comes to `value`.
    fn check(&self, value: &Val) -> Result<(), Bound> {
        let depth = self.stack.0.abs_diff(here());
        if depth > self.stack.1 {
            return Err(Bound::Stack);
        }
        // A result passes through all the calls that wait for it.
        self.take(STEP + (depth / STACK_A_UNIT) as u64)?;
        match value {
            Val::TStr(text) | Val::BStr(text) if text.len() > MAX_TEXT => Err(Bound::Text),
            Val::Arr(list) if list.len() > MAX_LIST => Err(Bound::List),
            _ => Ok(()),
        }
    }

    /// Takes all of `value`, as often as it is shared within itself.
    pub(super) fn weigh(&self, value: &Val) -> Result<(), Bound> {
        self.check(value)?;
        self.weigh_below(value, MAX_DEPTH)
    }

    fn weigh_below(&self, value: &Val, levels: usize) -> Result<(), Bound> {
        let inner = || levels.checked_sub(1).ok_or(Bound::Depth);
        self.take(1)?;
        match value {
            Val::TStr(text) | Val::BStr(text) => self.take(units(text.len())),
            Val::Arr(list) => inner().and_then(|levels| list.iter().try_for_each(|v| self.weigh_below(v, levels))),
            Val::Obj(fields) => {
                let levels = inner()?;
                let mut parts = fields.iter().flat_map(|(name, value)| [name, value]);
                parts.try_for_each(|part| self.weigh_below(part, levels))
            }
            Val::Null | Val::Bool(_) | Val::Num(_) => Ok(()),
        }
    }

    /// Whether `left * right` may be made.
    fn check_product(&self, left: &Val, right: &Val) -> Result<(), Bound> {
        match (left, right) {
            (Val::TStr(text) | Val::BStr(text), Val::Num(times))
            | (Val::Num(times), Val::TStr(text) | Val::BStr(text)) => {
                let times = times.as_isize().map_or(usize::MAX, |times| usize::try_from(times).unwrap_or(0));
                let length = text.len().saturating_mul(times);
                if length > MAX_TEXT { Err(Bound::Text) } else { self.take(units(length)) }
            }
            (Val::Num(left), Val::Num(right)) if bits(left) + bits(right) > MAX_BITS => Err(Bound::Number),
            _ => Ok(()),
        }
    }

    fn take(&self, units: u64) -> Result<(), Bound> {
        let left = self.fuel.get().checked_sub(units);
        self.fuel.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or(Bound::Fuel)
    }

    /// Ends the run where a bound was broken; nothing in a filter catches a halt.
    fn enforce<'a, T>(&self, kept: Result<(), Bound>, value: T) -> ValX<'a, T, Val> {
        match kept {
            Ok(()) => Ok(value),
            Err(bound) => {
                self.broken.set(Some(bound));
                Err(Exn::halt(1))
            }
        }
    }
}

/// Binds filters to a meter.
pub(super) struct Metered;

impl DataT for Metered {
    type V<'a> = Val;
    type Data<'a> = Data<'a>;
}

/// What a running filter's checks get hold of.
#[derive(Clone, Copy)]
pub(super) struct Data<'a> {
    lut: &'a Lut<Metered>,
    meter: &'a Meter,
}

impl<'a> HasLut<'a, Metered> for Data<'a> {
    fn lut(&self) -> &'a Lut<Metered> {
        self.lut
    }
}

/// The checks as filters. Those that stand in a path let it through.
pub(super) fn checks() -> [Fun<Metered>; 3] {
    let check = Native::<Metered>::new(|(context, value)| {
        let meter = context.data().meter;
        box_once(meter.enforce(meter.check(&value), value))
    })
    .with_paths(|(context, value)| {
        let meter = context.data().meter;
        box_once(meter.enforce(meter.check(&value.0), value))
    })
    .with_update(|(context, value), update| {
        let meter = context.data().meter;
        match meter.enforce(meter.check(&value), value) {
            Ok(value) => update(value),
            Err(halt) => box_once(Err(halt)),
        }
    });
    let weigh = Native::<Metered>::new(|(context, value)| {
        let meter = context.data().meter;
        box_once(meter.enforce(meter.weigh(&value), value))
    });
    let times = Native::<Metered>::new(|(mut context, _)| {
        let (right, left) = (context.pop_var(), context.pop_var());
        let meter = context.data().meter;
        let operands = meter.enforce(meter.check_product(&left, &right), (left, right));
        box_once(operands.and_then(|(left, right)| (left * right).map_err(Exn::from)))
    });
    [(CHECK, native::v(0), check), (WEIGH, native::v(0), weigh), (TIMES, native::v(2), times)]
}

fn units(bytes: usize) -> u64 {
    (bytes / BYTES_A_UNIT) as u64
}

fn bits(number: &Num) -> u64 {
    match number {
        Num::BigInt(number) => number.bits(),
        Num::Int(_) | Num::Float(_) | Num::Dec(_) => 64,
    }
}

/// Where the stack is now.
fn here() -> usize {
    let marker = 0_u8;
    (&raw const marker).addr()
}
