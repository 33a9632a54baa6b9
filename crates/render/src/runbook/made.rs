//! From the engine's calls to a runbook: the calls in the engine's order, each with its command, and between them the
//! questions that have to be answered before the next kind of call (seed 003 sections 15 and 16).

use model::catalogue::ActName;
use model::design::Site;
use model::time::human;
use model::{Design, Part};

use crate::runbook::commands::{self, Ways};
use crate::runbook::{Approval, Call, Check, Purpose, Recovery, Runbook, Standing, Step, Work};
use crate::sheet::{Sheet, aws_region};

pub fn make(sheet: &mut Sheet<'_>, recovery: &Recovery, purpose: Purpose) -> Runbook {
    let design = sheet.design;
    let (Some(from), Some(to)) = (design.site(&recovery.from), design.site(&recovery.to)) else {
        unreachable!("a recovery is between regions of the design")
    };
    let workload = design.workload.as_str();
    let (name, title) = match purpose {
        Purpose::Failback => (
            format!("return-from-{}-to-{}", from.id, to.id),
            format!("{workload}: return from {} to {}", from.id, to.id),
        ),
        _ => {
            (format!("leave-{}-for-{}", from.id, to.id), format!("{workload}: {} is lost, go on in {}", from.id, to.id))
        }
    };
    let mut runbook = Runbook {
        name,
        title,
        purpose,
        from: Some(aws_region(from).to_owned()),
        to: aws_region(to).to_owned(),
        objectives: objectives(design),
        criteria: criteria(design, from, purpose),
        approval: approval(design, purpose),
        abort: abort(design, purpose),
        before: before(sheet, from, to, purpose),
        names: Vec::new(),
        steps: Vec::new(),
        after: after(purpose),
        gaps: Vec::new(),
    };
    steps(sheet, &mut runbook, recovery, (from, to));
    runbook
}

fn objectives(design: &Design) -> Vec<(String, String)> {
    let unsaid = || "not said".to_owned();
    vec![
        ("RTO".to_owned(), design.objectives.rto.map_or_else(unsaid, human)),
        ("RPO".to_owned(), design.objectives.rpo.map_or_else(unsaid, human)),
    ]
}

fn criteria(design: &Design, from: &Site, purpose: Purpose) -> Vec<String> {
    if purpose == Purpose::Failback {
        return vec![
            format!("{} has been healthy for long enough that nobody expects it to fail again today.", from.id)
                .replace(from.id.as_str(), "The region that is returned to"),
            "What was written while it was away has been copied back, and what only it has was exported.".to_owned(),
            "It is planned, announced, and not the end of an incident: staying is an option.".to_owned(),
        ];
    }
    let said = design.practice.text("failover.criteria").map(|text| format!("As the spec says: {text}."));
    let mut all: Vec<String> = said.into_iter().collect();
    all.push(format!(
        "{} does not serve, seen from outside it and from more than one place; not only one alarm of its own.",
        from.id
    ));
    all.push("Going is safer than staying: it is the region, and not a bad version (go back), corrupted data (restore) or a single zone (shift it away).".to_owned());
    all.push("The data that would be lost, from the last known lag, is less than the RPO, or whoever accepts the loss has said so.".to_owned());
    all
}

fn approval(design: &Design, purpose: Purpose) -> Approval {
    let people = design.approvals.as_ref().map_or(1, |known| match purpose {
        Purpose::Failback => known.failback,
        _ => known.failover,
    });
    let approvers = design.approvals.iter().flat_map(|known| &known.approvers).map(ToString::to_string).collect();
    let said = |key: &str| design.practice.text(key).map(str::to_owned);
    Approval {
        people: people.max(1),
        approvers,
        commander: said("incident.commander"),
        scribe: said("incident.scribe"),
        stakeholders: said("incident.stakeholders"),
        template: said("incident.template"),
    }
}

fn abort(design: &Design, purpose: Purpose) -> Vec<String> {
    let said = design.practice.text("failover.abort").map(|text| format!("As the spec says: {text}."));
    let mut all: Vec<String> = said.filter(|_| purpose == Purpose::Failover).into_iter().collect();
    all.push("Before the commit point: the region answers again and takes writes, or a check of this runbook fails. Undo what was done, in reverse order.".to_owned());
    all.push("After the commit point there is a new writer: go forward, or stop and call a second person. Never start the old writer again by hand.".to_owned());
    all
}

