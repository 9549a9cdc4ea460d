//! Groups, choices and loops: how they are read, what their steps may read, and what is refused.

use std::time::Duration;

use cogwheel_definition::{Action, MAIN_BLOCK};
use serde_json::{Value, json};

use super::{good, one, problems};

pub(crate) const NESTED: &str = r#"
inputs: {files: {type: array, default: [a, b]}, kind: {type: string, default: x}}
steps:
  - id: load
    foreach: ${{ inputs.files }}
    max_parallel: 4
    steps:
      - {id: read, run: cat x, env: {N: "${{ index }}", FILE: "${{ item }}"}}
      - id: send
        uses: set
        with: {text: "${{ steps.read.outputs.stdout }}"}
  - id: poll
    until: steps.poll.outputs.n > 3
    every: 2s
    max_attempts: 5
    uses: set
    with: {n: 1}
  - id: pick
    switch: ${{ inputs.kind }}
    cases:
      - when: [x, y]
        steps: [{id: done, uses: set, with: {a: "${{ steps.poll.outputs.n }}"}}]
      - when: ${{ inputs.files[0] }}
        steps: [{id: done, uses: set, with: {a: 1}}, {run: x}]
    default: [{id: other, run: x}]
  - id: tell
    uses: log
    with: {message: "${{ steps.load.outputs[0].send.text }} ${{ steps.pick.outputs.done.a }}"}
"#;

#[test]
fn steps_lie_in_one_list_before_what_they_enclose() {
    let workflow = good(NESTED);
    let paths: Vec<&str> = workflow.steps.iter().map(|step| step.path.as_str()).collect();
    let expected = [
        "load",
        "load.read",
        "load.send",
        "poll",
        "pick",
        "pick.done",
        "pick.done",
        "pick.step-2",
        "pick.other",
        "tell",
    ];
    assert_eq!(paths, expected);
    assert_eq!(workflow.blocks[MAIN_BLOCK].steps, [0, 3, 4, 9]);
    let owners: Vec<Option<usize>> = workflow.blocks.iter().map(|block| block.owner).collect();
    assert_eq!(owners, [None, Some(0), Some(4), Some(4), Some(4)]);
    for (at, block) in workflow.blocks.iter().enumerate() {
        assert!(block.steps.iter().all(|&step| workflow.steps[step].block == at));
    }
    let needs: Vec<&[usize]> = workflow.steps.iter().map(|step| step.needs.as_slice()).collect();
    assert_eq!(needs, [&[][..], &[], &[1], &[0], &[3], &[], &[], &[6], &[], &[4]]);
    let types: Vec<&str> = workflow.steps.iter().map(|step| step.action.step_type()).collect();
    assert_eq!(types[..5], ["group", "shell", "set", "set", "switch"]);
}

#[test]
fn loops_and_choices_have_their_values() {
    let workflow = good(NESTED);
    let foreach = workflow.steps[0].foreach.as_ref().expect("a foreach");
    assert_eq!((foreach.items.source(), foreach.max_parallel), (json!("${{ inputs.files }}"), Some(4)));
    let until = workflow.steps[3].until.as_ref().expect("an until");
    assert_eq!((until.every, until.max_attempts), (Duration::from_secs(2), 5));
    let seen = json!({"steps": {"poll": {"outputs": {"n": 4}, "status": "completed", "error": null}}});
    assert_eq!(until.condition.render(&seen), Ok(json!(true)));
    let Action::Switch { cases, default, .. } = &workflow.steps[4].action else { panic!("a switch") };
    let when: Vec<Vec<Value>> =
        cases.iter().map(|case| case.when.iter().map(cogwheel_definition::Template::source).collect()).collect();
    assert_eq!(when, [vec![json!("x"), json!("y")], vec![json!("${{ inputs.files[0] }}")]]);
    assert_eq!((cases[0].block, cases[1].block, *default), (2, 3, Some(4)));
    let text = "steps: [{foreach: [1, '${{ now }}'], run: x, until: 'true == true'}]";
    let step = &good(text).steps[0];
    let (foreach, until) = (step.foreach.as_ref().unwrap(), step.until.as_ref().unwrap());
    assert_eq!((foreach.items.source(), foreach.max_parallel), (json!([1, "${{ now }}"]), None));
    assert_eq!((until.every, until.max_attempts), (Duration::ZERO, 100));
}

