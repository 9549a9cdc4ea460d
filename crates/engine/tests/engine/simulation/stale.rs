//! A node that does not know yet that it has lost an execution.

use std::time::Duration;

use cogwheel_engine::ports::Notice;
use cogwheel_engine::{ExecutionStatus, StartRequest};
use serde_json::Map;
use tokio::time::{sleep, timeout};

use super::clock::epoch;
use super::draw::Draw;
use super::in_simulated_time;
use super::run::Run;
use super::world::{Faults, World};

/// It waits all the time, and never so long that it is let go of.
const STEADY: &str = "timeout: 1h\n\
    steps:\n\
    - {id: one, uses: wait, with: {for: 8s}}\n\
    - {id: two, uses: wait, with: {for: 8s}}\n\
    - {id: three, uses: wait, with: {for: 8s}}";

#[test]
fn what_a_node_hears_of_an_execution_that_it_has_lost_reaches_the_owner() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    in_simulated_time(async {
        let run = Run::of(World::new(Draw(7), Faults::default()), folder.path());
        run.fill(0).await;
        run.fill(1).await;
        let engines = run.engines();
        let workflow = cogwheel_definition::parse(STEADY.as_bytes(), "steady").expect("it is well formed");
        for engine in &engines {
            engine.save_workflow(workflow.clone(), STEADY.to_owned()).await.expect("it is saved");
        }
        let id = engines[0].start(StartRequest::manual("steady", Map::new(), None)).await.expect("it is started").id;
        let owner = || run.world.tables().executions[&id].owner;
        let first = owner().expect("who starts it runs it");
        let taken = run.world.commit(|tables| {
            let row = tables.executions.get_mut(&id).expect("it is recorded");
            (row.owner, row.next_wake_at) = (None, Some(epoch()));
            row.epoch += 1;
            Ok(())
        });
        taken.expect("nothing is lost here");
        run.world.pass_on(first, Notice::Work);
        let claimed = async {
            while owner().is_none_or(|node| node == first) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(5), claimed).await.expect("the other node takes it up");
        engines[0].cancel(id, Some("enough".to_owned())).await.expect("it is under way");
        let ended = async {
            while !run.world.ended() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_mins(5), ended).await.expect("it ends");
        assert_eq!(run.world.tables().executions[&id].status, ExecutionStatus::Cancelled);
    });
}
