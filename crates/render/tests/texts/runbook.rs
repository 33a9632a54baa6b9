//! The engine's recovery as a page and as an automation: in its order, in the region that is moved to.

use antipode_render::runbook::{Call, Recovery, Standing};
use antipode_render::{Rendering, Root, Told, render_with};
use model::catalogue::{ActName, CallPlane};
use model::{ComponentId, SiteId};

use crate::specs;

pub const SPEC: &str = "workload: shop
artifact: \"7\"
objectives: { rto: 15m, rpo: 1m }
approvals: { failover: 2, failback: 1, approvers: [ana, budi] }
sites:
  us-east-1: { zones: [a, b], preferred: true }
  eu-west-1: { zones: [a, b], capacity: 50% }
components:
  www: { kind: aws.route53, record: shop.example.com, to: lb, policy: failover, shift: dns-record }
  lb:  { kind: aws.alb }
  web: { kind: aws.asg, behind: lb, peak: 4, autoscale: true }
  api: { kind: aws.route53, record: api.example.com, to: lb, shift: standby-signal, check: { path: /ready } }
  db:  { kind: aws.rds, managed: adopt, id: \"db-{site}\", replication: asynchronous }
practice:
  failover: { criteria: \"the region is lost for ten minutes\", abort: \"the first region writes again\" }
  incident: { commander: the head of operations, stakeholders: the duty officer }
";

pub fn call(component: &str, act: ActName, call: &str, region: Option<&str>, standing: Standing) -> Call {
    Call {
        component: ComponentId::new(component),
        act,
        call: call.to_owned(),
        plane: CallPlane::Control,
        region: region.map(str::to_owned),
        standing,
        instead: (standing == Standing::Refused).then(|| "Move traffic on a data plane.".to_owned()),
    }
}

fn recovery(from: &str, to: &str) -> Recovery {
    Recovery {
        from: SiteId::new(from),
        to: SiteId::new(to),
        calls: vec![
            call("db", ActName::Fence, "ec2:ReplaceNetworkAclAssociation", Some(from), Standing::BestEffort),
            call("db", ActName::Promote, "rds:PromoteReadReplica", Some(to), Standing::Holds),
            call("web", ActName::Scale, "autoscaling:SetDesiredCapacity", Some(to), Standing::Holds),
            call(
                "api",
                ActName::Shift,
                "an inverted health check of a signal in the standby region",
                Some(to),
                Standing::Holds,
            ),
            call("www", ActName::Shift, "route53:ChangeResourceRecordSets", Some("us-east-1"), Standing::Refused),
        ],
    }
}

fn rendering() -> Rendering {
    let recoveries = vec![recovery("us-east-1", "eu-west-1"), recovery("eu-west-1", "us-east-1")];
    let told = Told { recoveries, ..Told::default() };
    render_with(&specs::design("runbook", SPEC), "antipode.yaml", &told).unwrap()
}

fn text<'r>(rendering: &'r Rendering, path: &str) -> &'r str {
    &rendering.files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}")).text
}

/// Where each of these stands; all of them, in this order.
pub fn in_order(text: &str, wanted: &[&str]) {
    let mut from = 0;
    for each in wanted {
        from += text[from..].find(each).unwrap_or_else(|| panic!("{each} is not there, or too early, in\n{text}"));
    }
}

