//! Nothing that is read panics or hangs, and graphs come out as they went in.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cogwheel_definition::schedule::{Calendar, Timing};
use cogwheel_definition::{MAIN_BLOCK, Workflow, parse};
use proptest::prelude::*;

const GOOD: &str = include_str!("../../../../examples/workflows/csv-intake.yaml");

use super::nested::NESTED;

/// Every index of the model leads where its documentation says.
fn is_whole(workflow: &Workflow) -> Result<(), TestCaseError> {
    prop_assert!(!workflow.steps.is_empty());
    prop_assert!(workflow.blocks[MAIN_BLOCK].owner.is_none());
    let handlers = [workflow.on_failure, workflow.finally];
    for (at, block) in workflow.blocks.iter().enumerate() {
        prop_assert!(!block.steps.is_empty());
        prop_assert!(block.steps.is_sorted());
        prop_assert!(block.steps.iter().all(|&step| workflow.steps[step].block == at));
        let is_own = at == MAIN_BLOCK || handlers.contains(&Some(at));
        prop_assert_eq!(block.owner.is_none(), is_own);
        if let Some(owner) = block.owner {
            prop_assert!(workflow.steps[owner].action.blocks().contains(&at));
            prop_assert!(block.steps.iter().all(|&step| owner < step));
        }
    }
    for (at, step) in workflow.steps.iter().enumerate() {
        let block = &workflow.blocks[step.block];
        prop_assert!(block.steps.contains(&at));
        prop_assert!(step.needs.is_sorted() && step.needs.iter().all(|need| *need != at && block.steps.contains(need)));
        let path = match block.owner {
            Some(owner) => format!("{}.{}", workflow.steps[owner].path, step.id),
            None => step.id.clone(),
        };
        prop_assert_eq!(&step.path, &path);
    }
    Ok(())
}

fn is_consistent(bytes: &[u8]) -> Result<(), TestCaseError> {
    match parse(bytes, "file") {
        Ok(workflow) => {
            is_whole(&workflow)?;
            workflow.to_json();
        }
        Err(problems) => {
            prop_assert!(!problems.items.is_empty());
            prop_assert!(problems.items.iter().all(|item| item.line > 0 && item.column > 0 && item.length > 0));
            problems.render(bytes, "file.yaml");
        }
    }
    Ok(())
}

/// A step, as far as nesting goes.
#[derive(Debug, Clone)]
enum Shape {
    Run,
    Group(Vec<Shape>),
    Switch(Vec<Vec<Shape>>),
}

fn list(depth: u32) -> BoxedStrategy<Vec<Shape>> {
    let run = Just(Shape::Run).boxed();
    let shape = if depth == 0 {
        run
    } else {
        prop_oneof![
            3 => run,
            1 => list(depth - 1).prop_map(Shape::Group),
            1 => proptest::collection::vec(list(depth - 1), 1..3).prop_map(Shape::Switch),
        ]
        .boxed()
    };
    proptest::collection::vec(shape, 1..4).boxed()
}

