//! A day in the calendar, as people date a drill, a copy or an approval.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A day of the Gregorian calendar, from year 1 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let last = match month {
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => 31,
        };
        let usual = (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=last).contains(&day);
        usual.then_some(Self { year, month, day })
    }
    /// Days from `earlier` to here; negative when `earlier` is later.
    pub fn days_since(self, earlier: Date) -> i64 {
        self.number() - earlier.number()
    }
    /// So many days later, or the last day that there is.
    pub fn plus_days(self, days: u32) -> Self {
        let mut date = self;
        for _ in 0..days {
            date = date.next();
        }
        date
    }
    fn next(self) -> Self {
        let Self { year, month, day } = self;
        let tomorrow = Date::new(year, month, day + 1).or_else(|| Date::new(year, month + 1, 1));
        tomorrow.or_else(|| Date::new(year.saturating_add(1), 1, 1)).unwrap_or(self)
    }
    /// A running number of days. A year begins in March here, so that the leap day ends it.
    fn number(self) -> i64 {
        let (year, month) = (i64::from(self.year), i64::from(self.month));
        let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let leap_days = year / 4 - year / 100 + year / 400;
        // The months from March on have 31, 30, 31, 30, 31 days, over and over.
        year * 365 + leap_days + (153 * month + 2) / 5 + i64::from(self.day)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |part: &str, len| {
            (part.len() == len && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())
        };
        let parts: Vec<&str> = text.split('-').collect();
        let date = match parts[..] {
            [year, month, day] => (|| {
                let narrow = |part| u8::try_from(digits(part, 2)??).ok();
                Date::new(digits(year, 4)??, narrow(month)?, narrow(day)?)
            })(),
            _ => None,
        };
        date.ok_or_else(|| format!("`{text}` is not a date"))
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl TryFrom<String> for Date {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn days_between() {
        assert_eq!(day("2026-11-21").days_since(day("2026-11-21")), 0);
        assert_eq!(day("2024-03-01").days_since(day("2024-02-28")), 2, "a leap year");
        assert_eq!(day("2026-03-01").days_since(day("2026-02-28")), 1);
        assert_eq!(day("2026-01-01").days_since(day("2025-01-01")), 365);
        assert_eq!(day("2001-01-01").days_since(day("2000-01-01")), 366, "every fourth century has its leap day");
        assert_eq!(day("2025-12-31").days_since(day("2026-01-01")), -1);
    }

    #[test]
    fn days_later() {
        for (from, days, to) in [
            ("2026-11-21", 90, "2027-02-19"),
            ("2024-02-28", 1, "2024-02-29"),
            ("2025-12-31", 366, "2027-01-01"),
            ("9999-12-31", 5, "9999-12-31"),
        ] {
            assert_eq!(day(from).plus_days(days), day(to));
        }
    }

    #[test]
    fn no_other_days_exist() {
        for wrong in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "26-01-01",
            "2026-1-1",
            "0000-01-01",
            "2026/01/01",
            "",
            "+026-01-01",
        ] {
            assert!(wrong.parse::<Date>().is_err(), "{wrong}");
        }
        assert_eq!(day("2024-02-29").to_string(), "2024-02-29");
    }
}
