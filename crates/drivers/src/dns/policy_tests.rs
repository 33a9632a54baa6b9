//! Tables for each policy, statistics for those that roll a die, and properties for all.

use std::time::Duration;

use super::*;

fn target(site: &str, rank: u32) -> Target {
    let octet = site.bytes().next().unwrap();
    Target {
        site: SiteId::new(site),
        addresses: vec![Ipv4Addr::new(10, 0, 0, octet)],
        enabled: true,
        rank,
        weight: 0,
        geo: Vec::new(),
        latency: BTreeMap::new(),
    }
}

fn name(policy: Policy, targets: Vec<Target>) -> NameTable {
    NameTable { policy, ttl: Duration::from_secs(1), targets }
}

fn health(entries: &[(&str, bool)]) -> Healthy {
    entries.iter().map(|(site, healthy)| (SiteId::new(site), *healthy)).collect()
}

/// The sites that answer, by the first letter of their name.
fn sites(name: &NameTable, client: &Client, health: &Healthy, roll: u32) -> String {
    choose(name, client, health, roll).iter().map(|address| char::from(address.octets()[3])).collect()
}

fn from(address: &str) -> Client {
    Client { address: Some(address.parse().unwrap()), codes: Vec::new() }
}

fn at(codes: &[&str]) -> Client {
    Client { address: None, codes: codes.iter().map(|code| code.to_string()).collect() }
}

/// A seeded sequence of rolls, the same in every run.
fn rolls(seed: u64, count: usize) -> impl Iterator<Item = u32> {
    let mut state = seed;
    (0..count).map(move |_| scramble(&mut state))
}

#[test]
fn failover_takes_the_best_healthy_enabled_rank() {
    let all = name(Policy::Failover, vec![target("b", 1), target("a", 0), target("c", 2)]);
    let mut shut = all.clone();
    shut.targets[1].enabled = false;
    let mut none = all.clone();
    none.targets.iter_mut().for_each(|t| t.enabled = false);
    let cases = [
        ("nobody judged", &all, health(&[]), "a"),
        ("all well", &all, health(&[("a", true), ("b", true)]), "a"),
        ("a is down", &all, health(&[("a", false)]), "b"),
        ("a and b are down", &all, health(&[("a", false), ("b", false)]), "c"),
        ("all down: fail open", &all, health(&[("a", false), ("b", false), ("c", false)]), "a"),
        ("a is not enabled", &shut, health(&[("a", true)]), "b"),
        ("fail open leaves out what is not enabled", &shut, health(&[("a", true), ("b", false), ("c", false)]), "b"),
        ("nothing is enabled", &none, health(&[("a", true)]), ""),
    ];
    for (case, table, health, expected) in cases {
        assert_eq!(sites(table, &Client::default(), &health, 7), expected, "{case}");
    }
}

#[test]
fn weights_are_kept_over_many_answers() {
    let mut table = name(Policy::Weighted, vec![target("a", 0), target("b", 1), target("c", 2)]);
    for (target, weight) in table.targets.iter_mut().zip([700, 300, 0]) {
        target.weight = weight;
    }
    let share = |table: &NameTable, health: &Healthy, site: &str| {
        let count = 20_000;
        let hits = rolls(42, count).filter(|roll| sites(table, &Client::default(), health, *roll) == site).count();
        hits as f64 / count as f64
    };
    let near = |actual: f64, expected: f64| assert!((actual - expected).abs() < 0.015, "{actual}, not {expected}");
    near(share(&table, &health(&[]), "a"), 0.7);
    near(share(&table, &health(&[]), "b"), 0.3);
    assert_eq!(share(&table, &health(&[]), "c"), 0.0, "weight zero gets nothing beside others");
    assert_eq!(share(&table, &health(&[("a", false)]), "b"), 1.0);
    assert_eq!(share(&table, &health(&[("a", false), ("b", false)]), "c"), 1.0, "only weight zero is left");
    table.targets.iter_mut().for_each(|t| t.weight = 0);
    for site in ["a", "b", "c"] {
        near(share(&table, &health(&[]), site), 1.0 / 3.0);
    }
}

#[test]
fn both_ends_of_the_die_are_in_range() {
    let mut table = name(Policy::Weighted, vec![target("a", 0), target("b", 1)]);
    for weight in [0, 1, 1000] {
        table.targets.iter_mut().for_each(|t| t.weight = weight);
        assert_eq!(sites(&table, &Client::default(), &health(&[]), 0), "a");
        assert_eq!(sites(&table, &Client::default(), &health(&[]), u32::MAX), "b");
    }
}

#[test]
fn latency_follows_the_clients_network() {
    let mut table = name(Policy::Latency, vec![target("a", 0), target("b", 1)]);
    let latencies = |entries: &[(&str, u32)]| entries.iter().map(|(cidr, ms)| (cidr.to_string(), *ms)).collect();
    table.targets[0].latency = latencies(&[("0.0.0.0/0", 80), ("10.0.0.0/8", 5), ("10.9.0.0/16", 200)]);
    table.targets[1].latency = latencies(&[("0.0.0.0/0", 40), ("10.0.0.0/8", 90)]);
    let all = health(&[]);
    assert_eq!(sites(&table, &from("10.1.0.1"), &all, 0), "a");
    assert_eq!(sites(&table, &from("10.9.0.1"), &all, 0), "b", "the longest prefix counts");
    assert_eq!(sites(&table, &from("192.0.2.1"), &all, 0), "b");
    assert_eq!(sites(&table, &from("192.0.2.1"), &health(&[("b", false)]), 0), "a");
    assert_eq!(sites(&table, &Client::default(), &all, 0), "a", "without an address, rank decides");
    table.targets[0].latency.clear();
    assert_eq!(sites(&table, &from("10.1.0.1"), &all, 0), "b", "measured comes before unmeasured");
}

