//! What a recovery leaves behind it: nothing shrinks, nothing rings for ever, and the way back is on the page.

use antipode_render::runbook::{Recovery, Standing};
use antipode_render::{Told, render_with};
use model::SiteId;
use model::catalogue::ActName;

use crate::runbook::{SPEC, call, in_order, pages};
use crate::specs;

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
    // A planned move to the region that waits leaves it alone too.
    let recovery =
        |from: &str, to: &str| Recovery { from: SiteId::new(from), to: SiteId::new(to), calls: vec![grow.clone()] };
    let told = Told { recoveries: vec![recovery("us-east-1", "eu-west-1")], ..Told::default() };
    let design = specs::design("runbook", &SPEC.replace("capacity: 50%", "capacity: 0%"));
    let rendering = render_with(&design, "antipode.yaml", &told).unwrap();
    let planned = rendering.files.iter().find(|file| file.path == "runbooks/return-from-us-east-1-to-eu-west-1.md");
    in_order(&planned.unwrap().text, &["--min-size 4", "bash deploy.sh eu-west-1 --set TookOver=yes"]);
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
            "STOP: a stack does not say what stands",
            "it follows $serves already",
            "bash deploy.sh us-east-1 --set DbGeneration=$((old + 1)) --set DbSourceRegion=eu-west-1 --set DbSource=\"$serves\"",
            "bash deploy.sh edge",
            "Replication runs from eu-west-1 to us-east-1",
            "## Steps",
            // Whoever was left before and followed nobody since has the data of then.
            "follows=$(aws rds describe-db-instances --db-instance-identifier \"$DB_US_EAST_1\" --region us-east-1",
            "*:eu-west-1:*)",
            "aws rds promote-read-replica --db-instance-identifier \"$DB_US_EAST_1\"",
            "STOP: it follows",
            "## Afterwards",
            "The region that was left follows again, and a next failover would find it ready: the commands are what `return-from-us-east-1-to-eu-west-1.md` has",
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
            "The servers of `hosts` that run in eu-west-1 are copied back",
            "aws drs reverse-replication",
            "aws drs tag-resource --resource-arn \"$reversed\" --tags antipode:workload=shop,antipode:component=hosts --region us-east-1",
            // While users are led there, what is read there stays as it is.
            "## Afterwards",
            "replicate-secret-to-regions --secret-id shop/token --add-replica-regions Region=eu-west-1 --force-overwrite-replica-secret --region us-east-1",
        ],
    );
    let stop =
        call("files", ActName::Promote, "elasticfilesystem:DeleteReplicationConfiguration", None, Standing::Holds);
    let (there, back) = pages(&SPEC.replace("lb: ", more), &stop);
    for (page, left, taken) in [(there, "us-east-1", "eu-west-1"), (back, "eu-west-1", "us-east-1")] {
        assert!(page.contains(&format!("bash deploy.sh {left} --set FilesCopiedTo=`")), "{page}");
        assert!(page.contains(&format!("bash deploy.sh {taken} --set FilesProtection=ENABLED`")), "{page}");
    }
}

/// A third region follows the one that was left, and would say that it is not behind.
#[test]
fn every_other_region_follows_the_one_that_serves() {
    let spec = SPEC.replace("managed: adopt, id: \"db-{site}\",", "");
    let spec = spec.replace("components:\n", "  us-west-2: { zones: [a, b] }\ncomponents:\n");
    let (_, back) = pages(&spec, &call("db", ActName::Promote, "rds:PromoteReadReplica", None, Standing::Holds));
    in_order(
        &back,
        &[
            "A new generation of `db` in us-east-1 follows the one that serves in eu-west-1",
            "A new generation of `db` in us-west-2 follows the one that serves in eu-west-1",
            "bash deploy.sh us-west-2 --set DbGeneration=$((old + 1)) --set DbSourceRegion=eu-west-1",
        ],
    );
}