#[test]
fn a_page_has_what_a_runbook_must_have_and_the_steps_in_the_engines_order() {
    let rendering = rendering();
    let page = text(&rendering, "runbooks/leave-us-east-1-for-eu-west-1.md");
    in_order(
        page,
        &[
            "| RTO | 15m |",
            "## When\n",
            "the region is lost for ten minutes",
            "2 people of: ana, budi",
            "the head of operations",
            "## When to stop",
            "the first region writes again",
            "Keep the old writer from writing: `db`",
            "Best effort",
            "Promote `db`",
            "The commit point",
            "aws rds promote-read-replica --db-instance-identifier \"$DB_EU_WEST_1\" --region eu-west-1",
            "Validate:",
            "Grow `web`",
            "--desired-capacity 4",
            "See that eu-west-1 can serve",
            "Move the traffic of `api`",
            "aws s3api put-object --bucket \"shop-api-signal-${ACCOUNT}-eu-west-1\" --key take-over --region eu-west-1",
            "curl --silent",
            "Best effort",
            "aws s3api delete-object --bucket \"shop-api-signal-${ACCOUNT}-us-east-1\" --key take-over --region us-east-1",
            "|| echo 'not reached",
            "Move the traffic of `www`",
            "aws route53 change-resource-record-sets",
            "## Afterwards",
            "## What to say",
            "the duty officer",
            "## Measured",
            "| RPO | 1m |",
            "## What cannot be relied on",
            "`www`: route53:ChangeResourceRecordSets needs us-east-1",
        ],
    );
    assert!(page.contains("DB_EU_WEST_1=db-eu-west-1"), "{page}");
}

/// Everything but what is of best effort, or what the engine refuses, is asked of the region that is moved to.
#[test]
fn no_command_of_a_runbook_needs_the_region_that_is_left() {
    let rendering = rendering();
    for (from, to) in [("us-east-1", "eu-west-1"), ("eu-west-1", "us-east-1")] {
        let page = text(&rendering, &format!("runbooks/leave-{from}-for-{to}.md"));
        // What the engine refuses, because only us-east-1 changes records, is said so.
        let asks = |line: &&str| line.contains(&format!("--region {from}")) && !line.contains("aws route53 ");
        let asked: Vec<&str> = page.lines().filter(asks).collect();
        // A region that is lost does not answer: whoever asks it soon goes on.
        let tried = |line: &&str| line.contains("--cli-connect-timeout 5") || line.contains("undo-fence.sh");
        assert!(asked.iter().all(tried), "{asked:#?}");
        assert!(!asked.is_empty(), "nothing is asked of {from}: this test would see nothing");
    }
}

/// The fence of ours: one rule before all others in the list of the data's subnets, and a look at it; nothing waits.
#[test]
fn the_old_writer_is_shut_out_by_one_call() {
    let text_of = SPEC.replace("managed: adopt, id: \"db-{site}\",", "fence: [nacl],");
    let told = Told { recoveries: vec![recovery("us-east-1", "eu-west-1")], ..Told::default() };
    let rendering = render_with(&specs::design("runbook", &text_of), "antipode.yaml", &told).unwrap();
    let page = text(&rendering, "runbooks/leave-us-east-1-for-eu-west-1.md");
    in_order(
        page,
        &[
            "Values=data Name=tag:antipode:workload,Values=shop",
            "aws ec2 create-network-acl-entry --network-acl-id \"$DATA_ACCESS_LIST_US_EAST_1\" --rule-number 1 --ingress --protocol 6 --port-range From=5432,To=5432 --cidr-block 0.0.0.0/0 --rule-action deny --region us-east-1 --cli-connect-timeout 5 --cli-read-timeout 10 || echo",
            "Validate:",
            "aws rds promote-read-replica",
        ],
    );
    assert!(!page.contains("replace-network-acl-association"), "{page}");
    let back = text(&rendering, "runbooks/return-from-us-east-1-to-eu-west-1.md");
    assert!(back.contains("--cidr-block 10.0.0.0/8") && !back.contains("0.0.0.0/0"), "what is copied still goes out");
    let file = text(&rendering, "runbooks/leave-us-east-1-for-eu-west-1.ssm.yaml");
    in_order(file, &["create_network_acl_entry", "Api: PromoteReadReplica"]);
}

