//! A plan of ARC Region switch: the recovery of each region as AWS itself can run it, in the order of our own runbook.
//!
//! The plan stands after the regions, because it names what is in them; once it is made, each region has a copy of it that
//! runs without the others (Application Recovery Controller Developer Guide, "Region switch": its data plane is regional).
//!
//! # Rejected
//! - Triggers: an alarm would start a failover on the word of one place. Who proposes one here has a majority of vantage
//!   points, or is a person.

use std::time::Duration;

use model::design::{Site, Strategy};
use model::topology::FailoverMode;
use model::{Part, SiteId};

use super::alarms;
use crate::resource::{Resource, Target};
use crate::root::{Group, Root};
use crate::services::compute::{asg, containers, eks, floor};
use crate::services::data::{aurora, fence, rds};
use crate::services::role;
use crate::services::traffic::arc;
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::{ACCOUNT, Key, Map, PARTITION, Value};
use crate::{cat, list, map, names};

/// Steps of a workflow: a plan is one resource, and has to fit a template of 51,200 bytes with both its workflows.
const ROOM: usize = 24;
/// Of these at the same time.
const AT_ONCE: usize = 12;
/// Minutes that one step may take when the spec has no RTO.
const PATIENCE: u64 = 60;

const SERVICE: &str = "arc-region-switch.amazonaws.com";

pub fn render(sheet: &mut Sheet<'_>) {
    let sites: Vec<&Site> = sheet.design.regions().collect();
    let pairs: Vec<(&Site, &Site)> =
        sites.iter().enumerate().flat_map(|(n, one)| sites[n + 1..].iter().map(|other| (*one, *other))).collect();
    // The first two regions that there ever were had a plan before there were others: it keeps its name.
    let first: Vec<SiteId> = sheet.ever.iter().take(2).cloned().collect();
    for (one, other) in pairs {
        let mut plan = Plan::new(one, other, first == [one.id.clone(), other.id.clone()]);
        plan.steps(sheet);
        if !plan.blocks.is_empty() {
            plan.write(sheet);
        }
    }
}

/// A step of the workflow that activates a region; `None` in its place when it is the same whichever is activated.
struct Block {
    name: String,
    says: String,
    kind: &'static str,
    config: Map,
    /// Those of the same number run at the same time.
    stage: u8,
}

struct Plan<'d> {
    between: [&'d Site; 2],
    /// What tells its resources apart from those of another pair.
    called: Vec<&'d str>,
    blocks: Vec<Block>,
    /// What people see to before anything is promoted, because no step of a plan can: name, and what is asked.
    fences: Vec<(String, String)>,
    /// What its role may do.
    may: Vec<Value>,
}

/// The stages, in the order of a runbook: nothing is scaled before the data has its writer, and no traffic moves before that.
const WRITER: u8 = 1;
const CAPACITY: u8 = 2;
const GATE: u8 = 3;
const TRAFFIC: u8 = 4;

