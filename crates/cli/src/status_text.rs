//! The status as people read it at three in the morning: the answer first, then what it rests on, then what to type.

use engine::Status;
use engine::runbook::Need;
use engine::status::{RunStatus, SiteStatus, StepStatus, WriterStatus};
use engine::watch::Verdict;
use model::observe::Readiness;
use model::time::human;
use model::topology::{Replication, WhenAlone};

use crate::following::next_steps;
use crate::operator::Operator;
use crate::table;

pub fn whole(status: &Status, operator: &Operator) -> String {
    let parts = [headline(status), sites(status), facts(status, operator), run(status, operator)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// What is worth a line of a log when it changes.
pub fn changes(status: &Status, operator: &Operator) -> String {
    let run = status.run.as_ref().map_or(String::new(), |run| {
        let done = run.steps.iter().filter(|step| step.state == "done").count();
        let waits = next_steps(operator, run).map_or(String::new(), |(says, _)| format!(", {says}"));
        format!("; {} {} to {}: {done} of {} steps done{waits}", run.run, run.kind, run.to, run.steps.len())
    });
    // Figures that change all the time would make every look a line.
    let outlook = if status.failover.works() { "a failover would work".to_owned() } else { failover(status) };
    format!("{}: {}; {outlook}{run}\n", level(status), writer(status))
}

/// Who writes, is it safe, would a failover work now.
fn headline(status: &Status) -> String {
    format!("{} {}: {}; {}\n", status.workload, level(status), writer(status), failover(status))
}

fn level(status: &Status) -> &'static str {
    match &status.writer {
        Some(writer) if writer.confirmed && not_ready(status, writer).is_some() => "NOT SERVING",
        Some(writer) if writer.confirmed && status.failover.works() => "OK",
        Some(writer) if writer.confirmed => "AT RISK",
        _ => "NO WRITER",
    }
}

/// Why clients are turned away where the writer is.
fn not_ready<'a>(status: &'a Status, writer: &WriterStatus) -> Option<&'a str> {
    match &status.sites.iter().find(|site| site.site == writer.site)?.ready {
        Readiness::NotReady { why } => Some(why),
        Readiness::Ready | Readiness::Unknown => None,
    }
}

fn writer(status: &Status) -> String {
    let Some(writer) = &status.writer else { return "nobody has written yet".to_owned() };
    if writer.confirmed {
        return match not_ready(status, writer) {
            Some(why) => format!("{} writes, but is not ready for traffic ({why})", writer.site),
            None => format!("{} writes", writer.site),
        };
    }
    let site = status.sites.iter().find(|site| site.site == writer.site);
    let why = match (&writer.gone, site) {
        (Some(why), _) => why.clone(),
        (None, Some(site)) if site.verdict == Verdict::Up => {
            format!("its database is {}", site.database.as_deref().unwrap_or("not known"))
        }
        (None, Some(site)) => format!("it is {}", site.verdict),
        (None, None) => "nothing is known of it".to_owned(),
    };
    format!("{} wrote last and is not known to write now: {why}", writer.site)
}

fn failover(status: &Status) -> String {
    let outlook = &status.failover;
    let to = outlook.to.as_ref().map_or(String::new(), |to| format!(" to {to}"));
    if !outlook.obstacles.is_empty() {
        return format!("a failover{to} would NOT work now: {}", outlook.obstacles.join("; "));
    }
    if !outlook.asks.is_empty() {
        return format!("a failover{to} would need people to accept: {}", outlook.asks.join("; "));
    }
    let loss = outlook.to.as_ref().and_then(|to| status.estimated_loss.get(to)).and_then(Option::as_ref);
    match loss {
        Some(loss) if loss.total.is_zero() => format!("a failover{to} would work now and lose nothing"),
        Some(loss) => format!("a failover{to} would work now, and lose at most the last {}", human(loss.total)),
        None => format!("a failover{to} would work now"),
    }
}

fn sites(status: &Status) -> String {
    let header = ["site", "is", "traffic", "database", "behind", "instances", "zone", "lease promise", "heard"];
    let table = table::draw(header, status.sites.iter().map(|site| row(status, site)));
    let reasons = status.sites.iter().flat_map(reasons).collect::<String>();
    if reasons.is_empty() { table } else { format!("{table}\n{reasons}") }
}