fn check(says: impl Into<String>, command: Option<String>) -> Check {
    Check { says: says.into(), command }
}

fn before(sheet: &Sheet<'_>, from: &Site, to: &Site, purpose: Purpose) -> Vec<Check> {
    let (design, workflow) = (sheet.design, crate::delivery::workflow_name(sheet));
    let (here, region) = (aws_region(to), &to.id);
    let mut all = vec![
        check(
            "What it is: a zone, a service, the region, the application only, corrupted data, an attack. This runbook is for the region.",
            None,
        ),
        check("An incident commander and a scribe are named; the scribe writes down times from now on.", None),
        check(
            "No deployment runs, and none is started: the workflow is stopped or disabled.",
            Some(format!("gh workflow disable {workflow}")),
        ),
        check(
            format!("{region} is healthy: its stack, its alarms, its load balancer."),
            Some(format!("bash deploy.sh check {region}")),
        ),
        check(
            "Nothing of this machine needs the region that is left: the calls are answered where the recovery goes.",
            Some(format!("aws sts get-caller-identity --region {here}")),
        ),
    ];
    for part in design.components.iter().filter(|part| lag(part).is_some()) {
        let bound = part.duration("objectives.rpo").or(design.objectives.rpo).map_or("the RPO".to_owned(), human);
        all.push(check(
            format!("How far the copy of `{}` was behind, last: less than {bound}.", part.id),
            lag(part).map(|metric| lag_query(metric, here)),
        ));
    }
    if purpose == Purpose::Failback {
        all.push(check(
            format!(
                "Data of {} that only it has is exported, compared, and somebody has decided about each difference.",
                region
            ),
            None,
        ));
        all.push(check(format!("Replication runs from {} to {region}, and is not behind.", from.id), None));
        all.push(check("Secrets that were rotated meanwhile, and callbacks of third parties, are right in the region that is returned to.", None));
    }
    all
}

/// The metric of the copy's lag, as it is seen in the region of the copy.
fn lag(part: &Part) -> Option<(&'static str, &'static str)> {
    match (part.kind.name.as_str(), part.word("replication")) {
        (_, None | Some("none")) => None,
        ("aws.rds", _) => Some(("AWS/RDS", "ReplicaLag")),
        ("aws.aurora-global", _) => Some(("AWS/RDS", "AuroraGlobalDBReplicationLag")),
        ("aws.dynamodb-global", _) => Some(("AWS/DynamoDB", "ReplicationLatency")),
        ("aws.s3", _) => Some(("AWS/S3", "ReplicationLatency")),
        ("aws.efs", _) => Some(("AWS/EFS", "TimeSinceLastSync")),
        _ => None,
    }
}

fn lag_query((space, metric): (&str, &str), region: &str) -> String {
    format!(
        "aws cloudwatch get-metric-data --region {region} --start-time \"$(date -u -d '-1 hour' +%FT%TZ)\" --end-time \"$(date -u +%FT%TZ)\" \\\n  --metric-data-queries '[{{\"Id\":\"lag\",\"Expression\":\"SEARCH('\"'\"'Namespace=\\\"{space}\\\" MetricName=\\\"{metric}\\\"'\"'\"', '\"'\"'Maximum'\"'\"', 60)\"}}]'"
    )
}

fn after(purpose: Purpose) -> Vec<String> {
    let mut all: Vec<&str> = vec![
        "Errors and latency are as usual, seen by users and not only by the load balancer.",
        "Writes succeed, in each of the workflows that the business cannot do without.",
        "Nothing writes to the old writer: its connections are none, its data does not change.",
        "Queues grow shorter, and nothing is processed twice.",
        "Trails, threat detection and audit logs record in the region that serves now.",
        "The variable SERVING_REGION of the repository names the region that serves now: deployments go by it.",
        "The workflow of deployments is enabled again.",
    ];
    match purpose {
        Purpose::Failback => all.push("The region that was left follows again, and a next failover would find it ready."),
        _ => all.push("There is no standby now. Replication in the other direction is the next thing to do, when the lost region is back; going back is another runbook, and a decision of its own."),
    }
    all.into_iter().map(str::to_owned).collect()
}

