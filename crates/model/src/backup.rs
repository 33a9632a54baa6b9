//! Copies apart from replication: full backups and the archived write-ahead log between them, kept by the witness, and
//! the moment to which they can take a database back (seed 003 sections 7.1 and 23, scenario 4).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Lsn, SiteId};

/// A wall-clock time, microseconds since 1970-01-01T00:00:00Z: when a transaction committed, by the clock of the
/// database's own machine. Never compared with a [`crate::Time`], and never decides who may write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallTime(pub i64);

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Days from 1970-01-01 of a day of the Gregorian calendar; years begin in March, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// RFC 3339 in UTC, with microseconds.
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0.div_euclid(DAY));
        let micros = self.0.rem_euclid(DAY);
        let (s, fraction) = (micros / SECOND, micros % SECOND);
        let (hour, minute, second) = (s / 3600, s / 60 % 60, s % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
    }
}

impl FromStr for WallTime {
    type Err = String;
    /// RFC 3339, such as `2026-11-21T13:05:00Z` or `2026-11-21T20:05:00.25+07:00`.
    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| format!("`{text}` is not a time with its zone, such as 2026-11-21T13:05:00Z"))
    }
}

fn parse(text: &str) -> Option<WallTime> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let [year, month, day] = numbers(date, '-')?;
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(whole, ':')?;
    let real = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    if !real || civil(days(year, month, day)) != (year, month, day) {
        return None;
    }
    let digits = fraction.chars().all(|c| c.is_ascii_digit()) && !fraction.is_empty();
    let micros: i64 = format!("{fraction:0<6}").get(..6).filter(|_| digits)?.parse().ok()?;
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let (hours, minutes) = zone[1..].split_once(':')?;
            let minutes: i64 = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if zone.starts_with('-') { -minutes } else { minutes }
        }
    };
    let seconds = hour * 3600 + minute * 60 + second - offset * 60;
    Some(WallTime(days(year, month, day) * DAY + seconds * SECOND + micros))
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let parts: Vec<i64> = text.split(between).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    parts.try_into().ok()
}

/// Where a restore stops. What is committed up to here stays; everything after it is taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreTo {
    /// By the commit times in the write-ahead log, which are the wall clock of the machine that wrote.
    Time(WallTime),
    /// A position in the history of the present timeline.
    Lsn(Lsn),
}

impl fmt::Display for RestoreTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreTo::Time(time) => time.fmt(f),
            RestoreTo::Lsn(lsn) => write!(f, "lsn:{lsn}"),
        }
    }
}

impl FromStr for RestoreTo {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("lsn:") {
            Some(lsn) => Ok(RestoreTo::Lsn(lsn.parse()?)),
            None => Ok(RestoreTo::Time(text.parse()?)),
        }
    }
}

/// A moment in a database's history: every commit before `at` lies before `lsn`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mark {
    pub timeline: u32,
    pub lsn: Lsn,
    pub at: WallTime,
}

/// One full backup, and how far the log that follows it reaches without a hole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BaseReport {
    /// Names it in the vault.
    pub name: String,
    pub taken_at: SiteId,
    /// The earliest moment to which it can be taken.
    pub from: Mark,
    /// The latest moment, by the newest mark in the log that follows. `None` until log has followed.
    pub until: Option<Mark>,
    /// The first file of the log that is missing although later ones are there.
    pub gap: Option<String>,
    pub bytes: u64,
}

