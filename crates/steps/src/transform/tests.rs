//! What filters and conversions give, and how they fail.

use cogwheel_engine::FailureKind;
use serde_json::{Value, json};

use super::{MAX_OUTPUT, Transform};
use crate::harness::Attempt;

async fn gives(input: Value, result: Value) {
    let ended = Attempt::new().run(&Transform, input.clone()).await;
    assert_eq!(ended.completed(), json!({ "result": result }), "{input}");
}

async fn fails(input: Value, part: &str) {
    let (failure, output) = Attempt::new().run(&Transform, input.clone()).await.failed(FailureKind::Input);
    assert!(failure.title.contains(part), "{input}: {}", failure.title);
    assert!(!failure.retriable && output.is_null());
}

#[tokio::test]
async fn one_result_is_the_value_and_others_are_a_list() {
    let orders = json!([{"id": 1, "sum": 5}, {"id": 2, "sum": 7}]);
    gives(json!({"input": orders, "jq": "map(.sum) | add"}), json!(12)).await;
    gives(json!({"input": orders, "jq": ".[].id"}), json!([1, 2])).await;
    gives(json!({"input": orders, "jq": "[.[].id]"}), json!([1, 2])).await;
    gives(json!({"input": orders, "jq": "empty"}), json!([])).await;
    gives(json!({"input": null, "jq": ".a.b"}), Value::Null).await;
}

#[tokio::test]
async fn csv_is_read_by_its_header_or_as_lists() {
    let text = "\u{FEFF}id,name\r\n1,\"Ann, B\"\n2,\"two\nlines\"\n";
    let objects = json!([{"id": "1", "name": "Ann, B"}, {"id": "2", "name": "two\nlines"}]);
    gives(json!({"input": text, "from": "csv"}), objects).await;
    gives(
        json!({"input": "1;2\n3;4;5\n", "from": "csv", "delimiter": ";", "header": false}),
        json!([["1", "2"], ["3", "4", "5"]]),
    )
    .await;
    gives(json!({"input": "", "from": "csv"}), json!([])).await;
    gives(json!({"input": "a,b\n", "from": "csv"}), json!([])).await;
    fails(json!({"input": "a,b\n1,2\n3\n", "from": "csv"}), "line 3 of `input` has 1 fields").await;
    fails(json!({"input": "a,a\n", "from": "csv"}), "two columns of `input` are named `a`").await;
}

#[tokio::test]
async fn csv_is_written_of_objects_or_lists() {
    let rows = json!([{"a": 1, "b": "x,y"}, {"a": null, "c": true}]);
    gives(json!({"input": rows, "to": "csv"}), json!("a,b,c\n1,\"x,y\",\n,,true\n")).await;
    gives(json!({"input": rows, "to": "csv", "header": false, "delimiter": "\t"}), json!("1\tx,y\t\n\t\ttrue\n")).await;
    gives(json!({"input": [[1, "a\"b"], []], "to": "csv"}), json!("1,\"a\"\"b\"\n\"\"\n")).await;
    gives(json!({"input": [], "to": "csv"}), json!("")).await;
    fails(json!({"input": [{"a": 1}, {"a": [1]}], "to": "csv"}), "row 2, column `a` holds a list").await;
    fails(json!({"input": [[1], [1, {}]], "to": "csv"}), "row 2, column `2` holds a map").await;
    fails(json!({"input": [{"a": 1}, [1]], "to": "csv"}), "row 2 is a list").await;
    fails(json!({"input": {"a": 1}, "to": "csv"}), "a list of rows is needed").await;
}

#[tokio::test]
async fn json_and_lines_of_it_are_read_and_written() {
    gives(json!({"input": "{\"a\": [1.5]}", "from": "json"}), json!({"a": [1.5]})).await;
    gives(json!({"input": "{\"a\":1}\n\n2\r\n", "from": "ndjson"}), json!([{"a": 1}, 2])).await;
    gives(json!({"input": [{"a": 1}, "x"], "to": "ndjson"}), json!("{\"a\":1}\n\"x\"\n")).await;
    gives(json!({"input": {"a": 1}, "to": "ndjson"}), json!("{\"a\":1}\n")).await;
    gives(json!({"input": {"a": 1}, "to": "json"}), json!("{\"a\":1}")).await;
    fails(json!({"input": "{\"a\": }", "from": "json"}), "line 1 column 7").await;
    fails(json!({"input": "1\n{\"a\": }", "from": "ndjson"}), "line 2 of `input` is no JSON").await;
}

#[tokio::test]
async fn a_filter_stands_between_the_formats() {
    let input = json!({"input": "id,sum\n1,5\n2,7\n", "from": "csv", "to": "ndjson",
        "jq": ".[] | {id: (.id | tonumber), large: (.sum | tonumber > 6)}"});
    gives(input, json!("{\"id\":1,\"large\":false}\n{\"id\":2,\"large\":true}\n")).await;
    gives(json!({"input": "a b", "from": "text", "jq": "split(\" \")"}), json!(["a", "b"])).await;
}

#[tokio::test]
async fn what_is_malformed_is_named() {
    fails(json!({"input": 1}), "nothing to do").await;
    fails(json!({"jq": "."}), "`input` is missing").await;
    fails(json!({"input": 1, "jq": ".a |"}), "`jq`: line 1, column 5").await;
    fails(json!({"input": 1, "jq": ".a"}), "`jq`: cannot index 1").await;
    fails(json!({"input": 1, "jq": "repeat(1)"}), "results").await;
    fails(json!({"input": 1, "jq": 2}), "`jq` must be text").await;
    fails(json!({"input": 1, "from": "json"}), "`input` must be text, but is a number").await;
    fails(json!({"input": "", "from": "xml"}), "`from` is one of `csv`, `json`, `ndjson`, `text`, not `xml`").await;
    fails(json!({"input": "", "to": "text"}), "`to` is one of").await;
    fails(json!({"input": "", "to": "json", "header": true}), "are for CSV").await;
    fails(json!({"input": "", "to": "csv", "delimiter": "ab"}), "one ASCII character").await;
    fails(json!({"input": "", "to": "csv", "strict": true}), "`strict` is unknown").await;
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let large = "x".repeat(MAX_OUTPUT);
    for input in [json!({"input": large, "jq": "."}), json!({"input": [[large]], "to": "csv"})] {
        let (failure, _) = Attempt::new().run(&Transform, input).await.failed(FailureKind::Output);
        assert!(!failure.retriable && failure.title.contains("larger than"));
    }
    // Few bytes in, but a column for each row.
    let wide: Vec<_> = (0..10_000).map(|row| json!({ format!("c{row}"): row })).collect();
    Attempt::new().run(&Transform, json!({"input": wide, "to": "csv"})).await.failed(FailureKind::Output);
}
