//! Topics: one in each region. Who publishes does so in its own region; who subscribes has to in each.

use model::Part;
use model::design::Site;

use super::{apart, id, key, named};
use crate::map;
use crate::resource::{Keep, Resource};
use crate::root::Group;
use crate::sheet::{Sheet, regional};

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    let says = "subscriptions are of one topic in one region, and nothing copies them";
    let instead = "subscribe to the topic of every region: aws sns subscribe --region REGION --topic-arn ARN; whoever gets a message twice has to bear it";
    apart(sheet, part, one, (says, instead));
}

fn one(sheet: &mut Sheet<'_>, part: &Part, site: &Site) {
    let key = key(sheet, part, site).unwrap_or_else(|| "alias/aws/sns".into());
    let properties = map! {
        "TopicName" => name(sheet, part, site), "KmsMasterKeyId" => key, "Tags" => sheet.tags(Some(part)),
    };
    let asked = sheet.asked(part);
    let topic = Resource::new(Group::Data, "AWS::SNS::Topic", id(part, "topic"), asked, properties);
    // Its subscribers are known to nobody else.
    sheet.add(&regional(site), topic.keep(Keep::Retain));
}

/// The name of the topic of a region.
pub fn name(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    named(sheet, part, site, 200)
}
