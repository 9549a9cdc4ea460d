//! Starts a request's reads only when nothing else of the request can go on: by then every sibling has asked.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream, Stream, StreamExt};

/// The reads that a request waits for and that have not been started.
#[derive(Clone, Default)]
pub(crate) struct Gathering {
    reads: Arc<Mutex<Vec<BoxFuture<'static, ()>>>>,
}

impl Gathering {
    /// Takes a read to start later.
    pub(crate) fn add(&self, read: BoxFuture<'static, ()>) {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).push(read);
    }

    /// Runs a request whose reads are gathered here.
    pub(crate) async fn run<T>(self, request: impl Future<Output = T>) -> T {
        let mut request = std::pin::pin!(request);
        future::poll_fn(move |cx| self.poll(cx, |cx| request.as_mut().poll(cx))).await
    }

    /// Runs a subscription whose reads are gathered here.
    pub(crate) fn run_stream<T>(self, answers: impl Stream<Item = T> + Send + 'static) -> BoxStream<'static, T> {
        let mut answers: Pin<Box<_>> = Box::pin(answers);
        stream::poll_fn(move |cx| self.poll(cx, |cx| answers.as_mut().poll_next(cx))).boxed()
    }

    fn poll<T>(&self, cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let wakes = Arc::new(Wakes { seen: AtomicBool::new(false), outer: cx.waker().clone() });
        let polled = poll(&mut Context::from_waker(&Waker::from(Arc::clone(&wakes))));
        // A request that woke itself only made room for others and goes on asking.
        if polled.is_pending() && !wakes.seen.load(Ordering::Acquire) {
            for read in self.reads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                tokio::spawn(read);
            }
        }
        polled
    }
}

/// Passes wakes on and remembers that there were some.
struct Wakes {
    seen: AtomicBool,
    outer: Waker,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.seen.store(true, Ordering::Release);
        self.outer.wake_by_ref();
    }
}