fn row(status: &Status, site: &SiteStatus) -> [String; 9] {
    let none = || "-".to_owned();
    let region = site.role == "region";
    let mark = if site.preferred { "*" } else { "" };
    // The last that was heard of a site that is not heard now.
    let was = |text: String| match site.verdict {
        Verdict::Unreachable | Verdict::Unknown => format!("was: {text}"),
        Verdict::Up | Verdict::Suspected => text,
    };
    let ready = match (&site.ready, region) {
        (_, false) => none(),
        (Readiness::Ready, _) => "ready".to_owned(),
        (Readiness::NotReady { .. }, _) if site.upstream.is_some() => "stands by".to_owned(),
        (Readiness::NotReady { .. }, _) => "not ready".to_owned(),
        (Readiness::Unknown, _) => "unknown".to_owned(),
    };
    let behind = match (site.lag_bytes, site.lag) {
        (Some(bytes), Some(lag)) => format!("{bytes} B, {}", human(lag)),
        (None, Some(lag)) => human(lag),
        _ => none(),
    };
    let fleets = site.fleets.iter().map(|(id, fleet)| format!("{id} {}/{} ready", fleet.ready, fleet.wanted));
    let fleets = fleets.collect::<Vec<_>>().join(", ");
    let zone = site.zone.as_ref().map_or_else(none, |(epoch, serial)| {
        let ttl = if site.suspect { ", TTL 0" } else { "" };
        let old = status.routing.as_ref().is_some_and(|routing| routing.behind.contains(&site.site));
        format!("{}.{serial}{ttl}{}", epoch.number, if old { ", old" } else { "" })
    });
    [
        format!("{}{mark}", site.site),
        site.verdict.to_string(),
        ready,
        match &site.database {
            Some(database) => was(database.clone()),
            None if region => "unknown".to_owned(),
            None => none(),
        },
        behind,
        if fleets.is_empty() { none() } else { was(fleets) },
        zone,
        site.promise_remaining.map_or_else(none, human),
        site.reported.map_or_else(|| "never".to_owned(), |age| format!("{} ago", human(age))),
    ]
}

/// Why each site is judged as it is; a site that is well needs no reason.
fn reasons(site: &SiteStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if site.verdict != Verdict::Up {
        let why = if site.why.is_empty() { "nothing is known of it".to_owned() } else { site.why.join("; ") };
        lines.push(format!("{} is {}: {why}\n", site.site, site.verdict));
    }
    // A standby has no writer to serve with: that it turns clients away is as it should be.
    if let Readiness::NotReady { why } = &site.ready
        && site.upstream.is_none()
    {
        lines.push(format!("{} is not ready for traffic: {why}\n", site.site));
    }
    lines.extend(site.findings.iter().map(|finding| format!("{}: {finding}\n", site.site)));
    lines
}

/// What else somebody must know before deciding.
fn facts(status: &Status, operator: &Operator) -> String {
    let mut lines = Vec::new();
    if let Some(writer) = &status.writer {
        let lease = match (writer.lease_remaining, writer.lowest_margin) {
            (Some(left), Some(lowest)) => format!("{} left, at renewals never below {}", human(left), human(lowest)),
            (Some(left), None) => format!("{} left", human(left)),
            (None, _) => "what is left of it is not known".to_owned(),
        };
        lines.push(("lease", format!("epoch {}, {lease}", writer.epoch)));
    }
    let away = |site: &&SiteStatus| site.preferred && status.writer.as_ref().is_some_and(|w| w.site != site.site);
    if let Some(site) = status.sites.iter().find(away) {
        let how = operator.command("failback");
        lines.push(("* preferred", format!("`{how}` returns to {}", site.site)));
    }
    lines.push(("if alone", alone(status)));
    if let Some(in_sync) = status.in_sync.as_ref().filter(|_| status.replication == Replication::Synchronous) {
        let sites: Vec<_> = in_sync.iter().map(model::SiteId::as_str).collect();
        lines.push(("in sync", if sites.is_empty() { "no region".to_owned() } else { sites.join(", ") }));
    }
    for (site, loss) in &status.estimated_loss {
        let loss = loss.as_ref().map_or("cannot be known now".to_owned(), |loss| loss.why.clone());
        lines.push(("would lose", format!("by a failover to {site}: {loss}")));
    }
    if let Some(routing) = &status.routing {
        let old: Vec<_> = routing.behind.iter().map(model::SiteId::as_str).collect();
        let old = if old.is_empty() { String::new() } else { format!("; still older at {}", old.join(", ")) };
        let version = format!("zone {}.{}", routing.epoch.number, routing.serial);
        lines.push(("traffic", format!("goes to {} ({version}{old})", routing.to.join(", "))));
    }
    lines.extend(backups(status));
    if let Some(run) = status.frozen {
        lines.push(("frozen", format!("deployments are frozen for {run}")));
    }
    lines.into_iter().map(|(name, says)| format!("{name:<11} {says}\n")).collect()
}

