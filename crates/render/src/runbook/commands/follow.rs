//! How the region that was left follows the one that serves now: what has to be so before anybody goes back. What finds its way
//! by itself (global tables and databases, buckets that copy both ways) has no command.

use model::Part;
use model::design::Site;

use super::data;
use crate::delivery;
use crate::root::Root;
use crate::runbook::{Check, names};
use crate::services::{id, peers};
use crate::sheet::{Sheet, aws_region, regional};

/// For the return from `from`, which serves, to `to`.
pub fn again(sheet: &Sheet<'_>, part: &Part, (from, to): (&Site, &Site)) -> Vec<Check> {
    let at = |site: &Site| part.sites.is_empty() || part.is_in(&site.id);
    if !at(from) || !at(to) {
        return Vec::new();
    }
    let copied = sheet.renders(part) && part.word("replication").is_some_and(|word| word != "none");
    let each = match part.kind.name.as_str() {
        // What neither was left nor serves follows the one that was left, until it is told.
        "aws.rds" if copied => {
            let others = sheet.peers(part, from).into_iter();
            others.map(|other| generation(sheet, part, (from, other))).collect()
        }
        "aws.efs" if copied && sheet.peers(part, from).first().is_some_and(|first| first.id == to.id) => {
            vec![files(sheet, part, (from, to))]
        }
        "aws.secrets-manager" => secret(sheet, part, (from, to)).into_iter().collect(),
        "aws.drs" => vec![servers(sheet, part, (from, to))],
        _ => Vec::new(),
    };
    each.into_iter().map(|(says, command)| Check { says, command: Some(command) }).collect()
}

fn output(sheet: &Sheet<'_>, site: &Site, name: &str) -> String {
    names::output_of(&delivery::stack_name(sheet, &regional(site)), aws_region(site), name)
}

/// A new one beside the old, which stays with what only it has. Whom one follows is told by its region too: the generations of
/// two regions have one name.
fn generation(sheet: &Sheet<'_>, part: &Part, (from, to): (&Site, &Site)) -> (String, String) {
    let [number, region, source] = ["generation", "source region", "source"].map(|what| id(part, what));
    let (there, here) = (aws_region(from), aws_region(to));
    let says = format!(
        "A new generation of `{}` in {} follows the one that serves in {}: once, after what only the old one has was exported. The old one stays beside it.",
        part.id, to.id, from.id
    );
    let old = names::parameter_of(&delivery::stack_name(sheet, &regional(to)), here, &number);
    let serves = output(sheet, from, &id(part, "instance"));
    let stands = output(sheet, to, &id(part, "instance"));
    let plan = has_plan(sheet).then_some("\n  bash deploy.sh edge   # its plan of Region switch names the new one");
    let command = format!(
        "old=$({old})\nserves=$({serves})\nfollows=$(aws rds describe-db-instances --db-instance-identifier \"$({stands})\" --region {here} --query 'DBInstances[0].ReadReplicaSourceDBInstanceIdentifier' --output text)\nif [ -z \"$old\" ] || [ -z \"$serves\" ] || [ \"$serves\" = None ]; then\n  echo 'STOP: a stack does not say what stands'\nelif [[ $follows == *\":{there}:\"*\":$serves\" ]]; then\n  echo \"it follows $serves already\"\nelse\n  bash deploy.sh {} --set {number}=$((old + 1)) --set {region}={there} --set {source}=\"$serves\"{}\nfi\naws rds describe-db-instances --region {here} --query 'DBInstances[?ReadReplicaSourceDBInstanceIdentifier].[DBInstanceIdentifier,ReadReplicaSourceDBInstanceIdentifier,StatusInfos[0].Status]' --output text   # replicating",
        to.id,
        plan.unwrap_or_default()
    );
    (says, command)
}

/// Whether a plan of Region switch names what serves.
fn has_plan(sheet: &Sheet<'_>) -> bool {
    let plan = |resource: &crate::resource::Resource| resource.kind == "AWS::ARCRegionSwitch::Plan";
    sheet.stacks.get(&Root::Edge).is_some_and(|stack| stack.resources.iter().any(plan))
}

