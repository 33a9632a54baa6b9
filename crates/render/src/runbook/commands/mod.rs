//! The exact command of each call of the catalogue, and the query that shows whether it worked.
//!
//! What is asked of the region that is left is asked inside its own step, with short limits: no name that another step
//! needs comes from there.

mod compute;
pub mod copies;
mod data;
mod fence;
pub mod follow;
mod messaging;
mod restore;
mod traffic;

use model::catalogue::ActName;
use model::design::Site;
use model::{ComponentId, Part};

use crate::resource::Target;
use crate::runbook::names::{self, Named};
use crate::runbook::{Call, Purpose, Until, Work};
use crate::sheet::{Sheet, aws_region};
use crate::value::Map;

pub use compute::floor;
pub use data::see_writer;
pub use fence::door;

/// For a call of best effort: a region that is lost does not answer, and nobody waits for it.
pub const SOON: &str = "--cli-connect-timeout 5 --cli-read-timeout 10";

/// The call that keeps an old writer from writing by what is around it.
pub const FENCE: &str = "ec2:ReplaceNetworkAclAssociation";

/// How a call is made.
#[derive(Default)]
pub struct Made {
    pub commands: Vec<String>,
    pub validate: Option<String>,
    pub work: Work,
    pub names: Vec<Named>,
    /// What is tried besides, at the region that is left.
    pub besides: Option<Besides>,
}

pub struct Besides {
    pub says: String,
    pub commands: Vec<String>,
    pub validate: String,
    pub work: Work,
}

/// What is known of a recovery while one of its calls is written.
pub struct Ways<'w> {
    pub part: &'w Part,
    pub from: &'w Site,
    pub to: &'w Site,
    pub purpose: Purpose,
    pub act: ActName,
}

impl Ways<'_> {
    /// The regions of AWS that are left and moved to.
    fn regions(&self) -> (String, String) {
        (aws_region(self.from).to_owned(), aws_region(self.to).to_owned())
    }
}

fn by_hand(commands: Vec<String>, validate: Option<String>, names: Vec<Named>) -> Made {
    Made { commands, validate, work: Work::Person, names, besides: None }
}

/// One call of an automation, in the region that is moved to.
fn calls(service: &'static str, api: &'static str, inputs: Map, until: Option<Until>) -> Work {
    Work::Call { service, api, inputs, until }
}

/// Asks again every ten seconds until a command prints what is wanted, for a quarter of an hour at most.
fn wait(command: &str, wanted: &str) -> String {
    format!("for try in $(seq 90); do\n  [ \"$({command})\" = {wanted} ] && break\n  sleep 10\ndone")
}

pub fn of(sheet: &mut Sheet<'_>, call: &Call, ways: &Ways<'_>) -> Made {
    match call.call.as_str() {
        "rds:PromoteReadReplica" => data::promote_replica(sheet, ways),
        "rds:FailoverGlobalCluster" => data::global_cluster(sheet, ways),
        "rds:CreateDBInstance" => data::first_instance(sheet, ways),
        FENCE => fence::of(sheet, ways),
        "elasticache:FailoverGlobalReplicationGroup" => data::cache(sheet, ways),
        "secretsmanager:StopReplicationToReplica" => data::secret(sheet, ways),
        "elasticfilesystem:DeleteReplicationConfiguration" => data::files(sheet, ways),
        "kms:UpdatePrimaryRegion" => data::key(sheet, ways),
        "drs:StartRecovery" => data::servers(sheet, ways),
        "rds:RestoreDBInstanceToPointInTime" => restore::instance(sheet, ways),
        "rds:RestoreDBClusterToPointInTime" => restore::cluster(sheet, ways),
        "ec2:CreateVolume, ec2:AttachVolume" => restore::volume(sheet, ways),
        "dynamodb:RestoreTableToPointInTime" | "backup:StartRestoreJob" => restore::copy(sheet, ways),
        "autoscaling:SetDesiredCapacity" | "ec2:RunInstances" => compute::grow_group(sheet, ways),
        "ecs:UpdateService" if call.act != ActName::Deploy => compute::grow_service(sheet, ways),
        "ec2:StartInstances" => compute::start_instance(sheet, ways),
        "ec2:CopyImage" => compute::image(ways),
        "producers and consumers move to the other cluster" => messaging::moved(sheet, ways),
        "states:StartExecution" => compute::workflow(sheet, ways),
        "scheduler:UpdateSchedule" => compute::schedule(sheet, ways),
        "the cluster's API" if ways.part.kind.name == "aws.eks" => compute::cluster(sheet, ways),
        "route53:ChangeResourceRecordSets" | "the console" if ways.part.kind.name == "aws.route53" => {
            traffic::record(sheet, ways)
        }
        "route53-recovery-cluster:UpdateRoutingControlState" => traffic::controls(sheet, ways),
        "an inverted health check of a signal in the standby region" => traffic::signal(sheet, ways),
        "globalaccelerator:UpdateEndpointGroup" => traffic::accelerator(sheet, ways),
        "cloudfront:UpdateDistribution" => traffic::distribution(sheet, ways),
        "ecs:UpdateService"
        | "lambda:UpdateFunctionCode"
        | "cloudformation:CreateStack"
        | "cloudformation:CreateStackInstances"
        | "a run of the pipeline"
        | "a reconciliation"
        | "codepipeline:StartPipelineExecution" => deployed(sheet, ways.to.id.as_str()),
        "iam:CreateRole, iam:PutRolePolicy" => deployed(sheet, "global"),
        "lambda:PublishVersion, cloudfront:UpdateDistribution" => deployed(sheet, "edge"),
        other => told(ways, other),
    }
}

/// By the same script as always, where there is a stack.
fn deployed(sheet: &Sheet<'_>, stack: &str) -> Made {
    match sheet.stacks.keys().any(|root| root.name() == stack) {
        true => {
            by_hand(vec![format!("bash deploy.sh {stack}")], Some(format!("bash deploy.sh check {stack}")), Vec::new())
        }
        false => {
            by_hand(vec![format!("# nothing of {stack} is rendered: deploy it as you always do")], None, Vec::new())
        }
    }
}

/// What no single call does: a health check that fails by itself, a step of people.
fn told(ways: &Ways<'_>, call: &str) -> Made {
    let by_itself = ways.act == ActName::Shift && !call.contains("console") && !call.contains(':');
    let says = match by_itself || call.starts_with("none") {
        true => format!("# {call}: nothing is called; watch it happen"),
        false => format!("# {call}"),
    };
    by_hand(vec![says], traffic::seen(ways.part), Vec::new())
}

/// The name of a component in a region, as the recovery's commands have it.
fn own(sheet: &mut Sheet<'_>, ways: &Ways<'_>, found_by: &str) -> Named {
    names::of(sheet, ways.part, ways.to, found_by)
}

/// What makes the part's main resource in the region that is moved to, when it is rendered.
fn made_as(sheet: &Sheet<'_>, name: &Named, kind: &str) -> Option<Target> {
    let names::From::Made { target, .. } = &name.from else { return None };
    let is = |r: &crate::resource::Resource| *r.id == *target.id && r.kind.contains(kind);
    sheet.stacks[&target.root].resources.iter().any(is).then(|| target.clone())
}

/// Where another component leads to it.
fn words(id: &ComponentId, what: &str) -> [String; 2] {
    [id.to_string(), what.to_owned()]
}
