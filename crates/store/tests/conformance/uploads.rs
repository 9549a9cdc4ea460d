//! Uploaded files: recorded together with all that they set off, and settled with the last of it.

use cogwheel_definition::Overflow;
use cogwheel_engine::ports::{
    BlobKey, DecisionReason, FileLedger, NewUpload, Reads, RecordedUpload, Start, StartFrom, Started, Store,
    StoreError, TenantUploads, TriggerType,
};
use cogwheel_engine::views::{FileFilter, FileStatus, FileView, PageRequest, TriggerFilter};
use cogwheel_engine::{FileId, TenantId};
use cogwheel_machine::ExecutionStatus;
use cogwheel_store::SqlStore;
use uuid::Uuid;

use super::on_both;
use super::world::{World, at};

on_both! {
    an_upload_is_recorded_with_all_its_executions
    one_that_nothing_takes_says_why
    of_many_at_once_with_one_id_one_is_recorded
    of_two_of_one_id_the_first_is_recorded_with_its_own_starts
    uploads_and_other_starts_share_a_transaction
    it_is_settled_with_the_last_execution
    executions_that_end_at_once_settle_it
    many_settled_from_two_servers_do_not_lock_each_other_out
    many_recorded_from_two_servers_do_not_lock_each_other_out
    what_a_limit_lets_pass_counts_as_ended
    the_trigger_of_uploads_is_stored_and_healthy
    a_tenant_has_limits_of_its_own
}

