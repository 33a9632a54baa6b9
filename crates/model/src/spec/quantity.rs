//! Numbers with their units, as they are written in a spec.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::value::{MONTH, Rate, Value};
use crate::{Date, Usd};

/// What is wrong with a quantity, and how to write it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BadQuantity {
    pub message: String,
    pub hint: &'static str,
}

/// The key in the schema that says which quantity a text must be.
pub(crate) const QUANTITY: &str = "x-antipode-quantity";

const DURATION: &str = r"^\d+(\.\d+)?(ms|s|m|h|d)( ?\d+(\.\d+)?(ms|s|m|h|d))*$";
const INTERVAL: &str = r"^(hour|day|week|month|quarter|year|\d+(\.\d+)?(ms|s|m|h|d)( ?\d+(\.\d+)?(ms|s|m|h|d))*)$";
const PERCENT: &str = r"^\d+(\.\d+)?%$";
const DOLLARS: &str = r"^\d+(\.\d+)? USD$";
const LOSS: &str = r"^\d+(\.\d+)? USD/(s|min|h|day|month)$";

/// The form of each quantity that a key of the catalogue can have, for editors.
pub(crate) const PATTERNS: [(&str, &str); 9] = [
    ("a duration", DURATION),
    ("an interval", INTERVAL),
    ("a percentage", PERCENT),
    ("an amount of data", r"^\d+(\.\d+)?(MB|GB|TB)$"),
    ("an amount of data in a time", r"^\d+(\.\d+)?(MB|GB|TB)/(s|min|h|day|month)$"),
    ("a number in a time", r"^\d+(\.\d+)?[kM]?/(s|min|h|day|month)$"),
    ("an amount of money", DOLLARS),
    ("an amount of money in a time", LOSS),
    ("a date", r"^\d{4}-\d{2}-\d{2}$"),
];

macro_rules! quantity {
    ($(#[$doc:meta])* $ty:ident($inner:ty) = $name:literal, $pattern:expr, $parse:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Debug)]
        pub(crate) struct $ty(pub $inner);

        impl<'de> Deserialize<'de> for $ty {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $parse(&text).map($ty).map_err(|bad| serde::de::Error::custom(bad.message))
            }
        }
        impl JsonSchema for $ty {
            fn schema_name() -> Cow<'static, str> {
                stringify!($ty).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "x-antipode-quantity": $name })
            }
        }
    };
}

quantity!(
    /// `500ms`, `5s`, `30m`, `1h 30m`, `7d`.
    Length(Duration) = "a duration", DURATION, duration
);
quantity!(
    /// A duration, or hour, day, week, month, quarter or year.
    Interval(Duration) = "an interval", INTERVAL, interval
);
quantity!(
    /// `50%`, `99.95%`.
    Percent(f64) = "a percentage", PERCENT, percent
);
quantity!(
    /// `4000 USD/month`.
    Monthly(Decimal) = "an amount of money per month", r"^\d+(\.\d+)? USD/month$", monthly
);
quantity!(
    /// `512MB`, `1GB`; whole megabytes.
    Megabytes(u32) = "a size", r"^\d+(MB|GB)$", megabytes
);
quantity!(
    /// `2000 USD/h`, `500 USD/min`.
    Loss(Rate) = "an amount of money in a time", LOSS, loss
);
quantity!(
    /// `300 USD`.
    Dollars(Decimal) = "an amount of money", DOLLARS, dollars
);

/// What `text` says as the quantity of that name.
pub(crate) fn value(quantity: &str, text: &str) -> Result<Value, BadQuantity> {
    let monthly = |amount| Value::MoneyRate(Rate { amount, per: MONTH });
    match quantity {
        "a duration" => duration(text).map(Value::Duration),
        "an interval" => interval(text).map(Value::Duration),
        "a percentage" => percent(text).map(Value::Percent),
        "an amount of money per month" => self::monthly(text).map(monthly),
        "a size" => megabytes(text).map(|mb| Value::Size(u64::from(mb) << 20)),
        "an amount of data" => data(text).map(Value::Size),
        "an amount of data in a time" => in_a_time(text, FLOW_HINT, data_decimal).map(Value::Flow),
        "a number in a time" => in_a_time(text, RATE_HINT, number).map(Value::Rate),
        "an amount of money" => dollars(text).map(|amount| Value::Money(Usd(amount))),
        "an amount of money in a time" => loss(text).map(Value::MoneyRate),
        "a date" => date(text).map(Value::Date),
        _ => unreachable!("the schema names only the quantities above"),
    }
}

