//! What the machine promises, over chosen cases and over random ones.

mod children;
mod foreach;
mod groups;
mod handlers;
mod order;
mod random;
mod recovery;
mod rerun;
mod retries;
mod rig;
mod rows;
mod saga;
mod stopping;
mod switch;
mod until;
mod waits;