#[test]
fn the_compiled_form_names_steps_by_their_paths() {
    let compiled = good(NESTED).to_json();
    assert_eq!(compiled["nodes"][1]["parent"], "load");
    assert_eq!(compiled["nodes"][0]["with"], json!({"steps": ["load.read", "load.send"]}));
    assert_eq!(compiled["nodes"][4]["with"]["default"], json!(["pick.other"]));
    assert_eq!(compiled["edges"][0], json!({"from": "load.read", "to": "load.send"}));
}

#[test]
fn time_limits_and_retries_of_defaults_go_to_what_runs() {
    let workflow = good(
        "defaults: {timeout: 1m, retry: 3}\nsteps:\n- {id: g, steps: [{run: x}]}\n- {id: w, uses: wait, with: {for: 1s}}\n\
         - {id: c, uses: ./other}\n- {id: s, timeout: 2m, switch: 1, cases: [{when: 1, steps: [{run: x}]}]}\n",
    );
    let of = |path: &str| workflow.steps.iter().find(|step| step.path == path).expect(path);
    let minute = Duration::from_mins(1);
    assert_eq!(of("g").timeout, None);
    assert_eq!(of("g.step-1").timeout, Some(minute));
    assert_eq!((of("w").timeout, of("c").timeout, of("s").timeout), (None, None, Some(2 * minute)));
    let retries = ["g", "g.step-1", "w", "c", "s"].map(|path| of(path).retry.is_some());
    assert_eq!(retries, [false, true, false, true, false]);
}

#[test]
fn each_list_is_a_sequence_or_a_graph_of_its_own() {
    let workflow = good(
        "steps:\n- {id: a, run: x}\n- id: b\n  steps: [{id: p, run: x}, {id: q, run: x, needs: []}, {id: r, run: x, needs: p}]\n\
         - {id: c, run: x}\n",
    );
    let needs: Vec<&[usize]> = workflow.steps.iter().map(|step| step.needs.as_slice()).collect();
    assert_eq!(needs, [&[][..], &[0], &[], &[], &[2], &[1]]);
}

#[test]
fn ids_may_repeat_where_only_one_can_be_meant() {
    good("steps:\n- {id: a, steps: [{id: x, run: x}]}\n- {id: b, steps: [{id: x, run: x}, {run: x}]}\n- {run: x}\n");
    // Steps without an id are numbered in their own list.
    good("steps:\n- steps:\n  - steps: [{run: x}]\n");
    one(
        "steps:\n- {id: a, run: x}\n- {id: b, steps: [{id: ¦a, run: x}]}\n",
        "COG0110",
        "the id `a` hides that of another step (the other one is on line 2 and can be read here too",
    );
    one("steps:\n- {id: b, steps: [{id: ¦b, run: x}]}\n", "COG0110", "hides that of another step");
    one("steps:\n- {id: b, steps: [{id: ¦z, run: x}]}\n- {id: z, run: x}\n", "COG0110", "on line 3");
    one("steps:\n- {id: step-1, steps: [¦{run: x}]}\n", "COG0110", "hides that of another step");
    one("steps:\n- {id: b, steps: [{id: c, run: x}, {id: ¦c, run: x}]}\n", "COG0110", "two steps have the id `c`");
}

#[test]
fn needs_stay_within_a_list() {
    let group = |needs: &str, inner: &str| {
        format!(
            "steps:\n- {{id: a, run: x}}\n- {{id: g, needs: [{needs}], steps: [{{id: p, run: x}}, {{id: q, run: x, needs: [{inner}]}}]}}\n\
             - {{id: z, run: x}}\n"
        )
    };
    good(&group("a", "p"));
    one(
        &group("a", "¦a"),
        "COG0103",
        "the step `q` needs `a`, which stands in another list of steps (name it in the `needs` of `g`",
    );
    one(&group("¦p", ""), "COG0103", "`p`, which stands in another list of steps");
    one(&group("a", "¦pp"), "COG0103", "which does not exist");
    one(
        "steps:\n- {id: g, steps: [{id: p, run: x}]}\n- {id: z, run: x, needs: ¦p}\n",
        "COG0103",
        "need `g`, which it is part of",
    );
    one(
        "steps:\n- {id: g, steps: [{id: p, run: x, needs: [¦q]}, {id: q, run: x, needs: p}]}\n",
        "COG0111",
        "p -> q -> p",
    );
}

