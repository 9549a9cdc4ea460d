//! Every kind of bad file gives one clear problem at the right place.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use cogwheel_definition::{Code, parse};

use super::{one, problems};

const RUN: &str = "steps: [{run: 'true'}]\n";

fn with_steps(rest: &str) -> String {
    format!("{RUN}{rest}")
}

#[test]
fn documents() {
    one("¦", "COG0006", "the file holds no workflow");
    one("¦# only a comment\n", "COG0006", "the file holds no workflow");
    one("¦just text\n", "COG0104", "a workflow must be a mapping, not the text `just text`");
    one("¦42\n", "COG0104", "not the number `42`");
    one("¦- run: x\n", "COG0104", "not a list");
    one(&with_steps("---¦\nname: two\n").replace("---¦", "¦---"), "COG0007", "a second document");
    one(&with_steps("name: a\n¦name: b\n"), "COG0004", "it stands first on line 2");
    one(&with_steps("labels:\n  ¦<<: {a: b}\n"), "COG0101", "merge keys");
    one(&with_steps("labels: {a: ¦*nowhere}\n"), "COG0003", "");
    one(&with_steps("labels: ¦!thing {a: b}\n"), "COG0003", "the tag `!thing` is not known");
    one(&with_steps("labels: &a {b: ¦*a}\n"), "COG0005", "inside of the value");
    one(&with_steps("labels: {¦[a]: b}\n"), "COG0104", "a key must be text");
    one(&with_steps("description: ¦\"a\\0b\"\n"), "COG0003", "U+0000");
    one(&with_steps("# a ¦\0\n"), "COG0003", "U+0000");
}

#[test]
fn bytes() {
    let found = parse(b"name: a\ndescription: \"\xC3\xA4 \xFF\"\n", "file").unwrap_err();
    let item = &found.items[0];
    assert_eq!((found.items.len(), item.code, item.line, item.column), (1, Code::NotUtf8, 2, 17));
    assert!(item.message.contains("0xFF"), "{}", item.message);
    let found = parse("steps: []".encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>().as_slice(), "file");
    assert_eq!(found.unwrap_err().items.len(), 1);
}

