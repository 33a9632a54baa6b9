//! What a reply holds: a pure function of the question, who asks, the state of one moment, and a die roll.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::rdata::{A, NS, SOA};
use hickory_proto::rr::{DNSClass, LowerName, Name, RData, Record, RecordType};
use model::routing::{NameTable, Policy};
use model::{SiteId, ZoneTable};

use super::cidr::{Cidr, closest};
use super::policy::{Client, choose};
use super::{DnsConfig, Served};

/// The largest TTL that DNS can carry (RFC 2181, section 8).
const LONGEST_TTL: Duration = Duration::from_secs(i32::MAX as u64);

/// What a server knows about itself for as long as it runs.
#[derive(Debug)]
pub(super) struct Home {
    site: SiteId,
    zone: String,
    origin: Name,
    lower_origin: LowerName,
    name_servers: BTreeMap<String, (Name, Ipv4Addr)>,
    places: BTreeMap<String, Vec<String>>,
}

/// The parts of a reply that depend on the zone.
#[derive(Debug)]
pub(super) struct Reply {
    pub code: ResponseCode,
    pub authoritative: bool,
    pub answers: Vec<Record>,
    /// The SOA of a negative answer.
    pub authority: Vec<Record>,
    /// Addresses of name servers.
    pub additional: Vec<Record>,
    /// Bits of the client's network that the answer holds for (RFC 7871 scope).
    pub scope: u8,
}

impl Reply {
    pub(super) fn error(code: ResponseCode) -> Self {
        let empty = Vec::new;
        Self { code, authoritative: false, answers: empty(), authority: empty(), additional: empty(), scope: 0 }
    }
    fn answer(answers: Vec<Record>) -> Self {
        Self { answers, authoritative: true, ..Self::error(ResponseCode::NoError) }
    }
    fn negative(code: ResponseCode, soa: Record) -> Self {
        Self { authority: vec![soa], authoritative: true, ..Self::error(code) }
    }
}

impl Home {
    /// # Errors
    /// When a name or a network in the configuration is not one.
    pub(super) fn new(config: &DnsConfig) -> Result<Self, String> {
        let zone = config.zone.trim_end_matches('.').to_lowercase();
        let origin = parse(&zone)?;
        let mut name_servers = BTreeMap::new();
        for (name, address) in &config.name_servers {
            let name = name.trim_end_matches('.').to_lowercase();
            name_servers.insert(name.clone(), (within(&origin, &name)?, *address));
        }
        config.places.keys().try_for_each(|network| network.parse::<Cidr>().map(drop))?;
        let lower_origin = LowerName::from(&origin);
        Ok(Self { site: config.site.clone(), zone, origin, lower_origin, name_servers, places: config.places.clone() })
    }

    /// The zone with its names in lower case, or why it cannot be served.
    pub(super) fn check(&self, zone: &ZoneTable) -> Result<ZoneTable, String> {
        let named = zone.zone.trim_end_matches('.').to_lowercase();
        if named != self.zone {
            return Err(format!("this server is for zone {}, not {named}", self.zone));
        }
        let mut names = BTreeMap::new();
        for (name, table) in &zone.names {
            let name = name.trim_end_matches('.').to_lowercase();
            within(&self.origin, &name)?;
            check_table(&name, table)?;
            if self.name_servers.contains_key(&name) {
                return Err(format!("{name} is a name server of the zone"));
            }
            if names.insert(name.clone(), table.clone()).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        Ok(ZoneTable { zone: named, names, ..zone.clone() })
    }

    /// Who is at an address.
    pub(super) fn client(&self, address: Option<Ipv4Addr>) -> Client {
        let codes = address.and_then(|address| closest(&self.places, address)).cloned().unwrap_or_default();
        Client { address, codes }
    }

    pub(super) fn reply(&self, served: &Served, query: &Query, client: &Client, roll: u32) -> Reply {
        let lower = LowerName::from(query.name());
        let transfer = matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR);
        if query.query_class() != DNSClass::IN || !self.lower_origin.zone_of(&lower) || transfer {
            return Reply::error(ResponseCode::Refused);
        }
        // The zone is ours, but nobody has told us what is in it yet: not to be cached as an absence.
        let Some(zone) = served.zone.as_deref() else { return Reply::error(ResponseCode::ServFail) };
        let text = lower.to_string();
        let name = text.trim_end_matches('.');
        let addresses_wanted = matches!(query.query_type(), RecordType::A | RecordType::ANY);
        let soa = || self.soa(zone, served.suspect);

        if let Some((_, address)) = self.name_servers.get(name) {
            let ttl = ttl(zone_ttl(zone), served.suspect);
            let record = || Record::from_rdata(query.name().clone(), ttl, RData::A(A(*address)));
            return if addresses_wanted {
                Reply::answer(vec![record()])
            } else {
                Reply::negative(ResponseCode::NoError, soa())
            };
        }
        if name == self.zone && matches!(query.query_type(), RecordType::SOA | RecordType::NS) {
            return self.apex(zone, served.suspect, query.query_type());
        }
        match zone.names.get(name) {
            Some(table) if addresses_wanted => self.routed(served, table, query, client, roll, soa),
            Some(_) => Reply::negative(ResponseCode::NoError, soa()),
            None if self.has_below(zone, name) => Reply::negative(ResponseCode::NoError, soa()),
            None => Reply::negative(ResponseCode::NXDomain, soa()),
        }
    }