impl BaseReport {
    /// Whether this backup can be taken to `to`, and whether all the log for that is there.
    pub fn covers(&self, to: &RestoreTo) -> Cover {
        let (begins, reaches) = match to {
            RestoreTo::Time(time) => (self.from.at <= *time, self.until.is_some_and(|until| *time < until.at)),
            RestoreTo::Lsn(lsn) => (self.from.lsn <= *lsn, self.until.is_some_and(|until| *lsn <= until.lsn)),
        };
        match (begins, reaches) {
            (false, _) => Cover::No,
            (true, true) => Cover::Whole,
            (true, false) if self.gap.is_some() => Cover::No,
            (true, false) => Cover::Begins,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cover {
    No,
    /// The log is without a hole, and ends before.
    Begins,
    Whole,
}

/// What a vault keeps: told by the witness.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct VaultReport {
    /// Oldest first.
    pub bases: Vec<BaseReport>,
    /// Files of the write-ahead log.
    pub segments: u64,
    pub bytes: u64,
}

impl VaultReport {
    /// The newest backup that covers `to`, wholly if there is one.
    pub fn best(&self, to: &RestoreTo) -> Option<(&BaseReport, Cover)> {
        let covering = self.bases.iter().map(|base| (base, base.covers(to))).filter(|(_, cover)| *cover != Cover::No);
        covering.max_by_key(|(base, cover)| (*cover, base.from.at))
    }
    /// The latest moment to which anything here can be taken.
    pub fn reaches(&self) -> Option<Mark> {
        self.bases.iter().filter_map(|base| base.until).max_by_key(|mark| mark.at)
    }
}

/// What a writing region says of its own part.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ArchiveReport {
    /// The last mark that the vault acknowledged.
    pub archived: Option<Mark>,
    /// For how long something has been committed that is not in the vault yet; zero while everything is.
    pub behind: Duration,
    /// When the newest full backup that can be used was taken, and how long ago that is by this machine's clock.
    pub base: Option<WallTime>,
    pub base_age: Option<Duration>,
    /// Why the last try failed; empty when it did not.
    pub trouble: String,
}

/// A data directory that a restore put aside. Never deleted by Antipode.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeptReport {
    /// `before-restore-<run>`.
    pub name: String,
    pub path: String,
}

/// What a site says of backups. Empty where there is nothing to say.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BackupReport {
    pub vault: Option<VaultReport>,
    pub archive: Option<ArchiveReport>,
    pub kept: Vec<KeptReport>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_what_they_write() {
        let time: WallTime = "2026-11-21T13:05:00.25Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-21T13:05:00.250000Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!("2026-11-21T20:05:00.250+07:00".parse(), Ok(time));
        assert_eq!("2000-02-29T00:00:00Z".parse::<WallTime>().unwrap().0, 951_782_400_000_000);
        for wrong in
            ["2026-02-30T00:00:00Z", "2026-11-21T13:05:00", "yesterday", "2026-11-21T25:00:00Z", "2026-11-21T1:2:3.xZ"]
        {
            assert!(wrong.parse::<WallTime>().is_err(), "{wrong}");
        }
        for day in (-800_000..800_000).step_by(97) {
            let (y, m, d) = civil(day);
            assert_eq!(days(y, m, d), day);
        }
    }

    #[test]
    fn a_backup_covers_from_its_end_to_the_last_mark() {
        let mark = |lsn, at| Mark { timeline: 1, lsn: Lsn(lsn), at: WallTime(at) };
        let base = |until, gap: Option<&str>| BaseReport {
            name: "b".into(),
            taken_at: SiteId::new("a"),
            from: mark(100, 10),
            until,
            gap: gap.map(str::to_owned),
            bytes: 1,
        };
        let time = |at| RestoreTo::Time(WallTime(at));
        let whole = base(Some(mark(200, 20)), None);
        assert_eq!(whole.covers(&time(9)), Cover::No);
        assert_eq!(whole.covers(&time(19)), Cover::Whole);
        assert_eq!(whole.covers(&time(20)), Cover::Begins);
        assert_eq!(whole.covers(&RestoreTo::Lsn(Lsn(200))), Cover::Whole);
        let holed = base(Some(mark(200, 20)), Some("x"));
        assert_eq!(holed.covers(&time(25)), Cover::No, "what follows a hole cannot be reached");
        let vault = VaultReport { bases: vec![whole.clone(), holed], ..VaultReport::default() };
        assert_eq!(vault.best(&time(25)), Some((&whole, Cover::Begins)));
    }
}
