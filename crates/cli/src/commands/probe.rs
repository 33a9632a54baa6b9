use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use controller::api::Heard;
use model::SiteId;
use model::observe::{PeerProbe, Readiness};
use model::time::human;
use serde::Serialize;
use serde_json::json;

use crate::args::Globals;
use crate::ask_dns::{Answer, ask};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator::{Operator, block_on};
use crate::output::Output;
use crate::table;

/// Longest that a DNS server may take; a client would have asked the next one by then.
const DNS_WITHIN: Duration = Duration::from_secs(1);

/// What every site answers, and how fast, from every vantage point
#[derive(Debug, Args)]
pub struct Probe {}

/// What one site's DNS server answers for one name.
#[derive(Serialize)]
struct Resolved {
    server: SiteId,
    name: String,
    #[serde(flatten)]
    answer: Told,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Answered(Answer),
    Failed(String),
}

impl Probe {
    pub fn run(self, globals: &Globals, output: &Output) -> Result<Exit, Failure> {
        block_on(async {
            let operator = Operator::looking(globals, output)?;
            let heard = operator.api.reports().await.map_err(|e| operator.failure(&e))?;
            let dns = resolve(&operator, &heard).await;
            output.result(&json!({ "reports": heard, "dns": dns }), || {
                format!("{}{}\n{}", matrix(&heard), silences(&heard), resolved(&dns))
            });
            Ok(Exit::Ok)
        })
    }
}

/// Asks each site's DNS server, as clients outside reach it, for every name of the workload. All at once.
async fn resolve(operator: &Operator, heard: &BTreeMap<SiteId, Heard>) -> Vec<Resolved> {
    let reports = heard.values().filter_map(|heard| heard.report.as_ref());
    let names: BTreeSet<String> =
        reports.flat_map(|report| report.zones.values()).flat_map(|zone| zone.enabled.keys().cloned()).collect();
    let addresses = &operator.lab.addresses;
    let questions = addresses.sites().flat_map(|site| names.iter().map(move |name| (site.clone(), name.clone())));
    let asked = questions.map(|(server, name)| {
        let at = SocketAddr::from((addresses.public(&server), addresses.dns_port()));
        tokio::spawn(async move {
            let answer = match ask(at, &name, DNS_WITHIN).await {
                Ok(answer) => Told::Answered(answer),
                Err(why) => Told::Failed(why),
            };
            Resolved { server, name, answer }
        })
    });
    let mut resolved = Vec::new();
    for asked in asked.collect::<Vec<_>>() {
        resolved.extend(asked.await);
    }
    resolved
}

/// A row for each vantage point, a column for each site seen.
fn matrix(heard: &BTreeMap<SiteId, Heard>) -> String {
    let seen = heard.keys().map(|site| format!("sees {site}"));
    let header = ["vantage point".to_owned()].into_iter().chain(seen).collect();
    let rows = heard.iter().map(|(from, told)| {
        let cells = heard.keys().map(|to| match &told.report {
            _ if from == to => "-".to_owned(),
            Some(report) => report.probes.get(to).map_or_else(|| "has not tried".to_owned(), view),
            None => "unheard".to_owned(),
        });
        [from.to_string()].into_iter().chain(cells).collect()
    });
    table::draw_wide(header, rows)
}

/// Shallow liveness, then what a client would meet.
fn view(probe: &PeerProbe) -> String {
    let took = |of: Option<Duration>| of.map_or(String::new(), |took| format!(" in {}", latency(took)));
    let live = match probe.failures {
        0 if probe.answered.is_some() => format!("answers{}", took(probe.round_trip)),
        0 => "has not tried".to_owned(),
        failures => format!("SILENT for {}, {failures} tries", human(probe.failing_for)),
    };
    match &probe.ready {
        Readiness::Ready => format!("{live}; ready{}", took(probe.ready_round_trip)),
        Readiness::NotReady { why } => format!("{live}; not ready: {why}"),
        Readiness::Unknown => live,
    }
}

fn latency(took: Duration) -> String {
    format!("{:.1}ms", took.as_secs_f64() * 1_000.0)
}

/// Sites that the controller does not hear: their rows are old, or empty.
fn silences(heard: &BTreeMap<SiteId, Heard>) -> String {
    let silent = heard.iter().filter_map(|(site, heard)| {
        let (since, why) = heard.unanswered.as_ref()?;
        let age = heard.age.map_or("never reported".to_owned(), |age| format!("last reported {} ago", human(age)));
        Some(format!("the controller has not heard {site} for {}: {why}; it {age}\n", human(*since)))
    });
    let silent: String = silent.collect();
    if silent.is_empty() { silent } else { format!("\n{silent}") }
}

fn resolved(answers: &[Resolved]) -> String {
    let rows = answers.iter().map(|Resolved { server, name, answer }| {
        let [says, ttl, took] = match answer {
            Told::Answered(Answer { addresses, ttl, took }) => {
                let addresses = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let addresses = if addresses.is_empty() { "no address".to_owned() } else { addresses };
                [addresses, human(*ttl), latency(*took)]
            }
            Told::Failed(why) => [why.clone(), "-".to_owned(), "-".to_owned()],
        };
        [server.to_string(), name.clone(), says, ttl, took]
    });
    table::draw(["dns server", "name", "answers", "ttl", "in"], rows)
}
