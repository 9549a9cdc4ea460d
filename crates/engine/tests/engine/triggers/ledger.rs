//! The ledger of files of the store in memory.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cogwheel_definition::{After, FileEvent};
use cogwheel_engine::ports::{
    AFTER_PAUSES, AfterEnd, AfterPlan, DecisionReason, EndedAfter, FileDecision, FileLedger, HandledFile, NewUpload,
    PendingAfter, RecordedUpload, SeenVersion, StoreError, TenantUploads, WatchHealth,
};
use cogwheel_engine::{ExecutionStatus, FileId, TenantId, WatchId};

use super::store::{MemoryStore, Tables};

#[async_trait]
impl FileLedger for MemoryStore {
    async fn handled_files(&self, watch: WatchId) -> Result<Vec<HandledFile>, StoreError> {
        let tables = self.tables();
        let taken = tables.files.iter().filter(|file| file.watch == watch).map(|file| {
            let handled = HandledFile {
                path: file.path.clone(),
                size: file.size,
                modified_at: file.modified_at,
                device: file.device.clone(),
                inode: file.inode.clone(),
            };
            (file.first_seen_at, file.event, handled)
        });
        let decided = tables.decisions.iter().filter(|decision| decision.watch == watch).filter_map(|decision| {
            let counts = matches!(decision.reason, DecisionReason::DuplicateVersion | DecisionReason::FilteredPattern);
            let seen = decision.seen.as_ref().filter(|_| counts)?;
            let handled = HandledFile {
                path: decision.path.clone(),
                size: seen.size,
                modified_at: seen.modified_at,
                device: seen.device.clone(),
                inode: seen.inode.clone(),
            };
            Some((decision.first_seen_at, decision.event, handled))
        });
        let mut all: Vec<_> = taken.chain(decided).collect();
        all.sort_by_key(|(at, ..)| *at);
        let newest: HashMap<String, _> = all.into_iter().map(|seen| (seen.2.path.clone(), seen)).collect();
        let there = newest.into_values().filter(|(_, event, _)| *event != FileEvent::Deleted);
        Ok(there.map(|(.., handled)| handled).collect())
    }

    async fn known_versions(&self, watch: WatchId, fingerprints: &[String]) -> Result<HashSet<String>, StoreError> {
        let tables = self.tables();
        let known =
            fingerprints.iter().filter(|fingerprint| tables.versions.contains(&(watch, (*fingerprint).clone())));
        Ok(known.cloned().collect())
    }

    async fn record_decisions(&self, decisions: Vec<FileDecision>) -> Result<(), StoreError> {
        self.change(|tables| decide(tables, decisions));
        Ok(())
    }

    async fn set_watch_health(&self, _: WatchId, health: WatchHealth) -> Result<(), StoreError> {
        self.change(|tables| tables.health.push(health));
        Ok(())
    }

    async fn pending_afters(&self, _: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<PendingAfter>, StoreError> {
        let tables = self.tables();
        let pending = tables.files.iter().filter(|file| file.has_after && !tables.ended.contains_key(&file.id));
        let pending = pending.filter_map(|file| {
            let (tries, due_at) =
                tables.postponed.get(&file.id).map_or((0, now), |(tries, due_at, _)| (*tries, *due_at));
            if due_at > now {
                return None;
            }
            let (folders, trigger) = &tables.afters[&file.watch];
            let (action, folder) = match tables.ends.get(&tables.took[&file.id])? {
                ExecutionStatus::Completed => (&trigger.after_success, &folders.success),
                _ => (&trigger.after_failure, &folders.failure),
            };
            Some(PendingAfter {
                id: file.id,
                tenant: file.tenant,
                watch: file.watch,
                path: file.path.clone(),
                version: SeenVersion {
                    size: file.size,
                    modified_at: file.modified_at,
                    device: file.device.clone(),
                    inode: file.inode.clone(),
                    sha256: file.sha256.clone(),
                },
                action: match folder {
                    Some(folder) => After::Move(folder.clone()),
                    None => action.clone(),
                },
                planned: tables.planned.get(&file.id).cloned().flatten(),
                tries,
                folder: folders.watched.clone(),
                is_recursive: trigger.recursive,
                tells_deletions: trigger.events.deleted,
                updated_at: file.settled_at,
            })
        });
        Ok(pending.take(128).collect())
    }

    async fn plan_afters(&self, plans: Vec<AfterPlan>) -> Result<HashSet<FileId>, StoreError> {
        Ok(self.change(|tables| {
            let ids = plans.iter().map(|plan| plan.id).collect();
            for plan in plans {
                tables.planned.insert(plan.id, plan.target);
                decide(tables, plan.own);
            }
            ids
        }))
    }

    async fn end_afters(&self, ended: Vec<EndedAfter>) -> Result<(), StoreError> {
        self.change(|tables| {
            for ended in ended {
                if let AfterEnd::Postponed(why) = &ended.end {
                    let tries = tables.postponed.get(&ended.id).map_or(0, |(tries, ..)| *tries);
                    let pause = AFTER_PAUSES[usize::try_from(tries).expect("a count")];
                    tables.postponed.insert(ended.id, (tries + 1, ended.at + pause, why.clone()));
                } else {
                    tables.ended.insert(ended.id, ended);
                }
            }
        });
        Ok(())
    }

    async fn record_upload(&self, _: NewUpload) -> Result<RecordedUpload, StoreError> {
        unreachable!("nothing is uploaded here")
    }

    async fn tenant_uploads(&self, _: TenantId) -> Result<TenantUploads, StoreError> {
        unreachable!("nothing is uploaded here")
    }
}

fn decide(tables: &mut Tables, decisions: Vec<FileDecision>) {
    for decision in decisions {
        if tables.versions.insert((decision.watch, decision.fingerprint.clone())) {
            tables.decisions.push(decision);
        }
    }
}
