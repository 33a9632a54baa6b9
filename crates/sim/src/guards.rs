//! Guards of the modelled world that can be taken away, to show that each is needed: a simulator that finds nothing
//! then would find nothing ever. The engine itself is never changed.

/// What is wrong with the world. Nothing, by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Weakness {
    /// A voter that restarts has lost what it promised.
    pub voter_forgets: bool,
    /// A voter that restarts grants at once, without waiting out a promise that may still run.
    pub voter_in_a_hurry: bool,
    /// The gate passes bytes for as long as nobody shuts it, and the watchdog sleeps.
    pub gate_without_deadline: bool,
    /// Nothing kills what a frozen agent leaves running.
    pub no_watchdog: bool,
    /// Clocks run apart by up to this much either way, parts per million.
    pub drift_ppm: Option<u32>,
    /// A returning region is rewound without keeping what only it has.
    pub no_export: bool,
    /// An agent promotes as it is told, without asking the voters.
    pub promotes_without_lease: bool,
    /// A synchronous writer's commits wait for nobody.
    pub waits_for_nobody: bool,
    /// An agent takes an order to wait for a standby as carried out when it is given: commits that did not wait yet are
    /// taken to be safe there.
    pub believes_its_orders: bool,
    /// The controller's journal loses its last record when it is killed.
    pub journal_forgets: bool,
    /// A voter that lost its storage votes as one that never promised anything.
    pub wiped_voter_votes: bool,
    /// An agent says of its instances, and of requests through them, that they are well because they are there.
    pub says_ready_what_is_not: bool,
    /// A writer acknowledges what finds no room on its disk.
    pub acknowledges_on_a_full_disk: bool,
    /// A restore that is undone leaves the restored data where it is.
    pub puts_nothing_back: bool,
    /// A region whose glass is broken takes its epoch at once, without the wait and the last look.
    pub glass_in_a_hurry: bool,
    /// The old writer's server starts as a writer, gate open, when its machine comes back.
    pub serves_on_return: bool,
}
