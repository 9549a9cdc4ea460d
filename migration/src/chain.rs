//! The steps in order.

use crate::step::Step;

macro_rules! step {
    ($module:ident) => {
        Step::new(stringify!($module), crate::$module::tables)
    };
}

macro_rules! change {
    ($module:ident) => {
        Step::changing(stringify!($module), crate::$module::changes)
    };
}

/// Every step, oldest first. Released steps are never renamed, reordered or edited.
pub(crate) fn steps() -> Vec<Step> {
    vec![
        step!(m20261122_000001_platform).with_support(),
        step!(m20261122_000002_cluster),
        step!(m20261122_000003_organization),
        step!(m20261122_000004_automation),
        step!(m20261122_000005_events_sagas),
        step!(m20261122_000006_agents_approvals),
        step!(m20261122_000007_integrations),
        change!(m20261125_000008_pool),
        change!(m20261125_000009_schedules),
        change!(m20261125_000010_file_watches),
        change!(m20261125_000011_outside),
        change!(m20261125_000013_sagas),
        change!(m20261125_000014_event_chain).chaining_events(),
        change!(m20261125_000015_webhooks),
        change!(m20261130_000016_webhooks_since),
    ]
}
