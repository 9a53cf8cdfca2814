//! Whose turn is it?
//!
//! The bookkeeping behind the pool, without threads or clocks: who runs how much, who waits, and who is next.
//!
//! Invariants:
//! 1. A tenant is known here while it runs or waits, and no longer: there are at most as many as calls.
//! 2. A tenant that waits stands in the round exactly once.

use std::collections::{HashMap, VecDeque};

use super::Tenant;

/// What one tenant has.
struct Queue<W> {
    running: usize,
    waiting: VecDeque<W>,
}

/// All tenants that run or wait.
pub(super) struct Turns<W> {
    running_max: usize,
    waiting_max: usize,
    running: usize,
    waiting: usize,
    queues: HashMap<Tenant, Queue<W>>,
    /// Those who wait, the next one first.
    round: VecDeque<Tenant>,
}

/// Where a call waits.
pub(super) enum Place<W> {
    Free,
    /// In the place of this one, which waits no more.
    Taken(W),
    Refused,
}

impl<W> Turns<W> {
    pub(super) fn new(running_max: usize, waiting_max: usize) -> Self {
        let (queues, round) = (HashMap::new(), VecDeque::new());
        Self { running_max: running_max.max(1), waiting_max, running: 0, waiting: 0, queues, round }
    }

    /// Puts a call at the end of its tenant's queue. When all places are taken, those go first whose callers have gone.
    pub(super) fn wait(&mut self, tenant: Tenant, waiter: W, is_gone: impl Fn(&W) -> bool) -> Place<W> {
        // A call that can begin at once takes nobody's place.
        let begins = self.running < self.running_max && self.waiting == 0;
        let mut place = Place::Free;
        if self.waiting >= self.waiting_max && !begins {
            self.sweep(is_gone);
        }
        if self.waiting >= self.waiting_max && !begins {
            let own = self.queues.get(&tenant).map_or(0, |queue| queue.waiting.len());
            let longest = self.queues.iter().max_by_key(|(_, queue)| queue.waiting.len());
            match longest.filter(|(_, queue)| queue.waiting.len() > own + 1).map(|(tenant, _)| *tenant) {
                Some(longest) => {
                    let taken = self.queues.get_mut(&longest).and_then(|queue| queue.waiting.pop_back());
                    let Some(taken) = taken else { return Place::Refused };
                    self.waiting -= 1;
                    place = Place::Taken(taken);
                }
                None => return Place::Refused,
            }
        }
        let queue =
            self.queues.entry(tenant).or_insert_with(|| Queue { running: 0, waiting: VecDeque::new() });
        if queue.waiting.is_empty() {
            self.round.push_back(tenant);
        }
        queue.waiting.push_back(waiter);
        self.waiting += 1;
        place
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    fn sweep(&mut self, is_gone: impl Fn(&W) -> bool) {
        for queue in self.queues.values_mut() {
            queue.waiting.retain(|waiter| !is_gone(waiter));
        }
        self.queues.retain(|_, queue| queue.running > 0 || !queue.waiting.is_empty());
        self.round.retain(|tenant| self.queues.get(tenant).is_some_and(|queue| !queue.waiting.is_empty()));
        self.waiting = self.queues.values().map(|queue| queue.waiting.len()).sum();
    }

    /// The next call to begin, if one may.
    pub(super) fn next(&mut self) -> Option<(Tenant, W)> {
        if self.running >= self.running_max {
            return None;
        }
        // No fewer than one each; rounded up, so that no thread lies idle for the rest of a division.
        let share = self.running_max.div_ceil(self.queues.len().max(1));
        let at = self
            .round
            .iter()
            .position(|tenant| self.queues.get(tenant).is_some_and(|q| q.running < share))?;
        let tenant = self.round.remove(at)?;
        let queue = self.queues.get_mut(&tenant)?;
        let waiter = queue.waiting.pop_front()?;
        queue.running += 1;
        if !queue.waiting.is_empty() {
            self.round.push_back(tenant);
        }
        self.waiting -= 1;
        self.running += 1;
        Some((tenant, waiter))
    }

    /// A call of this tenant has ended.
    pub(super) fn end(&mut self, tenant: Tenant) {
        self.running = self.running.saturating_sub(1);
        if let Some(queue) = self.queues.get_mut(&tenant) {
            queue.running = queue.running.saturating_sub(1);
            if queue.running == 0 && queue.waiting.is_empty() {
                self.queues.remove(&tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(running_max: usize, waiting_max: usize) -> Turns<u32> {
        Turns::new(running_max, waiting_max)
    }

    fn begun(turns: &mut Turns<u32>) -> Vec<(u64, u32)> {
        std::iter::from_fn(|| turns.next()).map(|(tenant, call)| (tenant.0, call)).collect()
    }

    /// Lost otherwise: whoever sends most would be served most, and everyone else would wait behind them.
    #[test]
    fn tenants_are_served_in_turn() {
        let mut turns = turns(1, 100);
        for call in 0..10 {
            turns.wait(Tenant(1), call, |_| false);
        }
        assert_eq!(begun(&mut turns), [(1, 0)]);
        turns.wait(Tenant(2), 20, |_| false);
        turns.wait(Tenant(3), 30, |_| false);
        let mut order = Vec::new();
        let mut last = Tenant(1);
        for _ in 0..4 {
            turns.end(last);
            let (tenant, call) = turns.next().unwrap();
            last = tenant;
            order.push(call);
        }
        assert_eq!(order, [1, 20, 30, 2]);
    }

    /// Lost otherwise: one tenant's long calls would hold all threads, or a quiet server's threads would lie idle.
    #[test]
    fn threads_are_shared_among_those_who_have_calls() {
        let mut turns = turns(4, 100);
        for call in 0..8 {
            turns.wait(Tenant(1), call, |_| false);
        }
        assert_eq!(begun(&mut turns).len(), 4, "nobody else is there");
        turns.wait(Tenant(2), 20, |_| false);
        turns.wait(Tenant(2), 21, |_| false);
        turns.wait(Tenant(2), 22, |_| false);
        for _ in 0..2 {
            turns.end(Tenant(1));
            assert_eq!(begun(&mut turns)[0].0, 2);
        }
        turns.end(Tenant(1));
        assert_eq!(begun(&mut turns), [(1, 4)], "two each");
    }

    /// Lost otherwise: one tenant's flood would leave no place to wait in for anyone else.
    #[test]
    fn a_full_queue_makes_room_for_those_with_less() {
        let mut turns = turns(1, 3);
        turns.wait(Tenant(1), 0, |_| false);
        turns.next().unwrap();
        for call in 1..4 {
            assert!(matches!(turns.wait(Tenant(1), call, |_| false), Place::Free));
        }
        assert!(matches!(turns.wait(Tenant(1), 4, |_| false), Place::Refused));
        assert!(matches!(turns.wait(Tenant(2), 20, |_| false), Place::Taken(3)));
        assert!(matches!(turns.wait(Tenant(2), 21, |_| false), Place::Refused), "one each, and one over");
        assert_eq!(turns.waiting, 3);
        // Callers who have gone keep no places from others.
        assert!(matches!(turns.wait(Tenant(2), 22, |call| *call == 2), Place::Free));
        turns.end(Tenant(1));
        assert_eq!(begun(&mut turns), [(1, 1)]);
    }

    /// Lost otherwise: memory would grow with every tenant that ever called.
    #[test]
    fn nobody_is_remembered() {
        let mut turns = turns(2, 10);
        for tenant in 0..100 {
            turns.wait(Tenant(tenant), 0, |_| false);
            turns.next().unwrap();
            turns.end(Tenant(tenant));
        }
        assert!(turns.queues.is_empty() && turns.round.is_empty());
        assert_eq!((turns.running, turns.waiting), (0, 0));
    }
}
