//! The keys of a mapping, checked against those the language has there.

use crate::diagnostic::{Code, quoted};
use crate::keys::Keys;
use crate::source::Span;
use crate::suggest;
use crate::tree::{Entry, Kind, Node};

use super::reader::Reader;

/// A mapping whose keys have been checked.
pub(crate) struct Fields<'n> {
    pub(crate) node: &'n Node,
    entries: &'n [Entry],
    known: &'static [&'static str],
    /// Keys that were probably meant by unknown ones.
    meant: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The value of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The key and its value.
    pub(crate) fn entry(&self, key: &str) -> Option<&'n Entry> {
        let known = self.known.contains(&key);
        self.entries.iter().find(|entry| known && entry.key == key)
    }

    /// Whether a key was probably meant for `key`.
    pub(crate) fn is_meant(&self, key: &str) -> bool {
        self.meant.contains(&key)
    }
}

impl Reader<'_, '_> {
    /// The entries of a mapping. `what` names it in messages.
    pub(crate) fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        if let Kind::Map(entries) = &*node.kind {
            return Some(entries);
        }
        let message = format!("{what} must be a mapping, not {}", node.describe());
        self.report.add(Code::WrongType, node.span, message, None);
        None
    }

    /// The keys of a mapping, whatever they are.
    pub(crate) fn keys(node: &Node) -> Vec<(String, Span)> {
        match &*node.kind {
            Kind::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.key_span)).collect(),
            Kind::Scalar { .. } | Kind::List(_) => Vec::new(),
        }
    }

    /// The entries of a mapping that may have these keys.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, keys: &Keys) -> Option<Fields<'n>> {
        self.fields_but(node, keys, &[])
    }

    /// The same, where some keys are known to have no place there, and why.
    pub(crate) fn fields_but<'n>(
        &mut self,
        node: &'n Node,
        keys: &Keys,
        misplaced: &[(&str, &str)],
    ) -> Option<Fields<'n>> {
        let Keys { what, known, not_yet } = keys;
        let entries = self.entries(node, what)?;
        let mut meant = Vec::new();
        for Entry { key, key_span, .. } in entries {
            if known.contains(&key.as_str()) {
                continue;
            }
            if not_yet.contains(&key.as_str()) {
                self.not_yet(*key_span, key);
                continue;
            }
            if let Some((_, why)) = misplaced.iter().find(|(word, _)| word == key) {
                self.report.add(Code::UnknownKey, *key_span, format!("{what} has no `{key}`"), (*why).to_owned());
                continue;
            }
            let nearest = suggest::nearest(key, known.iter().chain(*not_yet).copied());
            meant.extend(known.iter().find(|&&word| Some(word) == nearest));
            let message = format!("unknown key {} in {what}", quoted(key));
            let help = match nearest {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("{what} has the keys {}", known.join(", ")),
            };
            self.report.add(Code::UnknownKey, *key_span, message, help);
        }
        Some(Fields { node, entries, known, meant })
    }

    /// The value of a key that must be there; where it is not, that is reported with `message`.
    pub(crate) fn needed<'n>(&mut self, fields: &Fields<'n>, key: &str, message: &str) -> Option<&'n Node> {
        let found = fields.get(key);
        if found.is_none() {
            self.missing(fields, key, Code::MissingKey, message);
        }
        found
    }

    /// Reports that `key` must be there, unless a misspelt key was probably meant for it.
    pub(crate) fn missing(&mut self, fields: &Fields<'_>, key: &str, code: Code, message: &str) {
        if !fields.is_meant(key) {
            self.report.add(code, fields.node.span, message, None);
        }
    }
}
