//! What is written under a key, with its unit, and a bag of such values by key.
//!
//! A key that is not in the bag is *unanswered*: nobody said, and nothing is assumed. That is another thing than
//! `false` or zero.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use crate::{ComponentId, Date, SiteId, Usd};

/// Bytes in one GB as this file counts them: 1024³, as AWS bills storage.
pub const GB: u64 = 1 << 30;

/// One value, typed by its key in the catalogue.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    Bool(bool),
    Count(u64),
    /// A word, a text, or the name of a site or a component.
    Text(String),
    Date(Date),
    Duration(Duration),
    /// 0 to 100.
    Percent(f64),
    /// Bytes.
    Size(u64),
    /// Bytes in a time.
    Flow(Rate),
    /// Things in a time, such as requests.
    Rate(Rate),
    Money(Usd),
    /// Dollars in a time.
    MoneyRate(Rate),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    PerSite(BTreeMap<SiteId, Value>),
}

/// An amount in a time: bytes, things or dollars.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Rate {
    pub amount: Decimal,
    pub per: Duration,
}

/// A month as prices count it: 730 hours.
pub const MONTH: Duration = Duration::from_secs(730 * 3600);

impl Rate {
    /// How much there is in this time.
    pub fn during(self, time: Duration) -> Decimal {
        let (time, per) = (Decimal::from(time.as_millis()), Decimal::from(self.per.as_millis().max(1)));
        self.amount.checked_mul(time).map_or(Decimal::MAX, |product| product / per)
    }
    /// How much there is in a month of 730 hours.
    pub fn monthly(self) -> Decimal {
        self.during(MONTH)
    }
}

/// Values by key. Nested keys have dots: `backup.every`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Values {
    values: BTreeMap<String, Value>,
    /// The keys that somebody wrote; the others have what their kind, or the key, says by default.
    declared: BTreeSet<String>,
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.values.serialize(serializer)
    }
}

impl Values {
    /// Sets `key`, as if it were written.
    pub fn set(&mut self, key: &str, value: Value) {
        self.declared.insert(key.to_owned());
        self.values.insert(key.to_owned(), value);
    }
    /// Sets `key` unless it is written.
    pub(crate) fn default_to(&mut self, key: &str, value: impl FnOnce() -> Value) {
        if !self.values.contains_key(key) {
            self.values.insert(key.to_owned(), value());
        }
    }
    /// Takes `key` away: unanswered from here on.
    pub fn remove(&mut self, key: &str) {
        self.declared.remove(key);
        self.values.remove(key);
    }
    /// Whether the file says it, rather than a default.
    pub fn declared(&self, key: &str) -> bool {
        self.declared.contains(key)
    }
    /// Whether there is a value, by the file or by default.
    pub fn answered(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }
    /// Whether anything under `prefix.` is written.
    pub fn mentions(&self, prefix: &str) -> bool {
        self.declared.iter().any(|key| key.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')))
    }
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }
    /// The same questions, about one site.
    pub fn at<'v>(&'v self, site: &'v SiteId) -> At<'v> {
        At { values: self, site: Some(site) }
    }
    fn anywhere(&self) -> At<'_> {
        At { values: self, site: None }
    }
}

/// [`Values`] as they are for one site: what is written for each site, and what is written for all alike.
#[derive(Clone, Copy, Debug)]
pub struct At<'v> {
    values: &'v Values,
    site: Option<&'v SiteId>,
}

impl<'v> At<'v> {
    pub fn get(self, key: &str) -> Option<&'v Value> {
        match self.values.values.get(key)? {
            Value::PerSite(map) => self.site.and_then(|site| map.get(site)),
            value => Some(value),
        }
    }
    /// Whether a condition of the catalogue holds: `zones_spread`, `!zones_spread`, `shift=health-check`. What is
    /// unanswered is not true.
    pub fn holds(self, condition: &str) -> bool {
        match (condition.split_once('='), condition.strip_prefix('!')) {
            (Some((key, word)), _) => self.word(key) == Some(word),
            (None, Some(key)) => self.bool(key) != Some(true),
            (None, None) => self.bool(condition) == Some(true),
        }
    }
    /// A word, a text, or a name.
    pub fn text(self, key: &str) -> Option<&'v str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
    pub fn word(self, key: &str) -> Option<&'v str> {
        self.text(key)
    }
    /// Of a list of words, texts or names. An empty list is an answer.
    pub fn words(self, key: &str) -> Option<Vec<&'v str>> {
        let Value::List(items) = self.get(key)? else { return None };
        Some(
            items
                .iter()
                .filter_map(|item| if let Value::Text(text) = item { Some(text.as_str()) } else { None })
                .collect(),
        )
    }
    pub fn site(self, key: &str) -> Option<SiteId> {
        self.text(key).map(SiteId::new)
    }
    pub fn sites(self, key: &str) -> Option<Vec<SiteId>> {
        self.words(key).map(|names| names.into_iter().map(SiteId::new).collect())
    }
    pub fn component(self, key: &str) -> Option<ComponentId> {
        self.text(key).map(ComponentId::new)
    }
    pub fn components(self, key: &str) -> Option<Vec<ComponentId>> {
        self.words(key).map(|names| names.into_iter().map(ComponentId::new).collect())
    }
    pub fn map(self, key: &str) -> Option<&'v BTreeMap<String, Value>> {
        match self.get(key)? {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }
}

/// Each is `None` when nothing is said, or nothing of that type. Without a site, what differs by site is `None` too.
impl Values {
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.anywhere().get(key)
    }
    /// Whether a condition of the catalogue holds: `zones_spread`, `!zones_spread`, `shift=health-check`.
    pub fn holds(&self, condition: &str) -> bool {
        self.anywhere().holds(condition)
    }
    /// A word, a text, or a name.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.anywhere().text(key)
    }
    pub fn word(&self, key: &str) -> Option<&str> {
        self.anywhere().text(key)
    }
    /// Of a list of words, texts or names. An empty list is an answer.
    pub fn words(&self, key: &str) -> Option<Vec<&str>> {
        self.anywhere().words(key)
    }
    pub fn site(&self, key: &str) -> Option<SiteId> {
        self.anywhere().site(key)
    }
    pub fn sites(&self, key: &str) -> Option<Vec<SiteId>> {
        self.anywhere().sites(key)
    }
    pub fn component(&self, key: &str) -> Option<ComponentId> {
        self.anywhere().component(key)
    }
    pub fn components(&self, key: &str) -> Option<Vec<ComponentId>> {
        self.anywhere().components(key)
    }
    pub fn map(&self, key: &str) -> Option<&BTreeMap<String, Value>> {
        self.anywhere().map(key)
    }
}

macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident -> $ty:ty = $variant:ident;)*) => {
        impl At<'_> {
            $($(#[$doc])* pub fn $name(self, key: &str) -> Option<$ty> {
                match self.get(key)? {
                    Value::$variant(value) => Some(*value),
                    _ => None,
                }
            })*
        }
        impl Values {
            $($(#[$doc])* pub fn $name(&self, key: &str) -> Option<$ty> {
                self.anywhere().$name(key)
            })*
        }
    };
}

plain! {
    bool -> bool = Bool;
    count -> u64 = Count;
    date -> Date = Date;
    duration -> Duration = Duration;
    /// 0 to 100.
    percent -> f64 = Percent;
    /// Bytes.
    size -> u64 = Size;
    /// Bytes in a time.
    flow -> Rate = Flow;
    /// Things in a time, such as requests.
    rate -> Rate = Rate;
    money -> Usd = Money;
    /// Dollars in a time.
    money_rate -> Rate = MoneyRate;
}
