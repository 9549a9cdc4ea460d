//! The tables as SeaORM entities: the declared schema.
//!
//! One file a table, no behaviour. What SeaORM has no word for (vocabularies, partial indexes, checks,
//! triggers, search) stands beside the columns in [`declared::Declared`]; together they give
//! [`declared_schema`], which `verify` compares with the live database.
//!
//! The format is `DeriveEntityModel` with a `Relation` enum: on two cores the crate builds in 14 s, and in
//! 39 s with relations as fields of the model.
#![expect(missing_docs, reason = "a column says what it is by name and type; those that need more carry a comment")]

pub mod agent_executions;
pub mod agents;
pub mod api_keys;
pub mod api_usage_logs;
pub mod artifacts;
pub mod audit_log;
pub mod branches;
pub mod declared;
pub mod departments;
pub mod encryption_keys;
pub mod engine_rubrics;
pub mod enums;
pub mod event_consumers;
pub mod event_dead_letters;
pub mod event_store;
pub mod execution_files;
pub mod execution_logs;
pub mod file_watches;
pub mod files;
pub mod hitl_approval_votes;
pub mod hitl_approvals;
pub mod inbound_endpoints;
pub mod job_flows;
pub mod leases;
pub mod memberships;
pub mod migration_log;
pub mod nodes;
pub mod notifications;
pub mod organizations;
pub mod projects;
pub mod rate_limit_windows;
pub mod resource_grants;
pub mod roles;
pub mod saga_compensations;
pub mod saga_instances;
pub mod saga_snapshots;
pub mod saga_timeouts;
pub mod schedule_fires;
pub mod schedules;
pub mod secrets;
pub mod signals;
pub mod step_executions;
pub mod team_members;
pub mod teams;
pub mod tenants;
pub mod usage_records;
pub mod user_assignments;
pub mod user_identities;
pub mod user_sessions;
pub mod users;
pub mod variables;
pub mod webhook_deliveries;
pub mod webhooks;
pub mod workflow_executions;
pub mod workflow_templates;
pub mod workflow_versions;
pub mod workflows;

pub use declared::declared_schema;
