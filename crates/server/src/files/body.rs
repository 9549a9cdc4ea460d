//! Hands a request's body over to the runtime where the work is done, no faster than it is taken.

use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::web::{self, Bytes};
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use crate::state::State;

/// How many pieces of a body are held for whoever takes them; each has some ten kilobytes.
const PIECES: usize = 4;

/// How much of a body is read on after it was refused, so that a client that only writes comes to read the answer.
const LINGER_BYTES: usize = 32 * 1024 * 1024;
const LINGER: Duration = Duration::from_secs(2);

/// Why a body does not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client went away, or sent what cannot be read.
    #[error("the body broke off")]
    Broken,
    /// Nothing came for too long.
    #[error("nothing was sent for {} seconds, the longest pause that `uploads.idle_timeout` allows", .0.as_secs_f32())]
    Idle(Duration),
    /// It took too long as a whole.
    #[error("the upload took longer than {} seconds, the longest that `uploads.timeout` allows", .0.as_secs_f32())]
    Slow(Duration),
}

/// A body under way.
pub(crate) struct Body(mpsc::Receiver<Result<Bytes, BodyError>>);

impl Body {
    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        self.0.recv().await
    }

    /// The same for a stream.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        self.0.poll_recv(context)
    }
}

/// Runs `work` over the body on the engine's runtime; `None` if it broke down. It ends when the client goes away.
pub(crate) async fn receive<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    state: &State,
    payload: web::Payload,
    work: impl FnOnce(Body) -> F,
) -> Option<T> {
    let (pieces, body) = mpsc::channel(PIECES);
    let mut task = AbortOnDropHandle::new(state.runtime.spawn(work(Body(body))));
    let mut payload = payload;
    let done = {
        let pump = pump(&mut payload, pieces, state.config.upload_idle_timeout, state.config.upload_timeout);
        tokio::pin!(pump);
        tokio::select! {
            biased;
            done = &mut task => done,
            () = &mut pump => task.await,
        }
    };
    linger(&mut payload).await;
    done.inspect_err(|error| tracing::error!(%error, "taking an upload in failed")).ok()
}

/// Sends the pieces on until the end, the first error, or nobody wants more.
async fn pump(
    payload: &mut web::Payload,
    pieces: mpsc::Sender<Result<Bytes, BodyError>>,
    idle: Duration,
    whole: Duration,
) {
    let end = Instant::now() + whole;
    loop {
        let next = match timeout_at(end, timeout(idle, payload.next())).await {
            Ok(Ok(None)) => return,
            Ok(Ok(Some(Ok(piece)))) => Ok(piece),
            Ok(Ok(Some(Err(_)))) => Err(BodyError::Broken),
            Ok(Err(_)) => Err(BodyError::Idle(idle)),
            Err(_) => Err(BodyError::Slow(whole)),
        };
        let is_over = next.is_err();
        if pieces.send(next).await.is_err() || is_over {
            return;
        }
    }
}

/// Reads on for a while. A connection that is closed while its client writes takes the answer with it.
async fn linger(payload: &mut web::Payload) {
    let mut room = LINGER_BYTES;
    let drain = async {
        while let Some(Ok(piece)) = payload.next().await {
            room = room.saturating_sub(piece.len());
            if room == 0 {
                return;
            }
        }
    };
    // Whoever still writes after that has to make do with a closed connection.
    let _ = timeout(LINGER, drain).await;
}
