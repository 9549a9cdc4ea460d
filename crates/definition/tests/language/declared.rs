//! Declared inputs and outputs: JSON Schemas that are checked when the file is read, and what they take.

use serde_json::{Map, Value, json};

use super::{good, one};

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("not a mapping") };
    object
}

#[test]
fn inputs_take_all_of_json_schema() {
    let workflow = good(
        r##"
inputs:
  order:
    type: object
    required: [lines]
    additionalProperties: false
    properties:
      lines: {type: array, minItems: 1, items: {$ref: "#/$defs/line"}}
      due: {type: string, format: date}
    $defs:
      line: {type: object, required: [sku], properties: {sku: {type: string, pattern: "^[A-Z]{3}$"}, parts: {type: array, items: {$ref: "#/$defs/line"}}}}
  mode: {oneOf: [{const: fast}, {type: integer, exclusiveMinimum: 0}], default: fast, x-order: 1}
steps: [{run: x}]
"##,
    );
    let check = |order: Value| {
        let checked = workflow.inputs.check(object(json!({"order": order})));
        checked.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let good = json!({"lines": [{"sku": "ABC", "parts": [{"sku": "XYZ"}]}], "due": "2026-03-01"});
    assert_eq!(check(good.clone()), Ok(object(json!({"order": good, "mode": "fast"}))));
    assert_eq!(
        check(json!({"lines": [{"sku": "ABC"}, {"sku": "abc"}, {}], "due": "soon", "who": 1})).unwrap_err().len(),
        4
    );
    assert_eq!(
        check(json!({"lines": [{"sku": "ABC", "parts": [{"sku": 5}]}], "due": "2026-03-01"})).unwrap_err(),
        ["`order.lines[0].parts[0].sku` must match the pattern `^[A-Z]{3}$`, not \"5\""]
    );
    assert_eq!(check(json!("{\"lines\": []}")).unwrap_err(), ["`order.lines` must have at least 1 items, not 0"]);
}

#[test]
fn schemas_are_checked_when_the_file_is_read() {
    for (schema, code, message) in [
        ("¦5", "COG0104", "the input `a` must be a mapping"),
        ("{¦tpye: string}", "COG0101", "unknown key `tpye` in the input `a` (did you mean `type`?)"),
        ("{¦frobnicate: 1}", "COG0101", "the keys are those of JSON Schema"),
        ("{properties: {b: {¦minimun: 1}}}", "COG0101", "did you mean `minimum`?"),
        ("{type: ¦text}", "COG0106", "type must be one of string, integer"),
        ("{type: [string, ¦null]}", "COG0104", "put it in quotes: \"null\""),
        ("{type: ¦[]}", "COG0106", "can be of no type"),
        ("{minimum: ¦x}", "COG0106", "the input `a`: `minimum` must be of type number, not \"x\""),
        ("{properties: {b: {minLength: ¦-1}}}", "COG0106", "`minLength` must be at least 0"),
        ("{items: ¦5}", "COG0106", "`items` must be of type boolean or object"),
        ("{enum: ¦[]}", "COG0106", "`enum` is empty"),
        ("{pattern: ¦'['}", "COG0106", "the pattern `[` cannot be read"),
        ("{pattern: ¦'(?=a)b'}", "COG0106", "without look-around"),
        ("{format: ¦emial}", "COG0106", "did you mean `email`?"),
        ("{$ref: ¦'https://example.com/a.json'}", "COG0106", "`$ref` can only point into its own schema"),
        ("{$ref: ¦'#/$defs/b'}", "COG0106", "where there is no schema"),
        ("{$ref: ¦'#'}", "COG0106", "leads in a circle"),
        ("{anyOf: [{$ref: ¦'#/$defs/b'}], $defs: {b: {not: {$ref: '#'}}}}", "COG0106", "leads in a circle"),
        ("{¦$id: x}", "COG0106", "cannot have `$id`"),
        ("{default: '¦${{ now }}'}", "COG0134", "`default` must be literal"),
        (
            "{type: integer, default: ¦'5'}",
            "COG0123",
            "the default does not fit: `a` must be of type integer, not \"5\"",
        ),
        ("{properties: {b: {type: integer}}, default: ¦{b: x}}", "COG0123", "`a.b` must be of type integer"),
    ] {
        let found = super::problems(&format!("inputs: {{a: {schema}}}\nsteps: [{{run: x}}]").replace('¦', ""));
        // A circle of two references is seen from both.
        if found.items.len() == 1 {
            one(&format!("inputs: {{a: {schema}}}\nsteps: [{{run: x}}]"), code, message);
        } else {
            assert!(
                found.items.iter().all(|item| item.code.as_str() == code && item.message.contains(message)),
                "{found}"
            );
        }
    }
}

#[test]
fn what_is_given_as_text_is_brought_to_its_type() {
    let workflow = good(
        "inputs: {n: {type: integer}, on: {type: boolean}, list: {type: array, items: {type: number}}, text: {type: string}}\n\
         on: {schedule: {cron: '@daily', inputs: {n: '5', 'on': 'true', list: '[1]', text: 5}}}\nsteps: [{run: x}]",
    );
    let given = object(json!({"n": "5", "on": "true", "list": "[1, \"2\"]", "text": 5}));
    let checked = workflow.inputs.check(given);
    assert_eq!(checked, Ok(object(json!({"n": 5, "on": true, "list": [1, 2], "text": "5"}))));
    let problems =
        workflow.inputs.check(object(json!({"n": "5.5", "on": "yes", "list": "1", "text": null}))).unwrap_err();
    let messages: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "`n` must be of type integer, not \"5.5\"",
            "`on` must be of type boolean, not \"yes\"",
            "`list` must be of type array, not \"1\"",
            "`text` must be of type string, not null",
        ]
    );
}

