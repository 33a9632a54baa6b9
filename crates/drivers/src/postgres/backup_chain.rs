//! Which moments a vault can restore: full backups, the log that follows each, and where the first hole is.
//!
//! Intuition: walk from the end of a full backup along the present timeline's history, file by file. For each file ask
//! for it under the newest timeline that had begun by then, as PostgreSQL itself does when it recovers. The walk ends
//! at the first file that is missing; if any later one is there, that is a hole and not the end.

use std::collections::{BTreeMap, BTreeSet};

use model::SiteId;
use model::backup::{BaseReport, Mark, RestoreTo, VaultReport, WallTime};
use serde::{Deserialize, Serialize};

use super::Error;
use super::history::History;

/// One file of a vault. Its name is its identity: a vault never holds two contents under one name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub name: String,
    /// As stored.
    pub bytes: u64,
    /// Of the stored bytes, hexadecimal.
    pub sha256: String,
    pub about: About,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum About {
    /// A full backup, a compressed tar file. It can be taken to `from` and any moment after it.
    Base { site: SiteId, from: Mark },
    /// A file of the write-ahead log, without the zeros at its end. `mark` is a moment before its end.
    Log { segment_bytes: u64, mark: Option<Mark> },
    /// Where a timeline came from.
    History { text: String },
}

/// The name of a file of the write-ahead log: timeline, and which piece of all log it holds.
pub fn log_name(timeline: u32, segment: u64, segment_bytes: u64) -> String {
    let per_id = 0x1_0000_0000 / segment_bytes;
    format!("{timeline:08X}{:08X}{:08X}", segment / per_id, segment % per_id)
}

/// The timeline and piece that a file of the log holds.
pub fn parse_log_name(name: &str, segment_bytes: u64) -> Option<(u32, u64)> {
    let hex = name.len() == 24 && name.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    let part = |range| u64::from_str_radix(name.get(range)?, 16).ok();
    let (timeline, id, low) = (part(0..8)?, part(8..16)?, part(16..24)?);
    hex.then_some((timeline as u32, id * (0x1_0000_0000 / segment_bytes) + low))
}

pub fn history_name(timeline: u32) -> String {
    format!("{timeline:08X}.history")
}

pub fn parse_history_name(name: &str) -> Option<u32> {
    u32::from_str_radix(name.strip_suffix(".history").filter(|digits| digits.len() == 8)?, 16).ok()
}

/// What a restore needs, in the order in which it is needed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Needed {
    pub base: String,
    pub from: Mark,
    /// The timeline to recover along.
    pub timeline: u32,
    pub segment_bytes: u64,
    pub logs: Vec<String>,
    pub histories: Vec<String>,
}

/// All that a vault holds, understood.
pub struct Chain {
    bases: Vec<(String, u64, SiteId, Mark)>,
    logs: BTreeMap<(u32, u64), Option<Mark>>,
    histories: BTreeMap<u32, History>,
    segment_bytes: u64,
    bytes: u64,
}

/// How far the log reaches from a full backup.
struct Reach {
    logs: Vec<(u32, u64)>,
    marks: Vec<Mark>,
    gap: Option<(u32, u64)>,
}

impl Chain {
    pub fn new(entries: &[Entry]) -> Self {
        let mut chain = Chain {
            bases: Vec::new(),
            logs: BTreeMap::new(),
            histories: BTreeMap::new(),
            segment_bytes: 16 << 20,
            bytes: 0,
        };
        let mut sizes = entries.iter().filter_map(|entry| match entry.about {
            About::Log { segment_bytes, .. } => Some(segment_bytes),
            _ => None,
        });
        chain.segment_bytes = sizes.next_back().unwrap_or(chain.segment_bytes);
        for entry in entries {
            chain.bytes += entry.bytes;
            match &entry.about {
                About::Base { site, from } => chain.bases.push((entry.name.clone(), entry.bytes, site.clone(), *from)),
                About::Log { mark, .. } => {
                    if let Some(place) = parse_log_name(&entry.name, chain.segment_bytes) {
                        chain.logs.insert(place, *mark);
                    }
                }
                About::History { text } => {
                    let timeline = parse_history_name(&entry.name);
                    let parsed = timeline.and_then(|t| Some((t, History::parse(text, t).ok()?)));
                    chain.histories.extend(parsed);
                }
            }
        }
        chain.bases.sort_by_key(|(.., from)| from.at);
        chain
    }

    /// The newest timeline of which any log is here.
    fn tip(&self) -> u32 {
        self.logs.keys().map(|(timeline, _)| *timeline).max().unwrap_or(1)
    }

    fn history(&self, timeline: u32) -> Option<History> {
        let first = || History::parse("", 1).ok();
        self.histories.get(&timeline).cloned().or_else(|| if timeline == 1 { first() } else { None })
    }

