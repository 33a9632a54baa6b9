//! What is ordered of a database, and what befalls it.

use crate::case::{Told, Where};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    Initialise(Where),
    Open {
        at: Where,
        epoch: u64,
        waiting: bool,
    },
    /// After a crash, in the same epoch.
    Restart {
        at: Where,
        epoch: u64,
    },
    Stop {
        at: Where,
        clean: bool,
    },
    /// The other region.
    Follow(Where),
    Wait {
        at: Where,
        standby: bool,
    },
    Write {
        number: u64,
        at: Where,
        /// It comes with so much that it needs room of its own on the disk.
        large: bool,
    },
    Await(u64),
    Crash(Where),
    Freeze(Where),
    Thaw(Where),
    Cut,
    Mend,
    /// All that is committed is in the vault, which has a full backup.
    Archive(Where),
    /// The moment to which a restore will go.
    Remember(Where),
    Restore(Where),
    PutBack(Where),
    /// The disk, to the last page.
    Fill(Where),
    Empty(Where),
    /// A file without which no server starts is gone.
    Damage(Where),
    See(Where),
}

impl Told for Order {
    fn looks(&self) -> bool {
        matches!(self, Order::See(_))
    }

    fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |word: &str| word.parse().unwrap_or_else(|_| panic!("`{text}`: `{word}` is no number"));
        let at = Where::parse;
        match words.as_slice() {
            ["initialise", a] => Order::Initialise(at(a)),
            ["open", a, "in", epoch] => Order::Open { at: at(a), epoch: number(epoch), waiting: false },
            ["open", a, "in", epoch, "waiting", "for", b] if at(b) == at(a).other() => {
                Order::Open { at: at(a), epoch: number(epoch), waiting: true }
            }
            ["restart", a, "in", epoch] => Order::Restart { at: at(a), epoch: number(epoch) },
            ["stop", a] => Order::Stop { at: at(a), clean: false },
            ["stop", a, "cleanly"] => Order::Stop { at: at(a), clean: true },
            ["let", a, "follow", b] if at(b) == at(a).other() => Order::Follow(at(a)),
            ["let", "commits", "at", a, "wait", "for", "nobody"] => Order::Wait { at: at(a), standby: false },
            ["let", "commits", "at", a, "wait", "for", b] if at(b) == at(a).other() => {
                Order::Wait { at: at(a), standby: true }
            }
            ["write", n, "at", a] => Order::Write { number: number(n), at: at(a), large: false },
            ["write", n, "of", "a", "megabyte", "at", a] => Order::Write { number: number(n), at: at(a), large: true },
            ["await", "write", n] => Order::Await(number(n)),
            ["crash", a] => Order::Crash(at(a)),
            ["freeze", a] => Order::Freeze(at(a)),
            ["thaw", a] => Order::Thaw(at(a)),
            ["cut"] => Order::Cut,
            ["mend"] => Order::Mend,
            ["archive", a] => Order::Archive(at(a)),
            ["remember", a] => Order::Remember(at(a)),
            ["restore", a] => Order::Restore(at(a)),
            ["put", a, "back"] => Order::PutBack(at(a)),
            ["fill", a] => Order::Fill(at(a)),
            ["make", "room", "at", a] => Order::Empty(at(a)),
            ["damage", a] => Order::Damage(at(a)),
            ["see", a] => Order::See(at(a)),
            _ => panic!("`{text}` is no order"),
        }
    }
}
