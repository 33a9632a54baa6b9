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
    if !practises(part) && part.bool("autoshift") != Some(false) {
        let how = "leave `practice: false` out; a shift by hand needs none: aws arc-zonal-shift start-zonal-shift";
        sheet.note(part, "AWS shifts nothing by itself without practice runs: autoshift is not rendered", how);
    }
    for shifted in &shifted {
        if shifted.kind.name != "aws.alb" || sheet.renders(shifted) {
            continue;
        }
        let says = format!("{} is adopted, and a load balancer takes part only when it says so", shifted.id);
        let how = "aws elbv2 modify-load-balancer-attributes --load-balancer-arn ARN --attributes Key=zonal_shift.config.enabled,Value=true, before the stack";
        sheet.note(part, says, how);
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
    if !practises(part) {
        return;
    }
    // A practice run that hurts ends at once: the alarm says that it does.
    let alarm = outcome(sheet, part, shifted, site);
    let practice = map! { "OutcomeAlarms" => list![map! { "Type" => "CLOUDWATCH", "AlarmIdentifier" => alarm }] };
    let properties = map! { "ResourceIdentifier" => alb::arn(sheet, shifted, site) };
    let enabled = (part.bool("autoshift") != Some(false)).then_some("ENABLED");
    let properties = properties.with_some("ZonalAutoshiftStatus", enabled).with("PracticeRunConfiguration", practice);
    let id = names::logical([part.id.as_str(), "of", shifted.id.as_str()]);
    sheet.add(
        &root,
        Resource::new(Group::Traffic, "AWS::ARCZonalShift::ZonalAutoshiftConfiguration", id, asked, properties),
    );
}

/// Whether a load balancer takes part in it.
pub fn shifts(sheet: &Sheet<'_>, balancer: &Part) -> bool {
    let named = |part: &Part| part.components("shifts").is_some_and(|shifts| shifts.contains(&balancer.id));
    sheet.of_kind("aws.arc-zonal-shift").any(named)
}

fn practises(part: &Part) -> bool {
    part.bool("practice") != Some(false)
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
