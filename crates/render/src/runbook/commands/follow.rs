//! How the region that was left follows the one that serves now: what has to be so before anybody goes back. What finds its way
//! by itself (global tables and databases, buckets that copy both ways) has no command.

use model::Part;
use model::design::Site;

use super::data;
use crate::delivery;
use crate::runbook::Check;
use crate::services::{id, peers};
use crate::sheet::{Sheet, aws_region, regional};

/// For the return from `from`, which serves, to `to`.
pub fn again(sheet: &Sheet<'_>, part: &Part, (from, to): (&Site, &Site)) -> Option<Check> {
    let at = |site: &Site| part.sites.is_empty() || part.is_in(&site.id);
    if !at(from) || !at(to) {
        return None;
    }
    let copied = part.word("replication").is_some_and(|word| word != "none");
    let (says, command) = match part.kind.name.as_str() {
        "aws.rds" if copied && sheet.renders(part) => generation(sheet, part, (from, to)),
        "aws.efs" if copied && sheet.renders(part) => files(sheet, part, (from, to)),
        "aws.secrets-manager" if sheet.renders(part) => secret(sheet, part, (from, to))?,
        "aws.drs" => servers(sheet, part, from),
        _ => return None,
    };
    Some(Check { says, command: Some(command) })
}

fn said(sheet: &Sheet<'_>, site: &Site, what: &str) -> String {
    let (stack, region) = (delivery::stack_name(sheet, &regional(site)), aws_region(site));
    format!(
        "aws cloudformation describe-stacks --stack-name {stack} --region {region} --query \"Stacks[0].{what}\" --output text"
    )
}

fn output(sheet: &Sheet<'_>, site: &Site, name: &str) -> String {
    said(sheet, site, &format!("Outputs[?OutputKey=='{name}'].OutputValue"))
}

/// A new one beside the old, which stays with what only it has.
fn generation(sheet: &Sheet<'_>, part: &Part, (from, to): (&Site, &Site)) -> (String, String) {
    let [number, region, source] = ["generation", "source region", "source"].map(|what| id(part, what));
    let (there, here) = (aws_region(from), aws_region(to));
    let says = format!(
        "A new generation of `{}` in {} follows the one that serves in {}: once, after what only the old one has was exported. The old one stays beside it.",
        part.id, to.id, from.id
    );
    let old = said(sheet, to, &format!("Parameters[?ParameterKey=='{number}'].ParameterValue"));
    let serves = output(sheet, from, &id(part, "instance"));
    let command = format!(
        "old=$({old})\nserves=$({serves})\nbash deploy.sh {} --set {number}=$((old + 1)) --set {region}={there} --set {source}=\"$serves\"\naws rds describe-db-instances --region {here} --query 'DBInstances[?ReadReplicaSourceDBInstanceIdentifier].[DBInstanceIdentifier,ReadReplicaSourceDBInstanceIdentifier,StatusInfos[0].Status]' --output text   # replicating",
        to.id
    );
    (says, command)
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

/// A copy that was made independent, and perhaps changed: its value goes to where the secret is made, and from there to all.
fn secret(sheet: &Sheet<'_>, part: &Part, (from, to): (&Site, &Site)) -> Option<(String, String)> {
    let home = peers::home(sheet, part).filter(|home| home.id == to.id && part.bool("replicated") != Some(false))?;
    let (name, there, here) = (crate::services::secret_name(sheet, part), aws_region(from), aws_region(home));
    let says = format!(
        "`{}` has the same value in both regions, and is copied from {} again, where it was made independent in {}.",
        part.id, to.id, from.id
    );
    let command = format!(
        "aws secretsmanager put-secret-value --secret-id {name} --secret-string file://<(printf %s \"$(aws secretsmanager get-secret-value --secret-id {name} --region {there} --query SecretString --output text)\") --region {here}\naws secretsmanager replicate-secret-to-regions --secret-id {name} --add-replica-regions Region={there} --force-overwrite-replica-secret --region {here}\naws secretsmanager describe-secret --secret-id {name} --region {here} --query 'ReplicationStatus[].[Region,Status]' --output text   # InSync"
    );
    Some((says, command))
}

/// Disks of what was recovered are copied back to where its servers were.
fn servers(sheet: &Sheet<'_>, part: &Part, from: &Site) -> (String, String) {
    let region = aws_region(from);
    let names = data::marked_servers(sheet, part, region);
    let says = format!("The servers of `{}` that run in {} are copied back.", part.id, from.id);
    let command = format!(
        "{}\nfor server in ${}; do\n  for instance in $(aws drs describe-recovery-instances --filters \"sourceServerIDs=$server\" --region {region} --query 'items[].recoveryInstanceID' --output text); do\n    aws drs reverse-replication --recovery-instance-id \"$instance\" --region {region}\n  done\ndone\naws drs describe-recovery-instances --region {region} --query 'items[].[recoveryInstanceID,failback.state]' --output text   # FAILBACK_READY_FOR_LAUNCH",
        names.line(),
        names.variable
    );
    (says, command)
}
