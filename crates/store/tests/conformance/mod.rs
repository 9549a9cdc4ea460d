//! One suite for both databases: what the engine is promised holds on each.

mod artifacts;
mod batches;
mod cancels;
mod concurrency;
mod event_store;
mod event_waits;
mod events;
mod files;
mod journal;
mod nodes;
mod notices;
mod opening;
mod outside;
mod pages;
mod pool;
mod readers;
mod records;
mod sagas;
mod schedules;
mod signals;
mod starts;
mod tenants;
mod uploads;
mod webhooks;
mod workflows;
mod world;

/// Makes a test of each function, once per database.
macro_rules! on_both {
    ($($name:ident)+) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let world = crate::conformance::world::World::sqlite().await;
                super::$name(&world).await;
                world.end().await;
            })+
        }

        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let world = crate::conformance::world::World::postgres().await;
                super::$name(&world).await;
                world.end().await;
            })+
        }
    };
}
use on_both;
