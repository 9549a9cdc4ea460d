//! The triggers of a running engine, on real folders and a store in memory.

mod afters;
mod answers;
mod batches;
mod files;
mod folders;
mod ledger;
mod rig;
mod runs;
mod schedules;
mod store;
mod stored;