#[test]
fn sizes() {
    let started = Instant::now();
    let large = format!("{RUN}{}", "# padding\n".repeat(1_048_576));
    assert_eq!(problems(&large).items[0].code, Code::TooLarge);
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..40 {
        let alias = format!("*a{}", level - 1);
        let aliases = [alias.as_str(); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").expect("a string takes it");
    }
    let found = problems(&bomb);
    assert_eq!((found.items.len(), found.items[0].code, found.items[0].line), (1, Code::TooComplex, 5));
    for deep in [
        "[".repeat(500_000),
        "{a: ".repeat(200_000),
        format!("steps:\n{}", "- ".repeat(100_000)),
        "[".repeat(65) + &"]".repeat(65),
    ] {
        let found = problems(&deep);
        assert_eq!((found.items.len(), found.items[0].code), (1, Code::TooComplex), "{found}");
    }
    let many = "- a\n".repeat(250_000);
    assert_eq!(problems(&many).items[0].code, Code::TooComplex);
    let keys = (0..30_000).map(|key| format!("k{key}: 1")).collect::<Vec<_>>().join("\n");
    let found = problems(&keys);
    assert_eq!((found.items.len(), found.omitted), (100, 29_901));
    assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
}

#[test]
fn keys_and_types() {
    one(
        &with_steps("¦discription: x\n"),
        "COG0101",
        "unknown key `discription` in a workflow (did you mean `description`?)",
    );
    one("¦step: [{run: 'true'}]\n", "COG0101", "did you mean `steps`?");
    one("steps:\n  - ¦rum: x\n", "COG0101", "did you mean `run`?");
    one("steps:\n  - run: x\n    ¦need: []\n", "COG0101", "did you mean `needs`?");
    one(
        "steps:\n  - run: x\n    ¦runs_on: gpu\n",
        "COG0102",
        "`runs_on` is part of the workflow language, but this release does not run it yet",
    );
    one("steps: [{uses: ¦sql, with: {query: x}}]", "COG0102", "`uses: sql` is part");
    one("steps: [{uses: ¦sehll, with: {}}]", "COG0112", "did you mean `shell`?");
    one("steps:\n  - run: ¦5\n", "COG0104", "the script must be text, not the number `5` (put it in quotes: \"5\")");
    one("steps:\n  - ¦run:\n", "COG0104", "the script must be text, not nothing");
    one("steps:\n  - ¦just text\n", "COG0104", "a step must be a mapping");
    one("steps: ¦{run: x}\n", "COG0104", "`steps` must be a list, not a mapping");
    one(&with_steps("name: ¦[a]\n"), "COG0104", "name must be text, not a list");
    one(&with_steps("¦on:\n"), "COG0104", "`on` must be a mapping, not nothing");
    one(&with_steps("env: {A: ¦[1]}\n"), "COG0104", "the variable `A` must be text");
    one(&with_steps("¦on: daily\n").replace("¦on: ", "on: ¦"), "COG0104", "not the text `daily`");
}

#[test]
fn values() {
    one("¦name: x\n", "COG0109", "the workflow has no `steps`");
    one("steps: ¦[]\n", "COG0109", "the workflow has no steps");
    one("steps:\n  - ¦name: x\n", "COG0105", "a step needs `run` or `uses`, or is a group");
    one("steps: [{run: x, ¦uses: log}]", "COG0106", "either `run` or `uses`");
    one("steps: [¦{uses: set}]", "COG0105", "`uses: set` needs its values under `with`");
    one("steps: [{uses: log, with: ¦{level: info}}]", "COG0105", "`uses: log` needs a `message`");
    one("steps: [{uses: log, with: {message: x, level: ¦wran}}]", "COG0106", "did you mean `warn`?");
    one("steps: [{run: ¦' '}]", "COG0106", "the script is empty");
    one("steps: [{id: ¦1st, run: x}]", "COG0107", "the id `1st` is not a valid name");
    one(&with_steps("name: ¦' x'\n"), "COG0107", "starts or ends with a space");
    one(&with_steps(&format!("name: ¦{}\n", "x".repeat(101))), "COG0107", "longer than 100");
    one(&with_steps("env: {¦A-B: x}\n"), "COG0107", "cannot be the name of an environment variable");
    one(&with_steps("env: {¦COGWHEEL_OUTPUT: x}\n"), "COG0107", "are set for every step");
    one(&with_steps("timeout: ¦5\n"), "COG0108", "timeout: `5` is not a duration; write a number with a unit");
    one(&with_steps("timeout: ¦0s\n"), "COG0108", "longer than nothing");
    one(&with_steps("timeout: ¦fast\n"), "COG0108", "`fast` is not a duration");
    one(&with_steps("defaults: {timeout: ¦true}\n"), "COG0104", "a duration such as `30s`");
}

#[test]
fn graphs() {
    one(
        "steps:\n  - {id: check, run: x}\n  - {id: load, run: x, needs: [¦chek]}\n",
        "COG0103",
        "the step `load` needs `chek`, which does not exist (did you mean `check`?)",
    );
    one("steps:\n  - {id: a, run: x, needs: [¦b]}\n  - {id: b, run: x, needs: a}\n", "COG0111", "a -> b -> a");
    one("steps:\n  - {id: a, run: x, needs: ¦a}\n", "COG0111", "a -> a");
    one(
        "steps:\n  - {id: a, run: x}\n  - {id: ¦a, run: x}\n",
        "COG0110",
        "two steps have the id `a` (the other one is on line 2)",
    );
    one("steps:\n  - {id: step-2, run: x}\n  - ¦{run: x}\n", "COG0110", "two steps have the id `step-2`");
}

#[test]
fn triggers() {
    one(
        &with_steps("on: {schedule: [{cron: ¦'61 * * * *'}]}\n"),
        "COG0120",
        "the cron expression `61 * * * *` is not valid: ",
    );
    one(&with_steps("on:\n  schedule:\n    - cron: ¦every day\n"), "COG0120", "it has 2 fields instead of five");
    one(&with_steps("on: {schedule: {cron: ¦'0 0 31 2 *'}}\n"), "COG0120", "it never comes due");
    one(
        &with_steps("on: {schedule: {cron: '@daily', timezone: ¦Europe/Berln}}\n"),
        "COG0121",
        "there is no time zone `Europe/Berln` (did you mean `Europe/Berlin`?)",
    );
    one(&with_steps("on: {schedule: ¦{timezone: UTC}}\n"), "COG0105", "a schedule needs a `cron` expression");
    one(
        &with_steps("on: {schedule: {cron: '@daily', catch_up: ¦never}}\n"),
        "COG0106",
        "catch_up must be one of none, last, all",
    );
    one(
        &with_steps("on: {schedule: [{id: x, cron: '@daily'}, {id: ¦x, cron: '@daily'}]}\n"),
        "COG0110",
        "two triggers have the id `x`",
    );
    one(&with_steps("on: {schedule: {cron: '@daily', inputs: {¦a: 1}}}\n"), "COG0123", "there is no input `a`");
    one(
        &with_steps("inputs: {a: {type: integer}}\non: {schedule: {cron: '@daily', inputs: {¦a: x}}}\n"),
        "COG0123",
        "`a` must be of type integer",
    );
    one(
        &with_steps("inputs: {a: {type: integer}}\non: {schedule: ¦{cron: '@daily'}}\n"),
        "COG0123",
        "`a` must be given",
    );
    one(&with_steps("inputs: {a: {}}\non: {file: ¦{path: in}}\n"), "COG0123", "nothing gives the input `a` a value");
    one(&with_steps("inputs: {a: {type: integer, default: ¦x}}\n"), "COG0123", "the default does not fit");
    one(&with_steps("inputs: {a: {type: ¦text}}\n"), "COG0106", "type must be one of string, integer");
    one(&with_steps("inputs: {a: {¦patern: x}}\n"), "COG0101", "did you mean `pattern`?");
    one(&with_steps("on: {file: {path: in, match: [¦'[a']}}\n"), "COG0122", "the pattern `[a` is not valid");
    one(
        &with_steps("on: {file: {path: ¦'in/*.csv'}}\n"),
        "COG0106",
        "put the folder here and the pattern under `match`",
    );
    one(&with_steps("on: {file: {path: ¦'s3://bucket/in'}}\n"), "COG0102", "an object store");
    one(&with_steps("on: {file: ¦{match: '*'}}\n"), "COG0105", "the `path` of a folder");
    one(&with_steps("on: {file: {path: in, settle: ¦soon}}\n"), "COG0108", "settle: `soon` is not a duration");
}

#[test]
fn expressions() {
    let set = |text: &str| {
        format!(
            "inputs: {{region: {{default: eu}}}}\nsteps:\n  - id: one\n    uses: set\n    with: {{a: 1}}\n  - id: two\n    uses: set\n    with:\n      x: {text}\n  - {{id: three, run: x}}\n"
        )
    };
    let bad = |text: &str, code: &str, message: &str| one(&set(text), code, message);
    bad("a ${{ ¦inptus.region }}", "COG0131", "there is no name `inptus` (did you mean `inputs`?)");
    bad(
        "ä ${{ inputs.region }} ${{ inputs.¦regoin }}",
        "COG0131",
        "there is no input `regoin` (did you mean `region`?)",
    );
    bad("\"${{ inputs['¦regoin'] }}\"", "COG0131", "did you mean `region`?");
    bad(
        "|\n        first line\n        then ${{ steps.¦oen.outputs.a }}",
        "COG0131",
        "there is no step `oen` (did you mean `one`?)",
    );
    bad(
        ">\n        folded\n        ${{ steps.one.¦output.a }}",
        "COG0131",
        "`steps.one` has no `output` (did you mean `outputs`?)",
    );
    bad("${{ steps.one.outputs.¦b }}", "COG0131", "the step `one` sets no `b` (there is a)");
    bad("${{ steps.¦three.outputs.a }}", "COG0132", "the step `two` reads `three`, which need not have run by then");
    bad("${{ steps.¦two.status }}", "COG0132", "cannot read itself");
    bad("${{ ¦steps }}", "COG0131", "`steps` must be followed by the id of a step");
    bad("${{ ¦secrets.KEY }}", "COG0102", "`secrets` is part");
    bad("${{ ¦basname('a') }}", "COG0131", "there is no function `basname` (did you mean `basename`?)");
    bad("${{ inputs.region | ¦uper }}", "COG0131", "there is no filter `uper` (did you mean `upper`?)");
    bad("${{ inputs.region is ¦empty }}", "COG0131", "there is no test `empty`");
    bad("${{ inputs.region.¦upper() }}", "COG0131", "values have no methods");
    bad("${{ trigger.¦file.path }}", "COG0131", "the workflow has no `on.file`");
    bad("${{ trigger.¦user }}", "COG0131", "`trigger` has no `user`");
    bad("${{ execution.¦idd }}", "COG0131", "`execution` has no `idd`");
    bad("${{ env.¦HOME }}", "COG0131", "there is no variable `HOME`");
    bad("${{ ¦1 + }}", "COG0130", "cannot be read");
    bad("'¦${{ 1'", "COG0130", "not closed by `}}`");
    bad("a ¦${{ }}", "COG0130", "the expression is empty");
    one(
        "steps:\n  - run: |\n      set -e\n      cat ¦${{ trigger.file.path }}\n",
        "COG0133",
        "name the value under `env`",
    );
    one(&with_steps("name: a ¦${{ now }}\n"), "COG0134", "name must be literal");
    one(&with_steps("env: {A: x, B: '${{ ¦env.A }}'}\n"), "COG0131", "cannot read `env`");
    one("steps: [{id: a, run: x}]\nenv: {B: '${{ steps.¦a.status }}'}\n", "COG0132", "it is there before they are");
    one(&with_steps("outputs: {rows: '${{ steps.¦load.outputs.rows }}'}\n"), "COG0131", "there is no step `load`");
    one(
        &with_steps("on: {schedule: {cron: '@daily', inputs: {a: ['¦${{ now }}']}}}\ninputs: {a: {}}\n"),
        "COG0134",
        "an input must be literal",
    );
    one(
        &with_steps("on: {file: {path: in}}\noutputs: {a: '${{ trigger.file.¦pth }}'}\n"),
        "COG0131",
        "`trigger.file` has no `pth` (did you mean `path`?)",
    );
}

#[test]
fn all_problems_come_at_once_and_in_order() {
    let found = problems(
        "nam: x\nsteps:\n  - {id: a, run: x, needs: [c]}\n  - {id: a, run: '${{ now }}'}\non: {schedule: {cron: x, timezone: y}}\n",
    );
    let codes: Vec<&str> = found.items.iter().map(|item| item.code.as_str()).collect();
    assert_eq!(codes, ["COG0101", "COG0103", "COG0110", "COG0133", "COG0120", "COG0121"], "{found}");
}

#[test]
fn one_mistake_is_reported_once() {
    // Each names something that other places refer to.
    one(
        "steps:\n  - {¦di: check, run: x}\n  - {id: load, uses: set, with: {a: '${{ steps.check.status }}'}}\n",
        "COG0101",
        "did you mean `id`?",
    );
    one("steps:\n  - {id: ¦chéck, run: x}\n  - {id: load, needs: [chéck], run: x}\n", "COG0107", "not a valid name");
    one(
        "steps:\n  - {id: a, run: x}\n  - {id: b, needs: [¦aa], uses: log, with: {message: '${{ steps.a.status }}'}}\n",
        "COG0103",
        "did you mean `a`?",
    );
    one(
        "inputs: ¦5\nsteps: [{uses: log, with: {message: '${{ inputs.a }}'}}]\n",
        "COG0104",
        "`inputs` must be a mapping",
    );
}

#[test]
fn flow() {
    let step = |key: &str| format!("inputs: {{n: {{type: integer}}}}\nsteps:\n  - run: x\n    {key}\n");
    for (key, code, message) in [
        ("if: ¦[a]", "COG0104", "`if` must be an expression, not a list"),
        ("if: ¦\"x ${{ inputs.n > 1 }}\"", "COG0106", "with nothing around it"),
        ("if: ¦inputs.m > 1", "COG0131", "there is no input `m`"),
        ("if: ¦inputs.n >", "COG0130", "cannot be read"),
        ("retry: ¦0", "COG0106", "from 1 to 100"),
        ("retry: {attempts: ¦many}", "COG0106", "from 1 to 100"),
        ("retry: {¦attempt: 2}", "COG0101", "did you mean `attempts`?"),
        ("retry: {backoff: ¦exponentially}", "COG0106", "did you mean `exponential`?"),
        ("retry: {delay: 10s, max_delay: ¦1s}", "COG0106", "shorter than `delay`"),
        ("retry: {on: [¦timeuot]}", "COG0106", "did you mean `timeout`?"),
        ("retry: {jitter: ¦maybe}", "COG0104", "must be true or false"),
        ("on_lost: ¦again", "COG0106", "must be one of retry, fail"),
        ("continue_on_error: ¦1", "COG0104", "must be true or false"),
        ("env: {A: \"${{ ¦failure() }}\"}", "COG0131", "only be asked in the `if` of a step"),
    ] {
        one(&step(key), code, message);
    }
}

#[test]
fn every_mistake_of_a_retry_is_reported_at_once() {
    let retry = "{attempts: 0, backoff: odd, delay: soon, max_delay: late, jitter: 1, max_elapsed: 0s, on: [exti]}";
    assert_eq!(problems(&format!("steps: [{{run: x, retry: {retry}}}]")).items.len(), 7);
}

#[test]
fn file_triggers() {
    let bad = |option: &str, code: &str, message: &str| {
        one(&with_steps(&format!("on: {{file: {{path: in, {option}}}}}\n")), code, message);
    };
    bad("events: [created, ¦modifed]", "COG0106", "did you mean `modified`?");
    bad("events: ¦[]", "COG0106", "events names no event");
    bad("poll: ¦atuo", "COG0106", "did you mean `auto`?");
    bad("poll: ¦sometimes", "COG0106", "a duration such as `30s`, not `sometimes`");
    bad("poll: ¦30", "COG0108", "poll: `30` is not a duration");
    bad("poll: ¦10ms", "COG0108", "poll must be from 100ms to 1d");
    bad("poll: ¦2d", "COG0108", "poll must be from 100ms to 1d");
    bad("poll: ¦[1s]", "COG0104", "poll must be a duration");
    bad("mime: ¦csv", "COG0106", "mime: `csv` is no media type (write one such as `text/csv`");
    bad("mime: [text/csv, ¦'*/*']", "COG0106", "`*/*` is no media type");
    bad("mime: ¦[]", "COG0106", "mime names no type");
    bad("min_size: ¦0", "COG0106", "min_size: it must be more than nothing");
    bad("max_size: ¦2000GiB", "COG0106", "max_size: ");
    bad("min_size: 2MiB, max_size: ¦1MiB", "COG0106", "max_size is less than min_size");
    bad("source: ¦uplod", "COG0106", "did you mean `upload`?");
    bad("batch: ¦100", "COG0104", "`batch` must be a mapping");
    bad("batch: {max_files: ¦0}", "COG0106", "max_files must be a whole number from 1 to 10000");
    bad("batch: {max_wait: ¦0}", "COG0108", "max_wait must be longer than nothing");
    bad("batch: {¦max_fils: 3}", "COG0101", "did you mean `max_files`?");
    bad("done_marker: ¦done/_SUCCESS", "COG0106", "a marker lies beside its files");
    bad("done_marker: ¦'*.done'", "COG0106", "a marker has one name");
    bad("done_marker: ¦'{file}.done'", "COG0106", "such as `{name}.done` or `{stem}.ok`");
    bad("done_marker: ¦'{name}'", "COG0106", "is not the name of a marker");
    bad("after: ¦delete", "COG0104", "`after` must be a mapping");
    bad("after: {¦sucess: keep}", "COG0101", "did you mean `success`?");
    bad("after: {success: ¦delte}", "COG0106", "did you mean `delete`? A folder of that name is written `./delte`");
    bad("after: {failure: ¦move}", "COG0106", "write the folder that the file is moved to");
    bad("after: {success: ¦./in/}", "COG0106", "moves files to the folder that they are in");
    bad("after: {success: ¦'s3://bucket/done'}", "COG0102", "an object store as `after.success`");
    bad("after: {success: ¦'done/*'}", "COG0106", "after.success `done/*` names a pattern");
    let named = |option: &str, name: &str| {
        format!(
            "on: {{file: [{{path: in{option}}}]}}\nsteps: [{{uses: log, with: {{message: '${{{{ trigger.{name} }}}}'}}}}]\n"
        )
    };
    one(&named("", "¦files"), "COG0131", "no `on.file` of the workflow has a `batch`");
    one(&named(", batch: {}", "¦file.name"), "COG0131", "the files of a batch are `trigger.files`");
    one(&named("", "file.¦evnt"), "COG0131", "did you mean `event`?");
}

#[test]
fn what_is_for_folders_has_no_meaning_for_uploads() {
    for (key, help) in [
        ("¦path: in", "choose uploads by `match`"),
        ("¦events: created", "always a new file"),
        ("¦settle: 1s", "whole when it is there"),
        ("¦poll: never", "reported by itself"),
        ("¦done_marker: _SUCCESS", "whole when it is there"),
        ("¦batch: {}", "an execution of its own"),
        ("¦after: {success: keep}", "stay as they are"),
    ] {
        let text = with_steps(&format!("on: {{file: {{source: upload, {key}}}}}\n"));
        one(&text, "COG0106", "is for folders, and has no meaning with `source: upload`");
        one(&text, "COG0106", help);
    }
}

#[test]
fn every_problem_of_a_file_trigger_is_told_at_once() {
    let text = with_steps(
        "on:\n  file:\n    path: in\n    events: [creatd]\n    poll: maybe\n    batch: {max_files: 0}\n    after: {success: kep}\n    settle: soon\n",
    );
    let problems = parse(text.as_bytes(), "x").unwrap_err();
    let lines: Vec<usize> = problems.items.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [4, 5, 6, 7, 8].map(|line| line + lines[0] - 4));
}