/// The first generation is not the writer any more once there was a return.
#[test]
fn the_writer_that_is_shut_out_is_the_one_that_is_followed() {
    let fence = call("db", ActName::Fence, "ec2:ReplaceNetworkAclAssociation", None, Standing::BestEffort);
    let (there, back) = pages(&SPEC.replace("managed: adopt, id: \"db-{site}\",", ""), &fence);
    for (page, to) in [(there, "eu-west-1"), (back, "us-east-1")] {
        let asked = format!("DB_OLD=$(aws cloudformation describe-stacks --stack-name shop-{to} --region {to}");
        in_order(&page, &[&asked, "Parameters[?ParameterKey=='DbSource'].ParameterValue"]);
    }
    let (there, _) = pages(SPEC, &fence);
    assert!(there.contains("DB_OLD=db-us-east-1"), "{there}");
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

/// What a page has between two texts, as a shell runs it with an `aws` and a `deploy.sh` of ours.
fn run(page: &str, (begins, ends): (&str, &str), aws: &str) -> String {
    let from = page.find(begins).unwrap();
    let script = &page[from..from + page[from..].find(ends).unwrap() + ends.len()];
    let script: Vec<&str> = script.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
    let text = format!(
        "aws() {{ {aws}; }}\nbash() {{ echo \"bash $*\"; }}\nsleep() {{ :; }}\nDB_US_EAST_1=x\n{}\n",
        script.join("\n")
    );
    let output = std::process::Command::new("bash").arg("-c").arg(text).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Twice is once, and what is not known is not guessed.
#[test]
fn a_new_generation_is_made_once_and_never_of_what_is_not_known() {
    let ours = SPEC.replace("managed: adopt, id: \"db-{site}\",", "");
    let promote = call("db", ActName::Promote, "rds:PromoteReadReplica", None, Standing::Holds);
    let (_, back) = pages(&ours, &promote);
    let of = |follows: &str, serves: &str| {
        let aws = format!(
            "case \"$*\" in *ParameterValue*) echo 1 ;; *us-east-1*OutputValue*) echo shop-db-g1 ;; *OutputValue*) echo {serves} ;; *) echo {follows} ;; esac"
        );
        run(&back, ("old=$(aws", "\n  fi"), &aws)
    };
    let made = of("None", "db-eu-g1");
    assert!(
        made.contains(
            "deploy.sh us-east-1 --set DbGeneration=2 --set DbSourceRegion=eu-west-1 --set DbSource=db-eu-g1"
        )
    );
    assert_eq!(of("arn:aws:rds:eu-west-1:1:db:db-eu-g1", "db-eu-g1"), "it follows db-eu-g1 already\n");
    // Generations of two regions have one name.
    let of_another = of("arn:aws:rds:us-west-2:1:db:db-eu-g1", "db-eu-g1");
    assert!(of_another.contains("--set DbGeneration=2"), "it follows the one that was left: {of_another}");
    for nothing in ["None", "\"\""] {
        assert!(of("None", nothing).starts_with("STOP"), "{nothing}");
    }
}

/// A database that follows nobody has the data of the day on which it was promoted, one that follows another region that of the day
/// on which that was left.
#[test]
fn only_what_follows_the_region_that_is_left_is_promoted() {
    let promote = call("db", ActName::Promote, "rds:PromoteReadReplica", None, Standing::Holds);
    let (_, back) = pages(&SPEC.replace("managed: adopt, id: \"db-{site}\",", ""), &promote);
    let of = |follows: &str| {
        let aws = format!(
            "case \"$*\" in *promote*) echo promoted ;; *Status,*) printf 'available\\tNone\\n' ;; *) echo {follows} ;; esac"
        );
        run(
            &back,
            ("follows=$(aws rds describe-db-instances --db-instance-identifier \"$DB_US_EAST_1\"", "\nesac"),
            &aws,
        )
    };
    assert_eq!(of("arn:aws:rds:eu-west-1:1:db:one"), "promoted\n");
    for other in ["None", "\"\"", "arn:aws:rds:us-west-2:1:db:one"] {
        let said = of(other);
        assert!(said.starts_with("STOP: it follows ") && said.contains("and not eu-west-1"), "{said}");
    }
}
