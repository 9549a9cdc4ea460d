//! Reads what makes a step run more than once: `foreach` and `until`.

use std::time::Duration;

use crate::names::Scope;
use crate::tree::{Kind, Node};
use crate::{Foreach, MAX_ITEMS, Template, Until};

use super::fields::Fields;
use super::reader::Reader;

/// Rounds of an `until` that does not say.
const DEFAULT_ROUNDS: u32 = 100;

/// The most rounds of an `until`.
pub(crate) const MAX_ROUNDS: u64 = 1_000_000;

impl Reader<'_, '_> {
    /// A `foreach`: a list whose values may contain expressions, or one expression that gives one.
    pub(crate) fn foreach(&mut self, node: &Node, fields: &Fields<'_>, step: usize) -> Option<Foreach> {
        let scope = Scope::Entry(step);
        let items = match &*node.kind {
            Kind::List(_) => self.template(node, scope),
            Kind::Scalar { .. } | Kind::Map(_) => {
                self.one_expression(node, "foreach", "foreach: ${{ inputs.files }}", scope)
            }
        };
        let most = u64::try_from(MAX_ITEMS).unwrap_or(u64::MAX);
        let max_parallel = match fields.get("max_parallel") {
            Some(node) => Some(usize::try_from(self.whole_number(node, "max_parallel", 1..=most)?).ok()?),
            None => None,
        };
        Some(Foreach { items: items?, max_parallel })
    }

    /// An `until`: one expression that gives true or false.
    pub(crate) fn until(&mut self, node: &Node, fields: &Fields<'_>, step: usize) -> Option<Until> {
        let scope = Scope::Until(step);
        let example = format!("until: ${{{{ steps.{}.outputs.ready }}}}", self.drafts.steps[step].id);
        let condition = self.one_expression(node, "until", &example, scope);
        let every = match fields.get("every") {
            Some(node) => self.duration(node, "every"),
            None => Some(Duration::ZERO),
        };
        let max_attempts = match fields.get("max_attempts") {
            Some(node) => self.whole_number(node, "max_attempts", 1..=MAX_ROUNDS),
            None => Some(DEFAULT_ROUNDS.into()),
        };
        let max_attempts = u32::try_from(max_attempts?).ok()?;
        Some(Until { condition: condition?, every: every?, max_attempts })
    }

    /// One expression, with or without its `${{ }}`.
    fn one_expression(&mut self, node: &Node, what: &str, example: &str, scope: Scope) -> Option<Template> {
        let (text, expression, names) = self.expression(node, what, example)?;
        self.note(node, &text, scope, names, false);
        Some(expression)
    }
}