impl<'d> Plan<'d> {
    fn new(one: &'d Site, other: &'d Site, first: bool) -> Plan<'d> {
        let called = if first { Vec::new() } else { vec![one.id.as_str(), other.id.as_str()] };
        Plan { between: [one, other], called, blocks: Vec::new(), fences: Vec::new(), may: Vec::new() }
    }
    fn id(&self, what: &str) -> String {
        names::logical(self.called.iter().copied().chain(["switch", what]))
    }
    fn name(&self, sheet: &Sheet<'_>) -> String {
        sheet.named(self.called.iter().copied(), 32)
    }
    fn spans(&self, part: &Part) -> bool {
        self.between.iter().all(|site| part.sites.is_empty() || part.is_in(&site.id))
    }

    fn steps(&mut self, sheet: &mut Sheet<'_>) {
        let parts: Vec<&Part> = sheet.design.components.iter().filter(|part| self.spans(part)).collect();
        for part in parts {
            if self.blocks.len() >= ROOM {
                self.full(sheet, part);
                return;
            }
            match part.kind.name.as_str() {
                "aws.asg" => self.group(sheet, part),
                "aws.ecs" | "aws.fargate" if sheet.renders(part) => self.tasks(sheet, part),
                "aws.eks" => self.pods(sheet, part),
                "aws.arc-routing-control" => self.switch(sheet, part),
                "aws.rds" if part.word("replication") != Some("none") => self.replica(sheet, part),
                "aws.aurora-global" => self.cluster(sheet, part),
                _ => {}
            }
        }
    }

    fn full(&self, sheet: &mut Sheet<'_>, part: &Part) {
        let says =
            format!("a plan of Region switch has no room for it, nor for what stands after it: it has {ROOM} steps");
        sheet.note(part, says, "recover it by the runbook, or split the workload");
    }

    fn block(&mut self, part: &Part, does: &str, (stage, kind): (u8, &'static str), config: Map) {
        let (name, says) = (format!("{does} {}", part.id), format!("{does} {}", part.id));
        self.blocks.push(Block { name, says, kind, config, stage });
    }
    fn allow(&mut self, actions: &[&str], resources: Vec<Value>) {
        self.may.push(role::allow(actions, resources));
    }
    /// What only answers questions, and knows no resources.
    fn allow_asking(&mut self, actions: &[&str]) {
        self.allow(actions, vec!["*".into()]);
    }

    fn group(&mut self, sheet: &mut Sheet<'_>, part: &Part) {
        let arns: Vec<Value> = self.between.iter().map(|site| asg::arn(sheet, &Root::Edge, part, site)).collect();
        let each: Vec<Value> = arns.iter().map(|arn| map! { "Arn" => arn.clone() }.into()).collect();
        let config =
            map! { "Asgs" => each, "TargetPercent" => 100, "CapacityMonitoringApproach" => "sampledMaxInLast24Hours" };
        let config = timed(sheet, self.healthy(sheet, part, config));
        self.shrinks(sheet, part);
        self.block(part, "scale", (CAPACITY, "EC2AutoScaling"), map! { "Ec2AsgCapacityIncreaseConfig" => config });
        self.allow(&["autoscaling:UpdateAutoScalingGroup"], arns);
        self.allow_asking(&["autoscaling:DescribeAutoScalingGroups", "cloudwatch:GetMetricStatistics"]);
    }

    /// A plan says how many run, and not how few may.
    fn shrinks(&self, sheet: &mut Sheet<'_>, part: &Part) {
        let least = self.between.iter().any(|site| floor::serving(sheet, part, site).is_some());
        let says =
            "a plan of Region switch makes it larger, and its scaling may take it down again to what a standby has";
        if least && !sheet.notes.iter().any(|note| note.component == part.id && note.says == says) {
            let how =
                format!("after the plan: bash deploy.sh REGION --set {}=yes, as the runbook says", floor::TOOK_OVER);
            sheet.note(part, says, how);
        }
    }

    fn tasks(&mut self, sheet: &mut Sheet<'_>, part: &Part) {
        let (mut services, mut arns) = (Vec::new(), Vec::new());
        for site in self.between {
            let (cluster, service) = containers::named(sheet, part, site);
            let one = map! { "ClusterArn" => cluster.att("Arn"), "ServiceArn" => service.get() };
            services.push(one.into());
            arns.push(service.get());
        }
        let config = map! { "Services" => services, "TargetPercent" => 100, "CapacityMonitoringApproach" => "sampledMaxInLast24Hours" };
        let config = timed(sheet, self.healthy(sheet, part, config));
        self.shrinks(sheet, part);
        self.block(part, "scale", (CAPACITY, "ECSServiceScaling"), map! { "EcsCapacityIncreaseConfig" => config });
        self.allow(&["ecs:UpdateService", "ecs:DescribeServices"], arns);
        let scaled = |site: &Site| {
            cat!["arn:", PARTITION, ":application-autoscaling:", aws_region(site), ":", ACCOUNT, ":scalable-target/*"]
        };
        self.allow(&["application-autoscaling:RegisterScalableTarget"], self.between.map(scaled).to_vec());
        let asking = [
            "ecs:DescribeClusters",
            "ecs:ListServices",
            "application-autoscaling:DescribeScalableTargets",
            "cloudwatch:GetMetricStatistics",
        ];
        self.allow_asking(&asking);
    }

    /// Capacity is there when its load balancer says so, and not when it was asked for.
    fn healthy(&mut self, sheet: &Sheet<'_>, part: &Part, config: Map) -> Map {
        let front = part.component("behind").and_then(|id| sheet.part(&id));
        if !front.is_some_and(|front| matches!(front.kind.name.as_str(), "aws.alb" | "aws.nlb")) {
            return config;
        }
        let looks = ["elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth"];
        self.allow_asking(&looks);
        config.with("WaitELBTargetGroupHealthy", "enabled")
    }

    /// Deployments of Kubernetes, to as many pods as the other region had.
    fn pods(&mut self, sheet: &mut Sheet<'_>, part: &Part) {
        let Some(named) = eks::scaled(sheet, part) else { return };
        if named.is_empty() {
            let how = "say `scales: [NAMESPACE/NAME]`, its deployments; until then: kubectl scale --namespace NAMESPACE deployment/NAME --replicas N, by the runbook";
            return sheet.note(part, "no deployment of it is named that a plan of Region switch could scale", how);
        }
        let names = self.between.map(|site| (aws_region(site), eks::name(sheet, part, site)));
        let arn = |what: &str, (region, name): &(&str, String), end: &str| {
            cat!["arn:", PARTITION, ":eks:", *region, ":", ACCOUNT, ":", what, "/", name.as_str(), end]
        };
        let clusters: Vec<Value> = names.iter().map(|name| arn("cluster", name, "")).collect();
        let each: Vec<Value> = clusters.iter().map(|arn| map! { "ClusterArn" => arn.clone() }.into()).collect();
        let scaled = named.iter().map(|(namespace, name)| {
            let here = map! { "Namespace" => namespace.as_str(), "Name" => name.as_str() };
            let both = names.iter().fold(Map::new(), |map, (region, _)| map.with((*region).to_owned(), here.clone()));
            Value::Map(map! { format!("{namespace}-{name}") => both })
        });
        let config = map! {
            "EksClusters" => each, "KubernetesResourceType" => map! { "ApiVersion" => "apps/v1", "Kind" => "Deployment" },
            "ScalingResources" => scaled.collect::<Vec<Value>>(), "TargetPercent" => 100, "CapacityMonitoringApproach" => "sampledMaxInLast24Hours",
        };
        let config = timed(sheet, config);
        self.block(part, "scale", (CAPACITY, "EKSResourceScaling"), map! { "EksResourceScalingConfig" => config });
        self.allow(&["eks:DescribeCluster"], clusters);
        let entries = names.iter().map(|name| arn("access-entry", name, "/*"));
        self.allow(&["eks:ListAssociatedAccessPolicies"], entries.collect());
        let role = names::logical(self.called.iter().copied().chain(["switch role"]));
        let how = match sheet.renders(part) {
            true => format!("bash deploy.sh REGION --set {}=ARN", eks::let_in_how(part)),
            false => "aws eks create-access-entry, and associate-access-policy with AmazonARCRegionSwitchScalingPolicy for those namespaces".to_owned(),
        };
        let how = format!("when the stack edge stands, in both regions, with the ARN of its role {role}: {how}");
        sheet.note(part, "a plan of Region switch scales its deployments once each cluster lets it in", how);
    }

    /// On for the region that is activated, off for the other.
    fn switch(&mut self, sheet: &mut Sheet<'_>, part: &Part) {
        let [one, other] = self.between;
        let arns = [arc::own(sheet, &Root::Edge, part, one), arc::own(sheet, &Root::Edge, part, other)];
        let states = |on: usize| -> Value {
            let each = arns.iter().enumerate().map(|(n, arn)| {
                map! { "RoutingControlArn" => arn.clone(), "State" => if n == on { "On" } else { "Off" } }.into()
            });
            Value::List(each.collect())
        };
        let controls = map! { aws_region(one).to_owned() => states(0), aws_region(other).to_owned() => states(1) };
        // Somebody closes it in order that nothing moves: only people open it, and a plan that starts by itself fails before it.
        let gate = arc::gate(sheet, part).filter(|_| approvals(sheet) > 0);
        if let Some(gate) = &gate {
            self.fences.push((
                format!("ask about the gate of {}", part.id),
                format!("The gate of {} is on; or whoever froze the controls by it has said that they may move, and the plan opens it", part.id),
            ));
            let on = || list![map! { "RoutingControlArn" => gate.clone(), "State" => "On" }];
            let both = map! { aws_region(one).to_owned() => on(), aws_region(other).to_owned() => on() };
            let config = timed(sheet, map! { "RegionAndRoutingControls" => both });
            self.block(
                part,
                "open the gate of",
                (GATE, "ARCRoutingControl"),
                map! { "ArcRoutingControlConfig" => config },
            );
        }
        let config = timed(sheet, map! { "RegionAndRoutingControls" => controls });
        self.block(part, "turn", (TRAFFIC, "ARCRoutingControl"), map! { "ArcRoutingControlConfig" => config });
        let turn =
            ["route53-recovery-cluster:GetRoutingControlState", "route53-recovery-cluster:UpdateRoutingControlStates"];
        self.allow(&turn, arns.into_iter().chain(gate).collect());
        self.allow_asking(&[
            "route53-recovery-control-config:DescribeControlPanel",
            "route53-recovery-control-config:DescribeCluster",
        ]);
    }

    /// A graceful execution switches over; an ungraceful one fails over, and loses what was not copied.
    fn cluster(&mut self, sheet: &mut Sheet<'_>, part: &Part) {
        let whole = aurora::global_name(sheet, part);
        let arn = |sheet: &Sheet<'_>, site: &Site| {
            let name = aurora::identifier(sheet, part, site);
            cat!["arn:", PARTITION, ":rds:", aws_region(site), ":", ACCOUNT, ":cluster:", name]
        };
        let clusters: Vec<Value> = self.between.iter().map(|site| arn(sheet, site)).collect();
        let config = map! {
            "GlobalClusterIdentifier" => whole.clone(), "DatabaseClusterArns" => clusters.clone(),
            "Behavior" => "switchoverOnly", "Ungraceful" => map! { "Ungraceful" => "failover" },
        };
        let config = timed(sheet, config);
        self.block(part, "promote", (WRITER, "AuroraGlobalDatabase"), map! { "GlobalAuroraConfig" => config });
        let whole = cat!["arn:", PARTITION, ":rds::", ACCOUNT, ":global-cluster:", whole];
        let both = std::iter::once(whole).chain(clusters).collect();
        self.allow(&["rds:FailoverGlobalCluster", "rds:SwitchoverGlobalCluster"], both);
        self.allow_asking(&["rds:DescribeGlobalClusters", "rds:DescribeDBClusters"]);
    }

    fn replica(&mut self, sheet: &mut Sheet<'_>, part: &Part) {
        let mut instances = Map::new();
        for site in self.between {
            let name = rds::identifier(sheet, part, site);
            let arn = cat!["arn:", PARTITION, ":rds:", aws_region(site), ":", ACCOUNT, ":db:", name];
            instances.set(aws_region(site).to_owned(), arn);
        }
        let arns = instances.0.iter().map(|(_, arn)| arn.clone()).collect();
        let config = timed(sheet, map! { "DbInstanceArnMap" => instances });
        self.block(
            part,
            "promote",
            (WRITER, "RdsPromoteReadReplica"),
            map! { "RdsPromoteReadReplicaConfig" => config },
        );
        self.allow(&["rds:PromoteReadReplica", "rds:ModifyDBInstance"], arns);
        self.allow_asking(&["rds:DescribeDBInstances"]);
        let shut = match fence::by_list(part) {
            true => "the runbook's fence, one rule of its access list",
            false => "its access list, or its security group",
        };
        self.fences.push((
            format!("shut out {}", part.id),
            format!("The writer of {} that is left takes no writes ({shut}), or does not answer and somebody has said what may be lost", part.id),
        ));
        sheet.note(
            part,
            "a plan of Region switch promotes its replica, and cannot stop the instance that is left from taking writes: it asks people to",
            format!("shut it first where it can be reached, by the runbook's fence; a promotion without it makes two writers. After the plan: bash deploy.sh REGION --set {}=GENERATION, as the runbook says", crate::services::id(part, "promoted")),
        );
    }

    fn write(self, sheet: &mut Sheet<'_>) {
        let asked = sheet.asked_by("objectives.rto");
        let name = self.name(sheet);
        let times = approvals(sheet);
        // Whoever sees to a writer that is left is asked, where nobody has to approve the rest too.
        let asks = times > 0 || !self.fences.is_empty();
        let approver = if asks { Some((times, self.approver(sheet, &name))) } else { None };
        let role = self.role(sheet);
        let watched: Vec<(Key, Value)> = self.between.iter().filter_map(|site| watched(sheet, site)).collect();
        let preferred = sheet.design.preferred().map_or("", aws_region);
        // Only said when the plan is made: which region is active is known to the plan by its executions.
        let first = sheet.state(
            &Root::Edge,
            &self.id("first region"),
            "The region that was active when the plan was made.",
            preferred,
        );
        let both_serve = sheet.design.strategy == Some(Strategy::ActiveActive);
        let mut workflows = Vec::new();
        for site in self.between {
            let steps = self.workflow(sheet, approver.as_ref());
            let region = aws_region(site);
            workflows.push(map! {
                "WorkflowTargetAction" => "activate", "WorkflowTargetRegion" => region,
                "WorkflowDescription" => format!("Makes {} serve", site.id), "Steps" => steps,
            });
        }
        let regions: Vec<Value> = self.between.iter().map(|site| aws_region(site).into()).collect();
        let rto = sheet.design.objectives.rto.map(|rto| minutes(rto).clamp(1, 10_080));
        let properties = map! {
            "Name" => name,
            "Description" => format!("Recovers {}", sheet.design.workload),
            "Regions" => regions,
            "RecoveryApproach" => if both_serve { "activeActive" } else { "activePassive" },
        };
        let alarms = (!watched.is_empty()).then_some(Map(watched));
        let properties = properties
            .with_some("PrimaryRegion", (!both_serve).then_some(first))
            .with_some("RecoveryTimeObjectiveMinutes", rto)
            .with_some("AssociatedAlarms", alarms)
            .with("ExecutionRole", role.att("Arn"))
            .with("Workflows", Value::List(workflows.into_iter().map(Value::Map).collect()))
            .with("Tags", sheet.tag_map(None));
        let plan = self.id("plan");
        sheet.add(&Root::Edge, Resource::new(Group::Control, "AWS::ARCRegionSwitch::Plan", plan, asked, properties));
    }

    /// The steps that make a region serve: approvals first, then stage by stage.
    fn workflow(&self, sheet: &Sheet<'_>, approver: Option<&(u32, Target)>) -> Vec<Value> {
        let mut steps = Vec::new();
        for n in 0..approver.map_or(0, |(times, _)| *times) {
            let approval = approver
                .map(|(_, role)| map! { "ApprovalRole" => role.att("Arn"), "TimeoutMinutes" => patience(sheet) });
            let config = map! { "ExecutionApprovalConfig" => approval.unwrap_or_default() };
            steps.push(step(&format!("approve {}", n + 1), "Somebody who may says yes", "ManualApproval", config));
        }
        for (name, says) in &self.fences {
            let asks = approver.map(|(_, role)| role.att("Arn"));
            let config = map! { "TimeoutMinutes" => patience(sheet) }.with_some("ApprovalRole", asks);
            steps.push(step(name, says, "ManualApproval", map! { "ExecutionApprovalConfig" => config }));
        }
        for stage in [WRITER, CAPACITY, GATE, TRAFFIC] {
            let of: Vec<Value> = self
                .blocks
                .iter()
                .filter(|block| block.stage == stage)
                .map(|block| step(&block.name, &block.says, block.kind, block.config.clone()))
                .collect();
            if of.len() < 2 {
                steps.extend(of);
                continue;
            }
            for (n, piece) in of.chunks(AT_ONCE).enumerate() {
                let name =
                    if n == 0 { stage_name(stage).to_owned() } else { format!("{} {}", stage_name(stage), n + 1) };
                let config = map! { "ParallelConfig" => map! { "Steps" => piece.to_vec() } };
                steps.push(step(&name, stage_name(stage), "Parallel", config));
            }
        }
        steps
    }

    /// Who the plan is while it runs.
    fn role(&self, sheet: &mut Sheet<'_>) -> Target {
        let name = self.name(sheet);
        let plan = cat!["arn:", PARTITION, ":arc-region-switch::", ACCOUNT, ":plan/", name, ":*"];
        let mut statements = vec![role::allow(
            &[
                "arc-region-switch:GetPlan",
                "arc-region-switch:GetPlanExecution",
                "arc-region-switch:ListPlanExecutions",
            ],
            vec![plan],
        )];
        for statement in &self.may {
            if !statements.contains(statement) {
                statements.push(statement.clone());
            }
        }
        statements
            .push(role::allow(&["cloudwatch:DescribeAlarms", "cloudwatch:DescribeAlarmHistory"], vec!["*".into()]));
        let what = format!("{} switch", self.called.join(" "));
        let target = role::of_workload(sheet, &Root::Edge, (Group::Control, what.trim()), SERVICE, statements);
        // The plan asks about itself whether it could do what it has to (Developer Guide, "Plan evaluation").
        let simulate = role::allow(&["iam:SimulatePrincipalPolicy"], vec![target.att("Arn")]);
        let policy = map! {
            "PolicyName" => "evaluation", "Roles" => list![target.get()], "PolicyDocument" => role::policy(vec![simulate]),
        };
        let asked = sheet.asked_by("workload");
        sheet.add(&Root::Edge, Resource::new(Group::Control, "AWS::IAM::Policy", self.id("evaluation"), asked, policy));
        target
    }

    /// Who may say yes: somebody of this account who has signed in with a second factor, and nothing else is theirs.
    fn approver(&self, sheet: &mut Sheet<'_>, plan: &str) -> Target {
        let people = map! {
            "Effect" => "Allow", "Principal" => map! { "AWS" => cat!["arn:", PARTITION, ":iam::", ACCOUNT, ":root"] },
            "Action" => "sts:AssumeRole", "Condition" => map! { "Bool" => map! { "aws:MultiFactorAuthPresent" => "true" } },
        };
        let plan = cat!["arn:", PARTITION, ":arc-region-switch::", ACCOUNT, ":plan/", plan, ":*"];
        let yes = role::allow(
            &["arc-region-switch:ApprovePlanExecutionStep", "arc-region-switch:GetPlanExecution"],
            vec![plan],
        );
        let properties = map! {
            "AssumeRolePolicyDocument" => role::policy(vec![people.into()]),
            "Policies" => list![map! { "PolicyName" => "approve", "PolicyDocument" => role::policy(vec![yes]) }],
            "Tags" => sheet.tags(None),
        };
        let asked = sheet.asked_by("approvals");
        let role = Resource::new(Group::Control, "AWS::IAM::Role", self.id("approver"), asked, properties);
        sheet.add(&Root::Edge, role)
    }
}

