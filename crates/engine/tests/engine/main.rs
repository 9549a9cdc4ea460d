//! The engine over stores in memory: its triggers on real folders, its runner and cluster in a simulated world.

mod blobs;
mod event_log;
mod reads;
mod simulation;
mod triggers;
