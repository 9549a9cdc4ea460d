//! What filters give, what is wrong with them, and that none goes on for ever.

use serde_json::{Value, json};

use super::meter::Bound;
use super::{MAX_FILTER, bounded, jq};

#[track_caller]
fn gives(filter: &str, input: &Value, results: &[Value]) {
    assert_eq!(jq(filter, input).as_deref(), Ok(results), "{filter}");
}

#[track_caller]
fn fails(filter: &str, input: &Value, part: &str) {
    let message = jq(filter, input).unwrap_err();
    assert!(message.contains(part), "{filter}: {message:?}");
}

/// The same with a small part of the fuel, for what uses all of it.
#[track_caller]
fn breaks(filter: &str, part: &str) {
    let message = bounded(filter, &Value::Null, 4_000_000).unwrap_err();
    assert!(message.contains(part), "{filter}: {message:?}");
}

#[test]
fn results_come_in_their_order() {
    let orders = json!({"orders": [{"id": 1, "sum": 10.5}, {"id": 2, "sum": 3}]});
    gives(".orders[] | select(.sum > 5) | .id", &orders, &[json!(1)]);
    gives(".orders | map(.sum) | add", &orders, &[json!(13.5)]);
    gives(".orders[].id", &orders, &[json!(1), json!(2)]);
    gives("empty", &orders, &[]);
    gives(".missing.deeper", &orders, &[Value::Null]);
    gives(".", &orders, std::slice::from_ref(&orders));
}

#[test]
fn the_checks_change_no_meaning() {
    let list = json!([3, 1, 2]);
    gives("(1, 2) * (10, 20)", &list, &[json!(10), json!(20), json!(20), json!(40)]);
    gives("(1, 2) + (10, 20)", &list, &[json!(11), json!(21), json!(12), json!(22)]);
    gives(".[] += 1 | .[0] *= 2", &list, &[json!([8, 2, 3])]);
    gives("[.[] as $x | $x | . * .]", &list, &[json!([9, 1, 4])]);
    gives("path(..)", &json!({"a": [1]}), &[json!([]), json!(["a"]), json!(["a", 0])]);
    gives("[paths]", &json!({"a": [1]}), &[json!([["a"], ["a", 0]])]);
    gives("(.. | numbers) |= . + 1", &json!({"a": [1]}), &[json!({"a": [2]})]);
    gives("del(.[] | select(. > 1))", &list, &[json!([1])]);
    gives("walk(if . == 1 then \"one\" else . end)", &list, &[json!([3, "one", 2])]);
    gives("reduce range(100000) as $i (0; . + $i)", &list, &[json!(4_999_950_000_i64)]);
    gives("def f: if . < 200000 then . + 1 | f else . end; 0 | f", &list, &[json!(200_000)]);
    gives(
        "[limit(3; repeat(1))], first(range(10; 0; -3)), (try error(\"x\") catch .)",
        &list,
        &[json!([1, 1, 1]), json!(10), json!("x")],
    );
    gives("{a: 1, \"b\": 2} | {a, c: .b} | with_entries(.value += 1)", &list, &[json!({"a": 2, "c": 3})]);
    gives(". as [$first, $second] | {$first, $second}", &list, &[json!({"first": 3, "second": 1})]);
    gives("\"\\(length) of \\(.[0] + 1)\", @base64 \"x\\(.[1])\"", &list, &[json!("3 of 4"), json!("xMQ==")]);
    gives(
        "\"a,b\" | split(\",\") | join(\"-\"), (\"x1y2\" | gsub(\"[0-9]\"; \"\"))",
        &list,
        &[json!("a-b"), json!("xy")],
    );
    gives("0 | todate", &list, &[json!("1970-01-01T00:00:00Z")]);
    gives(
        "\"[1, {\\\"a\\\": 2}]\" | fromjson | tojson, (\"12\" | tonumber)",
        &list,
        &[json!("[1,{\"a\":2}]"), json!(12)],
    );
}

#[test]
fn numbers_are_written_as_jq_does() {
    gives("10 / 4, 10 / 5, -3.0", &Value::Null, &[json!(2.5), json!(2), json!(-3)]);
    gives("nan, infinite", &Value::Null, &[Value::Null, json!(f64::MAX)]);
    gives(".", &json!(u64::MAX), &[json!(u64::MAX)]);
    gives(".", &json!(i64::MIN), &[json!(i64::MIN)]);
}

