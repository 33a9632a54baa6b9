//! Two hundred workloads that nobody thought of: random kinds, with random values under random keys of the catalogue.
//!
//! Each is refused with a reason that names a line, or rendered into templates that cfn-lint takes. The seeds are fixed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use antipode_render::{RenderError, render};
use model::catalogue::{Key, Kind, Type, catalogue};
use serde_json::{Map, Value, json};

use crate::lint::lint;
use crate::specs;

const WORKLOADS: u64 = 200;

/// Regions that have most services, and some that have not.
const REGIONS: [&str; 8] = [
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "eu-central-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-3",
    "ca-west-1",
];

/// SplitMix64: the same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most as u64).unwrap()
    }
    fn pick<'t, T: ?Sized>(&mut self, from: &[&'t T]) -> &'t T {
        from[self.below(from.len())]
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A workload of one to three components, some with what they name, in one to three regions.
fn workload(seed: u64) -> String {
    let mut dice = Dice(seed);
    let mut regions: Vec<&str> = Vec::new();
    for _ in 0..[1, 1, 2, 2, 2, 2, 2, 3][dice.below(8)] {
        let region = dice.pick(&REGIONS);
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    let kinds: Vec<&Kind> = catalogue().kinds().filter(|kind| kind.name.starts_with("aws.")).collect();
    let chosen: Vec<&Kind> = (0..=dice.below(3)).map(|_| dice.pick(&kinds)).collect();
    // What others name, so that they have something to name.
    let often = ["aws.alb", "aws.kms"].map(|name| catalogue().kind(name).unwrap());
    let named = often.into_iter().filter(|_| dice.one_in(2)).collect::<Vec<_>>();
    let chosen: Vec<&Kind> = named.into_iter().chain(chosen).collect();
    let ids: Vec<String> =
        chosen.iter().enumerate().map(|(n, kind)| format!("{}-{n}", kind.name.replace('.', "-"))).collect();
    let mut text = String::from("workload: any\nobjectives: { rto: 5m, rpo: 1m }\nsites:\n");
    for (n, region) in regions.iter().enumerate() {
        let zones = ["[a]", "[a, b]", "[a, b, c]"][dice.below(3)];
        text += &format!(
            "  {region}: {{ zones: {zones}, preferred: {}, capacity: {}% }}\n",
            n == 0,
            [0, 25, 100][dice.below(3)]
        );
    }
    text += "components:\n";
    for (n, kind) in chosen.iter().enumerate() {
        text += &format!("  {}: {}\n", ids[n], component(&mut dice, kind, &regions, &ids, n));
    }
    text
}

fn component(dice: &mut Dice, kind: &Kind, regions: &[&str], ids: &[String], n: usize) -> Value {
    let mut said = Map::new();
    said.insert("kind".into(), json!(kind.name));
    for key in kind.keys.values() {
        if !dice.one_in(4) || key.name == "needs" || key.name == "managed" {
            continue;
        }
        let Some(value) = value(dice, key, regions, &ids[..n]) else { continue };
        match key.name.split_once('.') {
            None => _ = said.insert(key.name.clone(), value),
            Some((group, name)) => {
                let group = said.entry(group).or_insert_with(|| json!({}));
                group.as_object_mut().unwrap().insert(name.to_owned(), value);
            }
        }
    }
    Value::Object(said)
}

fn value(dice: &mut Dice, key: &Key, regions: &[&str], before: &[String]) -> Option<Value> {
    let of_kind = |kind: &str| before.iter().find(|id| id.starts_with(kind)).cloned();
    let words: Vec<&str> = key.one_of.iter().map(String::as_str).collect();
    Some(match key.ty {
        Type::Bool => json!(dice.one_in(2)),
        Type::Count => json!(1 + dice.below(9)),
        Type::Duration => json!(dice.pick(&["500ms", "1s", "10s", "30s", "1m", "5m", "1h"])),
        Type::Interval => json!(dice.pick(&["1h", "day", "7d", "month"])),
        Type::Percent => json!(dice.pick(&["1%", "25%", "100%"])),
        Type::Size => json!(dice.pick(&["512MB", "1GB", "500GB"])),
        Type::Flow => json!("1GB/day"),
        Type::Rate => json!("100/s"),
        Type::Money => json!("10 USD"),
        Type::MoneyRate => json!("10 USD/h"),
        Type::Date => json!("2026-03-14"),
        Type::Word => json!(dice.pick(&words)),
        Type::Words => json!([dice.pick(&words)]),
        Type::Site => json!(dice.pick(regions)),
        Type::Sites => json!([dice.pick(regions)]),
        Type::Component if key.name == "behind" || key.name == "to" => json!(of_kind("aws-alb")?),
        Type::Component if key.name.contains("key") => json!(of_kind("aws-kms")?),
        Type::Component | Type::Components | Type::Map => return None,
        Type::Text | Type::Texts => {
            let text = text(dice, &key.name)?;
            if key.ty == Type::Texts { json!([text]) } else { json!(text) }
        }
    })
}

/// What means something is what it must be; the rest is what people write.
fn text(dice: &mut Dice, key: &str) -> Option<&'static str> {
    match key {
        "usage.class" => None,
        "record" => Some("www.case.example"),
        "name" => Some("db.case.internal"),
        "check.path" => Some("/ready"),
        "id" => Some("case-{site}"),
        "open_to_all" => Some("443"),
        "account" | "backup.account" => Some("111122223333"),
        _ => Some(dice.pick(&["as agreed", "say \"no\": ${never} #1", "two\nlines", "é — ü", "'", "%", "- x"])),
    }
}

#[test]
fn two_hundred_random_workloads_are_refused_with_a_line_or_valid() {
    let folder = tempfile::tempdir().unwrap();
    let (mut refused, mut seen) = (0, BTreeSet::new());
    for seed in 1..=WORKLOADS {
        let text = workload(seed);
        let name = format!("seed-{seed}");
        let Some(design) = model::spec::check(&text).design else {
            panic!("{name} is not valid:\n{text}\n{:#?}", model::spec::check(&text).problems)
        };
        match render(&design, "antipode.yaml") {
            Ok(rendering) => write_new(folder.path(), &name, &rendering, &mut seen),
            Err(RenderError::Impossible(problems)) => {
                assert!(problems.iter().all(|problem| problem.line > 1 && !problem.hint.is_empty()), "{problems:#?}");
                refused += 1;
            }
            Err(error) => panic!("{name}: {error}\n{text}"),
        }
    }
    assert!(refused < WORKLOADS / 2, "{refused} of {WORKLOADS} were refused: too few were rendered");
    let found = lint(folder.path());
    assert!(found.is_empty(), "{found}\nthe seed is in the name of the file");
}

/// Many networks are alike: each text is checked once in each region.
fn write_new(folder: &Path, name: &str, rendering: &antipode_render::Rendering, seen: &mut BTreeSet<(String, String)>) {
    let all = tempfile::tempdir().unwrap();
    specs::write(all.path(), name, rendering);
    for region in fs::read_dir(all.path()).unwrap().map(|entry| entry.unwrap()) {
        for file in fs::read_dir(region.path()).unwrap().map(|entry| entry.unwrap()) {
            let text = fs::read_to_string(file.path()).unwrap();
            let region = region.file_name().to_string_lossy().into_owned();
            if seen.insert((region.clone(), text.clone())) {
                fs::create_dir_all(folder.join(&region)).unwrap();
                fs::write(folder.join(&region).join(file.file_name()), text).unwrap();
            }
        }
    }
}
