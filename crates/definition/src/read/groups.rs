//! Reads what a step does, as its form says: a script, a step type, a group, a choice of groups.

use serde_json::Value;

use crate::diagnostic::Code;
use crate::names::Scope;
use crate::tree::{Entry, Kind, Node};
use crate::{Action, Case, Template, keys};

use super::fields::Fields;
use super::reader::Reader;

impl Reader<'_, '_> {
    /// What a step does. The steps that it encloses are read on the way.
    pub(crate) fn action(&mut self, step: usize, fields: &Fields<'_>) -> Option<Action> {
        let mut forms: Vec<&Entry> = keys::FORMS.iter().filter_map(|form| fields.entry(form)).collect();
        forms.sort_by_key(|entry| entry.key_span);
        let form = match forms.as_slice() {
            [form] => *form,
            [] => {
                if !keys::FORMS.iter().any(|form| fields.is_meant(form)) {
                    let message = "a step needs `run` or `uses`, or is a group with `steps` or `switch`";
                    self.report.add(Code::MissingKey, fields.node.span, message, None);
                }
                return None;
            }
            [first, second, ..] => {
                let message = format!("a step has either `{}` or `{}`, not both", first.key, second.key);
                self.report.add(Code::InvalidValue, second.key_span, message, None);
                return None;
            }
        };
        match form.key.as_str() {
            "run" => self.script(&form.value).map(|script| Action::Shell { script }),
            "uses" => self.used_action(&form.value, fields, Scope::Step(step)),
            "steps" => Some(Action::Group { block: self.block(&form.value, "`steps`", Some(step)) }),
            _ => self.choice(&form.value, fields, step),
        }
    }

    /// A `switch` with its cases.
    fn choice(&mut self, node: &Node, fields: &Fields<'_>, step: usize) -> Option<Action> {
        let on = self.template(node, Scope::Step(step));
        let cases = self.needed(fields, "cases", "a `switch` needs its `cases`");
        let cases = cases.and_then(|node| self.cases(node, step));
        let default = fields.get("default").map(|node| self.block(node, "`default`", Some(step)));
        Some(Action::Switch { on: on?, cases: cases?, default })
    }

    fn cases(&mut self, node: &Node, step: usize) -> Option<Vec<Case>> {
        let Kind::List(items) = &*node.kind else {
            let message = format!("`cases` must be a list, not {}", node.describe());
            let help = "write each case as `- when: …` with its `steps`".to_owned();
            self.report.add(Code::WrongType, node.span, message, help);
            return None;
        };
        if items.is_empty() {
            self.report.add(Code::InvalidValue, node.span, "`cases` must have at least one case", None);
        }
        let mut seen: Vec<(Value, usize)> = Vec::new();
        let cases: Vec<Option<Case>> = items.iter().map(|item| self.case(item, step, &mut seen)).collect();
        cases.into_iter().collect()
    }

    /// A case; `seen` holds the literal values of those before it, with their lines.
    fn case(&mut self, node: &Node, step: usize, seen: &mut Vec<(Value, usize)>) -> Option<Case> {
        let fields = self.fields(node, &keys::CASE)?;
        let when = self.needed(&fields, "when", "a case needs the values it stands for, under `when`");
        let when = when.and_then(|node| self.when(node, step, seen));
        let steps = self.needed(&fields, "steps", "a case needs `steps`");
        let block = steps.map(|node| self.block(node, "the `steps` of a case", Some(step)));
        Some(Case { when: when?, block: block? })
    }

    fn when(&mut self, node: &Node, step: usize, seen: &mut Vec<(Value, usize)>) -> Option<Vec<Template>> {
        if node.is_empty() {
            let message = "a case needs at least one value under `when`";
            self.report.add(Code::InvalidValue, node.span, message, None);
            return None;
        }
        let mut when = Vec::new();
        for item in Self::one_or_more(node) {
            let template = self.template(item, Scope::Step(step));
            if let Some(value) = template.as_ref().and_then(Template::as_literal) {
                let (line, _) = self.report.source.position(item.span.start);
                match seen.iter().find(|(other, _)| *other == value) {
                    Some((_, first)) => {
                        let message = format!("{value} stands for a case a second time, which would never run");
                        let help = format!("it stands first on line {first}");
                        self.report.add(Code::InvalidValue, item.span, message, help);
                    }
                    None => seen.push((value, line)),
                }
            }
            when.push(template);
        }
        when.into_iter().collect()
    }
}
