//! From a file without errors to the topology that it means: every default is filled in here.

use std::collections::BTreeMap;
use std::time::Duration;

use super::file::{self, Component, File};
use crate::topology::{self, ComponentKind, OnCrash, Plane, Replication, SiteRole, Topology, WhenAlone};
use crate::{ComponentId, Person, SiteId, Usd};

/// Short enough for an RTO of minutes, long enough to spare the servers.
pub(super) const DEFAULT_TTL: Duration = Duration::from_secs(5);
const DEFAULT_WAL_KEEP_MB: u32 = 1024;
/// A mistake made before a weekend is found after it.
const DEFAULT_KEEP: Duration = Duration::from_secs(7 * 24 * 3600);
/// A file of the log each minute at most: 23 GB a day if every one were full, far less compressed.
const DEFAULT_ARCHIVE: Duration = Duration::from_secs(60);

pub(super) fn topology(file: &File) -> Topology {
    let approvals = file.approvals.as_ref().expect("what is run has approvals: the schema requires them");
    Topology {
        workload: file.workload.clone(),
        artifact: file.artifact.clone().unwrap_or_default(),
        objectives: objectives(file),
        residency: residency(file),
        approvals: self::approvals(approvals),
        failover: file.failover,
        sites: file
            .sites
            .iter()
            .map(|(name, site)| topology::Site { id: SiteId::new(name), role: role(site) })
            .collect(),
        components: file.components.iter().map(|(name, c)| component(name, c, file)).collect(),
        timing: super::profile::timing(&file.timing),
        drills: drills(file),
    }
}

pub(super) fn residency(file: &File) -> BTreeMap<String, Vec<SiteId>> {
    let sites = |(class, sites): (&String, &Vec<String>)| (class.clone(), sites.iter().map(SiteId::new).collect());
    file.residency.iter().map(sites).collect()
}

pub(super) fn approvals(file: &file::Approvals) -> topology::Approvals {
    topology::Approvals {
        failover: file.failover,
        switchover: file.switchover,
        failback: file.failback,
        accept_loss: file.accept_loss,
        approvers: file.approvers.iter().map(Person::new).collect(),
        word_holds: file.word_holds.map_or_else(topology::word_holds, |l| l.0),
    }
}

pub(super) fn drills(file: &File) -> Vec<topology::DrillSchedule> {
    file.drills.as_ref().map_or_else(usual_drills, |drills| drills.iter().map(drill).collect())
}

fn objectives(file: &File) -> topology::Objectives {
    topology::Objectives {
        rto: file.objectives.rto(),
        rpo: file.objectives.rpo(),
        availability: file.objectives.availability.map(|p| p.0),
        added_latency: file.objectives.added_latency.map_or_else(topology::added_latency, |l| l.0),
        data_class: file.objectives.data_class.clone(),
        budget: file.objectives.budget.map(|m| Usd(m.0)),
    }
}

fn role(site: &file::Site) -> SiteRole {
    if site.witness {
        return SiteRole::Witness;
    }
    let preferred = site.preferred.unwrap_or(false);
    let latency = site.latency.iter().flatten().map(|(net, l)| (net.clone(), l.0.as_millis() as u32));
    SiteRole::Region {
        zones: site.zones.clone().unwrap_or_default(),
        preferred,
        capacity: site.capacity.map_or(100, |p| p.0 as u32),
        traffic_weight: site.traffic_weight.unwrap_or(if preferred { 100 } else { 0 }),
        geo: site.geo.clone().unwrap_or_default(),
        latency: latency.collect(),
    }
}

fn component(name: &str, component: &Component, file: &File) -> topology::Component {
    let (plane, kind) = match component {
        Component::Dns { .. } => (Plane::Traffic, dns(component, file)),
        Component::Fleet { .. } => (Plane::Compute, fleet(component)),
        Component::Postgres { .. } => (Plane::Data, postgres(name, component, file)),
        Component::Secret { env } => {
            let env = env.clone().unwrap_or_else(|| default_env(name));
            (Plane::Data, ComponentKind::Secret(topology::Secret { env }))
        }
    };
    let needs = component.needs().iter().map(ComponentId::new).collect();
    topology::Component { id: ComponentId::new(name), plane, needs, kind }
}

