//! A migrated database has no finding, of its schema, its data or its plans.

use cogwheel_store::verify::{Options, check_at_start, verify};

use crate::databases::Template;

#[tokio::test]
async fn a_migrated_sqlite_database_is_clean() {
    clean(Template::sqlite().await).await;
}

#[tokio::test]
async fn a_migrated_postgres_database_is_clean() {
    clean(Template::postgres().await).await;
}

async fn clean(template: Template) {
    let copy = template.copy().await;
    let db = copy.open().await;
    let declared = cogwheel_entity::declared_schema();
    let report = verify(&db, &declared, Options { data: true, plans: true, ..Options::default() }).await.unwrap();
    let at_start = check_at_start(&db, &declared, None).await.unwrap();
    db.close().await.unwrap();
    copy.remove().await;
    template.remove().await;
    assert!(report.findings.is_empty(), "{}", report.to_table());
    assert_eq!(at_start, []);
    assert_eq!(report.figures.foreign_keys, declared.iter().map(|table| table.foreign_keys.len()).sum::<usize>());
    assert!(report.figures.plans_checked > 300);
    eprintln!("{}", report.to_table());
}
