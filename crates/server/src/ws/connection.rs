//! One WebSocket from its first message to its close.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseReason, ProtocolError, Session};
use cogwheel_access::Principal;
use cogwheel_graphql::{ErrorCode, refusal};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::operation::{self, Outbox, Outgoing};
use super::protocol::{self, ClientMessage, Close};
use crate::http::Params;
use crate::state::State;

/// Messages that wait for the client to take them; operations wait when there are more.
const BACKLOG: usize = 16;

/// How long a client may take to let the goodbye through.
const GOODBYE: Duration = Duration::from_secs(1);

/// Ends the connection, with a goodbye or without one.
enum End {
    /// The server ends it.
    Close(Close),
    /// The client ended it, saying so; the protocol wants its goodbye answered.
    Left(Option<CloseReason>),
    /// The client is gone.
    Gone,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}

/// A WebSocket.
pub(crate) struct Connection {
    state: Arc<State>,
    session: Session,
    /// Who the client is, by the upgrade's header or its first message.
    principal: Option<Principal>,
    /// Whether the client said who it is and was let in.
    is_acknowledged: bool,
    operations: HashMap<String, (u64, AbortOnDropHandle<()>)>,
    next_number: u64,
    sender: mpsc::Sender<Outgoing>,
    outgoing: mpsc::Receiver<Outgoing>,
}

impl Connection {
    /// A connection that was just opened.
    pub(crate) fn new(state: Arc<State>, session: Session, principal: Option<Principal>) -> Self {
        let (sender, outgoing) = mpsc::channel(BACKLOG);
        Self {
            state,
            session,
            principal,
            is_acknowledged: false,
            operations: HashMap::new(),
            next_number: 0,
            sender,
            outgoing,
        }
    }

    /// Talks to the client until one side ends it. What still runs for it ends with it.
    pub(crate) async fn run(mut self, messages: AggregatedMessageStream) {
        let goodbye = match self.talk(messages).await {
            End::Gone => return,
            End::Left(reason) => reason,
            End::Close(close) => {
                debug!(?close, "closing a WebSocket");
                Some(close.into())
            }
        };
        let _ = tokio::time::timeout(GOODBYE, self.session.close(goodbye)).await;
    }

    async fn talk(&mut self, mut messages: AggregatedMessageStream) -> End {
        let stop = self.state.stop.clone();
        let mut heard_at = Instant::now();
        let must_init_by = heard_at + self.state.config.init_timeout;
        let interval = self.state.config.ping_interval;
        let mut ping = tokio::time::interval_at(heard_at + interval, interval);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                () = stop.cancelled() => Err(Close::Stopping.into()),
                message = messages.recv() => {
                    heard_at = Instant::now();
                    self.hear(message).await
                }
                Some(outgoing) = self.outgoing.recv() => self.pass_on(outgoing).await,
                () = tokio::time::sleep_until(must_init_by), if !self.is_acknowledged => Err(Close::InitTimeout.into()),
                _ = ping.tick() => {
                    if heard_at.elapsed() > interval * 2 { Err(Close::Silent.into()) } else { self.ping().await }
                }
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn hear(&mut self, message: Option<Result<AggregatedMessage, ProtocolError>>) -> Result<(), End> {
        match message {
            None => Err(End::Gone),
            Some(Ok(AggregatedMessage::Close(reason))) => Err(End::Left(reason)),
            Some(Ok(AggregatedMessage::Text(text))) => self.obey(ClientMessage::parse(&text)?).await,
            Some(Ok(AggregatedMessage::Binary(_))) => {
                Err(Close::BadRequest("messages are texts, not binary".to_owned()).into())
            }
            Some(Ok(AggregatedMessage::Ping(payload))) => self.session.pong(&payload).await.map_err(|_| End::Gone),
            Some(Ok(AggregatedMessage::Pong(_))) => Ok(()),
            Some(Err(ProtocolError::Overflow)) => Err(Close::TooLarge.into()),
            Some(Err(error)) => Err(Close::BadRequest(error.to_string()).into()),
        }
    }

    async fn obey(&mut self, message: ClientMessage) -> Result<(), End> {
        match message {
            ClientMessage::ConnectionInit { .. } if self.is_acknowledged => Err(Close::TooManyInits.into()),
            ClientMessage::ConnectionInit { payload } => {
                self.let_in(payload.as_ref())?;
                self.send(protocol::connection_ack()).await
            }
            ClientMessage::Ping {} => self.send(protocol::pong()).await,
            ClientMessage::Pong {} => Ok(()),
            ClientMessage::Complete { id } => {
                self.operations.remove(&id);
                Ok(())
            }
            ClientMessage::Subscribe { id, payload } => match self.principal {
                Some(principal) if self.is_acknowledged => self.begin(id, payload, principal).await,
                _ => Err(Close::Unauthorized.into()),
            },
        }
    }

    /// Checks the credentials of the first message, unless the upgrade had some.
    fn let_in(&mut self, payload: Option<&Map<String, Value>>) -> Result<(), Close> {
        if self.principal.is_none() {
            let given =
                payload.and_then(|payload| payload.get("authorization").or_else(|| payload.get("Authorization")));
            let principal = self.state.authenticator.authenticate(given.and_then(Value::as_str));
            self.principal = Some(principal.map_err(|error| Close::Forbidden(error.to_string()))?);
        }
        self.is_acknowledged = true;
        Ok(())
    }

    async fn begin(&mut self, id: String, payload: Value, principal: Principal) -> Result<(), End> {
        if self.operations.contains_key(&id) {
            return Err(Close::DuplicateId(id).into());
        }
        let limit = self.state.config.max_subscriptions;
        if self.operations.len() >= limit {
            let message = format!("the connection is over the limit of {limit} operations at once");
            return self.send(protocol::error(&id, &refusal(ErrorCode::TooComplex, message))).await;
        }
        let params: Params = serde_json::from_value(payload)
            .map_err(|error| Close::BadRequest(format!("the payload is no GraphQL request: {error}")))?;
        self.next_number += 1;
        let number = self.next_number;
        let outbox = Outbox { number, id: id.clone(), sender: self.sender.clone() };
        let run = operation::run(Arc::clone(&self.state), principal, params.into_request(), outbox);
        let task = AbortOnDropHandle::new(self.state.runtime.spawn(run));
        self.operations.insert(id, (number, task));
        Ok(())
    }

    async fn pass_on(&mut self, outgoing: Outgoing) -> Result<(), End> {
        // What an operation said before the client ended it is not wanted any more.
        if self.operations.get(&outgoing.id).is_none_or(|(number, _)| *number != outgoing.number) {
            return Ok(());
        }
        if outgoing.is_last {
            self.operations.remove(&outgoing.id);
        }
        self.send(outgoing.text).await
    }

    async fn ping(&mut self) -> Result<(), End> {
        let ping = tokio::time::timeout(self.state.config.ping_interval, self.session.ping(b"")).await;
        ping.map_err(|_| Close::Silent)?.map_err(|_| End::Gone)
    }

    /// Waits until the client takes the message, or the server stops, or the client seems gone.
    async fn send(&mut self, text: String) -> Result<(), End> {
        let patience = self.state.config.ping_interval * 2;
        tokio::select! {
            sent = tokio::time::timeout(patience, self.session.text(text)) => {
                sent.map_err(|_| Close::Silent)?.map_err(|_| End::Gone)
            }
            () = self.state.stop.cancelled() => Err(Close::Stopping.into()),
        }
    }
}
