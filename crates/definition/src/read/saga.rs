//! Reads what makes an execution a saga: `saga` of the workflow, `compensate` of its steps.

use std::time::Duration;

use crate::diagnostic::Code;
use crate::source::Span;
use crate::tree::{Entry, Node};
use crate::{OnUndoFailure, Saga, UNDO, duration, keys};

use super::blocks::{Draft, Marks};
use super::fields::Fields;
use super::reader::Reader;

/// The `saga` of a document.
pub(crate) struct WrittenSaga {
    pub(crate) policy: Saga,
    /// Where its key stands.
    pub(crate) span: Span,
    deadline_span: Option<Span>,
}

impl Reader<'_, '_> {
    pub(crate) fn saga(&mut self, entry: &Entry) -> WrittenSaga {
        let mut saga = WrittenSaga { policy: Saga::default(), span: entry.key_span, deadline_span: None };
        let Some(fields) = self.fields(&entry.value, &keys::SAGA) else { return saga };
        if let Some(node) = fields.get("deadline") {
            saga.deadline_span = Some(node.span);
            saga.policy.deadline = self.timeout(node, "deadline");
        }
        if let Some(node) = fields.get("on_undo_failure") {
            let words = OnUndoFailure::ALL.map(|word| (word.as_str(), word));
            saga.policy.on_undo_failure = self.word(node, "on_undo_failure", &words, &[]).unwrap_or_default();
        }
        saga
    }

    /// A deadline that comes after the execution's limit is never met.
    pub(crate) fn check_deadline(&mut self, saga: &WrittenSaga, limit: Duration) {
        if let (Some(deadline), Some(span)) = (saga.policy.deadline, saga.deadline_span)
            && deadline > limit
        {
            let message =
                format!("the deadline is never reached: the whole execution may take {}", duration::shown(limit));
            let help = "raise the workflow's `timeout`, or leave it out".to_owned();
            self.report.add(Code::InvalidDuration, span, message, help);
        }
    }

    /// What undoes the step at `step`: a step in a list of its own. The answer is the index of that list.
    pub(super) fn compensate(&mut self, step: usize, node: &Node) -> Option<usize> {
        if self.in_undo {
            // Of its own key that is reported already; this is a step inside of a group.
            let message = "a step that undoes another cannot be undone itself";
            self.report.add(Code::Saga, node.span, message, "remove this `compensate`".to_owned());
            return None;
        }
        let fields = self.fields_but(node, &keys::COMPENSATE, &keys::NOT_OF_UNDO)?;
        let block = self.open_block(Some(step));
        self.drafts.blocks[block].is_undo = true;
        let path = self.path(block, UNDO, node.span);
        let undo = self.drafts.steps.len();
        let declared = fields.get("outputs").map(Self::keys).unwrap_or_default();
        self.drafts.blocks[block].steps.push(undo);
        self.drafts.steps.push(Draft {
            id: UNDO.to_owned(),
            path,
            is_named: false,
            span: node.span,
            block,
            needs: None,
            has_foreach: false,
            declared,
            marks: Marks { has_retry: fields.get("retry").is_some(), ..Marks::default() },
            step: None,
        });
        let waits = self.constant_waits.len();
        self.in_undo = true;
        let read = self.body(undo, &fields);
        self.in_undo = false;
        // The execution's limit does not cut an undo short.
        self.constant_waits.truncate(waits);
        let is_read = read.is_some();
        self.drafts.steps[undo].step = read;
        is_read.then_some(block)
    }

    /// `retriable` says how often a step is tried, so `retry` cannot.
    pub(super) fn check_retriable(&mut self, is_retriable: bool, fields: &Fields<'_>) {
        if let Some(entry) = fields.entry("retry").filter(|_| is_retriable) {
            let message = "a step that is `retriable` is tried until it succeeds, so it has no `retry`";
            self.report.add(Code::Saga, entry.key_span, message, "remove one of the two".to_owned());
        }
    }
}
