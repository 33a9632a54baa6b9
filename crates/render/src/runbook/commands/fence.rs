//! The old writer is kept from writing: in the region that is left, so of best effort.

use model::Part;
use model::design::Site;

use super::{Made, SOON, Ways};
use crate::map;
use crate::runbook::automation::ELSEWHERE;
use crate::runbook::names::{self, Named};
use crate::runbook::{Purpose, Work};
use crate::services::{database, fence};
use crate::sheet::{Sheet, aws_region, regional};

pub fn of(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    match sheet.renders(ways.part) && fence::stands(sheet, ways.part, ways.from) {
        true => refuse(sheet, ways),
        false if ways.purpose == Purpose::Failback => stop(sheet, ways),
        false => shut_out(sheet, ways),
    }
}

/// What may be left of a fence in the region that is gone to, from when it was left: what to see, and how to take it away.
pub fn door(sheet: &Sheet<'_>, part: &Part, to: &Site) -> (String, String) {
    let region = aws_region(to);
    if !(sheet.renders(part) && fence::stands(sheet, part, to)) {
        let says =
            format!("Clients reach `{}` in {}: the list that shut it out, if one did, is put back.", part.id, to.id);
        return (says, "[ ! -e undo-fence.sh ] || bash undo-fence.sh   # written when it was left; an automation said the same as its `undo`".to_owned());
    }
    let gate = crate::services::id(part, "gate");
    let says = format!(
        "Clients reach `{}` in {}: its list refuses nobody. A rule below {} is a recovery's: `delete-network-acl-entry`; those above are the template's: {gate}.",
        part.id,
        to.id,
        fence::FIRST_BY_TEMPLATE
    );
    let see = format!(
        "aws ec2 describe-network-acls --region {region} {} --query 'NetworkAcls[0].[NetworkAclId,Entries[?RuleAction==`deny` && !Egress && PortRange.From==`{}`].RuleNumber]' --output text   # the list, and the numbers of what it refuses: none",
        filters(sheet),
        database::port(part)
    );
    let open = format!(
        "# for each number: aws ec2 delete-network-acl-entry --network-acl-id LIST --ingress --rule-number NUMBER --region {region}\n# of the template: bash deploy.sh {} --set {gate}=open",
        to.id
    );
    (says, format!("{see}\n{open}"))
}

/// What finds the list of the data's subnets.
fn filters(sheet: &Sheet<'_>) -> String {
    format!(
        "--filters Name=tag:antipode:fence,Values=data Name=tag:antipode:workload,Values={}",
        names::quoted(&sheet.design.workload)
    )
}

/// A list around the old writer would refuse what is copied from it too, and the return waits for that.
fn stop(sheet: &Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (from, _) = ways.regions();
    let known = old_writer(sheet, ways.part, (ways.from, ways.to));
    let commands = vec![
        format!("# by hand: stop what writes to {} in {from}, and end the sessions that are open;", ways.part.id),
        "# no list of its subnets: it would cut off what the copy still has to get".to_owned(),
    ];
    let dimension = if ways.part.kind.name == "aws.rds" { "DBInstanceIdentifier" } else { "DBClusterIdentifier" };
    let see = format!(
        "aws cloudwatch get-metric-statistics --region {from} --namespace AWS/RDS --metric-name DatabaseConnections --dimensions Name={dimension},Value={} --start-time \"$(date -u -d '-5 minutes' +%FT%TZ)\" --end-time \"$(date -u +%FT%TZ)\" --period 60 --statistics Maximum --query 'Datapoints[].[Timestamp,Maximum]' --output text   # sessions, of the copy among them",
        known.shell()
    );
    super::by_hand(commands, Some(see), vec![known])
}

