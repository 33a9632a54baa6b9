//! From the engine's calls to a runbook: the calls in the engine's order, each with its command, and between them the
//! questions that have to be answered before the next kind of call (seed 003 sections 15 and 16).

use model::catalogue::ActName;
use model::design::Site;
use model::time::human;
use model::{Design, Part};

use crate::runbook::commands::{self, Ways};
use crate::runbook::held;
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
        before: before(sheet, recovery, (from, to), purpose),
        names: Vec::new(),
        steps: Vec::new(),
        after: after(from, to, purpose),
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

fn before(sheet: &Sheet<'_>, recovery: &Recovery, (from, to): (&Site, &Site), purpose: Purpose) -> Vec<Check> {
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
    for part in &design.components {
        let Some(lag) = lag(part) else { continue };
        let bound = part.duration("objectives.rpo").or(design.objectives.rpo).map_or("the RPO".to_owned(), human);
        let says = format!("How far the copy of `{}` was behind, last: less than {bound}.", part.id);
        all.push(check(says, Some(lag.query(sheet, part, from, to))));
    }
    if purpose == Purpose::Failback {
        all.push(check(
            format!(
                "Data of {} that only it has is exported, compared, and somebody has decided about each difference.",
                region
            ),
            None,
        ));
        // The same that this recovery does where it leaves, an earlier one did where this one goes to: what is shut gets no copy.
        let fenced = recovery.calls.iter().filter(|call| call.call == commands::FENCE);
        for part in fenced.filter_map(|call| sheet.part(&call.component)) {
            let (says, how) = commands::door(sheet, part, to);
            all.push(check(says, Some(how)));
        }
        all.extend(design.components.iter().flat_map(|part| commands::follow::again(sheet, part, (from, to))));
        all.push(check(format!("Replication runs from {} to {region}, and is not behind.", from.id), None));
        all.push(check("Secrets that were rotated meanwhile, and callbacks of third parties, are right in the region that is returned to.", None));
    }
    all
}

/// The metric of how far a copy is behind.
struct Lag {
    /// Namespace and dimensions, as CloudWatch searches them.
    schema: &'static str,
    metric: &'static str,
    unit: &'static str,
    /// Whether only the region that is copied from reports it.
    at_source: bool,
}

fn lag(part: &Part) -> Option<Lag> {
    let reported = |schema, metric, unit, at_source| Some(Lag { schema, metric, unit, at_source });
    match (part.kind.name.as_str(), part.word("replication")) {
        (_, None | Some("none")) => None,
        ("aws.rds", _) => reported("AWS/RDS,DBInstanceIdentifier", "ReplicaLag", "seconds", false),
        ("aws.aurora-global", _) => {
            reported("AWS/RDS,DBClusterIdentifier", "AuroraGlobalDBReplicationLag", "ms", false)
        }
        ("aws.dynamodb-global", _) => {
            reported("AWS/DynamoDB,ReceivingRegion,TableName", "ReplicationLatency", "ms", true)
        }
        ("aws.s3", _) => {
            reported("AWS/S3,DestinationBucket,RuleId,SourceBucket", "ReplicationLatency", "seconds", false)
        }
        ("aws.efs", _) => {
            reported("AWS/EFS,DestinationFileSystemId,FileSystemId", "TimeSinceLastSync", "seconds", false)
        }
        _ => None,
    }
}

