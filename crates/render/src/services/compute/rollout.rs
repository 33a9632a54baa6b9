//! How a new version takes the place of the old one inside a region, as the `rollout` of the pipeline that deploys it says,
//! and what takes it back: an alarm of the same region.
//!
//! | | part by part (`rolling`) | a few users first (`canary`) | beside the old one (`blue-green`) |
//! |---|---|---|---|
//! | ECS, Fargate | tasks, with a circuit breaker | a tenth of the requests, then all | all of them at once, the old tasks kept for a while |
//! | Lambda | a tenth more each minute | a tenth, then all | all calls at once |
//! | Auto Scaling group | one instance after the other | a tenth of the instances, then all | as many again beside the old ones, which go when all of the new are healthy |
//!
//! ECS watches alarms that it is told by name and that have to be there: so each service has one of its own, in its own
//! stack, which looks at the errors of its load balancer. One that is raised when a deployment begins is not watched by that
//! deployment (Amazon ECS Developer Guide, "How CloudWatch alarms detect Amazon ECS deployment failures"): the check before
//! traffic asks it too.

use model::Part;
use model::design::Site;

use super::super::traffic::alb;
use super::super::{id, is_at};
use super::lambda;
use crate::resource::{Condition, Given, Parameter, Resource, Target};
use crate::root::Group;
use crate::sheet::{Sheet, parameter, regional};
use crate::value::{Map, Value};
use crate::{list, map};

/// Percent of requests that may fail, while a version is new, before it is taken back.
const FAILING: u64 = 5;
/// Fewer requests in a minute than these say nothing.
const ENOUGH: u64 = 20;
/// Minutes for which the first users have a version alone, when the spec says no time.
const BAKE: u64 = 10;
/// What a canary begins with, percent.
const FIRST: u64 = 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rollout {
    Rolling,
    Canary,
    BlueGreen,
}

/// The pipelines that deploy a component: those that name it, or name nothing.
fn pipelines<'d>(sheet: &Sheet<'d>, part: &Part) -> impl Iterator<Item = &'d Part> {
    let deploys =
        |pipeline: &&Part| pipeline.components("deploys").is_none_or(|all| all.is_empty() || all.contains(&part.id));
    sheet.pipelines.iter().copied().filter(deploys)
}

/// The one of them that says how.
fn rollout<'d>(sheet: &Sheet<'d>, part: &Part) -> Option<&'d Part> {
    pipelines(sheet, part).find(|pipeline| pipeline.word("rollout").is_some())
}

/// What the pipeline that deploys a component says; `None` when none does.
pub fn said(sheet: &Sheet<'_>, part: &Part) -> Option<Rollout> {
    Some(match rollout(sheet, part)?.word("rollout")? {
        "canary" => Rollout::Canary,
        "blue-green" => Rollout::BlueGreen,
        _ => Rollout::Rolling,
    })
}

/// Minutes for which a version is watched.
pub fn bake(sheet: &Sheet<'_>, part: &Part) -> u64 {
    let said = rollout(sheet, part).and_then(|pipeline| pipeline.duration("bake"));
    said.map_or(BAKE, |time| time.as_secs().div_ceil(60).min(1_440))
}

/// As the script looks for alarms, by the beginning of their names.
fn alarm_name(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    sheet.named([part.id.as_str(), site.id.as_str(), "new version fails"], 200)
}

fn metric(id: &str, namespace: &str, name: &str, dimensions: &[(&str, Value)]) -> Value {
    let dimensions = dimensions.iter().map(|(name, value)| map! { "Name" => *name, "Value" => value.clone() }.into());
    let dimensions: Vec<Value> = dimensions.collect();
    let metric = map! { "Namespace" => namespace, "MetricName" => name, "Dimensions" => dimensions };
    let stat = map! { "Metric" => metric, "Period" => 60, "Stat" => "Sum" };
    map! { "Id" => id, "MetricStat" => stat, "ReturnData" => false }.into()
}

fn alarm(sheet: &mut Sheet<'_>, part: &Part, site: &Site, (all, failed): (Value, Value)) -> Target {
    let rate = format!("IF(requests >= {ENOUGH}, 100 * FILL(failed, 0) / requests, 0)");
    let rate = map! { "Id" => "rate", "Expression" => rate, "ReturnData" => true };
    let properties = map! {
        "AlarmName" => alarm_name(sheet, part, site),
        "AlarmDescription" => format!("More than {FAILING} % of what {} is asked fails: a version that is being deployed is taken back.", part.id),
        "Metrics" => list![rate, all, failed],
        "EvaluationPeriods" => 2,
        "DatapointsToAlarm" => 2,
        "Threshold" => FAILING,
        "ComparisonOperator" => "GreaterThanThreshold",
        "TreatMissingData" => "notBreaching",
        "Tags" => sheet.tags(Some(part)),
    };
    let asked = sheet.asked(part);
    let kind = "AWS::CloudWatch::Alarm";
    let alarm = Resource::new(Group::Compute, kind, id(part, "new version fails"), asked, properties);
    sheet.add(&regional(site), alarm)
}

/// The application load balancer in front of a component in a region.
fn front<'d>(sheet: &Sheet<'d>, part: &Part, site: &Site) -> Option<&'d Part> {
    let front = sheet.part(&part.component("behind")?)?;
    (front.kind.name == "aws.alb" && is_at(front, site)).then_some(front)
}

