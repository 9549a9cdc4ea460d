//! Nothing that is read panics or hangs, and graphs come out as they went in.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cogwheel_definition::{cron::Cron, parse};
use proptest::prelude::*;

const GOOD: &str = include_str!("../../../../examples/workflows/csv-intake.yaml");

fn is_consistent(bytes: &[u8]) -> Result<(), TestCaseError> {
    match parse(bytes, "file") {
        Ok(workflow) => {
            prop_assert!(!workflow.steps.is_empty());
            for step in &workflow.steps {
                prop_assert!(step.needs.iter().all(|&need| need < workflow.steps.len()));
            }
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
    ) {
        let mut text: Vec<char> = GOOD.chars().collect();
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
    fn random_cron_expressions_never_panic(text in "[0-9*/,LW#A-Z@? -]{0,20}", seconds in 0_i64..4_000_000_000) {
        let after = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        if let Ok(cron) = Cron::parse(&text)
            && let Some(next) = cron.next_after(chrono_tz::Tz::Europe__Berlin, after)
        {
            prop_assert!(next > after);
        }
    }
}