const DURATION_HINT: &str = "write a number and its unit, such as `500ms`, `5s`, `30m`, `1h 30m` or `7d`";
const INTERVAL_HINT: &str = "write `week`, `month` or `quarter`, or a number and its unit, such as `7d`";
/// Longer than anything that an operator waits for, and far below overflow.
pub(crate) const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

pub(crate) fn duration(text: &str) -> Result<Duration, BadQuantity> {
    let bad = |message: String| BadQuantity { message, hint: DURATION_HINT };
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad("an empty text is not a duration".into()));
    }
    while !rest.is_empty() {
        let (number, after) = split_number(rest);
        let spaced = after.starts_with(' ');
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let Some(number) = number else { return Err(bad(format!("`{text}` is not a duration"))) };
        let micros: u64 = match unit {
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            "" => return Err(bad(format!("`{text}` has no unit"))),
            _ => return Err(bad(format!("`{unit}` is not a unit of time"))),
        };
        if spaced {
            return Err(bad(format!("`{text}` has a space before its unit")));
        }
        let part = number.checked_mul(Decimal::from(micros)).and_then(|d| d.to_u64()).map(Duration::from_micros);
        total = part
            .and_then(|p| total.checked_add(p))
            .filter(|t| *t <= LONGEST)
            .ok_or_else(|| bad(format!("`{text}` is longer than a year")))?;
        rest = after.trim_start();
    }
    Ok(total)
}

pub(crate) fn interval(text: &str) -> Result<Duration, BadQuantity> {
    let days = |n: u64| Ok(Duration::from_secs(n * 86_400));
    match text {
        "hour" => Ok(Duration::from_secs(3600)),
        "day" => days(1),
        "week" => days(7),
        "month" => days(30),
        "quarter" => days(91),
        "year" => days(365),
        other => duration(other).map_err(|bad| BadQuantity { hint: INTERVAL_HINT, ..bad }),
    }
}

fn percent(text: &str) -> Result<f64, BadQuantity> {
    let hint = "write a number and a percent sign, such as `50%` or `99.95%`";
    let number =
        text.strip_suffix('%').ok_or(BadQuantity { message: format!("`{text}` has no percent sign"), hint })?;
    let value = Decimal::from_str(number.trim()).ok().and_then(|d| d.to_f64());
    value
        .filter(|v| (0.0..=100.0).contains(v))
        .ok_or(BadQuantity { message: format!("`{text}` is not a percentage from 0% to 100%"), hint })
}

fn monthly(text: &str) -> Result<Decimal, BadQuantity> {
    let hint = "write an amount, its currency and the time that it is for, as in `4000 USD/month`";
    let bad = |message| BadQuantity { message, hint };
    let (amount, unit) = split_number(text.trim());
    let amount = amount.ok_or_else(|| bad(format!("`{text}` is not an amount of money")))?;
    match unit.trim() {
        "USD/month" => Ok(amount),
        "" => Err(bad(format!("`{text}` has no currency"))),
        "USD" => Err(bad(format!("`{text}` does not say for how long"))),
        other => Err(bad(format!("`{other}` is not `USD/month`"))),
    }
}

fn megabytes(text: &str) -> Result<u32, BadQuantity> {
    let hint = "write a whole number of megabytes or gigabytes, such as `512MB` or `1GB`";
    let bad = |message| BadQuantity { message, hint };
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "MB" => 1,
        "GB" => 1024,
        "" => return Err(bad(format!("`{text}` has no unit"))),
        other => return Err(bad(format!("`{other}` is not a size unit"))),
    };
    let size = number.parse::<u32>().ok().and_then(|n| n.checked_mul(factor));
    size.filter(|mb| *mb <= 1024 * 1024).ok_or_else(|| bad(format!("`{text}` is not a size up to 1048576MB")))
}