/// `api-secret` → `API_SECRET`.
pub(super) fn default_env(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

fn dns(component: &Component, file: &File) -> ComponentKind {
    let Component::Dns { zone, policy, ttl, .. } = component else { unreachable!("called for dns components") };
    let records = records(component, file).into_iter();
    ComponentKind::Dns(topology::Dns {
        zone: zone.clone(),
        policy: *policy,
        ttl: ttl.map_or(DEFAULT_TTL, |l| l.0),
        records: records.map(|(label, fleet)| (full_name(&label, zone), ComponentId::new(fleet))).collect(),
    })
}

/// As declared; else each fleet under its own name.
fn records(component: &Component, file: &File) -> BTreeMap<String, String> {
    match component {
        Component::Dns { records: Some(records), .. } => records.clone(),
        _ => {
            let fleets = file.components.iter().filter(|(_, c)| matches!(c, Component::Fleet { .. }));
            fleets.map(|(name, _)| (name.to_string(), name.to_string())).collect()
        }
    }
}

fn full_name(label: &str, zone: &str) -> String {
    if label == "@" { zone.to_string() } else { format!("{label}.{zone}") }
}

fn fleet(component: &Component) -> ComponentKind {
    let Component::Fleet { command, args, live, ready, exercise, peak, .. } = component else {
        unreachable!("called for fleet components")
    };
    ComponentKind::Fleet(topology::Fleet {
        command: command.clone(),
        args: args.clone(),
        live: live.clone().unwrap_or_else(|| "/live".into()),
        ready: ready.clone().unwrap_or_else(|| "/ready".into()),
        exercise: exercise.clone(),
        peak: *peak,
    })
}

/// What is declared, else what the RPO asks for.
pub(super) fn replication(declared: Option<Replication>, rpo: Duration) -> Replication {
    let derived = if rpo.is_zero() { Replication::Synchronous } else { Replication::Asynchronous };
    declared.unwrap_or(derived)
}

fn postgres(name: &str, component: &Component, file: &File) -> ComponentKind {
    let Component::Postgres {
        database,
        replication: declared,
        when_alone,
        on_crash,
        wal_keep,
        settings,
        site_settings,
        backup,
        ledger,
        ..
    } = component
    else {
        unreachable!("called for postgres components")
    };
    let per_site = site_settings.iter().map(|(site, settings)| (SiteId::new(site), plain(settings)));
    ComponentKind::Postgres(topology::Postgres {
        database: database.clone().unwrap_or_else(|| name.replace('-', "_")),
        replication: replication(*declared, file.objectives.rpo()),
        when_alone: when_alone.unwrap_or(WhenAlone::Block),
        on_crash: on_crash.unwrap_or(OnCrash::Restart),
        wal_keep_mb: wal_keep.map_or(DEFAULT_WAL_KEEP_MB, |m| m.0),
        settings: plain(settings),
        site_settings: per_site.collect(),
        backup: backup.as_ref().map(|backup| plan_of(backup, file.objectives.rto())),
        ledger: ledger.clone(),
    })
}

pub(super) fn plan_of(backup: &file::Backup, rto: Duration) -> topology::Backup {
    let every = backup.every.0;
    topology::Backup {
        every,
        keep: backup.keep.map_or(DEFAULT_KEEP.max(every), |k| k.0),
        archive_every: backup.archive_every.map_or(DEFAULT_ARCHIVE, |a| a.0),
        restore_within: backup.restore_within.map_or(rto, |w| w.0),
    }
}

fn drill(drill: &file::Drill) -> topology::DrillSchedule {
    topology::DrillSchedule { fault: drill.fault.name(), every: drill.every.0 }
}

/// Weekly restore tests, monthly automated failovers, quarterly full drills, yearly rebuilds (seed 001, "Recovery Testing
/// Schedule" and "Regular Tasks").
fn usual_drills() -> Vec<topology::DrillSchedule> {
    use file::Fault::{All, CorruptedData, Rebuild, RegionLoss};
    let days = |n: u64| Duration::from_secs(n * 86_400);
    let usual = [(CorruptedData, days(7)), (RegionLoss, days(30)), (All, days(91)), (Rebuild, days(365))];
    usual.map(|(fault, every)| topology::DrillSchedule { fault: fault.name(), every }).into()
}

fn plain(settings: &BTreeMap<String, file::Setting>) -> BTreeMap<String, String> {
    settings.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect()
}
