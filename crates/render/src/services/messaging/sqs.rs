//! Queues: one in each region, each with one for what nobody can process.

use model::Part;
use model::design::Site;

use super::{apart, id, kept, key, named};
use crate::resource::{Keep, Resource, Target};
use crate::root::Group;
use crate::sheet::{Sheet, regional};
use crate::value::{Map, Value};
use crate::{list, map};

/// Seconds: what SQS takes, and its default (SQS Developer Guide, "Message retention").
const RETENTION: (u64, u64, u64) = (60, 345_600, 1_209_600);
/// After so many tries a message is put aside: enough for a consumer that restarts, not for ever.
const TRIES: u64 = 5;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    let says =
        "nothing copies a queue to another region: what waits in the region that is lost comes back with it, old";
    let instead = "make the messages again from their source (an outbox) in the region that takes over, and purge or redrive the old ones before their consumers start: aws sqs purge-queue --queue-url URL";
    apart(sheet, part, one, (says, instead));
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let fifo = fifo(part);
    let aside = !matches!(part.word("events.poison"), Some("skip" | "block"));
    let redrive = aside.then(|| {
        let rest = map! { "QueueName" => called(&format!("{}-dead", base(sheet, part, site)), fifo), "MessageRetentionPeriod" => RETENTION.2 };
        let dead = queue(sheet, part, site, "dead letters", fifo, rest);
        map! { "deadLetterTargetArn" => dead.att("Arn"), "maxReceiveCount" => TRIES }
    });
    let rest = map! { "QueueName" => name(sheet, part, site), "MessageRetentionPeriod" => kept(part, RETENTION) };
    let rest = rest.with_some("RedrivePolicy", redrive);
    let same = (fifo && part.word("events.duplicates") == Some("deduplicated")).then_some(true);
    queue(sheet, part, site, "queue", fifo, rest.with_some("ContentBasedDeduplication", same));
}

fn fifo(part: &Part) -> bool {
    matches!(part.word("events.ordering"), Some("key" | "partition" | "global"))
}

fn called(name: &str, fifo: bool) -> String {
    if fifo { format!("{name}.fifo") } else { name.to_owned() }
}

/// Without the end that every queue in order has to have.
fn base(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    let name = named(sheet, part, site, 70);
    name.strip_suffix(".fifo").map_or(name.clone(), str::to_owned)
}

/// The name of the queue of a region.
pub fn name(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    match sheet.renders(part) {
        true => called(&base(sheet, part, site), fifo(part)),
        false => named(sheet, part, site, 70),
    }
}

/// The name of the queue itself, or of what is put aside: what metrics have.
pub fn queue_name(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Value {
    let target = sheet.target(&regional(site), id(part, "queue"));
    if sheet.renders(part) { target.att("QueueName") } else { name(sheet, part, site).into() }
}

pub fn dead_letters(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Option<Value> {
    let (root, id) = (regional(site), id(part, "dead letters"));
    sheet.has(&root, &id).then(|| sheet.target(&root, id).att("QueueName"))
}

/// A queue whose messages outlive the template, reached over TLS only.
fn queue(sheet: &mut Sheet<'_>, part: &Part, site: &Site, what: &str, fifo: bool, rest: Map) -> Target {
    let (root, asked) = (regional(site), sheet.asked(part));
    let key = key(sheet, part, site).unwrap_or_else(|| "alias/aws/sqs".into());
    let mut properties = rest.with_some("FifoQueue", fifo.then_some(true));
    properties.set("KmsMasterKeyId", key);
    properties.set("Tags", sheet.tags(Some(part)));
    let queue = Resource::new(Group::Data, "AWS::SQS::Queue", id(part, what), asked.clone(), properties);
    let queue = sheet.add(&root, queue.keep(Keep::Retain));
    let plain = map! {
        "Sid" => "Encrypted", "Effect" => "Deny", "Principal" => map! { "AWS" => "*" }, "Action" => "sqs:*",
        "Resource" => queue.att("Arn"), "Condition" => map! { "Bool" => map! { "aws:SecureTransport" => "false" } },
    };
    let policy = map! {
        "Queues" => list![queue.get()],
        "PolicyDocument" => map! { "Version" => "2012-10-17", "Statement" => list![plain] },
    };
    let policy =
        Resource::new(Group::Data, "AWS::SQS::QueuePolicy", id(part, &format!("{what} policy")), asked, policy);
    sheet.add(&root, policy);
    queue
}