const DATA_HINT: &str = "write a number of megabytes, gigabytes or terabytes, such as `500GB` or `1.5TB`";
const FLOW_HINT: &str =
    "write an amount of data and the time that it is for, such as `20GB/day`: MB, GB or TB; s, min, h, day or month";
const RATE_HINT: &str =
    "write a number and the time that it is for, such as `200/s` or `3M/month`: s, min, h, day or month";
const MONEY_HINT: &str = "write an amount and its currency, as in `300 USD`";
const LOSS_HINT: &str =
    "write an amount, its currency and the time that it is for, as in `2000 USD/h`: s, min, h, day or month";

/// Bytes; a GB has 1024 MB.
fn data(text: &str) -> Result<u64, BadQuantity> {
    let bad = |message| BadQuantity { message, hint: DATA_HINT };
    data_decimal(text)?.to_u64().ok_or_else(|| bad(format!("`{text}` is too much data")))
}

fn data_decimal(text: &str) -> Result<Decimal, BadQuantity> {
    let bad = |message| BadQuantity { message, hint: DATA_HINT };
    let (number, unit) = split_number(text.trim());
    let number = number.ok_or_else(|| bad(format!("`{text}` is not an amount of data")))?;
    let bytes: u64 = match unit {
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        "" => return Err(bad(format!("`{text}` has no unit"))),
        other => return Err(bad(format!("`{other}` is not a unit of data"))),
    };
    let bytes = number.checked_mul(Decimal::from(bytes)).filter(|b| b.to_u64().is_some());
    bytes.ok_or_else(|| bad(format!("`{text}` is too much data")))
}

fn number(text: &str) -> Result<Decimal, BadQuantity> {
    let bad = |message| BadQuantity { message, hint: RATE_HINT };
    let (number, factor) = split_number(text.trim());
    let number = number.ok_or_else(|| bad(format!("`{text}` is not a number")))?;
    let factor = match factor {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        other => return Err(bad(format!("`{other}` is neither k nor M"))),
    };
    // Far above what anybody counts, and far below overflow in sums.
    let most = Decimal::from(1_000_000_000_000_000_u64);
    number
        .checked_mul(Decimal::from(factor))
        .filter(|n| *n <= most)
        .ok_or_else(|| bad(format!("`{text}` is too large")))
}

fn dollars(text: &str) -> Result<Decimal, BadQuantity> {
    let bad = |message| BadQuantity { message, hint: MONEY_HINT };
    let (amount, unit) = split_number(text.trim());
    let amount = amount.ok_or_else(|| bad(format!("`{text}` is not an amount of money")))?;
    let most = Decimal::from(1_000_000_000_000_000_u64);
    match unit.trim() {
        "USD" if amount <= most => Ok(amount),
        "USD" => Err(bad(format!("`{text}` is too much money"))),
        "" => Err(bad(format!("`{text}` has no currency"))),
        other => Err(bad(format!("`{other}` is not `USD`"))),
    }
}

fn loss(text: &str) -> Result<Rate, BadQuantity> {
    in_a_time(text, LOSS_HINT, dollars)
}

/// An amount, a slash, and the time that it is for.
fn in_a_time(
    text: &str,
    hint: &'static str,
    amount: impl Fn(&str) -> Result<Decimal, BadQuantity>,
) -> Result<Rate, BadQuantity> {
    let bad = |message| BadQuantity { message, hint };
    let (what, time) = text.split_once('/').ok_or_else(|| bad(format!("`{text}` does not say for how long")))?;
    let amount = amount(what).map_err(|wrong| bad(wrong.message))?;
    let per = match time {
        "s" => Duration::from_secs(1),
        "min" => Duration::from_secs(60),
        "h" => Duration::from_secs(3_600),
        "day" => Duration::from_secs(86_400),
        "month" => MONTH,
        other => return Err(bad(format!("`/{other}` is not a time"))),
    };
    Ok(Rate { amount, per })
}

