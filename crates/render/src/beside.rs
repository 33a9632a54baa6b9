//! Roots are worked out beside one another: each by itself, so that nothing depends on which is done first.

/// What `work` makes of each, in the order of `items`. A panic goes on to whoever asked.
pub fn each<T: Send, U: Send>(items: Vec<T>, work: impl Fn(T) -> U + Sync) -> Vec<U> {
    std::thread::scope(|scope| {
        let work = &work;
        let begun: Vec<_> = items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        let ended = begun.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended.map(|ended| ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}