#[test]
fn each_region_has_the_automations_that_lead_to_it() {
    let rendering = rendering();
    for (here, there) in [("us-east-1", "eu-west-1"), ("eu-west-1", "us-east-1")] {
        let stack = rendering.stacks.iter().find(|stack| stack.root == Root::Region(SiteId::new(here))).unwrap();
        let documents = stack.templates.iter().flat_map(|template| &template.resources);
        let documents: Vec<&str> =
            documents.filter(|resource| resource.kind == "AWS::SSM::Document").map(|resource| &*resource.id).collect();
        assert_eq!(documents.len(), 2, "{here}: {documents:?}");
        let file = text(&rendering, &format!("runbooks/leave-{there}-for-{here}.ssm.yaml"));
        in_order(
            file,
            &[
                "schemaVersion: \"0.3\"",
                "action: aws:approve",
                "MinRequiredApprovals: 2",
                "action: aws:executeScript",
                "onFailure: Continue",
                "Api: PromoteReadReplica",
                "action: aws:waitForAwsResourceProperty",
                "Api: SetDesiredCapacity",
                "action: aws:pause",
                "Api: PutObject",
                "Key: take-over",
            ],
        );
        // What the engine refuses is no call of an automation.
        assert!(!file.contains("ChangeResourceRecordSets\n"), "{file}");
    }
}

#[test]
fn going_back_is_planned_and_approved_on_its_own() {
    let rendering = rendering();
    let page = text(&rendering, "runbooks/return-from-eu-west-1-to-us-east-1.md");
    in_order(page, &["It is planned", "1 person of: ana, budi", "Replication runs from eu-west-1 to us-east-1"]);
}

/// The pages of a recovery by one call, and of the way back.
pub fn pages(spec: &str, made: &Call) -> (String, String) {
    let recoveries = [("us-east-1", "eu-west-1"), ("eu-west-1", "us-east-1")].map(|(from, to)| Recovery {
        from: SiteId::new(from),
        to: SiteId::new(to),
        calls: vec![made.clone()],
    });
    let told = Told { recoveries: recoveries.to_vec(), ..Told::default() };
    let rendering = render_with(&specs::design("runbook", spec), "antipode.yaml", &told).unwrap();
    let page = |name: &str| text(&rendering, &format!("runbooks/{name}.md")).to_owned();
    (page("leave-us-east-1-for-eu-west-1"), page("return-from-eu-west-1-to-us-east-1"))
}

#[test]
fn the_way_back_turns_up_the_dial_that_the_way_there_turned_down() {
    let turn = call("ga", ActName::Shift, "globalaccelerator:UpdateEndpointGroup", None, Standing::Holds);
    let accelerator = "  ga:  { kind: aws.global-accelerator, to: lb, shift: manual }\n  lb:";
    let dial = |which: &str, percent: u8| {
        format!("--endpoint-group-arn \"$GA_{which}\" --region us-west-2 --traffic-dial-percentage {percent}")
    };
    let (there, back) = pages(&SPEC.replace("  lb:", accelerator), &turn);
    in_order(&there, &[&dial("TAKEN", 100), &dial("LEFT", 0)]);
    assert!(there.contains("EndpointGroupRegion=='eu-west-1'"), "{there}");
    in_order(&back, &["EndpointGroupRegion=='us-east-1'", &dial("TAKEN", 100)]);
    assert!(!back.contains(&dial("LEFT", 0)), "both serve when all is well: {back}");
    let alone = SPEC.replace("capacity: 50%", "capacity: 50%, traffic_weight: 0");
    let (_, back) = pages(&alone.replace("  lb:", accelerator), &turn);
    in_order(&back, &[&dial("TAKEN", 100), &dial("LEFT", 0)]);
}

#[test]
fn the_way_back_puts_back_the_records_that_the_way_there_took_away() {
    let change = call("www", ActName::Shift, "route53:ChangeResourceRecordSets", Some("us-east-1"), Standing::Refused);
    let www = "policy: failover, shift: dns-record";
    for policy in ["failover", "weighted", "latency"] {
        let (there, back) = pages(&SPEC.replace(www, &format!("policy: {policy}, shift: dns-record")), &change);
        in_order(
            &there,
            &["SetIdentifier=='us-east-1'", ">www-us-east-1.json", "Action: \"DELETE\"", "www-us-east-1.json"],
        );
        in_order(
            &back,
            &[
                "Parameters[?ParameterKey=='WwwAnswers'].ParameterValue",
                "bash deploy.sh us-east-1 --set WwwAnswers=yes",
                "elif [ -e www-us-east-1.json ]",
                "Action: \"UPSERT\"",
                "mv www-us-east-1.json",
            ],
        );
        assert!(!back.contains("DELETE"), "{back}");
    }
    let spec = SPEC
        .replace(www, "policy: geolocation, fallback: us-east-1, shift: dns-record")
        .replace("zones: [a, b], p", "zones: [a, b], geo: [NA, SA], p")
        .replace("capacity: 50%", "capacity: 50%, geo: [EU]");
    let (there, _) = pages(&spec, &change);
    for place in ["NA", "SA", "everybody"] {
        assert!(there.contains(&format!("SetIdentifier=='us-east-1-{place}'")), "{there}");
    }
}

