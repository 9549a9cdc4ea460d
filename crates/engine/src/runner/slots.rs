//! The room for executions: a bounded number of slots, handed out by priority.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cogwheel_definition::Priority;
use tokio::sync::{Notify, oneshot};

/// Hands out slots; of those who wait, a higher priority comes first, and among equals whoever asked first.
#[derive(Clone)]
pub(crate) struct Slots {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    /// Told when a slot is given back and nobody here waits for it.
    freed: Arc<Notify>,
}

struct State {
    free: usize,
    asked: u64,
    waiting: BinaryHeap<Waiting>,
}

/// Somebody who waits for a slot.
struct Waiting {
    rank: (Priority, bool, Reverse<u64>),
    give: oneshot::Sender<Slot>,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

/// A place in the queue: the slot, once it is there.
pub(crate) type Ticket = oneshot::Receiver<Slot>;

/// Room for one execution, given back when it is dropped.
pub(crate) struct Slot {
    slots: Slots,
    is_passed_on: bool,
}

impl Slots {
    /// `freed` is told when a slot is given back and nobody here waits for it.
    pub(crate) fn new(capacity: usize, freed: Arc<Notify>) -> Self {
        let state = State { free: capacity, asked: 0, waiting: BinaryHeap::new() };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), freed }) }
    }

    /// A place in the queue, taken at once; of the same priority, an execution that has begun comes before those that have
    /// not. Whoever drops it leaves the queue, or gives back the slot that it got meanwhile.
    pub(crate) fn ticket(&self, priority: Priority, has_begun: bool) -> Ticket {
        let mut state = self.state();
        let (give, taken) = oneshot::channel();
        if state.free > 0 {
            state.free -= 1;
            // The receiver is here.
            let _ = give.send(self.slot());
        } else {
            let rank = (priority, has_begun, Reverse(state.asked));
            state.asked += 1;
            state.waiting.push(Waiting { rank, give });
        }
        taken
    }

    /// A slot, if one is free and nobody waits for it.
    pub(crate) fn try_acquire(&self) -> Option<Slot> {
        let mut state = self.state();
        (state.free > 0).then(|| {
            state.free -= 1;
            self.slot()
        })
    }

    /// How many slots nobody has.
    pub(crate) fn free(&self) -> usize {
        self.state().free
    }

    fn slot(&self) -> Slot {
        Slot { slots: self.clone(), is_passed_on: false }
    }

    fn give_back(&self) {
        let mut state = self.state();
        while let Some(next) = state.waiting.pop() {
            match next.give.send(self.slot()) {
                Ok(()) => return,
                // It waits no more; its slot must not come back here while the queue is locked.
                Err(mut slot) => slot.is_passed_on = true,
            }
        }
        state.free += 1;
        self.inner.freed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.is_passed_on {
            self.slots.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_slot_goes_to_the_highest_rank_that_still_waits() {
        let freed = Arc::new(Notify::new());
        let slots = Slots::new(1, Arc::clone(&freed));
        let first = slots.ticket(Priority::Low, false).await.expect("a slot is free");
        assert!(slots.try_acquire().is_none());
        let waiting = [Priority::Normal, Priority::Critical, Priority::High, Priority::High];
        let [normal, critical, high, second_high] = waiting.map(|priority| slots.ticket(priority, false));
        let begun = slots.ticket(Priority::Normal, true);
        drop(critical);
        drop(first);
        for next in [high, second_high, begun, normal] {
            assert_eq!(slots.free(), 0);
            drop(next.await.expect("its turn has come"));
        }
        assert!(freed.notified().now_or_never().is_some());
        assert_eq!(slots.free(), 1);
        drop(slots.ticket(Priority::Low, false));
        assert_eq!(slots.free(), 1, "what nobody took is given back");
    }
}