#[test]
fn steps_declare_outputs() {
    let workflow = good(
        "steps:\n- {id: a, run: x, outputs: {rows: {type: integer, minimum: 1}, note: {default: none}}}\n\
         - {uses: log, with: {message: '${{ steps.a.outputs.rows }} ${{ steps.a.outputs.others }}'}}\n",
    );
    let outputs = workflow.steps[0].outputs.as_ref().expect("outputs");
    let checked = outputs.check_outputs(object(json!({"rows": "3", "stdout": "x"})));
    assert_eq!(checked, Ok(object(json!({"rows": 3, "stdout": "x", "note": "none"}))));
    let problems = outputs.check_outputs(object(json!({"rows": 0}))).unwrap_err();
    assert_eq!(problems[0].message, "`rows` must be at least 1, not 0");
    assert_eq!(workflow.to_json()["nodes"][0]["outputs"]["additionalProperties"], true);
    for (step, code, message) in [
        ("{run: x, outputs: ¦[rows]}", "COG0104", "`outputs` must be a mapping"),
        ("{run: x, outputs: {rows: ¦integer}}", "COG0104", "the output `rows` must be a mapping"),
        ("{run: x, outputs: {¦1a: {}}}", "COG0107", "the output `1a` is not a valid name"),
        ("{run: x, outputs: {a: {type: ¦int}}}", "COG0106", "type must be one of"),
        ("{uses: set, with: {a: 1}, outputs: {¦b: {}}}", "COG0131", "the step `step-1` sets no `b`"),
        ("{uses: wait, with: {for: 1s}, outputs: {¦b: {}}}", "COG0131", "the outputs of `step-1` have no `b`"),
        ("{steps: [{id: p, run: x}], outputs: {¦q: {}}}", "COG0131", "`step-1` has no step `q`"),
    ] {
        one(&format!("steps: [{step}]"), code, message);
    }
    good("steps: [{foreach: [1], uses: set, with: {a: 1}, outputs: {a: {type: integer}}}]");
}

#[test]
fn references_and_values_may_be_as_deep_as_a_check_can_go() {
    let chain = |length: usize| {
        let links: String =
            (1..length).map(|at| format!("d{at}: {{$ref: '#/$defs/d{}'}}, ", at + 1)).collect::<Vec<_>>().concat();
        format!(
            "inputs: {{a: {{$ref: '#/$defs/d1', $defs: {{{links}d{length}: {{type: object, properties: {{n: {{$ref: '#/$defs/d1'}}}}}}}}}}}}\nsteps: [{{run: x}}]"
        )
    };
    let workflow = good(&chain(20));
    let mut value = json!({"n": 5});
    for _ in 0..120 {
        value = json!({"n": value});
    }
    let problems = workflow.inputs.check(object(json!({"a": value}))).unwrap_err();
    assert!(problems[0].message.ends_with("must be of type object, not 5"), "{}", problems[0]);
    let found = super::problems(&chain(21));
    assert!(found.items.iter().all(|item| item.message.contains("leads through more than 20 schemas")), "{found}");
}
