//! Outgoing webhooks: events that are recorded are sent to whoever subscribed to them, at least once.
//!
//! `feed` reads the events in their order and records one delivery per webhook and event, together with how far it got.
//! `send` takes deliveries that are due under a lease, makes one try of each, and records its end. Whatever dies in between
//! is found by the rows. The order in which deliveries of a stream arrive is best effort: one that fails waits for its next
//! try while later ones go on.

mod backoff;
mod check;
mod feed;
mod headers;
mod manage;
mod message;
mod secret;
mod send;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cogwheel_definition::EventPattern;
use tokio::sync::Notify;
use tracing::warn;

use crate::ports::{Breaker, Notice, StoreError, Subscription, WebhookStore, WebhookTransport};
use crate::triggers::kept;
use crate::{Engine, EngineError};

pub use check::WebhookSettings;
pub use manage::{MadeWebhook, WebhookError};
pub use message::id_of as message_id_of;

/// After how many failures in a row nothing more is sent to a webhook for a while.
const OPENS_AFTER: i32 = 5;

/// How many times the first pause of a delivery the first pause of its webhook is.
const CIRCUIT_FACTOR: u32 = 6;

/// The longest time that nothing is sent to a webhook that fails.
const LONGEST_CIRCUIT: Duration = Duration::from_hours(1);

/// The settings of outgoing webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookConfig {
    /// How long until the second try of a delivery; each further one waits four times as long.
    pub first_retry: Duration,
    /// How long it waits at the most, also where the receiver asks for longer.
    pub longest_retry: Duration,
    /// After how many failed tries in a row a webhook is switched off.
    pub disable_after: i32,
    /// How many tries are under way at once on this server.
    pub max_in_flight: usize,
}

impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            first_retry: Duration::from_secs(5),
            longest_retry: Duration::from_hours(6),
            disable_after: 50,
            max_in_flight: 16,
        }
    }
}

impl WebhookConfig {
    fn breaker(&self) -> Breaker {
        Breaker {
            opens_after: OPENS_AFTER,
            first_pause: (self.first_retry * CIRCUIT_FACTOR).min(self.longest_retry),
            longest_pause: self.longest_retry.min(LONGEST_CIRCUIT),
            disables_after: self.disable_after,
        }
    }
}

/// What outgoing webhooks are made of.
#[derive(Clone)]
pub struct Webhooks {
    /// Where they and their deliveries are kept.
    pub store: Arc<dyn WebhookStore>,
    /// What sends.
    pub transport: Arc<dyn WebhookTransport>,
    /// Their settings.
    pub config: WebhookConfig,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The outgoing webhooks of a running engine.
#[derive(Debug)]
pub(crate) struct Outgoing {
    parts: Option<Webhooks>,
    /// What the webhooks that are on want, as last looked at.
    wanted: RwLock<Wanted>,
    /// Told when there may be events to read.
    events_came: Notify,
    /// Told when there may be something to send.
    work_came: Notify,
}

impl Outgoing {
    pub(crate) fn new(parts: Option<Webhooks>) -> Self {
        Self { parts, wanted: RwLock::default(), events_came: Notify::new(), work_came: Notify::new() }
    }

    /// Whether a webhook may want an event of this type of the catalogue.
    pub(crate) fn wants(&self, event_type: &str) -> bool {
        self.wanted.read().unwrap_or_else(PoisonError::into_inner).types.contains(event_type)
    }

    /// Lets recorded events be held against the webhooks.
    pub(crate) fn tell_of_events(&self) {
        if self.has_subscriptions() {
            self.events_came.notify_one();
        }
    }

    fn parts(&self) -> Result<&Webhooks, WebhookError> {
        self.parts.as_ref().ok_or(WebhookError::NotHere)
    }

    fn note(&self, subscriptions: &[Subscription]) {
        *self.wanted.write().unwrap_or_else(PoisonError::into_inner) = Wanted::of(subscriptions);
    }

    /// Whether any webhook is on.
    pub(crate) fn has_subscriptions(&self) -> bool {
        self.wanted.read().unwrap_or_else(PoisonError::into_inner).is_any
    }
}

/// What webhooks want.
#[derive(Debug, Default)]
struct Wanted {
    /// Whether there is one.
    is_any: bool,
    /// The types of the catalogue that one of them may want. Authors' own are recorded whoever wants them.
    types: HashSet<&'static str>,
}

impl Wanted {
    fn of(subscriptions: &[Subscription]) -> Self {
        let patterns = subscriptions.iter().flat_map(|subscription| &subscription.events);
        let patterns: Vec<_> = patterns.filter_map(|pattern| EventPattern::parse(pattern).ok()).collect();
        let types = message::sendable_types().filter(|name| patterns.iter().any(|pattern| pattern.matches(name)));
        Self { is_any: !subscriptions.is_empty(), types: types.collect() }
    }
}

/// Finds out what webhooks want, before anything happens that they could be told of.
pub(crate) async fn load(engine: &Engine) -> Result<(), EngineError> {
    Ok(look(engine).await?)
}

/// Lets deliveries be made of events, and sent, until the engine stops.
pub(crate) fn spawn(engine: &Arc<Engine>) {
    let Ok(parts) = engine.outgoing().parts().cloned() else { return };
    let (tasks, retry) = (engine.trigger_tasks(), engine.config().watch_retry);
    let (this, feeding) = (Arc::clone(engine), parts.clone());
    let feed = move || feed::keep(Arc::clone(&this), feeding.clone());
    tasks.spawn(kept("deliveries of webhooks", retry, engine.stop().clone(), feed));
    let this = Arc::clone(engine);
    let send = move || send::keep(Arc::clone(&this), parts.clone());
    tasks.spawn(kept("sending of webhooks", retry, engine.stop().clone(), send));
}

/// Looks again at what webhooks want, since another node changed them.
pub(crate) async fn reload(engine: &Engine) {
    if let Err(error) = look(engine).await {
        warn!(%error, "what webhooks want could not be read; it is read again soon");
    }
    engine.outgoing().events_came.notify_one();
    engine.outgoing().work_came.notify_one();
}

/// The same for a change that was made here, of which other nodes are told.
async fn changed(engine: &Engine) {
    reload(engine).await;
    engine.tell_of_events();
    if let Err(error) = engine.store().notify(Notice::Webhooks).await {
        warn!(%error, "other nodes were not told of a changed webhook; they find it soon");
    }
}

async fn look(engine: &Engine) -> Result<(), StoreError> {
    if let Ok(parts) = engine.outgoing().parts() {
        engine.outgoing().note(&parts.store.subscriptions().await?);
    }
    Ok(())
}
