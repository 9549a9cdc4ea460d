//! `cogwheel serve`: brings the parts up in order, serves until a signal, takes them down in order.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use cogwheel_access::{AdminKey, Authenticator, CallbackKey};
use cogwheel_engine::clock::{Clock as _, SystemClock};
use cogwheel_engine::ports::{NewNode, StepRegistry};
use cogwheel_engine::{Engine, EngineConfig, NodeId, Parts, Secrets, SignalRequest, UploadLimits, Webhooks};
use cogwheel_files::BlobFolder;
use cogwheel_graphql::{Limits, Schema};
use cogwheel_server::{Server, ServerConfig};
use cogwheel_steps::{CallbackUrl, WebhookSender};
use cogwheel_store::{Database, verify};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::database::{self, Missing};
use super::node::{self, FolderLock};
use super::signals::Signals;
use super::vault::KeyVault;
use crate::settings::Settings;

pub(super) async fn serve(settings: Settings) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    database::prepare_folder(&settings.data_dir)?;
    let folder_lock = FolderLock::take(&settings.data_dir).await?;
    let database = database::connect(&settings, Missing::Create).await?;
    let schema_fingerprint = prepare_schema(&database, settings.migrate_on_start).await?;
    let vault = KeyVault::open(&settings)?;
    let callbacks = vault.callbacks();
    let authenticator = authenticator(&settings)?.with_callbacks(callbacks.clone());
    let server = Server::bind(server_config(&settings))?;
    let address = server.address();
    let is_shared = database.is_shared();
    let store = Arc::new(database.open().await?);
    let id = NodeId(SystemClock.new_id());
    let node = NewNode {
        id,
        replaces: folder_lock.hand_over(id)?,
        name: node::host_name(),
        address: Some(address.to_string()),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        schema_fingerprint,
        capacity: i32::try_from(settings.max_running_executions).unwrap_or(i32::MAX),
        lease: is_shared.then_some(settings.lease),
        started_at: SystemClock.now(),
    };
    let parts = Parts {
        store: Arc::clone(&store) as _,
        reads: Arc::clone(&store) as _,
        blobs: Arc::new(blobs(&settings).await?),
        secrets: Some(Secrets { store: Arc::clone(&store) as _, vault: Arc::new(vault) }),
        webhooks: Some(Webhooks {
            store: Arc::clone(&store) as _,
            transport: Arc::new(WebhookSender::new(settings.webhook_targets.clone())),
            config: settings.webhooks,
        }),
        steps: StepRegistry::new(cogwheel_steps::builtin_with(callback_url(&settings, callbacks))),
        clock: Arc::new(SystemClock),
        node,
    };
    let engine = Engine::launch(engine_config(&settings), parts).await?;
    let stop_serving = CancellationToken::new();
    let schema = Schema::new(Arc::clone(&engine), limits(&settings));
    let mut serving = tokio::spawn(server.serve(schema, authenticator, stop_serving.clone()));
    info!("listening on http://{address}");

    let ended = tokio::select! {
        signal = signals.next() => {
            info!(signal, "stopping: no new work, waiting for running steps (once more to stop at once)");
            None
        }
        ended = &mut serving => {
            error!("the HTTP server ended by itself; stopping");
            Some(ended)
        }
    };
    stop_engine(&engine, &mut signals).await;
    stop_serving.cancel();
    let ended = match ended {
        Some(ended) => ended,
        None => serving.await,
    };
    store.close().await;
    ended.context("the HTTP server failed")??;
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Where the answer to a step is taken in; nowhere while nobody says how others reach this server.
fn callback_url(settings: &Settings, key: CallbackKey) -> CallbackUrl {
    let site = settings.public_url.clone();
    Arc::new(move |execution, step| {
        let site = site.as_ref().filter(|_| SignalRequest::can_answer(step))?;
        Some(format!("{site}/callbacks/{}", key.token(&execution.to_string(), step)))
    })
}

/// The folder that the settings name is the same for all servers of the database; that in the data folder is not.
async fn blobs(settings: &Settings) -> anyhow::Result<BlobFolder> {
    let now = SystemClock.now().into();
    Ok(match &settings.blobs_dir {
        Some(folder) => BlobFolder::open(folder.clone(), now).await?.shared(),
        None => BlobFolder::open(settings.data_dir.join(database::BLOBS), now).await?,
    })
}

/// Lets running steps end; a second signal does not wait for them.
async fn stop_engine(engine: &Engine, signals: &mut Signals) {
    tokio::select! {
        () = engine.shut_down() => {}
        signal = signals.next() => {
            warn!(signal, "stopping at once");
            engine.stop_now().await;
        }
    }
}

/// Brings the schema up to date if that is asked for, and makes sure it is the declared one. Answers its fingerprint.
async fn prepare_schema(database: &Database, migrate: bool) -> anyhow::Result<String> {
    let admin = database.admin();
    if migrate {
        for step in cogwheel_migration::up(admin).await? {
            info!(step = step.name, "migrated");
        }
    }
    cogwheel_migration::check(admin).await?;
    let ledger = cogwheel_migration::ledger_fingerprint(admin).await?;
    let findings = verify::check_at_start(admin, &cogwheel_entity::declared_schema(), ledger).await?;
    if !findings.is_empty() {
        let list: Vec<String> = findings.iter().map(|finding| format!("\n  - {}", finding.message)).collect();
        bail!(
            "the database is not as this release declares it:{}\nMend it or restore a backup; `cogwheel db verify` shows the differences again",
            list.concat()
        );
    }
    Ok(verify::fingerprint(admin).await?)
}

fn authenticator(settings: &Settings) -> anyhow::Result<Authenticator> {
    let (key, created) = AdminKey::load_or_create(&settings.data_dir)?;
    if created {
        info!("wrote the admin key to {}", settings.data_dir.join("admin.key").display());
    }
    if settings.insecure_no_auth {
        warn!("serving without asking for the admin key");
        return Ok(Authenticator::insecure());
    }
    Ok(Authenticator::new(key))
}

fn server_config(settings: &Settings) -> ServerConfig {
    ServerConfig {
        listen: settings.listen,
        workers: settings.workers as usize,
        request_timeout: settings.request_timeout,
        body_limit: settings.body_limit,
        max_connections: settings.max_connections as usize,
        upload_timeout: settings.upload_timeout,
        upload_idle_timeout: settings.upload_idle_timeout,
        upload_max_files: settings.upload_max_files as usize,
        max_subscriptions: settings.max_subscriptions as usize,
        ..ServerConfig::default()
    }
}

fn limits(settings: &Settings) -> Limits {
    Limits {
        depth: settings.max_depth as usize,
        complexity: settings.max_complexity as usize,
        introspection: settings.introspection,
        ..Limits::default()
    }
}

/// The engine's part of the settings.
pub(super) fn engine_config(settings: &Settings) -> EngineConfig {
    EngineConfig {
        root: settings.root.clone(),
        work_dir: settings.data_dir.join("work"),
        workflow_folders: settings.workflow_folders.clone(),
        max_running_executions: settings.max_running_executions as usize,
        max_parallel_steps: settings.max_parallel_steps as usize,
        snapshot_events: settings.snapshot_events as usize,
        kill_grace: settings.kill_grace,
        shutdown_grace: settings.shutdown_grace,
        watch_retry: settings.watch_retry,
        poll_interval: settings.poll_interval,
        file_rescan: settings.file_rescan.clone(),
        workflow_rescan: settings.workflow_rescan.clone(),
        uploads: UploadLimits {
            max_size: settings.upload_max_size as u64,
            allowed_types: settings.upload_allowed_types.clone(),
        },
    }
}