/// What a list refuses is refused to the copy too, which a planned return waits for; and where one was put around the
/// database when it was left, it is in the way of who comes back.
#[test]
fn a_return_cuts_no_copy_off_and_finds_the_door_open() {
    let fence = call("db", ActName::Fence, "ec2:ReplaceNetworkAclAssociation", None, Standing::BestEffort);
    let (there, back) = pages(SPEC, &fence);
    assert!(there.contains("create-network-acl ") && !back.contains("create-network-acl"), "{back}");
    in_order(&back, &["undo-fence.sh", "Keep the old writer from writing: `db`", "DatabaseConnections"]);
    assert!(there.contains("Best effort") && !back.contains("Best effort"), "planned, it is waited for: {back}");
    let (_, back) = pages(&SPEC.replace("managed: adopt, id: \"db-{site}\",", "fence: [nacl],"), &fence);
    in_order(
        &back,
        &[
            "## Before",
            "aws ec2 describe-network-acls --region us-east-1",
            "From==`5432`",
            "delete-network-acl-entry",
            "DbGate=open",
            "## Names",
        ],
    );
    let rendering = rendering();
    let file = text(&rendering, "runbooks/leave-us-east-1-for-eu-west-1.ssm.yaml");
    in_order(file, &["undo = []", "try:", "create_network_acl", "\"answer\": str(error), \"undo\": undo"]);
    let file = text(&rendering, "runbooks/return-from-eu-west-1-to-us-east-1.ssm.yaml");
    assert!(!file.contains("create_network_acl"), "{file}");
}

/// `us-east-1` is in the names of other things too, and of other workloads.
#[test]
fn a_switch_of_ours_is_found_by_its_own_name() {
    let turn = call("www", ActName::Shift, "route53-recovery-cluster:UpdateRoutingControlState", None, Standing::Holds);
    let ours = SPEC.replace("shift: dns-record", "shift: routing-control");
    let ours = ours.replace("  lb:  {", "  arc: { kind: aws.arc-routing-control }\n  lb:  {");
    let (there, _) = pages(&ours, &turn);
    assert!(there.contains("RoutingControls[?Name=='shop-us-east-1']"), "{there}");
    let (there, _) = pages(&ours.replace("routing-control }", "routing-control, managed: adopt }"), &turn);
    assert!(there.contains("RoutingControls[?contains(Name, 'us-east-1')]"), "{there}");
}

/// The task of the region that takes over fetches what the lost one has: old, by the time it is back, and it takes away what
/// only the new one has.
#[test]
fn a_copy_by_a_clock_brings_nothing_old_over_what_is_new() {
    let shift = call("www", ActName::Shift, "route53:ChangeResourceRecordSets", Some("us-east-1"), Standing::Refused);
    let copied = "  files: { kind: aws.s3, replication: none, versioned: true }\n  fetch: { kind: aws.datasync, copies: files, deletes: replicated }\n  lb:";
    let (there, back) = pages(&SPEC.replace("  lb:", copied), &shift);
    in_order(
        &there,
        &[
            "FETCH_TASK_EU_WEST_1=$(aws cloudformation describe-stacks",
            "Stop `fetch` from fetching what us-east-1 has",
            "aws datasync update-task --task-arn \"$FETCH_TASK_EU_WEST_1\" --schedule 'ScheduleExpression=rate(1 hour),Status=DISABLED' --region eu-west-1",
            "aws datasync cancel-task-execution",
            "Move the traffic of `www`",
            "bash deploy.sh eu-west-1 --set FetchFetchesFromUsEast1=DISABLED",
        ],
    );
    in_order(
        &back,
        &[
            "Fetch with `fetch` what eu-west-1 has",
            "aws datasync start-task-execution --task-arn \"$FETCH_TASK_US_EAST_1\" --region us-east-1",
            "Move the traffic of `www`",
            "--task-arn \"$FETCH_TASK_EU_WEST_1\" --schedule 'ScheduleExpression=rate(1 hour),Status=ENABLED' --region eu-west-1",
        ],
    );
}

