//! Timelines: where two histories of one database part.

use model::Lsn;

use super::Error;

/// A server's past: each timeline that it lived on, oldest first, and where it left that for the next. The last one is
/// where it lives now, and has no end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct History(Vec<(u32, Lsn)>);

/// The last position that two histories have in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fork {
    pub timeline: u32,
    /// `Lsn(u64::MAX)` while both still live on the same timeline.
    pub lsn: Lsn,
    /// The first history went on to another timeline, so that it surely left.
    pub left: bool,
}

impl History {
    /// `file` is the content of `<timeline>.history`; empty for timeline 1, which has none.
    ///
    /// # Errors
    /// [`Error::Parse`] on a line that is not one of a history file.
    pub fn parse(file: &str, timeline: u32) -> Result<Self, Error> {
        let mut past = Vec::new();
        for line in file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u32>().ok());
            let end = words.next().and_then(|word| word.parse::<Lsn>().ok());
            past.push(number.zip(end).ok_or_else(|| Error::parse("a timeline history", line))?);
        }
        past.push((timeline, Lsn(u64::MAX)));
        Ok(Self(past))
    }

    /// Each timeline and its end.
    pub fn spans(&self) -> &[(u32, Lsn)] {
        &self.0
    }

    /// Where the present timeline began; zero for the first.
    pub fn began(&self) -> Lsn {
        self.0.iter().rev().nth(1).map_or(Lsn(0), |(_, end)| *end)
    }

    /// The part of this history after `fork`: for each timeline, from where it holds what the other side lacks.
    pub fn after(&self, fork: &Fork) -> Vec<(u32, Lsn)> {
        let mut from = fork.lsn;
        let rest = self.0.iter().skip_while(|(timeline, _)| *timeline != fork.timeline);
        rest.map(|(timeline, end)| (*timeline, std::mem::replace(&mut from, *end))).collect()
    }

    /// The timeline that this history went on to after `fork`; `None` when it stayed.
    pub fn next(&self, fork: &Fork) -> Option<u32> {
        self.after(fork).get(1).map(|(timeline, _)| *timeline)
    }

    /// `None` when the two have no timeline in common.
    pub fn fork(&self, other: &History) -> Option<Fork> {
        let mut fork = None;
        for (index, (mine, theirs)) in self.0.iter().zip(&other.0).enumerate() {
            if mine.0 != theirs.0 {
                break;
            }
            let left = index + 1 < self.0.len();
            fork = Some(Fork { timeline: mine.0, lsn: mine.1.min(theirs.1), left });
            if mine.1 != theirs.1 {
                break;
            }
        }
        fork
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(past: &[(u32, u64)], now: u32) -> History {
        let lines: String = past.iter().map(|(tli, end)| format!("{tli}\t{}\tno reason\n\n", Lsn(*end))).collect();
        History::parse(&lines, now).unwrap()
    }

    #[test]
    fn forks() {
        let fork = |timeline, lsn, left| Some(Fork { timeline, lsn: Lsn(lsn), left });
        let first = history(&[], 1);
        let second = history(&[(1, 100)], 2);
        // The old writer on 1 against the promoted one on 2: whether it went past 100 is for its log to tell.
        assert_eq!(first.fork(&second), fork(1, 100, false));
        assert_eq!(second.fork(&second), fork(2, u64::MAX, false));
        // A standby that is ahead in timelines, and two that were promoted apart.
        assert_eq!(second.fork(&first), fork(1, 100, true));
        assert_eq!(second.fork(&history(&[(1, 80)], 3)), fork(1, 80, true));
        assert_eq!(second.fork(&history(&[(1, 120), (2, 150)], 3)), fork(1, 100, true));
        assert_eq!(second.fork(&history(&[(1, 100), (2, 150)], 3)), fork(2, 150, false));
        assert_eq!(history(&[], 7).fork(&second), None);
    }

    #[test]
    fn what_only_one_side_has() {
        let mine = history(&[(1, 100), (2, 150)], 3);
        let fork = mine.fork(&history(&[(1, 80)], 4)).unwrap();
        assert_eq!(mine.after(&fork), [(1, Lsn(80)), (2, Lsn(100)), (3, Lsn(150))]);
        assert_eq!((mine.began(), history(&[], 1).began()), (Lsn(150), Lsn(0)));
    }
}