/// The old one is written over by the copy.
fn files(sheet: &Sheet<'_>, part: &Part, (from, to): (&Site, &Site)) -> (String, String) {
    let [copied, protection, own] = ["copied to", "protection", "file system"].map(|what| id(part, what));
    let says = format!(
        "`{}` is copied from {} to {}, whose files it writes over: after what only they have was exported.",
        part.id, from.id, to.id
    );
    let (there, here) = (output(sheet, to, &own), aws_region(from));
    let command = format!(
        "there=$({there})\nbash deploy.sh {} --set {copied}= --set {protection}=DISABLED\nbash deploy.sh {} --set {protection}=ENABLED --set {copied}=\"$there\"\naws efs describe-replication-configurations --region {here} --query \"Replications[?Destinations[?FileSystemId=='$there']].Destinations[0].[Status,LastReplicatedTimestamp]\" --output text   # ENABLED",
        to.id, from.id
    );
    (says, command)
}

/// Where a secret is made, when the region that is returned to is that one.
fn home<'d>(sheet: &Sheet<'d>, part: &Part, to: &Site) -> Option<&'d Site> {
    let copied = sheet.renders(part) && part.bool("replicated") != Some(false);
    peers::home(sheet, part).filter(|home| copied && part.kind.name == "aws.secrets-manager" && home.id == to.id)
}

/// A copy that was made independent, and perhaps changed: its value goes to where the secret is made.
fn secret(sheet: &Sheet<'_>, part: &Part, (from, to): (&Site, &Site)) -> Option<(String, String)> {
    let home = home(sheet, part, to)?;
    let (name, there, here) = (crate::services::secret_name(sheet, part), aws_region(from), aws_region(home));
    let says = format!(
        "`{}` has the same value in both regions: where it was made independent in {}, that one counts.",
        part.id, from.id
    );
    let command = format!(
        "value=$(aws secretsmanager get-secret-value --secret-id {name} --region {there} --query SecretString --output text)\n[ -z \"$value\" ] || [ \"$value\" = None ] || aws secretsmanager put-secret-value --secret-id {name} --secret-string file://<(printf %s \"$value\") --region {here}\nunset value"
    );
    Some((says, command))
}

/// And from there to all again, once nobody reads the independent one.
pub fn replicated(sheet: &Sheet<'_>, part: &Part, (from, to): (&Site, &Site)) -> Option<String> {
    let home = home(sheet, part, to)?;
    let at = part.sites.is_empty() || part.is_in(&from.id);
    let (name, there, here) = (crate::services::secret_name(sheet, part), aws_region(from), aws_region(home));
    at.then(|| format!("`{}` is copied to {} again, where it was made independent: `aws secretsmanager replicate-secret-to-regions --secret-id {name} --add-replica-regions Region={there} --force-overwrite-replica-secret --region {here}`; `describe-secret` says InSync.", part.id, from.id))
}

/// Disks of what was recovered are copied back to where its servers were.
fn servers(sheet: &Sheet<'_>, part: &Part, (from, to): (&Site, &Site)) -> (String, String) {
    let (region, back) = (aws_region(from), aws_region(to));
    let mark = format!("antipode:workload={},antipode:component={}", sheet.design.workload, part.id);
    let marked = data::marked_servers(sheet, part, region);
    let says = format!("The servers of `{}` that run in {} are copied back.", part.id, from.id);
    let command = format!(
        "{}\nfor server in ${}; do\n  for instance in $(aws drs describe-recovery-instances --filters \"sourceServerIDs=$server\" --region {region} --query 'items[].recoveryInstanceID' --output text); do\n    reversed=$(aws drs reverse-replication --recovery-instance-id \"$instance\" --region {region} --query reversedDirectionSourceServerArn --output text)\n    aws drs tag-resource --resource-arn \"$reversed\" --tags {mark} --region {back}\n  done\ndone\naws drs describe-recovery-instances --region {region} --query 'items[].[recoveryInstanceID,failback.state]' --output text   # FAILBACK_READY_FOR_LAUNCH",
        marked.line(),
        marked.variable
    );
    (says, command)
}