/// One more rule in the list of the data's own subnets, before all others. Planned, only clients are refused, so that what
/// they wrote still arrives where it is copied to.
fn refuse(sheet: &Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (part, (region, _)) = (ways.part, ways.regions());
    let (port, number) = (u32::from(database::port(part)), fence::number(sheet, part));
    let how = format!(
        "aws ec2 describe-network-acls --region {region} {} --query 'NetworkAcls[0].NetworkAclId' --output text",
        filters(sheet)
    );
    let list = ["data".to_owned(), "access list".to_owned(), ways.from.id.to_string()];
    let list = names::kept(&list, "the access list of the data's subnets", &how, &region);
    let planned = ways.purpose == Purpose::Failback;
    let whom: &[&str] = if planned { &fence::CLIENTS } else { &["0.0.0.0/0"] };
    let rule = |n: usize| (number - 1) * fence::CLIENTS.len() + n + 1;
    let entry = |verb: &str, n: usize| {
        format!(
            "aws ec2 {verb}-network-acl-entry --network-acl-id {} --rule-number {} --ingress",
            list.shell(),
            rule(n)
        )
    };
    let command = |n: usize, addresses: &str| {
        format!(
            "{} --protocol 6 --port-range From={port},To={port} --cidr-block {addresses} --rule-action deny --region {region} {SOON} || echo 'not reached, or shut already: go on'",
            entry("create", n)
        )
    };
    let mut commands: Vec<String> = whom.iter().enumerate().map(|(n, addresses)| command(n, addresses)).collect();
    let open: Vec<String> =
        (0..whom.len()).map(|n| format!("{} --region {region} {SOON}", entry("delete", n))).collect();
    commands.push(format!("# to abort before the commit point: {}", open.join("; ")));
    let inputs = map! {
        "NetworkAclId" => list.automated(), "RuleNumber" => rule(0), "Protocol" => "6", "RuleAction" => "deny", "Egress" => false,
        "CidrBlock" => "0.0.0.0/0", "PortRange" => map! { "From" => port, "To" => port },
    };
    let tried = Work::Tried {
        region: region.clone(),
        script: ELSEWHERE,
        needs: &["ec2:CreateNetworkAclEntry"],
        inputs: map! { "service" => "ec2", "call" => "create_network_acl_entry", "inputs" => inputs },
    };
    let see = format!(
        "aws ec2 describe-network-acls --network-acl-ids {} --region {region} {SOON} --query 'NetworkAcls[0].Entries[?RuleAction==`deny` && !Egress].[RuleNumber,CidrBlock,PortRange.From]' --output text",
        list.shell()
    );
    Made {
        commands,
        validate: Some(see),
        work: if planned { Work::Person } else { tried },
        names: vec![list],
        besides: None,
    }
}

/// Closes the subnets of the old writer: a new access list lets nobody in. Whoever does it keeps the way back.
const SHUT_OUT: &str = r#"import boto3
from botocore.config import Config


def handler(events, context):
    config = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 1})
    undo = []
    try:
        rds = boto3.client("rds", region_name=events["region"], config=config)
        ec2 = boto3.client("ec2", region_name=events["region"], config=config)
        found = rds.describe_db_instances(DBInstanceIdentifier=events["instance"])
        group = found["DBInstances"][0]["DBSubnetGroup"]
        subnets = [subnet["SubnetIdentifier"] for subnet in group["Subnets"]]
        closed = ec2.create_network_acl(VpcId=group["VpcId"])["NetworkAcl"]["NetworkAclId"]
        filters = [{"Name": "association.subnet-id", "Values": subnets}]
        for acl in ec2.describe_network_acls(Filters=filters)["NetworkAcls"]:
            for association in acl["Associations"]:
                if association["SubnetId"] in subnets:
                    made = ec2.replace_network_acl_association(
                        AssociationId=association["NetworkAclAssociationId"], NetworkAclId=closed
                    )
                    undo.append([made["NewAssociationId"], acl["NetworkAclId"]])
        return {"answer": "done", "undo": undo}
    except Exception as error:
        return {"answer": str(error), "undo": undo}