impl Lag {
    /// The newest value of the last three hours, of what bears the component's name.
    fn query(&self, sheet: &Sheet<'_>, part: &Part, from: &Site, to: &Site) -> String {
        let (from, here) = (if self.at_source { from } else { to }, aws_region(to));
        let named = || match part.kind.name.as_str() {
            // What is made has an id of its own.
            "aws.efs" => String::new(),
            _ => sheet.named([part.id.as_str()], 50),
        };
        let name = crate::services::physical(part, from).unwrap_or_else(named);
        let terms: Vec<&str> =
            name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let receiving = if self.at_source { format!(" ReceivingRegion=\\\"{here}\\\"") } else { String::new() };
        let search = format!("{{{}}} MetricName=\\\"{}\\\"{receiving} {}", self.schema, self.metric, terms.join(" "));
        let quote = "'\"'\"'";
        let expression = format!("SEARCH({quote}{}{quote}, {quote}Maximum{quote}, 60)", search.trim_end());
        let (limits, otherwise) = match self.at_source {
            true => (
                format!(" {}", commands::SOON),
                " \\\n  || echo 'not reached: what was said before it was lost counts'",
            ),
            false => (String::new(), ""),
        };
        format!(
            "aws cloudwatch get-metric-data --region {}{limits} --start-time \"$(date -u -d '-3 hours' +%FT%TZ)\" --end-time \"$(date -u +%FT%TZ)\" \\\n  --metric-data-queries '[{{\"Id\":\"lag\",\"Expression\":\"{expression}\"}}]' --query 'MetricDataResults[].[Label,Values[0]]' --output text{otherwise}   # {}",
            aws_region(from),
            self.unit
        )
    }
}

