//! Streams: one in each region, and nothing of AWS's copies them.

use model::Part;
use model::design::Site;

use super::{apart, id, kept, key, named};
use crate::map;
use crate::resource::{Keep, Resource};
use crate::root::Group;
use crate::sheet::{Sheet, regional};

/// Seconds: a day to a year (Kinesis Data Streams Developer Guide, "Change the data retention period").
const RETENTION: (u64, u64, u64) = (86_400, 86_400, 31_536_000);

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    let says = "nothing copies a stream to another region, and its sequence numbers mean nothing there";
    let instead = "let producers write to the stream of their region, or let a consumer of your own copy; after a failover consumers go on by time: aws kinesis get-shard-iterator --shard-iterator-type AT_TIMESTAMP, and bear what they get twice";
    apart(sheet, part, one, (says, instead));
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let shards = part.at(&site.id).count("usage.instances");
    let mode = map! { "StreamMode" => if shards.is_some() { "PROVISIONED" } else { "ON_DEMAND" } };
    let key = key(sheet, part, site).unwrap_or_else(|| "alias/aws/kinesis".into());
    let properties = map! {
        "Name" => name(sheet, part, site), "StreamModeDetails" => mode, "RetentionPeriodHours" => retention(part).div_ceil(3600),
    };
    let properties = properties
        .with_some("ShardCount", shards.map(|shards| shards.max(1)))
        .with("StreamEncryption", map! { "EncryptionType" => "KMS", "KeyId" => key })
        .with("Tags", sheet.tags(Some(part)));
    let asked = sheet.asked(part);
    let stream = Resource::new(Group::Data, "AWS::Kinesis::Stream", id(part, "stream"), asked, properties);
    sheet.add(&regional(site), stream.keep(Keep::Retain));
}

/// The name of the stream, which its metrics have.
pub fn name(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    named(sheet, part, site, 128)
}

/// Seconds for which a record can be read.
pub fn retention(part: &Part) -> u64 {
    kept(part, RETENTION)
}