"#;

/// Where no list of ours stands: a new one, for the subnets of the old writer.
fn shut_out(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (from, _) = ways.regions();
    let known = old_writer(sheet, ways.part, (ways.from, ways.to));
    let aws = |call: &str| format!("aws {call} --region {from} {SOON}");
    let subnets = aws(&format!(
        "rds describe-db-instances --db-instance-identifier {} --query 'DBInstances[0].DBSubnetGroup.Subnets[].SubnetIdentifier' --output text",
        known.shell()
    ));
    let network = aws(&format!(
        "rds describe-db-instances --db-instance-identifier {} --query 'DBInstances[0].DBSubnetGroup.VpcId' --output text",
        known.shell()
    ));
    let closed = aws("ec2 create-network-acl --vpc-id \"$network\" --query NetworkAcl.NetworkAclId --output text");
    let lists = aws(
        "ec2 describe-network-acls --filters \"Name=association.subnet-id,Values=$subnet\" --query \"NetworkAcls[0].[NetworkAclId, Associations[?SubnetId=='$subnet'].NetworkAclAssociationId | [0]]\" --output text",
    );
    let replace = aws(
        "ec2 replace-network-acl-association --association-id \"$association\" --network-acl-id \"$closed\" --query NewAssociationId --output text",
    );
    // `set -e` would do nothing to the left of `||`: each call that is not answered is said.
    let undo =
        format!("aws ec2 replace-network-acl-association --association-id $new --network-acl-id $open --region {from}");
    let script = [
        format!("subnets=$({subnets}) && network=$({network}) && closed=$({closed}) || {{ subnets=; echo 'not reached: go on'; }}   # the new list lets nobody in, nor out"),
        "for subnet in $subnets; do".to_owned(),
        format!("  lists=$({lists}) && read -r open association <<<\"$lists\" && new=$({replace}) \\"),
        format!("    && echo \"{undo}\" | tee -a undo-fence.sh || echo \"not reached: $subnet is open still; go on\""),
        "done".to_owned(),
    ]
    .join("\n");
    let see = format!(
        "aws ec2 describe-network-acls --filters \"Name=association.subnet-id,Values=$(echo $subnets | tr ' ' ',')\" --region {from} {SOON} --query 'NetworkAcls[].[NetworkAclId,length(Entries[?RuleAction==`allow`])]' --output text   # of each list nothing is allowed: 0"
    );
    Made {
        commands: vec![
            "export AWS_MAX_ATTEMPTS=1".to_owned(),
            script,
            "unset AWS_MAX_ATTEMPTS".to_owned(),
            "# to abort before the commit point: bash undo-fence.sh".to_owned(),
        ],
        validate: Some(see),
        work: Work::Tried {
            region: from,
            script: SHUT_OUT,
            needs: &[
                "rds:DescribeDBInstances",
                "ec2:CreateNetworkAcl",
                "ec2:DescribeNetworkAcls",
                "ec2:ReplaceNetworkAclAssociation",
            ],
            inputs: map! { "instance" => known.automated() },
        },
        names: vec![known],
        besides: None,
    }
}

/// What the writer is called in the region that is left: it is never asked for there. A rendered one is of a generation,
/// and what follows it knows which: the region that is moved to.
fn old_writer(sheet: &Sheet<'_>, part: &Part, (from, to): (&Site, &Site)) -> Named {
    let words = [part.id.to_string(), "old".to_owned()];
    let about = format!("the writer of {} in {}, as it is called now", part.id, aws_region(from));
    let source = crate::services::id(part, "source");
    if sheet.renders(part) && sheet.has_parameter(&regional(to), &source) {
        return names::state(sheet, &words, &about, to, source);
    }
    let given = crate::services::physical(part, from).unwrap_or_else(|| sheet.named([part.id.as_str()], 50));
    names::known(&words, &about, given)
}
