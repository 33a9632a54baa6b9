//! Queues, streams and events: regional all of them. What waits in a region stays there, so each says what copies it, or
//! that nothing does.

pub mod eventbridge;
pub mod kinesis;
pub mod msk;
pub mod sns;
pub mod sqs;

use model::Part;
use model::design::Site;

use super::Write;
use super::guard::kms;
pub use crate::services::id;
use crate::services::in_each_region;
use crate::sheet::Sheet;
use crate::value::Value;

/// Who renders each kind.
pub const KINDS: &[(&str, Write)] = &[
    ("aws.eventbridge", eventbridge::write),
    ("aws.kinesis", kinesis::write),
    ("aws.msk", msk::write),
    ("aws.sns", sns::write),
    ("aws.sqs", sqs::write),
];

/// Writes it into each of its regions, and says what nobody copies between them, and what to do about it.
fn apart(
    sheet: &mut Sheet<'_>,
    part: &Part,
    one: impl Fn(&mut Sheet<'_>, &Part, &Site),
    (says, instead): (&str, &str),
) {
    in_each_region(sheet, part, one);
    if sheet.renders(part) && sheet.sites(part).len() > 1 {
        sheet.note(part, says, instead);
    }
}

/// The name in a region: the spec's, or one that is the same everywhere.
fn named(sheet: &Sheet<'_>, part: &Part, site: &Site, longest: usize) -> String {
    crate::services::physical(part, site).unwrap_or_else(|| sheet.named([part.id.as_str()], longest))
}

/// The key that the component names, if it does.
fn key(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Option<Value> {
    kms::named(sheet, part, site).map(|key| kms::arn(sheet, key, site))
}

/// For how long events are kept, in seconds, within what the service takes.
fn kept(part: &Part, (least, usual, most): (u64, u64, u64)) -> u64 {
    part.duration("events.retention").map_or(usual, |time| time.as_secs().clamp(least, most))
}
