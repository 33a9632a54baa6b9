//! Zonal shift: traffic leaves an impaired zone of a region, by AWS itself where autoshift is on.
//!
//! Load balancers take part by an attribute of their own; what is here is autoshift and its practice runs.

use model::Part;
use model::design::Site;

use super::alb;
use crate::resource::Resource;
use crate::root::Group;
use crate::sheet::{Sheet, regional};
use crate::value::Value;
use crate::{list, map, names};

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    let shifted = part.components("shifts").unwrap_or_default();
    let shifted: Vec<&Part> = shifted.iter().filter_map(|id| sheet.part(id)).collect();
    for site in sheet.sites(part) {
        for shifted in &shifted {
            one(sheet, part, shifted, site);
        }
    }
    for shifted in shifted.into_iter().filter(|shifted| shifted.kind.name != "aws.alb") {
        let says = format!("autoshift is rendered for application load balancers, and {} is none", shifted.id);
        let how = "aws arc-zonal-shift start-zonal-shift --resource-identifier ARN --away-from ZONE-ID --expires-in 3h --comment WHY";
        sheet.note(part, says, how);
    }
}

fn one(sheet: &mut Sheet<'_>, part: &Part, shifted: &Part, site: &Site) {
    let here = shifted.sites.is_empty() || shifted.is_in(&site.id);
    if !here || shifted.kind.name != "aws.alb" {
        return;
    }
    let (root, asked) = (regional(site), sheet.asked(part));
    let practises = part.bool("practice") != Some(false);
    let outcome = practises.then(|| outcome(sheet, part, shifted, site));
    if part.bool("autoshift") == Some(false) && outcome.is_none() {
        return;
    }
    // A practice run that hurts ends at once: the alarm says that it does.
    let practice = outcome
        .map(|alarm| map! { "OutcomeAlarms" => list![map! { "Type" => "CLOUDWATCH", "AlarmIdentifier" => alarm }] });
    let properties = map! { "ResourceIdentifier" => alb::arn(sheet, shifted, site) };
    let enabled = (part.bool("autoshift") != Some(false)).then_some("ENABLED");
    let properties =
        properties.with_some("ZonalAutoshiftStatus", enabled).with_some("PracticeRunConfiguration", practice);
    let id = names::logical([part.id.as_str(), "of", shifted.id.as_str()]);
    sheet.add(
        &root,
        Resource::new(Group::Traffic, "AWS::ARCZonalShift::ZonalAutoshiftConfiguration", id, asked, properties),
    );
}

/// The ARN of the alarm that users see errors.
fn outcome(sheet: &mut Sheet<'_>, part: &Part, shifted: &Part, site: &Site) -> Value {
    let (root, asked) = (regional(site), sheet.asked(part));
    let id = names::logical([part.id.as_str(), "outcome of", shifted.id.as_str()]);
    let balancer = alb::full_name(sheet, shifted, site);
    let properties = map! {
        "AlarmDescription" => format!("Users get errors from {} while a zone of it is left", shifted.id),
        "Namespace" => "AWS/ApplicationELB",
        "MetricName" => "HTTPCode_ELB_5XX_Count",
        "Dimensions" => list![map! { "Name" => "LoadBalancer", "Value" => balancer }],
        "Statistic" => "Sum",
        "Period" => 60,
        "EvaluationPeriods" => 3,
        "Threshold" => 10,
        "ComparisonOperator" => "GreaterThanThreshold",
        "TreatMissingData" => "notBreaching",
        "Tags" => sheet.tags(Some(part)),
    };
    sheet.add(&root, Resource::new(Group::Traffic, "AWS::CloudWatch::Alarm", id, asked, properties)).att("Arn")
}