    /// Addresses by policy, unless this site is fenced and they would lead to it.
    fn routed(
        &self,
        served: &Served,
        table: &NameTable,
        query: &Query,
        client: &Client,
        roll: u32,
        soa: impl FnOnce() -> Record,
    ) -> Reply {
        let addresses = choose(table, client, &served.health, roll);
        let home = table.targets.iter().filter(|t| t.site == self.site).flat_map(|t| &t.addresses);
        if served.fenced && home.into_iter().any(|address| addresses.contains(address)) {
            return Reply::error(ResponseCode::ServFail);
        }
        let ttl = ttl(table.ttl, served.suspect);
        let record = |address| Record::from_rdata(query.name().clone(), ttl, RData::A(A(address)));
        let mut reply = if addresses.is_empty() {
            Reply::negative(ResponseCode::NoError, soa())
        } else {
            Reply::answer(addresses.into_iter().map(record).collect())
        };
        reply.scope = self.scope(table);
        reply
    }

    fn apex(&self, zone: &ZoneTable, suspect: bool, kind: RecordType) -> Reply {
        if kind == RecordType::SOA {
            return Reply::answer(vec![self.soa(zone, suspect)]);
        }
        if self.name_servers.is_empty() {
            return Reply::negative(ResponseCode::NoError, self.soa(zone, suspect));
        }
        let ttl = ttl(zone_ttl(zone), suspect);
        let servers = || self.name_servers.values();
        let ns =
            |(name, _): &(Name, Ipv4Addr)| Record::from_rdata(self.origin.clone(), ttl, RData::NS(NS(name.clone())));
        let glue = |(name, address): &(Name, Ipv4Addr)| Record::from_rdata(name.clone(), ttl, RData::A(A(*address)));
        Reply { additional: servers().map(glue).collect(), ..Reply::answer(servers().map(ns).collect()) }
    }

    /// Nobody transfers this zone, so the timers of secondaries repeat its TTL. The serial is the table's own,
    /// cut to 32 bits; what orders zones is (epoch, serial), not this field.
    fn soa(&self, zone: &ZoneTable, suspect: bool) -> Record {
        let ttl = ttl(zone_ttl(zone), suspect);
        let timer = ttl as i32;
        let server = self.name_servers.values().next().map_or(&self.origin, |(name, _)| name).clone();
        let person = self.origin.prepend_label("hostmaster").unwrap_or_else(|_| self.origin.clone());
        let soa = SOA::new(server, person, zone.serial as u32, timer, timer, timer, ttl);
        Record::from_rdata(self.origin.clone(), ttl, RData::SOA(soa))
    }

    /// Whether a name that has no records stands above one that has (RFC 8020): it exists, without data.
    fn has_below(&self, zone: &ZoneTable, name: &str) -> bool {
        let names = zone.names.keys().chain(self.name_servers.keys());
        name == self.zone || names.into_iter().any(|n| n.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')))
    }

    /// The longest prefix that the policy looks at: within such a network all clients get the same answer.
    fn scope(&self, table: &NameTable) -> u8 {
        let longest = |networks: &mut dyn Iterator<Item = &String>| {
            networks.filter_map(|text| text.parse::<Cidr>().ok()).map(Cidr::prefix).max().unwrap_or(0)
        };
        match table.policy {
            Policy::Latency => longest(&mut table.targets.iter().flat_map(|t| t.latency.keys())),
            Policy::Geolocation => longest(&mut self.places.keys()),
            Policy::Failover | Policy::Weighted | Policy::Multivalue => 0,
        }
    }
}

fn check_table(name: &str, table: &NameTable) -> Result<(), String> {
    if table.ttl > LONGEST_TTL {
        return Err(format!("the TTL of {name} is longer than DNS can carry"));
    }
    for target in &table.targets {
        if target.weight > 1000 {
            return Err(format!("the weight of {} for {name} is {}, above 1000", target.site, target.weight));
        }
        target.latency.keys().try_for_each(|network| network.parse::<Cidr>().map(drop))?;
    }
    Ok(())
}

/// Whole seconds, rounded down: never cached for longer than asked.
fn ttl(ttl: Duration, suspect: bool) -> u32 {
    if suspect { 0 } else { ttl.as_secs() as u32 }
}

/// Of records that belong to no one name: as long as the shortest name.
fn zone_ttl(zone: &ZoneTable) -> Duration {
    zone.names.values().map(|table| table.ttl).min().unwrap_or_default()
}

fn parse(name: &str) -> Result<Name, String> {
    let mut parsed = Name::from_ascii(name).map_err(|error| format!("`{name}` is not a DNS name: {error}"))?;
    parsed.set_fqdn(true);
    Ok(parsed)
}

fn within(origin: &Name, name: &str) -> Result<Name, String> {
    let parsed = parse(name)?;
    if origin.zone_of(&parsed) { Ok(parsed) } else { Err(format!("{name} is not in zone {origin}")) }
}
