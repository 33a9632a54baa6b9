//! Regions, zones, the witness, and which region may hold what.

use super::Rules;
use crate::spec::file::Site;
use crate::spec::problem::{Problem, suggest};

impl Rules<'_> {
    pub(super) fn sites(&mut self) {
        for (name, site) in self.file.sites.iter() {
            self.name("site", name, self.key(&["sites", name]));
            if site.witness { self.witness(name, site) } else { self.region(name, site) }
        }
        if self.to_run {
            self.one_witness();
            self.two_regions();
        }
        self.one_preferred();
    }

    fn witness(&mut self, name: &str, site: &Site) {
        let of_regions = [
            ("zones", site.zones.is_some()),
            ("preferred", site.preferred.is_some()),
            ("capacity", site.capacity.is_some()),
            ("traffic_weight", site.traffic_weight.is_some()),
            ("geo", site.geo.is_some()),
            ("latency", site.latency.is_some()),
        ];
        for (key, _) in of_regions.into_iter().filter(|(_, given)| *given) {
            let span = self.key(&["sites", name, key]);
            self.report(
                Problem::error("spec-witness", span, format!("the witness `{name}` has `{key}`"), "only for regions")
                    .hint("a witness holds no data and serves no traffic: remove this key, or `witness: true`"),
            );
        }
    }

    fn region(&mut self, name: &str, site: &Site) {
        let span = self.key(&["sites", name, "zones"]);
        let zones = site.zones.as_deref().unwrap_or_default();
        match zones.len() {
            // How many there should be is for the assessment to say.
            _ if !self.to_run => {}
            0 => {
                let message = format!("the region `{name}` has no zones");
                let hint = "name its failure domains, as in `zones: [a, b]`, or make it the `witness: true`";
                self.report(Problem::error("spec-zones", span, message, "needs at least one zone").hint(hint));
            }
            1 => {
                let message = format!("the region `{name}` has one zone");
                let hint = "with two zones the loss of one does not become the loss of the region";
                self.report(Problem::warning("spec-zones", span, message, "only one").hint(hint));
            }
            _ => {}
        }
        for (i, zone) in zones.iter().enumerate() {
            let span = self.at(&["sites", name, "zones", &i.to_string()]);
            self.name("zone", zone, span);
            if zones[..i].contains(zone) {
                let message = format!("the zone `{zone}` is listed twice");
                self.report(Problem::error("spec-zones", span, message, "already listed").hint("list each zone once"));
            }
        }
        self.capacity(name, site);
        self.clients(name, site);
    }

    /// Where clients come from, as the DNS policies tell them apart.
    fn clients(&mut self, name: &str, site: &Site) {
        for (i, code) in site.geo.iter().flatten().enumerate() {
            let iso = code.len() == 2 && code.chars().all(|c| c.is_ascii_uppercase());
            if !iso && code != "*" {
                let span = self.at(&["sites", name, "geo", &i.to_string()]);
                let message = format!("`{code}` is not a country or continent");
                let problem = Problem::error("spec-name", span, message, "not a code");
                self.report(
                    problem.hint("write an ISO 3166 country (`SG`), a continent (`AS`), or `*` for everybody else"),
                );
            }
        }
        for (network, latency) in site.latency.iter().flatten() {
            // An assessment may name where clients are; the DNS server needs their networks.
            if self.to_run && !is_network(network) {
                let span = self.key(&["sites", name, "latency", network]);
                let message = format!("`{network}` is not a network");
                let problem = Problem::error("spec-name", span, message, "not in CIDR notation");
                self.report(problem.hint("write the address of the network and its prefix, such as `10.1.0.0/16`"));
            }
            let (whole, ms) = (latency.0.subsec_micros() % 1000 == 0, latency.0.as_millis());
            if !whole || ms > 60_000 {
                let span = self.at(&["sites", name, "latency", network]);
                let problem = Problem::error("spec-range", span, "this latency cannot be compared", "0ms to 1m");
                self.report(problem.hint("write whole milliseconds"));
            }
        }
    }

    fn capacity(&mut self, name: &str, site: &Site) {
        let whole = |p: f64| (1.0..=100.0).contains(&p) && p.fract() == 0.0;
        // A region that runs nothing can be assessed.
        if self.to_run && site.capacity.is_some_and(|p| !whole(p.0)) {
            let span = self.at(&["sites", name, "capacity"]);
            let message = format!("the capacity of `{name}` is out of range");
            let problem = Problem::error("spec-range", span, message, "must be 1% to 100%, in whole percent");
            self.report(problem.hint("a region that runs nothing cannot be checked, nor take over in time"));
        }
    }

    fn one_witness(&mut self) {
        let witnesses: Vec<_> = self.file.sites.iter().filter(|(_, s)| s.witness).map(|(n, _)| n).collect();
        match witnesses[..] {
            [_] => {}
            [] => {
                let span = self.key(&["sites"]);
                let message = "no site is the witness";
                let hint = "add a third site that only votes, such as `witness-1: { witness: true }`: two regions \
                            cannot tell a lost region from a lost link";
                self.report(Problem::error("spec-witness", span, message, "needs a witness").hint(hint));
            }
            [first, second, ..] => {
                let span = self.key(&["sites", second]);
                let message = format!("`{first}` and `{second}` are both witnesses");
                self.report(
                    Problem::error("spec-witness", span, message, "a second witness")
                        .related(self.key(&["sites", first]), "the first")
                        .hint("two regions and one witness make three votes: keep one"),
                );
            }
        }
    }

    fn two_regions(&mut self) {
        let regions = self.region_names();
        if regions.len() != 2 {
            let span = match regions.get(2) {
                Some(third) => self.key(&["sites", third]),
                None => self.key(&["sites"]),
            };
            let message = format!("a workload has two regions, this one has {}", regions.len());
            let label = if regions.len() > 2 { "one too many" } else { "needs two regions" };
            let hint = "name a region to write in and one to recover in; more than two are not supported yet";
            self.report(Problem::error("spec-regions", span, message, label).hint(hint));
        }
    }

    fn one_preferred(&mut self) {
        let preferred: Vec<_> =
            self.regions().filter(|(_, s)| s.preferred == Some(true)).map(|(name, _)| name).collect();
        match preferred[..] {
            [_] => {}
            [] if !self.to_run => {}
            [] => {
                let span = self.key(&["sites"]);
                let hint = "say where the workload lives when all is well: add `preferred: true` to that region";
                self.report(Problem::error("spec-preferred", span, "no region is preferred", "which one?").hint(hint));
            }
            [first, second, ..] => {
                let span = self.key(&["sites", second, "preferred"]);
                let message = format!("`{first}` and `{second}` are both preferred");
                self.report(
                    Problem::error("spec-preferred", span, message, "a second one")
                        .related(self.key(&["sites", first, "preferred"]), "the first")
                        .hint("one writer at a time: keep `preferred: true` in one region"),
                );
            }
        }
    }

    pub(super) fn residency(&mut self) {
        let regions = self.region_names();
        for (class, sites) in &self.file.residency {
            for (i, site) in sites.iter().enumerate().filter(|(_, s)| !regions.contains(&s.as_str())) {
                let span = self.at(&["residency", class, &i.to_string()]);
                let message = format!("`{site}` is not a region of this workload");
                let hint = suggest(site, regions.iter().copied());
                self.report(Problem::error("spec-unknown-site", span, message, "not a region here").hint(hint));
            }
        }
        let class = self.file.objectives.data_class.as_deref();
        let Some((class, approved)) = class.and_then(|c| Some((c, self.file.residency.get(c)?))) else { return };
        for (name, site) in self.regions().filter(|(name, _)| !approved.iter().any(|a| a == name)) {
            let preferred = site.preferred == Some(true);
            let what = if preferred { "the preferred region" } else { "the recovery region" };
            let message = format!("{what} `{name}` is not approved for `{class}` data");
            let label = format!("`{name}` is not in this list");
            let span = self.key(&["residency", class]);
            // Seed 003 section 18.2: recoverable, but not compliant, is not a valid design. Yet approval comes and goes
            // while a workload runs: a standby that lost it must not stop the writer from being watched. Every move
            // to such a region is refused.
            let problem = if preferred {
                let hint = format!("have `{name}` approved for `{class}`, or prefer another region");
                Problem::error("spec-residency", span, message, label).hint(hint)
            } else {
                let hint = format!(
                    "no failover may go to `{name}`, and the data is copied there all the time: have it approved for \
                     `{class}`, or choose another region"
                );
                Problem::warning("spec-residency", span, message, label).hint(hint)
            };
            self.report(problem.related(self.key(&["sites", name]), what));
        }
    }
}

/// An IPv4 network without address bits beyond its prefix: what the DNS server can match a client against.
fn is_network(text: &str) -> bool {
    let parsed = text.split_once('/').and_then(|(address, prefix)| {
        Some((u32::from(address.parse::<std::net::Ipv4Addr>().ok()?), prefix.parse::<u32>().ok().filter(|p| *p <= 32)?))
    });
    parsed.is_some_and(|(address, prefix)| address.checked_shl(prefix).unwrap_or(0) == 0)
}
