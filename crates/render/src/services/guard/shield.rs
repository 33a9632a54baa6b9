//! Protection against floods: always there, and advanced where the spec says that it is subscribed.

use model::Part;

use crate::resource::Resource;
use crate::root::Group;
use crate::services::traffic::alb;
use crate::sheet::{Sheet, regional};
use crate::{map, names};

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) || part.bool("advanced") != Some(true) {
        return;
    }
    let design = sheet.design;
    for front in design.of_kind("aws.alb") {
        for site in sheet.sites(front) {
            let properties = map! {
                "Name" => sheet.named([front.id.as_str(), site.id.as_str()], 128),
                "ResourceArn" => alb::arn(sheet, front, site),
                "Tags" => sheet.tags(Some(part)),
            };
            let id = names::logical([part.id.as_str(), "of", front.id.as_str()]);
            let asked = sheet.asked(part);
            sheet.add(&regional(site), Resource::new(Group::Traffic, "AWS::Shield::Protection", id, asked, properties));
        }
    }
    sheet.note(
        part,
        "Shield Advanced is subscribed once for an account, for a year, and for money",
        "aws shield create-subscription, before the stacks are deployed",
    );
}
