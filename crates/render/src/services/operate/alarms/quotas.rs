//! Quotas of a region: whether the account may have there what the whole workload needs, which nobody notices before
//! everything has to run in it (seed 003 section 7.3).
//!
//! Two questions of each: is there room left, and is the quota itself as large as all that the spec may ever start there.

use model::Part;
use model::design::Site;

use super::alarm::{Alarm, Look, Metric, Missing};
use super::{Tells, detection::Detection};
use crate::services::compute::{self, asg, lambda};
use crate::services::is_at;
use crate::sheet::Sheet;

/// Percent of a quota; what AWS's own example takes (CloudWatch User Guide, "Visualizing your service quotas").
const NEARLY: u64 = 80;
/// Calls at once that an account may have in a region.
const CONCURRENCY: u64 = 1_000;
/// Usage is reported every five minutes, and a quota is no emergency until it is needed.
const SLOWLY: Detection = Detection { period: 300, evaluations: 3 };

/// A quota that has a metric of its use.
struct Quota {
    what: &'static str,
    /// What all the components of a region may need of it.
    needs: fn(&Part, &Site) -> Option<u64>,
    dimensions: [(&'static str, &'static str); 4],
}

const QUOTAS: [Quota; 2] = [
    Quota {
        what: "virtual CPUs of instances",
        needs: instances,
        dimensions: [("Service", "EC2"), ("Type", "Resource"), ("Resource", "vCPU"), ("Class", "Standard/OnDemand")],
    },
    Quota {
        what: "virtual CPUs of Fargate",
        needs: tasks,
        dimensions: [
            ("Service", "Fargate"),
            ("Type", "Resource"),
            ("Resource", "vCPU"),
            ("Class", "Standard/OnDemand"),
        ],
    },
];

pub fn of(sheet: &mut Sheet<'_>, site: &Site) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    for quota in QUOTAS {
        let here = sheet.design.components.iter().filter(|part| is_at(part, site));
        let needed: Vec<u64> = here.filter_map(|part| (quota.needs)(part, site)).collect();
        if needed.is_empty() {
            continue;
        }
        let dimensions = quota.dimensions.map(|(name, value)| (name, value.into()));
        let used = || ("used", Metric::new("AWS/Usage", "ResourceCount", "Maximum", dimensions.to_vec()));
        let says = format!("More than {NEARLY} % of the {} that {} may have are in use.", quota.what, site.id);
        let look = Look::Formula(vec![used()], "100 * used / SERVICE_QUOTA(used)".to_owned());
        let alarm = Alarm::of_workload(sheet, site, &format!("{} in use", quota.what), SLOWLY, look);
        alarms.push(alarm.above(NEARLY).tells(Tells::Only, says));
        let all: u64 = needed.iter().sum();
        let says = format!(
            "{} may have fewer {} than the {all} that the workload needs at its peak: ask for more before a failover does.",
            site.id, quota.what
        );
        // Where nothing runs yet nothing is reported, and the quota is not known from here.
        let look = Look::Formula(vec![used()], "SERVICE_QUOTA(used)".to_owned());
        let alarm = Alarm::of_workload(sheet, site, &format!("quota of {}", quota.what), SLOWLY, look);
        alarms.push(alarm.below(all).missing(Missing::Unknown).tells(Tells::Unready, says));
    }
    alarms.extend(concurrency(sheet, site));
    alarms
}

/// Lambda reports what is claimed of the account's concurrency, with no quota beside it. An account has 1,000 until somebody
/// asks for more (Lambda Developer Guide, "Lambda quotas"); where more is reserved it has more.
fn concurrency(sheet: &Sheet<'_>, site: &Site) -> Option<Alarm> {
    let design = sheet.design;
    let here: Vec<&Part> = design.of_kind("aws.lambda").filter(|part| is_at(part, site)).collect();
    if here.is_empty() {
        return None;
    }
    let reserved: u64 = here.into_iter().filter_map(|part| lambda::reserved(part, site)).sum();
    let look = Look::One(Metric::new("AWS/Lambda", "ClaimedAccountConcurrency", "Maximum", Vec::new()));
    let limit = CONCURRENCY.max(reserved * 100 / NEARLY) * NEARLY / 100;
    let says = format!("More than {limit} calls at once run in {}, or are reserved there.", site.id);
    let alarm = Alarm::of_workload(sheet, site, "concurrency in use", SLOWLY, look);
    Some(alarm.above(limit).tells(Tells::Only, says))
}

fn instances(part: &Part, site: &Site) -> Option<u64> {
    let class = part.at(&site.id).text("usage.class").map(str::to_owned);
    let usual = compute::usual_class(&part.kind.name)?;
    Some(asg::sizes(part, site).1 * vcpus(class.as_deref().unwrap_or(usual))?)
}

fn tasks(part: &Part, site: &Site) -> Option<u64> {
    let of_each = || part.count("usage.vcpus").unwrap_or(1);
    (part.kind.name == "aws.fargate").then(|| asg::sizes(part, site).1 * of_each())
}

/// Of the classes that the quota of standard instances counts (EC2 User Guide, "On-Demand Instance quotas"): A, C, D, H, I, M,
/// R, T and Z; what has other names, such as `inf2` or `mac2`, has quotas of its own.
fn vcpus(class: &str) -> Option<u64> {
    let (family, size) = class.split_once('.')?;
    let letters: String = family.chars().take_while(char::is_ascii_alphabetic).collect();
    if !matches!(letters.as_str(), "a" | "c" | "d" | "h" | "i" | "im" | "is" | "m" | "r" | "t" | "z") {
        return None;
    }
    match size {
        "nano" | "micro" | "small" | "medium" if letters == "t" => Some(2),
        "medium" => Some(1),
        "large" => Some(2),
        "xlarge" => Some(4),
        size => size.strip_suffix("xlarge")?.parse::<u64>().ok().map(|times| times * 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_says_how_many_cpus_of_the_standard_quota_it_takes() {
        let classes = [("t3.micro", Some(2)), ("m6g.medium", Some(1)), ("m6i.large", Some(2)), ("r7i.xlarge", Some(4))];
        let more =
            [("c7g.16xlarge", Some(64)), ("p5.48xlarge", None), ("inf2.xlarge", None), ("m6i.metal", None), ("", None)];
        for (class, count) in classes.into_iter().chain(more) {
            assert_eq!(vcpus(class), count, "{class}");
        }
    }
}