fn backups(status: &Status) -> Vec<(&'static str, String)> {
    let Some(backup) = &status.backup else {
        return vec![("backups", "none are declared: a mistake that replicates cannot be taken back".to_owned())];
    };
    let range = match (backup.from, backup.to) {
        (Some(from), Some(to)) => format!("every moment from {from} to {to} can be restored"),
        _ => "nothing can be restored yet".to_owned(),
    };
    let last = backup.base_age.map_or(String::new(), |age| format!("; the last full one is {} old", human(age)));
    let behind = match backup.behind {
        Some(behind) if behind.is_zero() => "; the archive is complete".to_owned(),
        Some(behind) => format!("; the archive is {} behind", human(behind)),
        None => String::new(),
    };
    let mut lines = vec![("backups", format!("{range}{last}{behind}"))];
    lines.extend(backup.warnings.iter().map(|warning| ("", format!("WARNING: {warning}"))));
    lines.extend(backup.kept.iter().map(|kept| ("", format!("kept by a restore, yours to delete: {kept}"))));
    lines
}

/// What a writer without a standby does, by the spec and now: said in every status.
fn alone(status: &Status) -> String {
    let policy = match (status.replication, status.when_alone) {
        (Replication::Asynchronous, _) => "asynchronous: writes go on without a standby, and are lost with the region",
        (Replication::Synchronous, WhenAlone::Block) => "synchronous, block: without a standby, writes wait",
        (Replication::Synchronous, WhenAlone::Degrade) => {
            "synchronous, degrade: without a standby, writes go on and nothing can be promoted without an override"
        }
    };
    let now = match (&status.alone, status.writer.as_ref().is_some_and(|writer| writer.confirmed)) {
        (Some(says), _) => format!("ALONE NOW: {says}"),
        (None, true) => "not alone now".to_owned(),
        (None, false) => "whether it is now is not known".to_owned(),
    };
    format!("{policy}; {now}")
}

fn run(status: &Status, operator: &Operator) -> String {
    let Some(run) = &status.run else {
        let last = status.last_run.as_ref();
        return last.map_or(String::new(), |run| {
            let end = run.end.map_or(String::new(), |end| end.to_string());
            format!("no run is active; {} ({}) {end}: {}\n", run.run, run.kind, run.summary.clone().unwrap_or_default())
        });
    };
    let way = run.from.as_ref().map_or(String::new(), |from| format!(" from {from}"));
    let mut text =
        format!("{}: {}{way} to {}, {}, for {}\n", run.run, run.kind, run.to, run.cause, human(run.running_for));
    text += &run.steps.iter().map(step).collect::<String>();
    text += &match &run.committed {
        Some(epoch) => format!("past its commit point: {} holds epoch {epoch}; it goes only forward\n", epoch.site),
        None => "before its commit point: it can still be aborted\n".to_owned(),
    };
    text + &next(run, operator)
}

fn step(step: &StepStatus) -> String {
    let commit = if step.commit_point { " [COMMIT POINT]" } else { "" };
    let need = if step.need == Need::BestEffort { " (best effort)" } else { "" };
    let note = if step.note.is_empty() { String::new() } else { format!(": {}", step.note) };
    let tries = if step.tries > 1 { format!(", try {}", step.tries) } else { String::new() };
    format!("  {:<8} {:>2}  {}{commit}{need}{note}{tries}\n", step.state, step.number, step.title)
}

fn next(run: &RunStatus, operator: &Operator) -> String {
    let Some((says, commands)) = next_steps(operator, run) else { return String::new() };
    let mut text = format!("\n{} {says}\nnext: {}\n", run.run, commands[0]);
    text.extend(commands.iter().skip(1).map(|command| format!("or:   {command}\n")));
    text
}
