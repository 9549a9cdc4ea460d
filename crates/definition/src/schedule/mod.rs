//! When a schedule comes due: cron expressions and intervals, by the wall clock of a zone or by elapsed time.

mod calendar;
pub mod cron;
mod days;
mod exclude;
mod field;
mod names;
mod trigger;
mod zone;

pub use calendar::{Calendar, DstMark, Occurrence};
pub use cron::{Cron, CronProblem};
pub use exclude::Exclusion;
pub use trigger::{CatchUp, Dst, DstGap, DstOverlap, Overlap, Recurrence, ScheduleTrigger, Timing};
pub use zone::parse_zone;