fn steps(sheet: &mut Sheet<'_>, runbook: &mut Runbook, recovery: &Recovery, (from, to): (&Site, &Site)) {
    let region = to.id.clone();
    let person = |id: &str, says: String, why: &str, validate: Option<String>| Step {
        id: id.to_owned(),
        says,
        why: why.to_owned(),
        commands: Vec::new(),
        validate,
        work: Work::Person,
        best_effort: false,
        commits: false,
    };
    let calls: Vec<&Call> = recovery.calls.iter().filter(|call| call.act != ActName::Detect).collect();
    let of =
        |acts: &[ActName]| -> Vec<&Call> { calls.iter().copied().filter(|call| acts.contains(&call.act)).collect() };
    let writers = of(&[ActName::Promote, ActName::Restore]);
    for call in &calls {
        let first = |acts: &[ActName]| of(acts).first().is_some_and(|first| std::ptr::eq(*first, *call));
        if first(&[ActName::Shift]) {
            let check = Some(format!("bash deploy.sh check {region}"));
            let why = "secrets, keys, configuration and rights of the region are first used now; a user must not be the one who finds out";
            runbook.steps.push(person(
                "check_before_traffic",
                format!(
                    "See that {region} can serve: synthetic requests, a write and a read of it, a secret, a decryption"
                ),
                why,
                check,
            ));
        }
        let made = step(sheet, runbook, call, (from, to));
        runbook.steps.push(made);
        let last_writer = writers.last().is_some_and(|last| std::ptr::eq(*last, *call));
        if last_writer {
            let why = "a promotion that is under way answers reads; only a write shows that it is over";
            let says = "See that the writer is in the region, by a write that is read back".to_owned();
            runbook.steps.push(person("check_writer", says, why, None));
        }
    }
    runbook.steps.push(person(
        "watch",
        "Watch errors, latency, writes and replication for as long as clients may keep old answers".to_owned(),
        "a client may go on asking the old region until its cache is empty",
        None,
    ));
}

fn step(sheet: &mut Sheet<'_>, runbook: &mut Runbook, call: &Call, (from, to): (&Site, &Site)) -> Step {
    let Some(part) = sheet.part(&call.component) else { unreachable!("a call is of a component of the design") };
    let made = commands::of(sheet, call, &Ways { part, from, to, purpose: runbook.purpose });
    for name in made.names {
        if !runbook.names.iter().any(|known| known.variable == name.variable) {
            runbook.names.push(name);
        }
    }
    let refused = call.standing == Standing::Refused;
    let whom = match &call.region {
        Some(region) => format!("answered by {region}"),
        None => "answered from many places".to_owned(),
    };
    let plane = match call.plane {
        model::catalogue::CallPlane::Control => "control plane",
        model::catalogue::CallPlane::Data => "data plane",
    };
    let mut why = format!("{}: {whom}, {plane}", call.call);
    if let Some(instead) = &call.instead {
        why = format!("{why}. {instead}");
        if refused {
            let what = format!(
                "`{}`: {} needs {}",
                call.component,
                call.call,
                call.region.as_deref().unwrap_or("another region")
            );
            runbook.gaps.push((what, instead.clone()));
        }
    }
    Step {
        id: id(call),
        says: format!("{} `{}`", verb(call.act), call.component),
        why,
        commands: made.commands,
        validate: made.validate,
        // What may not be answered is not left to an automation, which would wait for it.
        work: if refused { Work::Person } else { made.work },
        best_effort: call.standing == Standing::BestEffort,
        commits: matches!(call.act, ActName::Promote | ActName::Restore),
    }
}

fn id(call: &Call) -> String {
    let words = format!("{}_{}", verb(call.act).split(' ').next().unwrap_or_default(), call.component);
    words.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

fn verb(act: ActName) -> &'static str {
    match act {
        ActName::Detect => "Look at",
        ActName::Fence => "Keep the old writer from writing:",
        ActName::Promote => "Promote",
        ActName::Restore => "Restore",
        ActName::Start => "Start",
        ActName::Scale => "Grow",
        ActName::Deploy => "Deploy",
        ActName::Shift => "Move the traffic of",
        ActName::Follow => "Let the copies of the other region follow:",
    }
}
