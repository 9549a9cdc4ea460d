//! Schedules: what comes, what would come, switching off and on, making up for the past.

use serde_json::json;

use crate::fake::Fake;

#[tokio::test]
async fn a_preview_marks_changes_of_the_clocks() {
    let query = "{ previewSchedule(cron: \"30 2 * * *\", timezone: \"Europe/Berlin\", from: \"2026-03-28T12:00:00Z\", count: 2) {
        dueAt local dstMark shiftedFrom } }";
    let expected = json!([
        {"dueAt": "2026-03-29T01:00:00Z", "local": "2026-03-29T03:00:00+02:00", "dstMark": "SHIFTED",
         "shiftedFrom": "2026-03-29T02:30:00"},
        {"dueAt": "2026-03-30T00:30:00Z", "local": "2026-03-30T02:30:00+02:00", "dstMark": null, "shiftedFrom": null},
    ]);
    let fake = Fake::default();
    assert_eq!(fake.data(query).await["previewSchedule"], expected);
    let both = "{ previewSchedule(cron: \"30 2 * * *\", timezone: \"Europe/Berlin\", from: \"2026-10-24T12:00:00Z\",
        until: \"2026-10-25T12:00:00Z\", dst: {overlap: BOTH}) { dstMark } }";
    assert_eq!(fake.data(both).await["previewSchedule"], json!([{"dstMark": "FIRST"}, {"dstMark": "SECOND"}]));
    let year = "{ previewSchedule(cron: \"@hourly\", from: \"2026-01-01T00:00:00Z\", count: 8784) { dueAt } }";
    assert_eq!(fake.data(year).await["previewSchedule"].as_array().unwrap().len(), 8784);
    let now = fake.data("{ previewSchedule(cron: \"@daily\", exclude: [\"1970-01-01\"]) { dueAt } }").await;
    assert_eq!(now["previewSchedule"][0]["dueAt"], "1970-01-02T00:00:00Z");
}

#[tokio::test]
async fn a_bad_preview_says_all_that_is_wrong() {
    let query =
        "{ previewSchedule(cron: \"61 * * * FUN\", timezone: \"Berlin\", exclude: [\"x\"], count: 0) { dueAt } }";
    let response = serde_json::to_value(Fake::default().ask(query).await).unwrap();
    let error = &response["errors"][0];
    assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT");
    let message = error["message"].as_str().unwrap();
    for part in ["column 1", "the minute `61`", "column 10", "did you mean `SUN`?", "Europe/Berlin", "`x`", "`count`"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn a_schedule_tells_what_comes() {
    let query = "{ schedules(first: 1) { nodes { cron everyMs dstGap dstOverlap exclude jitterMs catchUpWindowMs
        nextFires(count: 3) { dueAt } } } }";
    let fake = Fake::with(1, 0);
    let schedule = json!({
        "cron": "0 2 * * *", "everyMs": null, "dstGap": "SHIFT", "dstOverlap": "FIRST", "exclude": ["12-25"],
        "jitterMs": 0, "catchUpWindowMs": 60_000, "nextFires": [],
    });
    assert_eq!(fake.data(query).await["schedules"]["nodes"], json!([schedule]), "nothing is due");
    let filtered =
        "{ scheduleFires(filter: {outcome: SKIPPED, from: \"2020-01-01T00:00:00Z\"}) { nodes { outcome } } }";
    assert_eq!(fake.data(filtered).await["scheduleFires"]["nodes"], json!([{"outcome": "SKIPPED"}]));
}

#[tokio::test]
async fn switching_off_and_on_answers_with_the_schedule() {
    let fake = Fake::with(1, 0);
    let id = fake.data("{ schedules { nodes { id } } }").await["schedules"]["nodes"][0]["id"].clone();
    for enabled in [false, true] {
        let query = format!(
            "mutation {{ setScheduleEnabled(input: {{id: {id}, enabled: {enabled}}}) {{
               schedule {{ isEnabled }} userErrors {{ code path }} }} }}"
        );
        let payload = &fake.data(&query).await["setScheduleEnabled"];
        assert_eq!(*payload, json!({"schedule": {"isEnabled": enabled}, "userErrors": []}));
    }
    let unknown =
        "mutation { setScheduleEnabled(input: {id: \"01920000-0000-7000-8000-000000000000\", enabled: true}) {
        schedule { isEnabled } userErrors { code path } } }";
    let errors = json!([{"code": "UNKNOWN_SCHEDULE", "path": ["id"]}]);
    let payload = &fake.data(unknown).await["setScheduleEnabled"];
    assert_eq!(*payload, json!({"schedule": null, "userErrors": errors}));
}

#[tokio::test]
async fn a_backfill_answers_with_its_counts() {
    let fake = Fake::with(1, 0);
    let id = fake.data("{ schedules { nodes { id } } }").await["schedules"]["nodes"][0]["id"].clone();
    let fill = |from: &str, until: &str| {
        format!(
            "mutation {{ backfillSchedule(input: {{id: {id}, from: \"{from}\", until: \"{until}\"}}) {{
               due started alreadyDecided excluded executionIds userErrors {{ code path }} }} }}"
        )
    };
    let done = fake.data(&fill("2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z")).await["backfillSchedule"].clone();
    assert_eq!((&done["due"], &done["started"], &done["alreadyDecided"]), (&json!(3), &json!(1), &json!(1)));
    assert_eq!(done["executionIds"].as_array().map(Vec::len), Some(1));
    let backwards = fake.data(&fill("2026-01-04T00:00:00Z", "2026-01-01T00:00:00Z")).await["backfillSchedule"].clone();
    assert_eq!(backwards["userErrors"], json!([{"code": "INVALID_RANGE", "path": ["until"]}]));
    assert_eq!(backwards["due"], json!(null));
}
