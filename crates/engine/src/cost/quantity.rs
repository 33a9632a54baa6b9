//! The quantity of a price line: arithmetic over the keys of a component, such as `usage.instances * usage.hours`.
//!
//! Numbers, names with dots, `+ - * /`, brackets, `min(a, b)` and `max(a, b)`. All in decimal.

use std::str::FromStr;

use rust_decimal::Decimal;

/// Why an expression has no value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoValue {
    /// Written wrongly: a defect of the catalogue.
    #[error("`{expression}` is no expression: {why}")]
    Wrong { expression: String, why: String },
    #[error("{} {} not in the spec", names(.0), if .0.len() == 1 { "is" } else { "are" })]
    Open(Vec<String>),
    #[error("`{0}` has no finite value")]
    Infinite(String),
}

fn names(keys: &[String]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" and ")
}

/// The value of `expression`, where `lookup` knows the names.
///
/// # Errors
/// [`NoValue::Open`] with every name that `lookup` does not know, so that all are told at once.
pub fn value(expression: &str, lookup: &dyn Fn(&str) -> Option<Decimal>) -> Result<Decimal, NoValue> {
    let mut reader = Reader { rest: expression, open: Vec::new(), lookup };
    let wrong = |why: String| NoValue::Wrong { expression: expression.to_owned(), why };
    let value = reader.sum(0).map_err(wrong)?;
    reader.skip();
    if !reader.rest.is_empty() {
        return Err(wrong(format!("`{}` is left over", reader.rest)));
    }
    if !reader.open.is_empty() {
        return Err(NoValue::Open(reader.open));
    }
    value.ok_or_else(|| NoValue::Infinite(expression.to_owned()))
}

/// Deeper brackets are no expression of a catalogue.
const DEEPEST: u32 = 32;

struct Reader<'a> {
    rest: &'a str,
    open: Vec<String>,
    lookup: &'a dyn Fn(&str) -> Option<Decimal>,
}

/// `None` where a part of it has no value: an open name, a division by nothing, an overflow.
type Part = Result<Option<Decimal>, String>;

impl Reader<'_> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn takes(&mut self, sign: char) -> bool {
        self.skip();
        let after = self.rest.strip_prefix(sign);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn sum(&mut self, depth: u32) -> Part {
        let mut total = self.product(depth)?;
        loop {
            let add: fn(Decimal, Decimal) -> Option<Decimal> = match () {
                () if self.takes('+') => Decimal::checked_add,
                () if self.takes('-') => Decimal::checked_sub,
                () => return Ok(total),
            };
            let next = self.product(depth)?;
            total = total.zip(next).and_then(|(a, b)| add(a, b));
        }
    }

    fn product(&mut self, depth: u32) -> Part {
        let mut total = self.atom(depth)?;
        loop {
            let by: fn(Decimal, Decimal) -> Option<Decimal> = match () {
                () if self.takes('*') => Decimal::checked_mul,
                () if self.takes('/') => Decimal::checked_div,
                () => return Ok(total),
            };
            let next = self.atom(depth)?;
            total = total.zip(next).and_then(|(a, b)| by(a, b));
        }
    }

    fn atom(&mut self, depth: u32) -> Part {
        if depth > DEEPEST {
            return Err("its brackets are too deep".to_owned());
        }
        if self.takes('(') {
            let inner = self.sum(depth + 1)?;
            return if self.takes(')') { Ok(inner) } else { Err("a bracket is open".to_owned()) };
        }
        self.skip();
        // Names have no hyphens: one always subtracts.
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !"._".contains(c));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if word.is_empty() {
            return Err(format!("something is missing before `{}`", self.rest));
        }
        self.rest = rest;
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return Decimal::from_str(word).map(Some).map_err(|_| format!("`{word}` is no number"));
        }
        let choose: fn(Decimal, Decimal) -> Decimal = match word {
            "min" => std::cmp::min,
            "max" => std::cmp::max,
            name => return Ok(self.look_up(name)),
        };
        if !self.takes('(') {
            return Err(format!("`{word}` needs two values in brackets"));
        }
        let first = self.sum(depth + 1)?;
        let comma = self.takes(',');
        let second = if comma { self.sum(depth + 1)? } else { None };
        if !comma || !self.takes(')') {
            return Err(format!("`{word}` needs two values in brackets"));
        }
        Ok(first.zip(second).map(|(a, b)| choose(a, b)))
    }

    fn look_up(&mut self, name: &str) -> Option<Decimal> {
        let value = (self.lookup)(name);
        if value.is_none() && !self.open.iter().any(|open| open == name) {
            self.open.push(name.to_owned());
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(expression: &str) -> Result<Decimal, NoValue> {
        value(expression, &|name| match name {
            "usage.instances" => Some(Decimal::from(4)),
            "usage.hours" => Some(Decimal::from(730)),
            "zero" => Some(Decimal::ZERO),
            _ => None,
        })
    }

    fn is(expression: &str) -> String {
        of(expression).map_or_else(|error| error.to_string(), |value| value.normalize().to_string())
    }

    #[test]
    fn quantities_are_arithmetic_over_keys() {
        assert_eq!(is("usage.instances * usage.hours"), "2920");
        assert_eq!(is("1 + 2 * 3 - (4 - 2) / 4"), "6.5");
        assert_eq!(is("max(usage.instances, 10) - min(1, 0.5)"), "9.5");
        assert_eq!(is("usage.instances-1"), "3");
        assert_eq!(is(" ( 7 ) "), "7");
    }

    #[test]
    fn every_key_that_is_open_is_told_at_once() {
        assert_eq!(is("usage.storage * 2"), "`usage.storage` is not in the spec");
        assert_eq!(is("a * b + a"), "`a` and `b` are not in the spec");
        assert_eq!(is("usage.hours / zero"), "`usage.hours / zero` has no finite value");
    }

    #[test]
    fn what_is_no_expression_is_said() {
        for wrong in ["", "1 +", "(1", "1)", "max(1)", "min 3", "2 3", "1..2", "* 2"] {
            assert!(matches!(of(wrong), Err(NoValue::Wrong { .. })), "{wrong}: {:?}", of(wrong));
        }
        assert!(matches!(of(&"(".repeat(10_000)), Err(NoValue::Wrong { .. })));
    }

    proptest! {
        #[test]
        fn nothing_that_is_written_here_panics(text in "[a-z0-9.+*/(), -]{0,40}") {
            let _ = of(&text);
        }
    }
}
