//! Everything a user can see, tried on the real binary, on both databases.

mod access;
mod artifacts;
mod cluster;
mod concurrency;
mod control;
mod crash;
mod database;
mod drift;
mod examples;
mod file_limits;
mod file_options;
mod file_storm;
mod files;
mod flood;
mod flow;
mod lists;
mod matrix;
mod run;
mod schedules;
mod settings;
mod steps;
mod stop;
mod subscriptions;
mod validate;
mod watches;
mod workflow_files;
