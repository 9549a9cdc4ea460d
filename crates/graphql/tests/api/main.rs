//! The API against an engine of made-up rows.

mod answers;
mod contract;
mod fake;
mod follow;
mod limits;
mod lists;
mod start;