#[test]
fn a_step_reads_what_has_ended_around_it() {
    let group = |read: &str| {
        format!(
            "steps:\n- {{id: a, uses: set, with: {{n: 1}}}}\n- {{id: g, steps: [{{id: p, uses: set, with: {{m: 1}}}}, \
             {{id: q, uses: log, with: {{message: \"${{{{ {read} }}}}\"}}}}, {{id: r, run: x}}]}}\n- {{id: z, run: x}}\n"
        )
    };
    good(&group("steps.a.outputs.n"));
    good(&group("steps.p.outputs.m"));
    for (read, code, message) in [
        ("steps.¦r.status", "COG0132", "the step `q` reads `r`, which need not have run by then"),
        ("steps.¦z.status", "COG0132", "(add `z` to the `needs` of `g`)"),
        ("steps.¦g.status", "COG0132", "the step `q` is part of `g`, which has not ended by then"),
        ("steps.¦q.status", "COG0132", "cannot read itself"),
        ("steps.a.outputs.¦m", "COG0131", "the step `a` sets no `m`"),
        ("steps.¦b.status", "COG0131", "there is no step `b`"),
    ] {
        one(&group(read), code, message);
    }
    one(
        "steps:\n- {id: g, steps: [{id: p, run: x}]}\n- {run: x, if: \"${{ steps.¦p.status == 'failed' }}\"}\n",
        "COG0132",
        "the step `p` stands inside of `g` and cannot be read from here (read it through the outputs of that: `steps.g.outputs`",
    );
    one(
        "steps:\n- id: s\n  switch: 1\n  cases:\n  - {when: 1, steps: [{id: p, run: x}]}\n  \
         - {when: 2, steps: [{run: x, if: \"${{ steps.¦p.status }}\"}]}\n",
        "COG0132",
        "the step `p` cannot be read from here",
    );
    one(
        "steps: [{id: g, steps: [{id: p, run: x}]}]\noutputs: {a: \"${{ steps.¦p.status }}\"}\n",
        "COG0132",
        "inside of `g`",
    );
}

#[test]
fn outputs_of_groups_are_known_by_the_ids_inside() {
    let after = |step: &str, read: &str| {
        format!("steps:\n- {step}\n- {{id: z, uses: log, with: {{message: \"${{{{ {read} }}}}\"}}}}\n")
    };
    let group = "{id: g, steps: [{id: p, uses: set, with: {m: 1}}, {id: h, steps: [{id: q, run: x}]}]}";
    good(&after(group, "steps.g.outputs.p.m"));
    good(&after(group, "steps.g.outputs.h.q.anything"));
    one(&after(group, "steps.g.outputs.¦pp"), "COG0131", "`g` has no step `pp` (did you mean `p`?)");
    one(&after(group, "steps.g.outputs.p.¦n"), "COG0131", "the step `p` sets no `n`");
    one(&after(group, "steps.g.outputs.h.¦p"), "COG0131", "`h` has no step `p`");
    let each = "{id: g, foreach: [1], uses: set, with: {m: 1}}";
    good(&after(each, "steps.g.outputs[0].m"));
    good(&after(each, "steps.g.outputs | map(attribute='m') | list"));
    one(
        &after(each, "steps.g.outputs.¦m"),
        "COG0131",
        "`steps.g.outputs` is a list, with the outputs of each item in order, and has no `m` (read one, `steps.g.outputs[0].m`",
    );
    let choice =
        "{id: g, switch: 1, cases: [{when: 1, steps: [{id: p, uses: set, with: {m: 1}}]}], default: [{id: q, run: x}]}";
    good(&after(choice, "steps.g.outputs.p.m"));
    good(&after(choice, "steps.g.outputs.q.x"));
    one(&after(choice, "steps.g.outputs.¦r"), "COG0131", "`g` has no step `r` (there is p, q)");
}