    /// Along the present history from the end of a full backup. `None`: the backup is not in that history.
    fn reach(&self, from: &Mark) -> Option<Reach> {
        let history = self.history(self.tip())?;
        let spans = history.spans();
        let (_, ended) = spans.iter().find(|(timeline, _)| *timeline == from.timeline)?;
        if *ended < from.lsn {
            return None;
        }
        let began = |timeline: u32| {
            let index = spans.iter().position(|(t, _)| *t == timeline).unwrap_or(0);
            if index == 0 { 0 } else { spans[index - 1].1.0 / self.segment_bytes }
        };
        let last = self.logs.keys().map(|(_, segment)| *segment).max().unwrap_or(0);
        let (mut reach, mut segment) =
            (Reach { logs: vec![], marks: vec![], gap: None }, from.lsn.0.saturating_sub(1) / self.segment_bytes);
        loop {
            // The newest timeline that had begun by then has this piece's truth: it copied the start of its first.
            let newest = spans.iter().rev().map(|(timeline, _)| *timeline).find(|timeline| began(*timeline) <= segment);
            let place = (newest.unwrap_or(from.timeline), segment);
            let Some(mark) = self.logs.get(&place) else {
                let tip = self.tip();
                let later = (segment + 1..=last).any(|later| self.logs.contains_key(&(tip, later)));
                reach.gap = later.then_some(place);
                return Some(reach);
            };
            reach.logs.push(place);
            reach.marks.extend(*mark);
            segment += 1;
        }
    }

    pub fn report(&self) -> VaultReport {
        let base = |(name, bytes, site, from): &(String, u64, SiteId, Mark)| {
            let reach = self.reach(from);
            let gap = match &reach {
                None => Some("its history: that was left behind by a later restore or failover".to_owned()),
                Some(reach) => reach.gap.map(|(t, s)| log_name(t, s, self.segment_bytes)),
            };
            let until = reach.and_then(|reach| reach.marks.last().copied()).filter(|until| until.at >= from.at);
            BaseReport { name: name.clone(), taken_at: site.clone(), from: *from, until, gap, bytes: *bytes }
        };
        VaultReport {
            bases: self.bases.iter().map(base).collect(),
            segments: self.logs.len() as u64,
            bytes: self.bytes,
        }
    }

    /// The backup and the log that take the database to `to`. `None` when they are not all here.
    pub fn needed(&self, to: &RestoreTo) -> Option<Needed> {
        let report = self.report();
        let (base, cover) = report.best(to)?;
        if cover != model::backup::Cover::Whole {
            return None;
        }
        let reach = self.reach(&base.from)?;
        let enough = |mark: &Mark| match to {
            RestoreTo::Time(time) => *time < mark.at,
            RestoreTo::Lsn(lsn) => *lsn <= mark.lsn,
        };
        let last = reach.marks.iter().find(|mark| enough(mark))?.lsn.0.saturating_sub(1) / self.segment_bytes;
        let logs = reach.logs.iter().filter(|(_, segment)| *segment <= last);
        Some(Needed {
            base: base.name.clone(),
            from: base.from,
            timeline: logs.clone().map(|(timeline, _)| *timeline).max()?,
            segment_bytes: self.segment_bytes,
            logs: logs.map(|(timeline, segment)| log_name(*timeline, *segment, self.segment_bytes)).collect(),
            histories: self.histories.keys().map(|timeline| history_name(*timeline)).collect(),
        })
    }

    /// What may be deleted when every moment after `since` must stay restorable.
    pub fn expired(&self, since: WallTime) -> BTreeSet<String> {
        let report = self.report();
        let whole = |base: &&BaseReport| base.gap.is_none();
        let oldest_needed = report.bases.iter().filter(whole).rfind(|base| base.from.at <= since);
        // Without an older one that can still be used, everything is needed.
        let Some(oldest) = oldest_needed else { return BTreeSet::new() };
        let first = oldest.from.lsn.0.saturating_sub(1) / self.segment_bytes;
        let bases = report.bases.iter().filter(|base| base.from.at < oldest.from.at).map(|base| base.name.clone());
        let logs = self.logs.keys().filter(|(_, segment)| *segment < first);
        bases.chain(logs.map(|(timeline, segment)| log_name(*timeline, *segment, self.segment_bytes))).collect()
    }
}

impl Needed {
    /// # Errors
    /// When a name is none of a vault: it becomes the name of a file.
    pub(super) fn check(&self) -> Result<(), Error> {
        let logs = self.logs.iter().all(|name| parse_log_name(name, self.segment_bytes).is_some());
        let histories = self.histories.iter().all(|name| parse_history_name(name).is_some());
        if logs && histories { Ok(()) } else { Err(Error::parse("the names of a vault's files", "")) }
    }
}