fn after(from: &Site, to: &Site, purpose: Purpose) -> Vec<String> {
    let usual = [
        "Errors and latency are as usual, seen by users and not only by the load balancer.",
        "Writes succeed, in each of the workflows that the business cannot do without.",
        "Nothing writes to the old writer: its connections are none, its data does not change.",
        "Queues grow shorter, and nothing is processed twice.",
        "Trails, threat detection and audit logs record in the region that serves now.",
        "The variable SERVING_REGION of the repository names the region that serves now: deployments go by it.",
        "The workflow of deployments is enabled again.",
    ];
    let last = match purpose {
        Purpose::Failback => format!(
            "The region that was left follows again, and a next failover would find it ready: the commands are what `return-from-{}-to-{}.md` has before its steps.",
            to.id, from.id
        ),
        _ => format!(
            "There is no standby now. Replication in the other direction is the next thing to do, when the lost region is back: its commands are what `return-from-{}-to-{}.md` has before its steps. Going back is another decision.",
            to.id, from.id
        ),
    };
    usual.into_iter().map(str::to_owned).chain([last]).collect()
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
    let copiers = commands::copies::between(sheet, (from, to));
    if runbook.purpose == Purpose::Failover {
        for part in &copiers {
            let made = commands::copies::stopped(sheet, part, (from, to));
            let says = format!("Stop `{}` from fetching what {} has", part.id, from.id);
            let why = format!(
                "what {} has grows old: when it is back it would be brought over what is written from now on",
                from.id
            );
            add(runbook, "stop", part, (says, why), made);
        }
    }
    let calls: Vec<&Call> = recovery.calls.iter().filter(|call| call.act != ActName::Detect).collect();
    let writes = |call: &&&Call| matches!(call.act, ActName::Promote | ActName::Restore);
    let writers: Vec<&Call> = calls.iter().filter(writes).copied().collect();
    let first_shift = calls.iter().position(|call| call.act == ActName::Shift);
    for (n, call) in calls.iter().enumerate() {
        if Some(n) == first_shift {
            if runbook.purpose == Purpose::Failback {
                fetch(sheet, runbook, &copiers, (from, to));
            }
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
        for made in step(sheet, runbook, call, (from, to)) {
            runbook.steps.push(made);
        }
        let last_writer = writers.last().is_some_and(|last| std::ptr::eq(*last, *call));
        if last_writer {
            let why = "a promotion that is under way answers reads; only a write shows that it is over";
            let says = "See that the writer is in the region, by a write that is read back".to_owned();
            let promoted = writers.iter().filter(|call| call.act == ActName::Promote);
            let see = promoted.filter_map(|call| commands::see_writer(sheet, sheet.part(&call.component)?, to));
            let see = see.collect::<Vec<String>>().join("\n");
            runbook.steps.push(person("check_writer", says, why, (!see.is_empty()).then_some(see)));
        }
    }
    if runbook.purpose == Purpose::Failback {
        for part in &copiers {
            let made = commands::copies::turned(sheet, part, (from, to));
            let says = format!("Let `{}` fetch into {} what is written in {}", part.id, from.id, to.id);
            add(runbook, "turn", part, (says, "the region that was left stands by again".to_owned()), made);
        }
    }
    if runbook.purpose == Purpose::Failback {
        let parts = sheet.design.components.iter();
        runbook.after.extend(parts.filter_map(|part| commands::follow::replicated(sheet, part, (from, to))));
    }
    runbook.after.extend(held::says(sheet, recovery, (from, to), runbook.purpose));
    runbook.steps.push(person(
        "watch",
        "Watch errors, latency, writes and replication for as long as clients may keep old answers".to_owned(),
        "a client may go on asking the old region until its cache is empty",
        None,
    ));
}

/// What only the region has that is left, before users come back to the other.
fn fetch(sheet: &mut Sheet<'_>, runbook: &mut Runbook, copiers: &[&Part], (from, to): (&Site, &Site)) {
    for part in copiers {
        let made = commands::copies::fetched(sheet, part, (from, to));
        let says = format!("Fetch with `{}` what {} has, once more", part.id, from.id);
        let why = "nobody writes there any more; users must not come back to less than they wrote".to_owned();
        add(runbook, "fetch", part, (says, why), made);
    }
}

/// A step of ours, among those of the engine.
fn add(runbook: &mut Runbook, verb: &str, part: &Part, says: (String, String), made: commands::Made) {
    called(runbook, made.names.clone());
    runbook.steps.push(ours(verb, part, says, made));
}

fn ours(verb: &str, part: &Part, (says, why): (String, String), made: commands::Made) -> Step {
    Step {
        id: format!(
            "{verb}_{}",
            part.id.as_str().replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_ascii_lowercase()
        ),
        says,
        why,
        commands: made.commands,
        validate: made.validate,
        work: made.work,
        best_effort: false,
        commits: false,
    }
}

fn called(runbook: &mut Runbook, names: Vec<crate::runbook::names::Named>) {
    for name in names {
        if !runbook.names.iter().any(|known| known.variable == name.variable) {
            runbook.names.push(name);
        }
    }
}

fn step(sheet: &mut Sheet<'_>, runbook: &mut Runbook, call: &Call, (from, to): (&Site, &Site)) -> Vec<Step> {
    let Some(part) = sheet.part(&call.component) else { unreachable!("a call is of a component of the design") };
    let ways = Ways { part, from, to, purpose: runbook.purpose, act: call.act };
    let made = commands::of(sheet, call, &ways);
    called(runbook, made.names);
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
    // Both regions answer a planned return, and the copy is complete once nobody writes: that is waited for.
    let waited_for = runbook.purpose == Purpose::Failback && call.act == ActName::Fence;
    let best_effort = call.standing == Standing::BestEffort && !waited_for;
    let own = Step {
        id: id(call),
        says: format!("{} `{}`", verb(call.act), call.component),
        why,
        commands: made.commands,
        validate: made.validate,
        // What may not be answered is not left to an automation, which would wait for it.
        work: if refused { Work::Person } else { made.work },
        best_effort,
        commits: matches!(call.act, ActName::Promote | ActName::Restore),
    };
    let besides = made.besides.map(|besides| Step {
        id: format!("{}_besides", id(call)),
        says: besides.says,
        why: format!("tried at {}", from.id),
        commands: besides.commands,
        validate: Some(besides.validate),
        work: besides.work,
        best_effort: true,
        commits: false,
    });
    let floor = match call.act {
        ActName::Start | ActName::Scale => commands::floor(sheet, &ways),
        _ => None,
    };
    let floor = floor.map(|made| {
        called(runbook, made.names.clone());
        let says = format!("Keep `{}` from shrinking to what a standby has", part.id);
        let why = format!("{} serves alone now, and its scaling still has the fewest of a region that waits", to.id);
        ours("keep", part, (says, why), made)
    });
    std::iter::once(own).chain(besides).chain(floor).collect()
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