fn step(name: &str, says: &str, kind: &str, config: Map) -> Value {
    map! { "Name" => name, "Description" => says, "ExecutionBlockType" => kind, "ExecutionBlockConfiguration" => config }
        .into()
}

fn stage_name(stage: u8) -> &'static str {
    match stage {
        WRITER => "make the writer",
        CAPACITY => "scale up",
        GATE => "open the gate",
        _ => "move traffic",
    }
}

/// How many people have to say yes: none where a failover starts by itself.
fn approvals(sheet: &Sheet<'_>) -> u32 {
    let design = sheet.design;
    let asked = design.approvals.as_ref().map_or(1, |approvals| approvals.failover.max(1));
    if design.failover == FailoverMode::Automatic { 0 } else { asked }
}

fn minutes(time: Duration) -> u64 {
    time.as_secs().div_ceil(60)
}

/// A step may take what is left of the RTO, and not be given up for being slower than that: ten times as long.
fn patience(sheet: &Sheet<'_>) -> u64 {
    sheet.design.objectives.rto.map_or(PATIENCE, |rto| (minutes(rto) * 10).max(PATIENCE))
}

fn timed(sheet: &Sheet<'_>, config: Map) -> Map {
    config.with("TimeoutMinutes", patience(sheet))
}

/// The alarm by which the plan sees when a region is well again: what it measures its own recovery time by.
fn watched(sheet: &Sheet<'_>, site: &Site) -> Option<(Key, Value)> {
    alarms::impaired(sheet, site)?;
    let name = alarms::impaired_name(sheet, site);
    let arn = cat!["arn:", PARTITION, ":cloudwatch:", sheet.region(&regional(site)), ":", ACCOUNT, ":alarm:", name];
    let alarm = map! { "AlarmType" => "applicationHealth", "ResourceIdentifier" => arn };
    Some((names::physical([site.id.as_str(), "impaired"], 60).into(), alarm.into()))
}
