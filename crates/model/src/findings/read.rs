//! Reads the tables of findings and questions.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};

use super::{Question, Row};
use crate::spec::interval;

macro_rules! data {
    ($($file:literal),* $(,)?) => {
        [$(($file, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/", $file)))),*]
    };
}

/// In the order in which a failover meets them.
const ROWS: [(&str, &str); 10] = data![
    "findings/objectives.yaml",
    "findings/watch.yaml",
    "findings/data.yaml",
    "findings/conflicts.yaml",
    "findings/control.yaml",
    "findings/compute.yaml",
    "findings/traffic.yaml",
    "findings/stability.yaml",
    "findings/practice.yaml",
    "findings/security.yaml",
];
const QUESTIONS: (&str, &str) = ("questions.yaml", include_str!("../../data/questions.yaml"));

/// The files are part of the program, and a test reads them: one that cannot be read never gets this far.
fn list<T: DeserializeOwned>((file, text): &(&str, &str)) -> Vec<T> {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("crates/model/data/{file}: {error}"))
}

pub(super) fn rows() -> Vec<Row> {
    ROWS.iter().flat_map(list).collect()
}

pub(super) fn questions() -> Vec<Question> {
    list(&QUESTIONS)
}

pub(super) fn within<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    interval(&String::deserialize(deserializer)?).map_err(|bad| D::Error::custom(bad.message))
}
