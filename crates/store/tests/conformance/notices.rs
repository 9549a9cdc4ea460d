//! What nodes tell each other.

use std::time::Duration;

use cogwheel_engine::WorkflowId;
use cogwheel_engine::ports::{Notice, Store};
use cogwheel_machine::ExecutionId;
use tokio::time::timeout;
use uuid::Uuid;

use super::world::World;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_hear_each_other_but_not_themselves() {
    let world = World::postgres().await;
    let other = world.second_store().await;
    let mut heard = world.store.listen().await.unwrap();
    let told = [
        Notice::Work,
        Notice::Inbox(ExecutionId(Uuid::now_v7())),
        Notice::Changed(ExecutionId(Uuid::now_v7()), WorkflowId(Uuid::now_v7())),
        Notice::Workflows,
        Notice::Webhooks,
    ];
    for notice in told {
        world.store.notify(Notice::Missed).await.unwrap();
        other.notify(notice).await.unwrap();
        assert_eq!(timeout(SOON, heard.recv()).await.unwrap(), Some(notice));
    }
    other.close().await;
    world.end().await;
    assert_eq!(timeout(SOON, heard.recv()).await.unwrap(), None, "nothing is heard once the store is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_connection_is_told_and_made_anew() {
    let world = World::postgres().await;
    let other = world.second_store().await;
    let mut heard = world.store.listen().await.unwrap();
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid() and query ilike 'listen%'";
    assert_eq!(world.number(cut).await, 1);
    assert_eq!(timeout(SOON, heard.recv()).await.unwrap(), Some(Notice::Missed));
    other.notify(Notice::Work).await.unwrap();
    assert_eq!(timeout(SOON, heard.recv()).await.unwrap(), Some(Notice::Work));
    other.close().await;
    world.end().await;
}

#[tokio::test]
async fn the_only_node_of_a_file_hears_nothing() {
    let world = World::sqlite().await;
    let mut heard = world.store.listen().await.unwrap();
    world.store.notify(Notice::Work).await.unwrap();
    assert!(timeout(Duration::from_millis(50), heard.recv()).await.is_err());
    world.end().await;
}
