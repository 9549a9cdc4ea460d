//! What nodes tell each other: `NOTIFY` on one channel of PostgreSQL, nothing on SQLite, which has one node.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cogwheel_engine::ports::{Notice, StoreError};
use sea_orm::sqlx::postgres::{PgConnectOptions, PgListener, PgNotification, PgPoolOptions};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::fault;

/// The one channel.
const CHANNEL: &str = "cogwheel";
/// Notices that wait for whoever listens; more of them wait at the server.
const BACKLOG: usize = 1024;
/// How long a server that is away is left alone.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is sent: a notice, and by whom, so that nobody hears itself.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    by: Uuid,
    notice: Notice,
}

/// Tells other nodes and hears them.
#[derive(Debug)]
pub(crate) struct Notices {
    /// Where to listen; none on SQLite.
    server: Option<PgConnectOptions>,
    ourselves: Uuid,
    listeners: Mutex<Vec<AbortHandle>>,
}

impl Notices {
    /// For the only node of its database.
    pub(crate) fn silent() -> Self {
        Self { server: None, ourselves: Uuid::nil(), listeners: Mutex::default() }
    }

    /// Over the server that is reached so.
    pub(crate) fn over(server: PgConnectOptions) -> Self {
        Self { server: Some(server), ourselves: Uuid::now_v7(), listeners: Mutex::default() }
    }

    /// Tells every other node.
    pub(crate) async fn send(&self, engine: &DatabaseConnection, notice: Notice) -> Result<(), StoreError> {
        if self.server.is_none() {
            return Ok(());
        }
        let told = serde_json::to_string(&Told { by: self.ourselves, notice })
            .map_err(|error| StoreError::Bug(format!("a notice has no JSON form: {error}")))?;
        let values = [Value::from(CHANNEL), Value::from(told)];
        let notify = Statement::from_sql_and_values(DbBackend::Postgres, "select pg_notify($1, $2)", values);
        engine.query_one_raw(notify).await.map(drop).map_err(|error| fault::from_db(&error))
    }

    /// Hears other nodes from now on.
    pub(crate) async fn listen(&self) -> Result<mpsc::Receiver<Notice>, StoreError> {
        let (notices, heard) = mpsc::channel(BACKLOG);
        let task = match &self.server {
            None => tokio::spawn(async move { notices.closed().await }),
            Some(server) => {
                let server = server.clone();
                let listener = connect(&server).await.map_err(|error| fault::from_sqlx(&error))?;
                tokio::spawn(hear(server, listener, self.ourselves, notices))
            }
        };
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| !listener.is_finished());
        listeners.push(task.abort_handle());
        Ok(heard)
    }

    /// Ends all listening.
    pub(crate) fn close(&self) {
        for listener in self.listeners.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            listener.abort();
        }
    }
}

/// A connection of its own: a pool's would be missing there for good.
async fn connect(server: &PgConnectOptions) -> Result<PgListener, sea_orm::sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(10));
    let mut listener = PgListener::connect_with(&pool.connect_lazy_with(server.clone())).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// Passes on what comes until nobody listens any more.
async fn hear(server: PgConnectOptions, mut listener: PgListener, ourselves: Uuid, notices: mpsc::Sender<Notice>) {
    loop {
        let heard = tokio::select! {
            heard = listener.try_recv() => heard,
            () = notices.closed() => return,
        };
        let notice = match heard {
            Ok(Some(heard)) => told_by_others(&heard, ourselves),
            // The connection broke: what is said until there is another one is lost.
            Ok(None) => {
                listener = again(&server).await;
                Some(Notice::Missed)
            }
            Err(error) => {
                tracing::warn!(%error, "other nodes cannot be heard for now");
                listener = again(&server).await;
                Some(Notice::Missed)
            }
        };
        if let Some(notice) = notice
            && notices.send(notice).await.is_err()
        {
            return;
        }
    }
}

/// Listens anew, however long that takes.
async fn again(server: &PgConnectOptions) -> PgListener {
    loop {
        match connect(server).await {
            Ok(listener) => return listener,
            Err(error) => tracing::debug!(%error, "the server cannot be reached yet"),
        }
        tokio::time::sleep(PATIENCE).await;
    }
}

fn told_by_others(heard: &PgNotification, ourselves: Uuid) -> Option<Notice> {
    match serde_json::from_str::<Told>(heard.payload()) {
        Ok(told) => (told.by != ourselves).then_some(told.notice),
        Err(error) => {
            // A newer release may tell more than this one understands.
            tracing::debug!(%error, payload = heard.payload(), "a notice is not understood");
            Some(Notice::Missed)
        }
    }
}