fn date(text: &str) -> Result<Date, BadQuantity> {
    text.parse().map_err(|message| BadQuantity { message, hint: "write year, month and day, such as `2026-03-14`" })
}

/// A leading decimal number without a sign, and what follows it.
fn split_number(text: &str) -> (Option<Decimal>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    (Decimal::from_str(number).ok(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_people_write_them() {
        let ms = |text| duration(text).map(|d| d.as_millis());
        assert_eq!(ms("500ms"), Ok(500));
        assert_eq!(ms("1.5s"), Ok(1500));
        assert_eq!(ms("1h 30m"), Ok(5_400_000));
        assert_eq!(ms("0s"), Ok(0));
        assert_eq!(ms("7d"), Ok(604_800_000));
    }

    #[test]
    fn a_number_without_its_unit_is_refused() {
        let says = |text| duration(text).unwrap_err().message;
        assert_eq!(says("30"), "`30` has no unit");
        assert_eq!(says("30 sec"), "`sec` is not a unit of time");
        assert_eq!(says("30 s"), "`30 s` has a space before its unit");
        assert_eq!(says("-3s"), "`-3s` is not a duration");
        assert_eq!(says("soon"), "`soon` is not a duration");
        assert_eq!(says("99999999999d"), "`99999999999d` is longer than a year");
        assert_eq!(percent("50").unwrap_err().message, "`50` has no percent sign");
        assert_eq!(percent("150%").unwrap_err().message, "`150%` is not a percentage from 0% to 100%");
        assert_eq!(monthly("4000").unwrap_err().message, "`4000` has no currency");
        assert_eq!(monthly("4000 USD").unwrap_err().message, "`4000 USD` does not say for how long");
        assert_eq!(monthly("4000 EUR/month").unwrap_err().message, "`EUR/month` is not `USD/month`");
        assert_eq!(megabytes("512").unwrap_err().message, "`512` has no unit");
    }

    #[test]
    fn quantities_of_the_catalogue() {
        let reads = |quantity, text| value(quantity, text).unwrap();
        let per = |amount: u64, seconds| Rate { amount: Decimal::from(amount), per: Duration::from_secs(seconds) };
        assert_eq!(reads("an amount of data", "1.5GB"), Value::Size(3 << 29));
        assert_eq!(reads("an amount of data in a time", "2MB/s"), Value::Flow(per(2 << 20, 1)));
        assert_eq!(reads("a number in a time", "3M/month"), Value::Rate(per(3_000_000, 730 * 3600)));
        assert_eq!(reads("an amount of money", "300 USD"), Value::Money(Usd(300.into())));
        assert_eq!(reads("an amount of money in a time", "500 USD/min"), Value::MoneyRate(per(500, 60)));
        assert_eq!(reads("a date", "2026-03-14"), Value::Date(Date::new(2026, 3, 14).unwrap()));
        let says = |quantity, text| value(quantity, text).unwrap_err().message;
        assert_eq!(says("an amount of data", "12"), "`12` has no unit");
        assert_eq!(says("an amount of data", "99999999TB"), "`99999999TB` is too much data");
        assert_eq!(says("an amount of data in a time", "12GB"), "`12GB` does not say for how long");
        assert_eq!(says("a number in a time", "12/week"), "`/week` is not a time");
        assert_eq!(says("an amount of money in a time", "12/h"), "`12` has no currency");
        assert_eq!(says("an amount of money", "12 EUR"), "`EUR` is not `USD`");
        assert_eq!(says("a date", "14.3.2026"), "`14.3.2026` is not a date");
    }

    /// The schema that editors use and the reader agree.
    #[test]
    fn every_pattern_names_a_quantity() {
        for (name, _) in PATTERNS {
            assert!(value(name, "").is_err(), "{name}");
        }
    }

    #[test]
    fn other_quantities() {
        assert_eq!(percent("99.95%"), Ok(99.95));
        assert_eq!(monthly("4000 USD/month"), Ok(Decimal::from(4000)));
        assert_eq!(megabytes("1GB"), Ok(1024));
        assert_eq!(interval("month"), Ok(Duration::from_secs(30 * 86_400)));
    }
}