#[test]
fn items_are_there_inside_of_a_foreach() {
    let each = |keys: &str| format!("env: {{A: x}}\nsteps:\n- {{id: a, foreach: [1], {keys}}}\n");
    good(&each("uses: set, with: {a: '${{ item.x }}', b: '${{ index + 1 }}'}"));
    good(&each("run: x, env: {A: '${{ item }}'}"));
    good(&each("run: x, until: '${{ item == index }}'"));
    good(&each("steps: [{run: x, if: 'item > 1'}, {foreach: '${{ item }}', run: x}]"));
    one(&each("run: x, if: \"${{ ¦item }}\""), "COG0131", "there is no `item` yet: `if` and `foreach` are asked once");
    one("steps: [{foreach: \"${{ ¦item }}\", run: x}]", "COG0131", "there is no `item` yet");
    one("steps: [{run: x, env: {A: \"${{ ¦index }}\"}}]", "COG0131", "no step around this has a `foreach`");
    one(&each("uses: set, with: {a: \"${{ index.¦x }}\"}"), "COG0131", "`index` has no `x`");
    one(&(each("run: x") + "outputs: {a: \"${{ ¦item }}\"}\n"), "COG0131", "there is no `item` here");
    one(&each("uses: set, with: {a: \"${{ ¦itm }}\"}"), "COG0131", "did you mean `item`?");
}

#[test]
fn an_until_reads_the_round_that_has_ended() {
    good("steps: [{id: a, uses: set, with: {n: 1}, until: steps.a.outputs.n == 1}]");
    good("steps: [{id: a, foreach: [1], uses: set, with: {n: 1}, until: steps.a.outputs.n == item}]");
    one(
        "steps: [{id: a, uses: set, with: {n: 1}, until: \"${{ steps.a.outputs.¦m }}\"}]",
        "COG0131",
        "the step `a` sets no `m`",
    );
    one(
        "steps: [{id: a, until: \"${{ steps.¦p.status == 'x' }}\", steps: [{id: p, run: x}]}]",
        "COG0132",
        "inside of `a`",
    );
    good("steps: [{id: a, until: \"${{ steps.a.outputs.p.exit_code == 0 }}\", steps: [{id: p, run: x}]}]");
    one(
        "steps: [{id: a, run: x, until: \"${{ ¦success() }}\"}]",
        "COG0131",
        "`success()` can only be asked in the `if` of a step",
    );
}

