//! Executions that do not behave.

use cogwheel_engine::StartRequest;
use serde_json::Map;

use super::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_write_without_end_do_not_outlive_the_execution() {
    let rig = Rig::new();
    let flood = "timeout: 1s\nsteps: [{run: flood, needs: []}, {run: flood, needs: []}, {run: flood, needs: []}]\n";
    rig.put("workflows/flood.yaml", flood);
    let engine = rig.launch().await;
    engine.start(StartRequest::manual("flood", Map::new(), None)).await.unwrap();
    rig.store.until("its end", |tables| tables.live.is_empty().then_some(())).await;
    engine.shut_down().await;
}