#[test]
fn geolocation_takes_the_most_specific_claim() {
    let mut table = name(Policy::Geolocation, vec![target("a", 0), target("b", 1), target("c", 2)]);
    for (target, geo) in table.targets.iter_mut().zip(["SG", "AS", "*"]) {
        target.geo = vec![geo.to_owned()];
    }
    let all = health(&[]);
    assert_eq!(sites(&table, &at(&["SG", "AS"]), &all, 0), "a");
    assert_eq!(sites(&table, &at(&["sg", "as"]), &all, 0), "a");
    assert_eq!(sites(&table, &at(&["ID", "AS"]), &all, 0), "b");
    assert_eq!(sites(&table, &at(&["DE", "EU"]), &all, 0), "c");
    assert_eq!(sites(&table, &Client::default(), &all, 0), "c");
    assert_eq!(sites(&table, &at(&["SG", "AS"]), &health(&[("a", false)]), 0), "b", "the next larger place");
    let down = health(&[("a", false), ("b", false), ("c", false)]);
    assert_eq!(sites(&table, &at(&["SG", "AS"]), &down, 0), "a", "fail open");
    table.targets.pop();
    assert_eq!(sites(&table, &at(&["DE", "EU"]), &all, 0), "", "nobody claims the place: no answer, not a wrong one");
}

#[test]
fn multivalue_gives_up_to_eight_in_any_order() {
    let many = "abcdefghij".chars().map(|c| target(&c.to_string(), 0)).collect();
    let table = name(Policy::Multivalue, many);
    let mut first = BTreeMap::new();
    for roll in rolls(1, 5_000) {
        let answer = sites(&table, &Client::default(), &health(&[("j", false)]), roll);
        let distinct: std::collections::BTreeSet<char> = answer.chars().collect();
        assert_eq!((answer.len(), distinct.len()), (8, 8));
        assert!(!answer.contains('j'));
        *first.entry(answer.chars().next().unwrap()).or_insert(0u32) += 1;
    }
    assert_eq!(first.len(), 9);
    assert!(first.values().all(|hits| (455..=655).contains(hits)), "about 5000/9 each: {first:?}");
}

#[test]
fn several_addresses_of_one_site_take_turns() {
    let mut table = name(Policy::Failover, vec![target("a", 0)]);
    table.targets[0].addresses = vec![Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
    let first = |roll| choose(&table, &Client::default(), &health(&[]), roll)[0].octets()[3];
    assert_eq!([first(0), first(1), first(2)], [1, 2, 1]);
}

/// Seeded random zones, clients and health: what holds whatever the policy.
#[test]
fn invariants_hold_for_random_zones() {
    let policies = [Policy::Failover, Policy::Weighted, Policy::Latency, Policy::Geolocation, Policy::Multivalue];
    let codes = ["SG", "AS", "DE", "EU", "*"];
    let (mut failed_open, mut avoided) = (0, 0);
    for seed in 0..4_000u64 {
        let mut state = seed;
        let mut below = |n: u64| scaled(scramble(&mut state), n);
        let policy = policies[below(5) as usize];
        let mut table = name(policy, Vec::new());
        let mut judged = Healthy::new();
        for index in 0..below(5) {
            let mut one = target(&char::from(b'a' + index as u8).to_string(), below(3) as u32);
            one.enabled = below(4) > 0;
            one.weight = [0, 1, 1000][below(3) as usize];
            one.geo = vec![codes[below(5) as usize].to_owned()];
            one.latency = [("10.0.0.0/8".to_owned(), below(50) as u32)].into();
            if below(4) > 0 {
                judged.insert(one.site.clone(), below(2) == 0);
            }
            table.targets.push(one);
        }
        let mut client = at(&[codes[below(4) as usize]]);
        client.address = (below(2) == 0).then_some(Ipv4Addr::new(10, 1, 1, 1));
        let roll = below(1 << 32) as u32;
        let answer = choose(&table, &client, &judged, roll);
        assert_eq!(answer, choose(&table, &client, &judged, roll), "the same roll gives the same answer");

        let healthy = |t: &Target| judged.get(&t.site).copied().unwrap_or(true);
        let chosen: Vec<&Target> = table.targets.iter().filter(|t| answer.contains(&t.addresses[0])).collect();
        assert_eq!(chosen.len(), answer.len(), "only addresses of the zone, each once");
        assert!(chosen.iter().all(|t| t.enabled), "never what is not enabled");
        assert!(policy == Policy::Multivalue || answer.len() <= 1);
        let mixed = chosen.iter().any(|t| healthy(t)) && chosen.iter().any(|t| !healthy(t));
        assert!(!mixed, "healthy and unhealthy never answer together");
        let candidates = || table.targets.iter().filter(|t| t.enabled);
        if policy != Policy::Geolocation {
            assert_eq!(answer.is_empty(), candidates().next().is_none());
            let open = chosen.iter().any(|t| !healthy(t));
            assert!(!open || !candidates().any(healthy), "fails open only when no healthy one is left");
            failed_open += u32::from(open);
        }
        avoided += u32::from(chosen.iter().any(|t| healthy(t)) && candidates().any(|t| !healthy(t)));
    }
    assert!(failed_open > 100 && avoided > 100, "the cases were reached: {failed_open}, {avoided}");
}