const TAKING: &str = "name: taking
on: {file: {id: orders, source: upload, match: '*.csv', mime: [text/csv, image/*], min_size: 1, max_size: 2KiB}}
steps: [{run: x}]
";

const OTHER: &str = "name: other
on: {file: {id: all, source: upload}}
steps: [{run: x}]
";

/// An upload that sets off an execution of each of these workflows.
async fn upload(world: &World, sources: &[&str]) -> NewUpload {
    let id = FileId(Uuid::now_v7());
    let mut starts = Vec::new();
    for source in sources {
        let workflow = world.save(source, at(0)).await;
        starts.push(set_off(id, world.pooled(&workflow)));
    }
    NewUpload {
        id,
        tenant: world.tenant,
        watch: None,
        filename: "a.csv".to_owned(),
        original_filename: "../a\0.csv".to_owned(),
        storage_key: BlobKey::of_hash([7; 32]),
        media_type: "text/csv".to_owned(),
        size: 5_000_000_000,
        refusal: None,
        starts,
        at: at(3),
    }
}

fn set_off(file: FileId, mut start: Start) -> Start {
    start.row.trigger_type = TriggerType::File;
    start.from = StartFrom::Upload(file);
    start
}

/// Another server on the database; the embedded one has a single server.
async fn other_server(world: &World) -> SqlStore {
    if world.is_sqlite() { world.store.clone() } else { world.second_store().await }
}

async fn close(world: &World, other: SqlStore) {
    if !world.is_sqlite() {
        other.close().await;
    }
}

async fn file(world: &World) -> FileView {
    let request = PageRequest::Forward { first: 2, after: None };
    let mut files = world.store.files(world.tenant, &FileFilter::default(), request).await.unwrap().items;
    assert_eq!(files.len(), 1);
    files.remove(0)
}

async fn an_upload_is_recorded_with_all_its_executions(world: &World) {
    let new = upload(world, &[TAKING, OTHER]).await;
    let recorded = world.store.record_upload(new.clone()).await.unwrap();
    assert_eq!(recorded, RecordedUpload::Recorded(vec![Started::Accepted, Started::Accepted]));
    assert_eq!(world.store.record_upload(new.clone()).await.unwrap(), RecordedUpload::Known, "its answer got lost");
    assert_eq!(world.number("select count(*) from workflow_executions").await, 2);

    let file = file(world).await;
    assert_eq!((file.id, file.source.as_str(), file.status), (new.id, "upload", FileStatus::Processing));
    assert_eq!((file.filename.as_str(), file.original_filename.as_str()), ("a.csv", "../a\u{fffd}.csv"));
    assert_eq!(file.storage_key.as_deref(), Some(new.storage_key.as_str()));
    assert_eq!((file.sha256, file.size), (file.storage_key, new.size));
    assert_eq!((file.media_type.as_deref(), file.path, file.watch), (Some("text/csv"), None, None));
    assert_eq!((file.decision_reason.as_deref(), file.detail), (Some("new_version"), None));
    let executions = world.store.executions_of_files(world.tenant, &[new.id]).await.unwrap().remove(&new.id).unwrap();
    let mut found: Vec<_> = executions.iter().map(|execution| execution.id).collect();
    let mut expected: Vec<_> = new.starts.iter().map(|start| start.row.id).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(world.claim(world.node, 10, at(4)).await.executions.len(), 2, "they wait in the pool");
}

async fn one_that_nothing_takes_says_why(world: &World) {
    let mut new = upload(world, &[]).await;
    new.refusal = Some((DecisionReason::FilteredMime, "be\0cause".to_owned()));
    assert_eq!(world.store.record_upload(new.clone()).await.unwrap(), RecordedUpload::Recorded(Vec::new()));
    let file = file(world).await;
    assert_eq!((file.status, file.decision_reason.as_deref()), (FileStatus::Ready, Some("filtered_mime")));
    assert_eq!(file.detail.as_deref(), Some("be\u{fffd}cause"));
    assert_eq!(world.number("select count(*) from execution_files").await, 0);
}

async fn of_many_at_once_with_one_id_one_is_recorded(world: &World) {
    let first = upload(world, &[TAKING, OTHER]).await;
    let workflows = world.workflows().await;
    let other = other_server(world).await;
    let calls: Vec<_> = (0..8)
        .map(|number| {
            let mut new = first.clone();
            new.starts = workflows.iter().map(|workflow| set_off(new.id, world.pooled(workflow))).collect();
            let store = if number % 2 == 0 { world.store.clone() } else { other.clone() };
            tokio::spawn(async move { store.record_upload(new).await.unwrap() })
        })
        .collect();
    let mut recorded = 0;
    for call in calls {
        match call.await.unwrap() {
            RecordedUpload::Recorded(started) => {
                assert_eq!(started, [Started::Accepted, Started::Accepted]);
                recorded += 1;
            }
            RecordedUpload::Known => {}
        }
    }
    assert_eq!(recorded, 1);
    assert_eq!(world.number("select count(*) from files").await, 1);
    assert_eq!(world.number("select count(*) from workflow_executions").await, 2);
    close(world, other).await;
}

async fn of_two_of_one_id_the_first_is_recorded_with_its_own_starts(world: &World) {
    let second = NewUpload { filename: "b.csv".to_owned(), ..upload(world, &[TAKING]).await };
    let first = NewUpload { id: second.id, ..upload(world, &[]).await };
    let (one, other) = tokio::join!(world.store.record_upload(first.clone()), world.store.record_upload(second));
    assert_eq!((one.unwrap(), other.unwrap()), (RecordedUpload::Recorded(Vec::new()), RecordedUpload::Known));
    assert_eq!(file(world).await.filename, first.filename);
    assert_eq!(world.number("select count(*) from workflow_executions").await, 0);
}

async fn uploads_and_other_starts_share_a_transaction(world: &World) {
    let workflow = world.save(OTHER, at(0)).await;
    let uploads = [upload(world, &[TAKING]).await, upload(world, &[TAKING, OTHER]).await, upload(world, &[]).await];
    let starts: Vec<_> = (0..10).map(|_| world.pooled(&workflow)).collect();
    let uploading = uploads.map(|new| {
        let store = world.store.clone();
        tokio::spawn(async move { (new.starts.len(), store.record_upload(new).await.unwrap()) })
    });
    let starting = starts.into_iter().map(|start| {
        let store = world.store.clone();
        tokio::spawn(async move { store.start(start).await.unwrap() })
    });
    for call in starting.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), Started::Accepted);
    }
    for call in uploading {
        let (starts, recorded) = call.await.unwrap();
        assert_eq!(recorded, RecordedUpload::Recorded(vec![Started::Accepted; starts]));
    }
    assert_eq!(world.number("select count(*) from workflow_executions").await, 13);
    assert_eq!(world.number("select count(*) from execution_files").await, 3);
}

/// Takes the executions of an upload out of the pool, and answers the epoch at which their ends are recorded.
async fn claimed(world: &World, new: &NewUpload) -> i64 {
    let claimed = world.claim(world.node, 10, at(4)).await.executions;
    assert_eq!(claimed.len(), new.starts.len());
    claimed.iter().map(|claimed| claimed.epoch).max().unwrap()
}

async fn it_is_settled_with_the_last_execution(world: &World) {
    use ExecutionStatus::{Completed, Failed};
    for (ends, settled) in [
        ([Completed, Completed], FileStatus::Processed),
        ([Failed, Completed], FileStatus::Failed),
        ([Completed, Failed], FileStatus::Failed),
    ] {
        let new = upload(world, &[TAKING, OTHER]).await;
        world.store.record_upload(new.clone()).await.unwrap();
        let epoch = claimed(world, &new).await;
        for (place, (start, end)) in new.starts.iter().zip(ends).enumerate() {
            world.store.record(world.ended(start, epoch, end)).await.unwrap();
            let file = file(world).await;
            let is_last = place == 1;
            assert_eq!(file.status, if is_last { settled } else { FileStatus::Processing }, "{ends:?}");
            assert_eq!(file.processed_at.is_some(), is_last);
        }
        world.execute("delete from files").await;
    }
}

async fn executions_that_end_at_once_settle_it(world: &World) {
    let other = other_server(world).await;
    for _ in 0..10 {
        let new = upload(world, &[TAKING, OTHER]).await;
        world.store.record_upload(new.clone()).await.unwrap();
        let epoch = claimed(world, &new).await;
        let records = [0, 1].map(|place| world.ended(&new.starts[place], epoch, ExecutionStatus::Completed));
        let [here, there] = records;
        let (here, there) = tokio::join!(world.store.record(here), other.record(there));
        here.and(there).unwrap();
        assert_eq!(file(world).await.status, FileStatus::Processed);
        world.execute("delete from files").await;
    }
    close(world, other).await;
}

/// How many uploads two servers work on at once.
const MANY: usize = 40;

async fn many_settled_from_two_servers_do_not_lock_each_other_out(world: &World) {
    let other = other_server(world).await;
    let workflows = [world.save(TAKING, at(0)).await, world.save(OTHER, at(0)).await];
    for _ in 0..3 {
        let mut uploads = Vec::new();
        for _ in 0..MANY {
            let mut new = upload(world, &[]).await;
            new.starts = workflows.iter().map(|workflow| set_off(new.id, world.pooled(workflow))).collect();
            world.store.record_upload(new.clone()).await.unwrap();
            uploads.push(new);
        }
        let claimed = world.claim(world.node, 2 * MANY, at(4)).await.executions;
        let epoch = claimed.iter().map(|claimed| claimed.epoch).max().unwrap();
        let end = |store: &SqlStore, start: &Start| {
            let (store, record) = (store.clone(), world.ended(start, epoch, ExecutionStatus::Completed));
            tokio::spawn(async move { store.record(record).await.unwrap() })
        };
        let here = uploads.iter().map(|new| end(&world.store, &new.starts[0]));
        let there = uploads.iter().rev().map(|new| end(&other, &new.starts[1]));
        for call in here.chain(there).collect::<Vec<_>>() {
            call.await.unwrap();
        }
        let settled = "select count(*) from files where status = 'processed'";
        assert_eq!(world.number(settled).await, i64::try_from(MANY).unwrap());
        world.execute("delete from files").await;
    }
    close(world, other).await;
}

async fn many_recorded_from_two_servers_do_not_lock_each_other_out(world: &World) {
    let other = other_server(world).await;
    for _ in 0..3 {
        let mut uploads = Vec::new();
        for _ in 0..MANY {
            uploads.push(upload(world, &[]).await);
        }
        let send = |store: &SqlStore, new: &NewUpload| {
            let (store, new) = (store.clone(), new.clone());
            tokio::spawn(async move { store.record_upload(new).await.unwrap() })
        };
        let here = uploads.iter().map(|new| send(&world.store, new));
        let there = uploads.iter().rev().map(|new| send(&other, new));
        let mut recorded = 0;
        for call in here.chain(there).collect::<Vec<_>>() {
            recorded += usize::from(call.await.unwrap() != RecordedUpload::Known);
        }
        assert_eq!(recorded, MANY);
        world.execute("delete from files").await;
    }
    close(world, other).await;
}

async fn what_a_limit_lets_pass_counts_as_ended(world: &World) {
    let workflow = world.save(TAKING, at(0)).await;
    let live = world.keyed(&workflow, "k", 1, Overflow::Skip);
    assert_eq!(world.store.start(live).await.unwrap(), Started::Accepted);
    let mut new = upload(world, &[]).await;
    new.starts = vec![set_off(new.id, world.keyed(&workflow, "k", 1, Overflow::Skip))];
    let recorded = world.store.record_upload(new).await.unwrap();
    assert_eq!(recorded, RecordedUpload::Recorded(vec![Started::Skipped]));
    assert_eq!(file(world).await.status, FileStatus::Failed, "nothing is going to process it");
}

async fn the_trigger_of_uploads_is_stored_and_healthy(world: &World) {
    let saved = world.save(TAKING, at(0)).await;
    let request = PageRequest::Forward { first: 2, after: None };
    let watches = world.store.watches(world.tenant, &TriggerFilter::default(), request).await.unwrap().items;
    let watch = &watches[0];
    assert_eq!((watch.id, watch.source.as_str(), watch.location.as_deref()), (saved.watches[0].id, "upload", None));
    assert_eq!(
        (&watch.mime_types, watch.min_size, watch.max_size),
        (&serde_json::json!(["text/csv", "image/*"]), Some(1), Some(2048))
    );
    assert_eq!(
        world.number("select count(*) from file_watches where health = 'healthy' and active_mode is null").await,
        1
    );
}

async fn a_tenant_has_limits_of_its_own(world: &World) {
    assert_eq!(world.store.tenant_uploads(world.tenant).await.unwrap(), TenantUploads::default());
    let nobody = TenantId(Uuid::now_v7());
    assert_eq!(world.store.tenant_uploads(nobody).await.unwrap(), TenantUploads::default());
    world
        .execute(
            "update tenants set limits = '{\"upload_max_bytes\": 10, \"upload_types\": [\"Text/CSV\", \"image/*\"]}'",
        )
        .await;
    let limits = world.store.tenant_uploads(world.tenant).await.unwrap();
    assert_eq!(limits.max_size, Some(10));
    assert_eq!(limits.allowed_types, Some(vec!["text/csv".to_owned(), "image/*".to_owned()]));
    for (wrong, key) in [
        (r#"{"upload_max_bytes": "10"}"#, "upload_max_bytes"),
        (r#"{"upload_max_bytes": -1}"#, "upload_max_bytes"),
        (r#"{"upload_types": "text/csv"}"#, "upload_types"),
        (r#"{"upload_types": ["csv"]}"#, "upload_types"),
    ] {
        world.execute(&format!("update tenants set limits = '{wrong}'")).await;
        let error = world.store.tenant_uploads(world.tenant).await.unwrap_err();
        assert!(matches!(error, StoreError::CorruptRow { .. }) && error.to_string().contains(key), "{wrong}: {error}");
    }
}