#[cfg(test)]
mod tests {
    use model::Lsn;

    use super::*;

    const SEGMENT: u64 = 16 << 20;

    fn mark(timeline: u32, segment: u64, at: i64) -> Mark {
        Mark { timeline, lsn: Lsn(segment * SEGMENT + 100), at: WallTime(at) }
    }
    fn log(timeline: u32, segment: u64, at: Option<i64>) -> Entry {
        let mark = at.map(|at| mark(timeline, segment, at));
        entry(&log_name(timeline, segment, SEGMENT), About::Log { segment_bytes: SEGMENT, mark })
    }
    fn base(name: &str, timeline: u32, segment: u64, at: i64) -> Entry {
        entry(name, About::Base { site: SiteId::new("a"), from: mark(timeline, segment, at) })
    }
    fn history(timeline: u32, past: &[(u32, u64)]) -> Entry {
        let text = past.iter().map(|(t, s)| format!("{t}\t{}\tx\n", Lsn(s * SEGMENT + 50))).collect();
        entry(&history_name(timeline), About::History { text })
    }
    fn entry(name: &str, about: About) -> Entry {
        Entry { name: name.into(), bytes: 1, sha256: String::new(), about }
    }
    fn time(at: i64) -> RestoreTo {
        RestoreTo::Time(WallTime(at))
    }

    #[test]
    fn names_are_postgresqls() {
        assert_eq!(log_name(2, 0x1_05, SEGMENT), "000000020000000100000005");
        assert_eq!(parse_log_name("000000020000000100000005", SEGMENT), Some((2, 0x1_05)));
        assert_eq!(parse_log_name("00000002000000010000000g", SEGMENT), None);
        assert_eq!(parse_history_name(&history_name(31)), Some(31));
    }

    #[test]
    fn a_missing_file_is_a_hole_only_if_a_later_one_is_there() {
        let mut entries = vec![base("b", 1, 3, 10), log(1, 3, None), log(1, 4, Some(20))];
        let until = |entries: &[Entry]| Chain::new(entries).report().bases[0].clone();
        assert_eq!((until(&entries).until.unwrap().at, until(&entries).gap), (WallTime(20), None));
        entries.push(log(1, 6, Some(40)));
        assert_eq!(until(&entries).gap.as_deref(), Some(&*log_name(1, 5, SEGMENT)));
        assert_eq!(Chain::new(&entries).needed(&time(30)), None, "30 lies behind the hole");
        entries.push(log(1, 5, None));
        assert_eq!((until(&entries).until.unwrap().at, until(&entries).gap), (WallTime(40), None));
        let needed = Chain::new(&entries).needed(&time(15)).unwrap();
        assert_eq!(needed.logs, [log_name(1, 3, SEGMENT), log_name(1, 4, SEGMENT)], "no more than to the next mark");
    }

    #[test]
    fn the_walk_changes_to_the_next_timeline_where_that_began() {
        let entries = [
            base("b", 1, 3, 10),
            log(1, 3, None),
            log(1, 4, Some(20)),
            // The old writer's own end, which the new one never had.
            log(1, 5, Some(25)),
            history(2, &[(1, 5)]),
            log(2, 5, None),
            log(2, 6, Some(40)),
        ];
        let needed = Chain::new(&entries).needed(&time(30)).unwrap();
        let names: Vec<_> = [(1, 3), (1, 4), (2, 5), (2, 6)].map(|(t, s)| log_name(t, s, SEGMENT)).into();
        assert_eq!((needed.logs, needed.timeline, needed.histories), (names, 2, vec![history_name(2)]));
    }

    #[test]
    fn a_backup_of_a_past_that_was_given_up_is_not_used() {
        let entries = [
            base("old", 1, 3, 10),
            base("lost", 1, 8, 18),
            log(1, 3, None),
            log(1, 4, Some(15)),
            history(2, &[(1, 5)]),
            log(2, 5, Some(30)),
        ];
        let chain = Chain::new(&entries);
        assert!(chain.report().bases[1].gap.is_some());
        assert_eq!(chain.needed(&time(20)).unwrap().base, "old");
    }

    #[test]
    fn what_every_kept_moment_needs_is_not_expired() {
        let logs = (3..12).map(|segment| log(1, segment, Some(segment as i64 * 10)));
        let mut entries: Vec<Entry> = [base("one", 1, 3, 30), base("two", 1, 6, 60), base("three", 1, 9, 90)].into();
        entries.extend(logs);
        let expired = Chain::new(&entries).expired(WallTime(75));
        let expected = ["one".to_owned()].into_iter().chain((3..6).map(|s| log_name(1, s, SEGMENT)));
        assert_eq!(expired, expected.collect(), "75 needs `two`, and the log from there on");
        assert!(Chain::new(&entries).expired(WallTime(20)).is_empty());
    }
}
