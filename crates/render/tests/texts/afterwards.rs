//! What a recovery leaves behind it: nothing shrinks, nothing rings for ever, and the way back is on the page.

use antipode_render::runbook::Standing;
use model::catalogue::ActName;

use crate::runbook::{SPEC, call, in_order, pages};

/// A region that waits may have none at night; one that serves may not.
#[test]
fn what_took_over_does_not_shrink_to_what_a_standby_has() {
    let grow = call("web", ActName::Scale, "autoscaling:SetDesiredCapacity", None, Standing::Holds);
    let (there, back) = pages(&SPEC.replace("capacity: 50%", "capacity: 0%"), &grow);
    in_order(
        &there,
        &[
            "Grow `web`",
            "--desired-capacity 4",
            "Keep `web` from shrinking",
            "aws autoscaling update-auto-scaling-group --auto-scaling-group-name \"$WEB_EU_WEST_1\" --region eu-west-1 --min-size 4",
            "Validate:",
            "[MinSize,DesiredCapacity,MaxSize]",
            "## Afterwards",
            "bash deploy.sh eu-west-1 --set TookOver=yes",
        ],
    );
    assert!(!back.contains("--min-size"), "{back}");
    in_order(&back, &["## Afterwards", "bash deploy.sh eu-west-1 --set TookOver=no"]);
    let (there, _) = pages(&SPEC.replace(", capacity: 50%", ""), &grow);
    assert!(!there.contains("--min-size") && !there.contains("TookOver"), "both have as many: {there}");

    let tasks = "web: { kind: aws.fargate, behind: lb, peak: 6, usage: { vcpus: 1, memory: 2GB } }\n  old:";
    let grow = call("web", ActName::Scale, "ecs:UpdateService", None, Standing::Holds);
    let (there, _) = pages(&SPEC.replace("web:", tasks), &grow);
    in_order(
        &there,
        &[
            "--desired-count 6",
            "aws application-autoscaling register-scalable-target --service-namespace ecs --scalable-dimension ecs:service:DesiredCount --resource-id \"service/$WEB_EU_WEST_1/$WEB_EU_WEST_1\" --min-capacity 6 --region eu-west-1",
        ],
    );
    let nodes = SPEC.replace("web: { kind: aws.asg, behind: lb,", "web: { kind: aws.eks,");
    let (there, _) = pages(&nodes, &call("web", ActName::Scale, "the cluster's API", None, Standing::Holds));
    in_order(&there, &["--scaling-config desiredSize=4,minSize=4", "from a machine in the network of eu-west-1"]);
}

/// What was promoted has no lag any more, and whose copy it was stays said; what it came from follows it before anybody returns.
#[test]
fn a_promoted_replica_is_told_of_and_followed_by_a_new_generation() {
    let ours = SPEC.replace("managed: adopt, id: \"db-{site}\",", "");
    let promote = call("db", ActName::Promote, "rds:PromoteReadReplica", None, Standing::Holds);
    let (there, back) = pages(&ours, &promote);
    in_order(
        &there,
        &[
            "DB_EU_WEST_1=$(aws cloudformation",
            "## Afterwards",
            "its commands are what `return-from-eu-west-1-to-us-east-1.md` has before its steps",
            "bash deploy.sh eu-west-1 --set DbPromoted=\"${DB_EU_WEST_1##*-g}\"",
        ],
    );
    in_order(
        &back,
        &[
            "that only it has is exported",
            "A new generation of `db` in us-east-1 follows the one that serves in eu-west-1",
            "Parameters[?ParameterKey=='DbGeneration'].ParameterValue",
            "Outputs[?OutputKey=='DbInstance'].OutputValue",
            "bash deploy.sh us-east-1 --set DbGeneration=$((old + 1)) --set DbSourceRegion=eu-west-1 --set DbSource=\"$serves\"",
            "Replication runs from eu-west-1 to us-east-1",
            "## Steps",
        ],
    );
    let (_, back) = pages(SPEC, &promote);
    assert!(!back.contains("A new generation"), "what is adopted is made anew by who made it: {back}");
}

#[test]
fn files_secrets_and_servers_are_copied_the_other_way_before_a_return() {
    let more = "files: { kind: aws.efs, replication: asynchronous }\n  token: { kind: aws.secrets-manager, replicated: true }\n  hosts: { kind: aws.drs }\n  lb:";
    let watch = call("www", ActName::Shift, "a failing health check", None, Standing::Holds);
    let (_, back) = pages(&SPEC.replace("lb: ", more), &watch);
    in_order(
        &back,
        &[
            "`files` is copied from eu-west-1 to us-east-1",
            "there=$(aws cloudformation describe-stacks --stack-name shop-us-east-1",
            "bash deploy.sh us-east-1 --set FilesCopiedTo= --set FilesProtection=DISABLED",
            "bash deploy.sh eu-west-1 --set FilesProtection=ENABLED --set FilesCopiedTo=\"$there\"",
            "`token` has the same value in both regions",
            "put-secret-value --secret-id shop/token",
            "replicate-secret-to-regions --secret-id shop/token --add-replica-regions Region=eu-west-1 --force-overwrite-replica-secret --region us-east-1",
            "The servers of `hosts` that run in eu-west-1 are copied back",
            "aws drs reverse-replication",
        ],
    );
}

/// An account has servers and file systems of others too.
#[test]
fn a_recovery_takes_what_is_its_own() {
    let more = "hosts: { kind: aws.drs }\n  files: { kind: aws.efs, replication: none }\n  saved: { kind: aws.backup, protects: [files] }\n  lb:";
    let spec = SPEC.replace("lb: ", more);
    let (there, _) = pages(&spec, &call("hosts", ActName::Start, "drs:StartRecovery", None, Standing::Holds));
    in_order(
        &there,
        &[
            "items[?tags.\"antipode:workload\"==`shop` && tags.\"antipode:component\"==`hosts`].sourceServerID",
            "aws drs start-recovery --source-servers $(printf 'sourceServerID=%s ' $HOSTS_SERVERS)",
            "Validate:",
        ],
    );
    let (there, _) = pages(&spec, &call("files", ActName::Restore, "backup:StartRestoreJob", None, Standing::Holds));
    in_order(
        &there,
        &[
            "keep the answer here beforehand, only us-east-1 gives it",
            "FILES_US_EAST_1=$(aws cloudformation describe-stacks --stack-name shop-us-east-1",
            "Results[?ResourceType=='EFS' && ends_with(ResourceArn,'/$FILES_US_EAST_1')]",
            "BackupPlansList[?BackupPlanName==`shop-saved-vault`] | [0].BackupPlanId",
        ],
    );
}

#[test]
fn who_reads_a_log_starts_again_with_the_brokers_of_the_other_cluster() {
    let more = "log: { kind: aws.msk, replication: asynchronous }\n  feed: { kind: aws.fargate, needs: [log], usage: { vcpus: 1, memory: 2GB } }\n  lb:";
    let moves =
        call("log", ActName::Promote, "producers and consumers move to the other cluster", None, Standing::Holds);
    let (there, _) = pages(&SPEC.replace("lb: ", more), &moves);
    in_order(
        &there,
        &[
            "aws kafka list-clusters-v2 --cluster-name-filter shop-log --region eu-west-1",
            "aws kafka get-bootstrap-brokers --cluster-arn \"$LOG_EU_WEST_1\"",
            "echo \"$LOG_BROKERS\"",
            "aws ecs update-service --cluster shop-feed --service shop-feed --force-new-deployment --region eu-west-1",
            "Validate:",
            "BytesInPerSec",
        ],
    );
}
