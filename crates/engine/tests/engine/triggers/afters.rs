//! What is done with files once their executions have ended.

use std::fs;

use cogwheel_definition::FileEvent;
use cogwheel_engine::ports::{AFTER_PAUSES, AfterEnd, DecisionReason, EndedAfter};

use super::files::{healthy, taken};
use super::rig::Rig;
use super::store::Tables;

fn moving(after: &str) -> String {
    format!(
        "on: {{file: {{path: inbox, match: '**/*', events: [created, modified, deleted], settle: 50ms, after: {{{after}}}}}}}\nsteps: [{{run: x}}]\n"
    )
}

async fn ended(rig: &Rig, count: usize) -> Vec<EndedAfter> {
    let enough = |tables: &Tables| (tables.ended.len() >= count).then(|| tables.ended.values().cloned().collect());
    rig.store.until(&format!("{count} files to be dealt with"), enough).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_file_is_no_new_one_and_the_old_one_is_not_told_deleted() {
    let rig = Rig::new();
    rig.put("workflows/intake.yaml", moving("success: inbox/done"));
    let engine = rig.launch().await;
    healthy(&rig, true).await;
    for number in 0..20 {
        rig.put(&format!("inbox/{number}"), number.to_string());
    }
    ended(&rig, 20).await;
    for number in 0..20 {
        let moved = rig.path(&format!("inbox/done/{number}"));
        assert_eq!(fs::read_to_string(moved).unwrap(), number.to_string());
        assert!(!rig.path(&format!("inbox/{number}")).exists());
    }
    engine.shut_down().await;
    // The next life looks at everything again.
    let engine = rig.launch().await;
    rig.put("inbox/last", "x");
    taken(&rig, 21).await;
    ended(&rig, 21).await;
    {
        let tables = rig.store.tables();
        assert!(tables.files.len() == 21 && tables.files.iter().all(|file| file.event == FileEvent::Created));
        let own = tables.decisions.iter().filter(|decision| decision.reason == DecisionReason::DuplicateVersion);
        assert_eq!(own.count(), 42);
    }
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_before_the_end_and_to_no_file_that_changed() {
    let rig = Rig { gate: std::sync::Arc::new(tokio::sync::Semaphore::new(0)), ..Rig::new() };
    rig.put("workflows/intake.yaml", moving("success: delete"));
    let engine = rig.launch().await;
    healthy(&rig, true).await;
    rig.put("inbox/a", "one");
    rig.put("inbox/b", "one");
    taken(&rig, 2).await;
    rig.put("inbox/b", "changed while it ran");
    taken(&rig, 3).await;
    assert!(rig.path("inbox/a").exists());
    rig.gate.add_permits(2);
    let ended = ended(&rig, 2).await;
    assert!(!rig.path("inbox/a").exists() && rig.path("inbox/b").exists());
    let changed = AfterEnd::Failed("it has changed since".to_owned());
    assert_eq!(ended.iter().filter(|ended| ended.end == changed).count(), 1, "{ended:?}");
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_done_before_the_end_of_a_life_is_done_in_the_next() {
    let rig = Rig::new();
    rig.put("workflows/intake.yaml", moving("success: done"));
    let engine = rig.launch().await;
    healthy(&rig, true).await;
    rig.put("inbox/a", "x");
    ended(&rig, 1).await;
    engine.shut_down().await;
    // As if the server had ended between the plan and the move.
    fs::rename(rig.path("done/a"), rig.path("inbox/a")).unwrap();
    rig.store.change(|tables| tables.ended.clear());
    let engine = rig.launch().await;
    let target = rig.path("done/a").to_str().unwrap().to_owned();
    assert_eq!(ended(&rig, 1).await[0].end, AfterEnd::Done(Some(target)));
    assert!(rig.path("done/a").exists() && !rig.path("inbox/a").exists());
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_taken_get_numbers() {
    let rig = Rig::new();
    rig.put("workflows/intake.yaml", moving("success: done, failure: failed"));
    fs::create_dir(rig.path("done")).unwrap();
    fs::write(rig.path("done/a.csv"), "somebody else's").unwrap();
    let engine = rig.launch().await;
    healthy(&rig, true).await;
    for round in 1..=3 {
        rig.put("inbox/a.csv", round.to_string());
        ended(&rig, round).await;
    }
    for (name, content) in [("a.csv", "somebody else's"), ("a-1.csv", "1"), ("a-2.csv", "2"), ("a-3.csv", "3")] {
        assert_eq!(fs::read_to_string(rig.path("done").join(name)).unwrap(), content);
    }
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_file_system_refuses_is_tried_again_also_in_the_next_life() {
    let rig = Rig::new();
    rig.put("workflows/intake.yaml", moving("success: done"));
    fs::write(rig.path("done"), "no folder").unwrap();
    let postponed = |tries: i32| {
        let enough = move |tables: &Tables| tables.postponed.values().find(|(times, ..)| *times >= tries).cloned();
        rig.store.until("it to be postponed", enough)
    };
    let engine = rig.launch().await;
    healthy(&rig, true).await;
    rig.put("inbox/a", "x");
    postponed(1).await;
    assert!(rig.path("inbox/a").exists());
    // The first pause is a second.
    postponed(2).await;
    engine.shut_down().await;
    rig.store.change(|tables| tables.postponed.values_mut().for_each(|(_, due_at, _)| *due_at = rig.clock.now()));
    fs::remove_file(rig.path("done")).unwrap();
    let engine = rig.launch().await;
    let target = rig.path("done/a").to_str().unwrap().to_owned();
    assert_eq!(ended(&rig, 1).await[0].end, AfterEnd::Done(Some(target)));
    engine.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_good_ends_with_its_reason() {
    let rig = Rig::new();
    rig.put("workflows/intake.yaml", moving("success: done"));
    fs::write(rig.path("done"), "no folder").unwrap();
    let engine = rig.launch().await;
    healthy(&rig, true).await;
    rig.put("inbox/a", "x");
    rig.store.until("it to be postponed", |tables| (!tables.postponed.is_empty()).then_some(())).await;
    engine.shut_down().await;
    // As if all pauses had passed.
    let last = i32::try_from(AFTER_PAUSES.len()).unwrap();
    let now = rig.clock.now();
    rig.store
        .change(|tables| tables.postponed.values_mut().for_each(|(tries, due_at, _)| (*tries, *due_at) = (last, now)));
    let engine = rig.launch().await;
    let ended = ended(&rig, 1).await.remove(0);
    let AfterEnd::Failed(why) = ended.end else { panic!("{ended:?}") };
    assert!(why.ends_with("; tried 7 times"), "{why}");
    assert!(rig.path("inbox/a").exists());
    engine.shut_down().await;
}
