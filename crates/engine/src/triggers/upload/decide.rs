//! Which workflows an upload sets off, and why it sets none off.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use cogwheel_definition::{FileSource, FileTrigger};
use serde_json::{Map, Value};
use tracing::warn;

use crate::ports::{DecisionReason, Start};
use crate::start::{StartCause, StartError, StartRequest, WorkflowRef};
use crate::triggers::file::{Matcher, Named};
use crate::triggers::filter::filtered;
use crate::{Engine, FileId, LoadedWorkflow, WatchId};

/// How many refusals are told.
const MOST_TOLD: usize = 10;

/// An upload, as triggers look at it.
pub(super) struct Candidate<'u> {
    pub(super) id: FileId,
    pub(super) name: &'u str,
    pub(super) media_type: &'u str,
    pub(super) size: u64,
    /// What expressions see of it.
    pub(super) seen: Value,
}

/// What comes of an upload.
#[derive(Default)]
pub(super) struct Decision {
    pub(super) starts: Vec<Start>,
    /// The triggers that take it.
    pub(super) taken_by: Vec<WatchId>,
    /// Why others do not: the workflow, the reason, the same for people.
    refusals: Vec<(Arc<str>, DecisionReason, String)>,
}

impl Decision {
    /// Why nothing takes it: the reason of the trigger that came closest, and what each says.
    pub(super) fn refusal(&self) -> Option<(DecisionReason, String)> {
        if !self.starts.is_empty() {
            return None;
        }
        let nearness = |reason: DecisionReason| match reason {
            DecisionReason::WorkflowNotExecutable => 3,
            DecisionReason::FilteredSize => 2,
            DecisionReason::FilteredMime => 1,
            _ => 0,
        };
        let closest = self.refusals.iter().map(|(_, reason, _)| *reason).max_by_key(|reason| nearness(*reason));
        let Some(closest) = closest else {
            return Some((DecisionReason::FilteredPattern, "no workflow has a trigger for uploads".to_owned()));
        };
        let told = self.refusals.iter().take(MOST_TOLD).map(|(workflow, _, why)| format!("{workflow}: {why}"));
        let mut told = told.collect::<Vec<_>>().join("; ");
        if self.refusals.len() > MOST_TOLD {
            let _ = write!(told, "; and {} more", self.refusals.len() - MOST_TOLD);
        }
        Some((closest, told))
    }
}

/// Looks an upload through all triggers.
pub(super) async fn decide(engine: &Engine, candidate: &Candidate<'_>) -> Result<Decision, StartError> {
    let mut decision = Decision::default();
    for workflow in engine.catalog().of_uploads() {
        for (record, trigger) in workflow.triggers.iter().flat_map(|triggers| &triggers.watches) {
            if trigger.source != FileSource::Upload {
                continue;
            }
            match look(engine, candidate, &workflow, trigger).await {
                Ok(start) => {
                    decision.starts.push(start);
                    decision.taken_by.push(record.id);
                }
                Err(Refused::Filtered(reason, why)) => {
                    decision.refusals.push((Arc::clone(&workflow.name), reason, why));
                }
                Err(Refused::Start(error)) => return Err(error),
            }
        }
    }
    Ok(decision)
}

enum Refused {
    Filtered(DecisionReason, String),
    Start(StartError),
}

async fn look(
    engine: &Engine,
    candidate: &Candidate<'_>,
    workflow: &LoadedWorkflow,
    trigger: &FileTrigger,
) -> Result<Start, Refused> {
    let refused = |reason, why: &str| Err(Refused::Filtered(reason, why.to_owned()));
    let named = match Matcher::of_names(&trigger.include, &trigger.ignore) {
        Ok(matcher) => matcher.named(Path::new(candidate.name)),
        Err(error) => {
            warn!(workflow = &*workflow.name, %error, "a trigger for uploads takes nothing");
            return refused(DecisionReason::FilteredPattern, "a pattern of the trigger cannot be read");
        }
    };
    match named {
        Named::Wanted => {}
        Named::Foreign | Named::Marker => {
            return refused(DecisionReason::FilteredPattern, "no pattern of `match` is its name");
        }
        Named::Ignored => return refused(DecisionReason::FilteredPattern, "a pattern of `ignore` leaves it out"),
        Named::Unfinished => {
            return refused(DecisionReason::HiddenOrTemporary, "its name says that it is hidden or not finished");
        }
    }
    if let Some((reason, why)) = filtered(&trigger.content, candidate.size, candidate.media_type) {
        return Err(Refused::Filtered(reason, why));
    }
    let cause =
        StartCause::Upload { trigger_key: trigger.key.clone(), file: candidate.id, seen: candidate.seen.clone() };
    let request =
        StartRequest { workflow: WorkflowRef::Id(workflow.id), inputs: Map::new(), idempotency_key: None, cause };
    match engine.prepare(request).await {
        Ok((start, _, _)) => Ok(start),
        Err(error @ (StartError::Draining | StartError::Store(_))) => Err(Refused::Start(error)),
        Err(error) => Err(Refused::Filtered(DecisionReason::WorkflowNotExecutable, error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_refusal_is_the_reason_and_all_are_told() {
        let mut decision = Decision::default();
        let (reason, why) = decision.refusal().unwrap();
        assert_eq!((reason, why.as_str()), (DecisionReason::FilteredPattern, "no workflow has a trigger for uploads"));
        for (workflow, reason) in [("a", DecisionReason::FilteredPattern), ("b", DecisionReason::FilteredSize)] {
            decision.refusals.push((workflow.into(), reason, "why".to_owned()));
        }
        assert_eq!(decision.refusal(), Some((DecisionReason::FilteredSize, "a: why; b: why".to_owned())));
        for number in 0..20 {
            decision.refusals.push((number.to_string().into(), DecisionReason::FilteredMime, "why".to_owned()));
        }
        assert!(decision.refusal().unwrap().1.ends_with("; and 12 more"));
    }
}
