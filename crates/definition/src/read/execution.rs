//! Reads how executions of a workflow get on with each other: `concurrency`, `priority`.

use crate::names::Scope;
use crate::tree::Node;
use crate::{Concurrency, History, Overflow, Priority, keys};

use super::reader::Reader;

/// The most executions of one key that may run side by side.
pub(crate) const MAX_LIMIT: u64 = 100_000;

impl Reader<'_, '_> {
    pub(crate) fn concurrency(&mut self, node: &Node) -> Option<Concurrency> {
        let fields = self.fields(node, &keys::CONCURRENCY)?;
        let key = fields.get("key").map(|node| self.text_template(node, "the key", Scope::ConcurrencyKey));
        let limit = match fields.get("limit") {
            Some(node) => self.whole_number(node, "limit", 1..=MAX_LIMIT),
            None => Some(1),
        };
        let overflow = match fields.get("overflow") {
            Some(node) => self.word(node, "overflow", &Overflow::ALL.map(|word| (word.as_str(), word)), &[]),
            None => Some(Overflow::default()),
        };
        let key = match key {
            Some(key) => Some(key?),
            None => None,
        };
        Some(Concurrency { key, limit: u32::try_from(limit?).ok()?, overflow: overflow? })
    }

    pub(crate) fn priority(&mut self, node: &Node) -> Option<Priority> {
        self.word(node, "priority", &Priority::ALL.map(|word| (word.as_str(), word)), &[])
    }

    pub(crate) fn history(&mut self, node: &Node) -> Option<History> {
        self.word(node, "history", &History::ALL.map(|word| (word.as_str(), word)), &[])
    }
}
