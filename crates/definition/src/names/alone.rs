//! A condition on events that stands in no workflow, such as the filter of a webhook.

use super::{EVENT, quoted};
use crate::functions::{FILTERS, FUNCTIONS, TESTS};
use crate::scan::{Reference, Word, WordKind};
use crate::{Condition, suggest, template};

impl Condition {
    /// Compiles one expression, with or without its `${{ }}`, that reads nothing but `event`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for its author.
    pub fn on_event(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let text = if text.contains("${{") { text.to_owned() } else { format!("${{{{ {text} }}}}") };
        let (expression, names) = template::compile(&text).map_err(|problem| problem.message)?;
        if !expression.is_one_expression() {
            return Err("it must be one expression, with nothing around it".to_owned());
        }
        names.references.iter().try_for_each(reference)?;
        names.words.iter().try_for_each(word)?;
        Ok(Self { expression, asks_for_status: false })
    }
}

fn reference(reference: &Reference) -> Result<(), String> {
    let mut path = reference.path.iter().map(String::as_str);
    match (path.next(), path.next()) {
        (Some("event"), None) => Ok(()),
        (Some("event"), Some(field)) if EVENT.contains(&field) => Ok(()),
        (Some("event"), Some(field)) => {
            Err(unknown(&format!("`event` has no {}", quoted(field)), field, EVENT.iter().copied()))
        }
        (root, _) => {
            let root = root.unwrap_or_default();
            Err(unknown(
                &format!("there is no name {}; it can read `event`", quoted(root)),
                root,
                ["event"].into_iter(),
            ))
        }
    }
}

fn word(word: &Word) -> Result<(), String> {
    let name = word.name.as_str();
    let (what, known): (_, Vec<&str>) = match word.kind {
        WordKind::Method => return Err(format!("values have no methods, so {} cannot be called", quoted(name))),
        WordKind::Function => ("function", FUNCTIONS.to_vec()),
        WordKind::Filter => ("filter", FILTERS.iter().chain(&FUNCTIONS[2..]).copied().collect()),
        WordKind::Test => ("test", TESTS.to_vec()),
    };
    if known.contains(&name) {
        return Ok(());
    }
    Err(unknown(&format!("there is no {what} {}", quoted(name)), name, known.into_iter()))
}

fn unknown<'w>(message: &str, name: &str, words: impl Iterator<Item = &'w str>) -> String {
    suggest::did_you_mean(name, words).map_or_else(|| message.to_owned(), |help| format!("{message}; {help}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_condition_reads_the_event_and_nothing_else() {
        let event = json!({"event": {"type": "workflow.failed", "data": {"workflow": "a", "total": 12}}});
        for (text, value) in [
            ("event.data.total > 10", true),
            ("${{ event.data.workflow == 'b' }}", false),
            ("event.data.workflow | upper == 'A'", true),
            ("event.data.missing is defined", false),
        ] {
            let condition = Condition::on_event(text).unwrap();
            assert_eq!(condition.expression.render(&event).unwrap(), json!(value), "{text}");
        }
    }

    #[test]
    fn what_it_cannot_read_is_named() {
        for (text, part) in [
            ("evnt.data", "there is no name `evnt`"),
            ("workflow.name == 'a'", "there is no name `workflow`"),
            ("event.dta.total > 1", "`event` has no `dta`"),
            ("event.data | uper", "there is no filter `uper`"),
            ("success()", "there is no function `success`"),
            ("event.data.x.upper()", "values have no methods"),
            ("a ${{ event.data }}", "one expression"),
            ("event.data >", "cannot be read"),
            ("", "is empty"),
        ] {
            let problem = Condition::on_event(text).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }
}