#[test]
fn a_wrong_filter_is_told_with_its_place() {
    fails(".a | foo(1)", &Value::Null, "line 1, column 6: the filter `foo/1` is not defined");
    fails(".a |\n  $x", &Value::Null, "line 2, column 3: the variable `$x` is not defined");
    fails(".a | (", &Value::Null, "line 1, column 7: a closing parenthesis is missing");
    fails("", &Value::Null, "line 1, column 1: term is expected where its end is");
    fails(".a b", &Value::Null, "line 1, column 4: nothing is expected where `b` is");
    fails("\"\\x\"", &Value::Null, "line 1, column");
    fails(&" ".repeat(20_000), &Value::Null, "longer than");
}

#[test]
fn what_it_fails_with_is_one_line_and_not_endless() {
    fails(".a + 1", &json!({"a": "x"}), "cannot calculate \"x\" + 1");
    fails("error(\"two\\nlines\")", &Value::Null, "two");
    let message = jq("error(\"x\" * 100000)", &Value::Null).unwrap_err();
    assert!(message.len() < 600, "{}", message.len());
}

#[test]
fn it_sees_nothing_of_the_host() {
    for filter in ["env", "$ENV", "input", "debug", "halt", "halt_error", "input_filename", "get_search_list"] {
        fails(filter, &Value::Null, "is not defined");
    }
    fails("include \"a\"; .", &Value::Null, "line 1");
}

#[test]
fn no_filter_goes_on_for_ever() {
    let endless = [
        "def f: f; f",
        "def f: (1, f)?, f; f",
        "last(repeat(1))",
        "[repeat(1)]",
        "[repeat(error(1)?)]",
        "def f: try error(1) catch f; f",
        "[range(0; 1; 0)]",
        "[range(1e15)]",
        "until(false; .)",
        "repeat(empty) // 1",
        "[range(3000)] | [.[] as $a | .[] as $b | .[] as $c | 1] | length",
    ];
    for filter in endless {
        breaks(filter, "the filter");
    }
}

#[test]
fn nothing_grows_without_end() {
    fails("\"x\" * 10000000000", &Value::Null, "a text of more than");
    fails("reduce range(60) as $i (\"x\"; . + .)", &Value::Null, "a text of more than");
    fails("reduce range(60) as $i ([1]; . + .)", &Value::Null, "a list of more than");
    breaks("reduce range(60) as $i (0; [., .]) | tojson", "too much data");
    breaks("reduce range(60) as $i ({}; .a = . | .b = .) | tojson", "too much data");
    breaks("[range(1000) | \"x\" * 10000000]", "too much data");
    fails("reduce range(100) as $i (3; . * .)", &Value::Null, "a number that is too large");
    fails("range(1000001)", &Value::Null, "more than 1000000 results");
}

#[test]
fn no_depth_overflows_the_stack() {
    for endless in ["def f: 1 + f; f", "def f: [f]; f", "def f: f | .; f", "def f: reduce f as $x (0; 1); f"] {
        assert!(
            [Bound::Fuel, Bound::Stack]
                .map(|bound| bound.to_string())
                .contains(&jq(endless, &Value::Null).unwrap_err())
        );
    }
    fails("reduce range(1000000) as $i (0; [.])", &Value::Null, "more than 100 levels");
    fails("reduce range(1000000) as $i (0; {a: .})", &Value::Null, "more than 100 levels");
    fails("reduce range(1000000) as $i (0; . as $x | {$x})", &Value::Null, "more than 100 levels");
    fails("\"[\" * 1000000 | fromjson", &Value::Null, "cannot parse");
    for nested in ["(", "[", "{a:", "-", "if ", "try ", "\"\\(", ".[", "def f: "] {
        assert!(jq(&nested.repeat(MAX_FILTER / nested.len()), &Value::Null).is_err(), "{nested}");
    }
    let deep = format!("{}1{}", "(".repeat(4_000), ")".repeat(4_000));
    gives(&deep, &Value::Null, &[json!(1)]);
}