/// The steps as YAML, each with an id of its own.
fn written(list: &[Shape], next: &mut usize) -> String {
    let step = |shape: &Shape| {
        let id = *next;
        *next += 1;
        match shape {
            Shape::Run => format!("{{id: s{id}, run: x}}"),
            Shape::Group(list) => format!("{{id: s{id}, foreach: [1], steps: {}}}", written(list, next)),
            Shape::Switch(cases) => {
                let case = |(at, list)| format!("{{when: {at}, steps: {}}}", written(list, next));
                let cases: Vec<String> = cases.iter().map(Vec::as_slice).enumerate().map(case).collect();
                format!("{{id: s{id}, switch: 1, cases: [{}]}}", cases.join(", "))
            }
        }
    };
    let steps: Vec<String> = list.iter().map(step).collect();
    format!("[{}]", steps.join(", "))
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        is_consistent(&bytes)?;
    }

    #[test]
    fn random_documents_never_panic(text in "[\\[\\]{}:,&*!|>'\"%@#?\\- \nab0${}.<]{0,200}") {
        is_consistent(text.as_bytes())?;
    }

    #[test]
    fn random_expressions_never_panic(text in "[a-z.|'\"\\[\\]{}()+*/~<>=! 0-9,%ä-]{0,80}") {
        let document = format!("inputs: {{a: {{default: 1}}}}\nsteps: [{{uses: log, with: {{message: |\n  x ${{{{ {text} }}}}\n}}}}]");
        is_consistent(document.as_bytes())?;
        let document = format!("inputs:\n  a: {{default: 1}}\nsteps:\n- uses: log\n  with:\n    message: >-\n      ${{{{ {text} }}}}\n");
        is_consistent(document.as_bytes())?;
        if let Ok(workflow) = parse(document.as_bytes(), "file")
            && let cogwheel_definition::Action::Log { message, .. } = &workflow.steps[0].action
        {
            let _ = message.render_string(&serde_json::json!({"inputs": {"a": 1}}));
        }
    }

    #[test]
    fn mutated_documents_never_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..20, "[ -~\n]{0,8}"), 1..6),
        is_nested in any::<bool>(),
    ) {
        let base = if is_nested { NESTED } else { GOOD };
        let mut text: Vec<char> = base.chars().collect();
        for (at, length, insert) in edits {
            let at = at.index(text.len().max(1)).min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, insert.chars());
        }
        let text: String = text.into_iter().collect();
        is_consistent(text.as_bytes())?;
    }

    #[test]
    fn random_graphs_come_out_resolved(
        needs in proptest::collection::vec(proptest::collection::vec(any::<prop::sample::Index>(), 0..4), 1..40),
        back in proptest::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        let mut expected: Vec<BTreeSet<usize>> = needs
            .iter()
            .enumerate()
            .map(|(step, needs)| needs.iter().filter(|_| step > 0).map(|need| need.index(step)).collect())
            .collect();
        let back = back.map(|(from, to)| (from.index(expected.len()), to.index(expected.len())));
        let closes_circle = back.is_some_and(|(from, to)| from <= to && {
            let mut open = vec![to];
            let mut found = from == to;
            while let Some(step) = open.pop() {
                found |= step == from;
                open.extend(&expected[step]);
            }
            found
        });
        if let Some((from, to)) = back {
            expected[from].insert(to);
        }
        let mut text = String::from("steps:\n");
        for (step, needs) in expected.iter().enumerate() {
            let needs: Vec<String> = needs.iter().map(|need| format!("s{need}")).collect();
            writeln!(text, "  - {{id: s{step}, run: x, needs: [{}]}}", needs.join(", ")).expect("a string takes it");
        }
        match parse(text.as_bytes(), "file") {
            Ok(workflow) => {
                prop_assert!(!closes_circle);
                for (step, expected) in workflow.steps.iter().zip(&expected) {
                    prop_assert!(step.needs.iter().eq(expected));
                }
            }
            Err(problems) => {
                prop_assert!(closes_circle, "{problems}");
                prop_assert_eq!(problems.items.len(), 1);
                prop_assert_eq!(problems.items[0].code.as_str(), "COG0111");
            }
        }
    }

    #[test]
    fn random_nesting_comes_out_whole(list in list(3), handler in proptest::option::of(list(1))) {
        let mut next = 0;
        let mut text = format!("steps: {}\n", written(&list, &mut next));
        if let Some(handler) = &handler {
            writeln!(text, "finally: {}", written(handler, &mut next)).expect("a string takes it");
        }
        let workflow = parse(text.as_bytes(), "file").map_err(|problems| TestCaseError::fail(problems.to_string()))?;
        is_whole(&workflow)?;
        prop_assert_eq!(workflow.steps.len(), next);
        prop_assert_eq!(workflow.finally.is_some(), handler.is_some());
    }

    #[test]
    fn random_schemas_never_panic(
        keyword in "type|items|properties|allOf|enum|pattern|format|minimum|\\$ref|\\$defs|default|required",
        value in "[\\[\\]{}:, a-z0-9#/'$-]{0,30}",
        given in "[a-z0-9.\\[\\]{}\":,]{0,12}",
    ) {
        let document = format!("inputs: {{a: {{{keyword}: {value}, $defs: {{b: {{$ref: '#'}}}}}}}}\nsteps: [{{run: x}}]");
        is_consistent(document.as_bytes())?;
        if let Ok(workflow) = parse(document.as_bytes(), "file") {
            let given = serde_json::from_str(&given).unwrap_or_else(|_| given.into());
            let _ = workflow.inputs.check([("a".to_owned(), given)].into_iter().collect());
        }
    }

    #[test]
    fn random_cron_expressions_never_panic(text in "[0-9*/,LW#A-Z@? -]{0,20}", seconds in 0_i64..4_000_000_000) {
        let after = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        if let Ok(calendar) = Calendar::new(&Timing::cron(text, chrono_tz::Tz::Europe__Berlin))
            && let Some(next) = calendar.next_after(after)
        {
            prop_assert!(next > after);
        }
    }
}