#[test]
fn forms_and_their_keys_are_checked() {
    for (step, code, message) in [
        ("{¦max_parallel: 2, run: x}", "COG0106", "`max_parallel` belongs to `foreach`, which this step does not have"),
        ("{¦every: 2s, run: x}", "COG0106", "`every` belongs to `until`"),
        ("{¦max_attempts: 2, run: x}", "COG0106", "`max_attempts` belongs to `until`"),
        ("{¦cases: [], run: x}", "COG0106", "`cases` belongs to `switch`"),
        ("{¦default: [], run: x}", "COG0106", "`default` belongs to `switch`"),
        ("{steps: [{run: x}], ¦with: {a: 1}}", "COG0106", "`with` belongs to `uses`"),
        ("{run: x, ¦with: {a: 1}}", "COG0106", "a `run` step takes its values from `env`"),
        ("{steps: [{run: x}], ¦run: x}", "COG0106", "either `steps` or `run`, not both"),
        ("{uses: log, ¦switch: 1, with: {message: x}, cases: []}", "COG0106", "either `uses` or `switch`"),
        ("{foreach: ¦{a: 1}, run: x}", "COG0104", "`foreach` must be an expression, not a mapping"),
        ("{foreach: ¦5, run: x}", "COG0104", "(write `foreach: ${{ inputs.files }}`)"),
        ("{foreach: ¦'a ${{ now }}', run: x}", "COG0106", "`foreach` must be one expression"),
        ("{foreach: [1], max_parallel: ¦0, run: x}", "COG0106", "max_parallel must be a whole number from 1 to 100000"),
        ("{id: a, until: ¦true, run: x}", "COG0104", "(write `until: ${{ steps.a.outputs.ready }}`)"),
        ("{until: now, max_attempts: ¦0, run: x}", "COG0106", "max_attempts must be a whole number from 1 to 1000000"),
        ("{until: now, every: ¦5, run: x}", "COG0108", "every: `5` is not a duration"),
        ("{steps: ¦{run: x}}", "COG0104", "`steps` must be a list, not a mapping"),
        ("{steps: ¦[]}", "COG0109", "`steps` has no steps"),
        ("{¦stepz: [{run: x}]}", "COG0101", "did you mean `steps`?"),
        ("¦{switch: 1}", "COG0105", "a `switch` needs its `cases`"),
        ("{switch: 1, cases: ¦[]}", "COG0106", "at least one case"),
        ("{switch: 1, cases: ¦x}", "COG0104", "`cases` must be a list"),
        ("{switch: 1, cases: [¦{when: 1}]}", "COG0105", "a case needs `steps`"),
        ("{switch: 1, cases: [¦{steps: [{run: x}]}]}", "COG0105", "under `when`"),
        ("{switch: 1, cases: [{when: ¦[], steps: [{run: x}]}]}", "COG0106", "at least one value"),
        ("{switch: 1, cases: [{when: 1, steps: [{run: x}], ¦if: x}]}", "COG0101", "unknown key `if` in a case"),
        ("{switch: 1, cases: [{when: [1, ¦1], steps: [{run: x}]}]}", "COG0106", "1 stands for a case a second time"),
        (
            "{steps: [{run: x}], ¦retry: 2}",
            "COG0106",
            "a `group` step tries nothing again, so `retry` would apply to nothing (put",
        ),
        (
            "{switch: 1, cases: [{when: 1, steps: [{run: x}]}], ¦retry: 2}",
            "COG0106",
            "a `switch` step tries nothing again",
        ),
        ("{uses: wait, with: {for: 1s}, ¦retry: 2}", "COG0106", "a `wait` step tries nothing again"),
        ("{steps: [{run: x}], ¦env: {A: b}}", "COG0106", "put `env` on the steps inside of it"),
        ("{uses: ./other, ¦on_lost: fail}", "COG0106", "a `workflow` step is not lost with a server"),
    ] {
        one(&format!("steps:\n- {step}\n"), code, message);
    }
    good("steps: [{steps: [{run: x}], env: {}}]");
    good("steps: [{uses: ./other, retry: 2}]");
}

#[test]
fn nesting_has_an_end() {
    let nested = |depth: usize, id: &str| {
        let open = (0..depth).map(|at| format!("{{id: {id}{at}, steps: [")).collect::<Vec<_>>().concat();
        format!("steps: [{open}{{id: last, run: x}}{}]\n", "]}".repeat(depth))
    };
    good(&nested(8, "g"));
    let found = problems(&nested(9, "g"));
    assert_eq!((found.items.len(), found.items[0].code.as_str()), (1, "COG0005"), "{found}");
    assert!(found.items[0].message.contains("more than 8 groups"), "{found}");
    let found = problems(&nested(8, &"x".repeat(25)));
    assert_eq!((found.items.len(), found.items[0].code.as_str()), (1, "COG0107"), "{found}");
    assert!(found.items[0].message.contains("more than 150 characters"), "{found}");
}

#[test]
fn mistakes_inside_of_groups_come_at_once() {
    let found = problems(
        "steps:\n- id: g\n  foreach: 1\n  steps:\n  - {id: p, rum: x}\n  - {id: q, run: x, needs: [zz]}\n\
         - {id: s, switch: '${{ inputs.a }}', cases: [{when: 1, steps: [{run: ' '}]}]}\n",
    );
    let codes: Vec<&str> = found.items.iter().map(|item| item.code.as_str()).collect();
    assert_eq!(codes, ["COG0104", "COG0101", "COG0103", "COG0131", "COG0106"], "{found}");
}
