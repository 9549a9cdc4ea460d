//! One suite for both databases: what the engine is promised holds on each.

mod adoption;
mod batches;
mod journal;
mod opening;
mod pages;
mod plans;
mod records;
mod starts;
mod tenants;
mod workflows;
mod world;

/// Makes a test of each function, once per database; one that fails leaves no database either.
macro_rules! on_both {
    ($($name:ident)+) => {
        mod on_sqlite {
            use futures_util::FutureExt;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let world = crate::conformance::world::World::sqlite().await;
                let done = std::panic::AssertUnwindSafe(super::$name(&world)).catch_unwind().await;
                world.end().await;
                done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            })+
        }

        mod on_postgres {
            use futures_util::FutureExt;

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let world = crate::conformance::world::World::postgres().await;
                let done = std::panic::AssertUnwindSafe(super::$name(&world)).catch_unwind().await;
                world.end().await;
                done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            })+
        }
    };
}
use on_both;
