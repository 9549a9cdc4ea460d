//! A migrated database has no finding, of its schema, its data or its plans.

use cogwheel_schema::live;
use cogwheel_store::verify::{Options, check_at_start, verify};

use crate::databases::Template;

#[tokio::test]
async fn a_migrated_sqlite_database_is_clean() {
    clean(&Template::sqlite().await).await;
}

#[tokio::test]
async fn a_migrated_postgres_database_is_clean() {
    clean(&Template::postgres().await).await;
}

async fn clean(template: &Template) {
    let copy = template.copy().await;
    let db = copy.open().await;
    let declared = cogwheel_entity::declared_schema();
    let options = Options { data: true, plans: true, queries: cogwheel_store::declared_queries() };
    let report = verify(&db, &declared, options).await.unwrap();
    let fingerprint = live::read(&db, template.backend()).await.unwrap().fingerprint();
    let mut at_start = Vec::new();
    for known in [None, Some("spelled by another version of the server".to_owned()), Some(fingerprint)] {
        at_start.extend(check_at_start(&db, &declared, known).await.unwrap());
    }
    db.close().await.unwrap();
    assert!(report.findings.is_empty(), "{}", report.to_table());
    assert_eq!(at_start, []);
    assert_eq!(report.figures.foreign_keys, declared.iter().map(|table| table.foreign_keys.len()).sum::<usize>());
    assert!(report.figures.plans_checked > 300);
}

#[tokio::test]
async fn a_server_may_not_start_on_a_changed_schema() {
    for template in [Template::sqlite().await, Template::postgres().await] {
        let copy = template.copy().await;
        let db = copy.open().await;
        let ledger = live::read(&db, template.backend()).await.unwrap().fingerprint();
        db.close().await.unwrap();
        copy.execute("drop index idx_workflows_status").await.unwrap();
        let db = copy.open().await;
        let findings = check_at_start(&db, &cogwheel_entity::declared_schema(), Some(ledger)).await.unwrap();
        db.close().await.unwrap();
        let named: Vec<_> = findings.iter().map(|finding| (finding.kind.as_str(), finding.object.as_str())).collect();
        assert_eq!(named, [("missing_index", "idx_workflows_status")]);
    }
}