/// The next update of a record, for whatever reason, would write what the template holds.
#[test]
fn the_next_deployment_is_told_where_users_were_led() {
    let shift = call("www", ActName::Shift, "route53:ChangeResourceRecordSets", Some("us-east-1"), Standing::Refused);
    let (there, _) = pages(&SPEC.replace("policy: failover, shift", "policy: simple, shift"), &shift);
    in_order(&there, &["## Afterwards", "bash deploy.sh edge --set WwwLeadsTo=eu-west-1"]);
    let (there, back) = pages(SPEC, &shift);
    in_order(&there, &["## Afterwards", "bash deploy.sh us-east-1 --set WwwAnswers=no"]);
    assert!(!back.contains("WwwAnswers=no"), "those of the other stand when all is well: {back}");
    let turn = call("ga", ActName::Shift, "globalaccelerator:UpdateEndpointGroup", None, Standing::Holds);
    let (there, _) =
        pages(&SPEC.replace("  lb:", "  ga:  { kind: aws.global-accelerator, to: lb, shift: manual }\n  lb:"), &turn);
    in_order(&there, &["bash deploy.sh accelerator --set GaDialEuWest1=100 --set GaDialUsEast1=0"]);
}

/// While the gate is off, every other control is refused.
#[test]
fn the_gate_is_looked_at_before_a_switch_is_turned() {
    let turn = call("www", ActName::Shift, "route53-recovery-cluster:UpdateRoutingControlState", None, Standing::Holds);
    let ours = SPEC.replace("shift: dns-record", "shift: routing-control");
    let (there, _) = pages(&ours.replace("  lb:  {", "  arc: { kind: aws.arc-routing-control }\n  lb:  {"), &turn);
    in_order(
        &there,
        &[
            "RoutingControls[?Name=='shop-gate']",
            "get-routing-control-state --routing-control-arn \"$ARC_GATE\"",
            "RoutingControlArn=$ARC_GATE,RoutingControlState=On",
            "RoutingControlArn=$ARC_CONTROL_EU_WEST_1,RoutingControlState=On",
        ],
    );
    let (there, _) = pages(
        &ours.replace("  lb:  {", "  arc: { kind: aws.arc-routing-control, safety_rules: false }\n  lb:  {"),
        &turn,
    );
    assert!(!there.contains("ARC_GATE"), "{there}");
}

/// A fence that is only half there has to say so: the page is run by a shell whose `aws` answers nothing.
#[test]
fn a_fence_that_is_not_reached_says_so() {
    let fence = call("db", ActName::Fence, "ec2:ReplaceNetworkAclAssociation", None, Standing::BestEffort);
    let (there, _) = pages(SPEC, &fence);
    let begins = there.find("subnets=$(aws").unwrap();
    let script = &there[begins..begins + there[begins..].find("\ndone").unwrap() + 5];
    let run = |aws: &str| {
        let text =
            format!("cd \"$(mktemp -d)\"\naws() {{ {aws}; }}\n{script}\ncat undo-fence.sh 2>/dev/null || true\n");
        let output = std::process::Command::new("bash").arg("-c").arg(text).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(run("return 255"), "not reached: go on\n");
    let half = "case \"$2\" in describe-network-acls) return 255 ;; *) echo one ;; esac";
    assert_eq!(run(half), "not reached: one is open still; go on\n");
    let all = "case \"$2\" in describe-network-acls) printf 'acl\\tassociation\\n' ;; *) echo one ;; esac";
    let undo = "aws ec2 replace-network-acl-association --association-id one --network-acl-id acl --region us-east-1\n";
    assert_eq!(run(all), format!("{undo}{undo}"));
}