/// The load balancer whose requests ECS shifts from one group of targets to another, when the rollout asks for two and it
/// is ours.
pub fn two_colours<'d>(sheet: &Sheet<'d>, part: &Part, site: &Site) -> Option<&'d Part> {
    let two = matches!(said(sheet, part), Some(Rollout::Canary | Rollout::BlueGreen));
    let tasks = matches!(part.kind.name.as_str(), "aws.ecs" | "aws.fargate");
    front(sheet, part, site).filter(|front| two && tasks && sheet.renders(part) && sheet.renders(front))
}

/// The errors that users see of what stands behind a load balancer.
pub fn of_balancer(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Option<Target> {
    let front = front(sheet, part, site)?;
    let name = [("LoadBalancer", alb::full_name(sheet, front, site))];
    let all = metric("requests", "AWS/ApplicationELB", "RequestCount", &name);
    let failed = metric("failed", "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", &name);
    Some(alarm(sheet, part, site, (all, failed)))
}

/// The errors of calls by the alias, of whichever version.
pub fn of_function(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let name = lambda::name(sheet, part, site);
    let resource = format!("{name}:{}", lambda::ALIAS);
    let dimensions = [("FunctionName", Value::from(name)), ("Resource", Value::from(resource))];
    let all = metric("requests", "AWS/Lambda", "Invocations", &dimensions);
    let failed = metric("failed", "AWS/Lambda", "Errors", &dimensions);
    alarm(sheet, part, site, (all, failed))
}

/// How ECS replaces tasks.
pub fn of_tasks(sheet: &Sheet<'_>, part: &Part, how: Rollout, alarm: Option<Value>) -> Map {
    let minutes = bake(sheet, part);
    let common = map! { "MinimumHealthyPercent" => 100, "MaximumPercent" => 200 };
    let own = match how {
        // Only here can a version that does not start be told by its tasks alone.
        Rollout::Rolling => map! {
            "Strategy" => "ROLLING", "DeploymentCircuitBreaker" => map! { "Enable" => true, "Rollback" => true },
        },
        Rollout::BlueGreen => map! { "Strategy" => "BLUE_GREEN", "BakeTimeInMinutes" => minutes },
        Rollout::Canary => map! {
            "Strategy" => "CANARY", "BakeTimeInMinutes" => minutes,
            "CanaryConfiguration" => map! { "CanaryPercent" => FIRST, "CanaryBakeTimeInMinutes" => minutes },
        },
    };
    let alarms = alarm.map(|name| map! { "AlarmNames" => list![name], "Enable" => true, "Rollback" => true });
    Map([common.0, own.0].concat()).with_some("Alarms", alarms)
}

/// How CloudFormation replaces the instances of a group when a few come first or all come beside the old ones; `None` when
/// they are replaced one after the other. (CloudFormation Template Reference, "`UpdatePolicy` attribute": since July 2026.)
///
/// An instance refresh keeps the number that runs, whatever a recovery or the load made of it, and takes an old instance away
/// only when a new one is healthy. It fails when an alarm is raised, also one that was raised before; so the deployment that
/// mends a version can be told not to look at it.
///
/// # Rejected
/// `AutoScalingReplacingUpdate`, which makes a group beside the old one: the new one begins with the fewest instances that
/// there can be, because no template says how many run, and so it takes away what a recovery or the load added just when all
/// requests come to it.
pub fn of_instances(sheet: &mut Sheet<'_>, part: &Part, site: &Site, alarm: Option<Target>) -> Option<Map> {
    let seconds = 60 * bake(sheet, part);
    let most = |percent: u64| map! { "MinHealthyPercentage" => 100, "MaxHealthyPercentage" => percent };
    let how = match said(sheet, part)? {
        Rollout::Rolling => return None,
        Rollout::Canary => most(110).with("CheckpointPercentages", list![FIRST, 100]).with("CheckpointDelay", seconds),
        Rollout::BlueGreen => most(200),
    };
    let alarms = alarm.map(|alarm| {
        let about = "Whether an alarm takes a new version of instances back: `no` for a deployment that mends a version which \
                     fails, because its alarm is raised before it begins.";
        let watched = parameter("WatchesNewInstances", "String", about, Given::AtFirst("yes".to_owned()));
        let watched = Parameter { allowed: vec!["yes".to_owned(), "no".to_owned()], ..watched };
        let watched = sheet.parameter(&regional(site), watched);
        let watches = Condition::equal("WatchesNewInstances", watched, "yes");
        Value::when(watches, map! { "Alarms" => list![alarm.get()] })
    });
    let how = how.with("BakeTime", seconds).with("SkipMatching", true).with_some("AlarmSpecification", alarms);
    Some(map! { "AutoScalingInstanceRefresh" => map! { "Strategy" => "Rolling", "Preferences" => how } })
}

/// As CodeDeploy calls it: the canary that is nearest to the time that the spec says.
pub fn of_calls(sheet: &Sheet<'_>, part: &Part, how: Rollout) -> &'static str {
    match (how, bake(sheet, part)) {
        (Rollout::Rolling, _) => "CodeDeployDefault.LambdaLinear10PercentEvery1Minute",
        (Rollout::BlueGreen, _) => "CodeDeployDefault.LambdaAllAtOnce",
        (Rollout::Canary, ..=7) => "CodeDeployDefault.LambdaCanary10Percent5Minutes",
        (Rollout::Canary, ..=12) => "CodeDeployDefault.LambdaCanary10Percent10Minutes",
        (Rollout::Canary, ..=22) => "CodeDeployDefault.LambdaCanary10Percent15Minutes",
        (Rollout::Canary, _) => "CodeDeployDefault.LambdaCanary10Percent30Minutes",
    }
}
