//! What is asked of an agent and of its voter, and what befalls them.

use crate::case::{Told, Where};

/// What a controller can order here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    Scale(u32),
    /// The zone of this epoch of `a`, which leads to that region.
    Zone {
        epoch: u64,
        serial: u64,
        to: Where,
    },
    Suspect(bool),
    Exercise,
    Initialise,
    Archive,
}

/// What a site can ask of the voter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    Sound,
    Acquire,
    Renew,
    /// With a receipt of its own epoch.
    Release,
    /// The in-sync record of this version, with the other region in it.
    Record(u64),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    Act {
        number: u32,
        /// Of the controller.
        start: u64,
        /// The newest epoch of `a` that the controller knows.
        knowing: u64,
        act: Act,
    },
    Cancel(u32),
    Inquire(u32),
    Ask {
        by: Where,
        epoch: u64,
        ask: Ask,
    },
    /// The agent is killed, and starts again.
    Restart,
    /// Likewise, and what its voter kept is gone.
    LoseStore,
    LoseSecret,
    See,
}

impl Told for Order {
    fn looks(&self) -> bool {
        *self == Order::See
    }

    fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |word: &str| word.trim_end_matches(':').parse().unwrap_or_else(|_| panic!("`{text}`: `{word}`"));
        let act = |number, start, knowing, rest: &[&str]| Order::Act { number, start, knowing, act: act(text, rest) };
        let ask = |by: &str, epoch: &str, ask| Order::Ask { by: Where::parse(by), epoch: number(epoch), ask };
        match words.as_slice() {
            ["order", n, "of", "start", start, rest @ ..] => act(number(n) as u32, number(start), 9, rest),
            ["order", n, "knowing", epoch, rest @ ..] => act(number(n) as u32, 1, number(epoch), rest),
            ["order", n, rest @ ..] => act(number(n) as u32, 1, 9, rest),
            ["cancel", n] => Order::Cancel(number(n) as u32),
            ["inquire", n] => Order::Inquire(number(n) as u32),
            [by, "sounds", epoch] => ask(by, epoch, Ask::Sound),
            [by, "acquires", epoch] => ask(by, epoch, Ask::Acquire),
            [by, "renews", epoch] => ask(by, epoch, Ask::Renew),
            [by, "releases", epoch] => ask(by, epoch, Ask::Release),
            [by, "records", version, "in", epoch] => ask(by, epoch, Ask::Record(number(version))),
            ["restart"] => Order::Restart,
            ["lose", "the", "store"] => Order::LoseStore,
            ["lose", "the", "secret"] => Order::LoseSecret,
            ["see"] => Order::See,
            _ => panic!("`{text}` is no order"),
        }
    }
}

fn act(text: &str, words: &[&str]) -> Act {
    let number = |word: &str| word.parse().unwrap_or_else(|_| panic!("`{text}`: `{word}`"));
    match words {
        ["scale", "to", n] => Act::Scale(number(n) as u32),
        ["zone", epoch, serial, "to", region] => {
            Act::Zone { epoch: number(epoch), serial: number(serial), to: Where::parse(region) }
        }
        ["suspect"] => Act::Suspect(true),
        ["trust"] => Act::Suspect(false),
        ["exercise"] => Act::Exercise,
        ["initialise"] => Act::Initialise,
        ["archive"] => Act::Archive,
        _ => panic!("`{text}`: {words:?} is no act"),
    }
}
