//! Any spec: whatever is written, the reader says what is wrong and where, and never panics; and whatever the catalogue
//! offers can be written.

use std::fmt::Write;
use std::path::Path;

use antipode_model::catalogue::{Key, Kind, Type, catalogue};
use antipode_model::spec::{self, Severity};
use proptest::prelude::*;

/// A failure prints its input: no file of past failures is kept beside the sources.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, cases, ..ProptestConfig::default() }
}

fn examples() -> Vec<String> {
    let names = ["xyz-webserver", "storefront", "regulated-cases", "ha-webapp", "twenty-mistakes", "case-api"];
    let path = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../examples/{name}/antipode.yaml"));
    names.iter().map(|name| std::fs::read_to_string(path(name)).unwrap()).collect()
}

/// Every problem points to a line of the text; a design is there exactly when no error is.
fn holds_together(text: &str) -> Result<(), TestCaseError> {
    let checked = spec::check(text);
    for problem in checked.problems.iter().chain(&checked.obstacles) {
        let span = problem.span;
        prop_assert!(text.get(span.offset..span.offset + span.len).is_some(), "{problem:?}");
        let lines = text.matches('\n').count() + 1;
        prop_assert!((1..=lines).contains(&span.line), "{problem:?}");
        prop_assert_eq!(span.line, text[..span.offset].matches('\n').count() + 1);
        prop_assert!(!problem.message.is_empty() && !problem.label.is_empty(), "{problem:?}");
    }
    let errors = checked.problems.iter().any(|p| p.severity == Severity::Error);
    prop_assert_eq!(checked.design.is_none(), errors);
    prop_assert_eq!(checked.topology.is_some(), !errors && checked.obstacles.is_empty());
    if let Some(design) = checked.design {
        let lines = text.lines().count();
        for part in &design.components {
            let line = design.line(&format!("components.{}", part.id));
            prop_assert!((1..=lines).contains(&line), "{}: {line}", part.id);
        }
    }
    Ok(())
}

/// One small damage to a text, as hands and merges make them.
#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Indent(prop::sample::Index, usize),
    Word(prop::sample::Index, String),
    Truncate(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    let word = prop_oneof![
        Just("no".to_owned()),
        Just("-1".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
        Just("~".to_owned()),
        Just("\"".to_owned()),
        Just("&a".to_owned()),
        Just("*a".to_owned()),
        Just("0%".to_owned()),
        Just("1e9".to_owned()),
        Just("12 USD".to_owned()),
        Just("2026-02-30".to_owned()),
        Just("aws.rds".to_owned()),
        Just("postgres".to_owned()),
        r"\PC{0,6}",
    ];
    prop_oneof![
        at().prop_map(Damage::Cut),
        at().prop_map(Damage::Repeat),
        (at(), at()).prop_map(|(a, b)| Damage::Swap(a, b)),
        (at(), 0usize..9).prop_map(|(a, n)| Damage::Indent(a, n)),
        (at(), word).prop_map(|(a, w)| Damage::Word(a, w)),
        at().prop_map(Damage::Truncate),
    ]
}

fn damaged(text: &str, damage: &Damage) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return text.to_owned();
    }
    match damage {
        Damage::Cut(at) => drop(lines.remove(at.index(lines.len()))),
        Damage::Repeat(at) => {
            let at = at.index(lines.len());
            lines.insert(at, lines[at].clone());
        }
        Damage::Swap(a, b) => {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
        }
        Damage::Indent(at, n) => {
            let at = at.index(lines.len());
            lines[at] = format!("{}{}", " ".repeat(*n), lines[at].trim_start());
        }
        Damage::Word(at, word) => {
            let places: Vec<(usize, usize)> = lines
                .iter()
                .enumerate()
                .flat_map(|(l, line)| (0..line.split(' ').count()).map(move |w| (l, w)))
                .collect();
            let (line, at) = places[at.index(places.len())];
            let mut words: Vec<&str> = lines[line].split(' ').collect();
            words[at] = word;
            lines[line] = words.join(" ");
        }
        Damage::Truncate(at) => lines.truncate(at.index(lines.len())),
    }
    lines.join("\n") + "\n"
}

/// Something that may stand under a key.
fn fitting(key: &Key) -> BoxedStrategy<String> {
    let texts = |words: &'static [&'static str]| prop::sample::select(words).prop_map(str::to_owned).boxed();
    let list = |one: BoxedStrategy<String>| {
        prop::collection::vec(one, 0..3).prop_map(|all| format!("[{}]", all.join(", "))).boxed()
    };
    let words = || if key.one_of.is_empty() { texts(&["x"]) } else { prop::sample::select(key.one_of.clone()).boxed() };
    let one = match key.ty {
        Type::Duration => texts(&["0s", "500ms", "1h 30m", "7d"]),
        Type::Interval => texts(&["week", "1d", "quarter"]),
        Type::Percent => texts(&["0%", "99.95%", "100%"]),
        Type::Size => texts(&["0MB", "1.5GB", "3TB"]),
        Type::Flow => texts(&["1MB/s", "20GB/day"]),
        Type::Rate => texts(&["3M/month", "200/s", "0/min"]),
        Type::Money => texts(&["300 USD", "0.5 USD"]),
        Type::MoneyRate => texts(&["2000 USD/h", "12 USD/month"]),
        Type::Count => texts(&["0", "4", "4294967295"]),
        Type::Bool => texts(&["true", "false"]),
        Type::Date => texts(&["2026-03-14", "2024-02-29"]),
        Type::Word => words(),
        Type::Words => list(words()),
        Type::Text => texts(&["a text", "\"web-{site}\"", "1.10"]),
        Type::Texts => list(texts(&["a text", "\"22\""])),
        Type::Site => texts(&["north", "south"]),
        Type::Sites => list(texts(&["north", "south"])),
        Type::Component => texts(&["other"]),
        Type::Components => list(texts(&["other"])),
        Type::Map => texts(&["{}", "{ one: two }"]),
    };
    match key.per_site {
        true => prop_oneof![one.clone(), one.prop_map(|value| format!("{{ south: {value} }}"))].boxed(),
        false => one,
    }
}

/// A kind, and some of its keys with their values.
type Component = (String, Vec<(String, String)>);

/// A component of a kind that is assessed, with any of its keys.
fn component() -> impl Strategy<Value = Component> {
    let kinds: Vec<&'static Kind> = catalogue().kinds().filter(|kind| !kind.runs).collect();
    prop::sample::select(kinds).prop_flat_map(|kind| {
        let keys: Vec<&'static Key> = kind.keys.values().collect();
        let chosen = prop::sample::subsequence(keys.clone(), 0..=keys.len().min(12));
        let values = chosen.prop_flat_map(|keys| {
            keys.into_iter().map(|key| fitting(key).prop_map(|value| (key.name.clone(), value))).collect::<Vec<_>>()
        });
        (Just(kind.name.clone()), values)
    })
}

fn text_of(components: &[Component]) -> String {
    let mut text =
        "workload: any\nobjectives: { rto: 5m }\nsites: { north: {}, south: { capacity: 0% } }\ncomponents:\n  \
                    other: { kind: cache }\n"
            .to_owned();
    for (i, (kind, keys)) in components.iter().enumerate() {
        let _ = write!(text, "  c{i}:\n    kind: {kind}\n");
        let mut groups: Vec<&str> = Vec::new();
        for (name, value) in keys.iter().filter(|(name, _)| !name.contains('.')) {
            let _ = writeln!(text, "    {name}: {value}");
        }
        for (name, _) in keys {
            groups.extend(name.split_once('.').map(|(group, _)| group).filter(|group| !groups.contains(group)));
        }
        for group in groups {
            let _ = writeln!(text, "    {group}:");
            for (name, value) in keys {
                if let Some(("", key)) = name.split_once(group).and_then(|(a, b)| Some((a, b.strip_prefix('.')?))) {
                    let _ = writeln!(text, "      {key}: {value}");
                }
            }
        }
    }
    text
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn a_damaged_example_is_read_without_panic(
        which in 0usize..6,
        damages in prop::collection::vec(damage(), 1..5),
    ) {
        let text = damages.iter().fold(examples()[which].clone(), |text, damage| damaged(&text, damage));
        holds_together(&text)?;
    }

    #[test]
    fn whatever_the_catalogue_offers_can_be_written(components in prop::collection::vec(component(), 1..6)) {
        let text = text_of(&components);
        let checked = spec::check(&text);
        prop_assert!(checked.problems.is_empty(), "{:?}\n{text}", checked.problems);
        let design = checked.design.expect("there is no error");
        for ((kind, keys), part) in components.iter().zip(&design.components[1..]) {
            prop_assert_eq!(&part.kind.name, kind);
            for (key, _) in keys {
                prop_assert!(part.declared(key) && part.answered(key), "{key} of {kind}\n{text}");
            }
        }
        prop_assert!(serde_json::to_value(&design).is_ok());
    }

    #[test]
    fn and_damaged_it_is_read_without_panic(
        components in prop::collection::vec(component(), 1..4),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let text = damages.iter().fold(text_of(&components), |text, damage| damaged(&text, damage));
        holds_together(&text)?;
    }
}

/// A thousand components over five regions, as a large company has them.
fn large() -> String {
    let mut text = "workload: large\nobjectives: { rto: 15m, rpo: 1m }\nsites:\n".to_owned();
    for i in 0..5 {
        let _ = writeln!(text, "  region-{i}: {{ zones: [a, b, c], capacity: 50% }}");
    }
    text += "components:\n";
    for i in 0..1000 {
        let (kind, more) = match i % 5 {
            0 => (
                "aws.rds",
                "replication: asynchronous, lag: 5s, writers: single, backup: { every: 1d, isolated: true }",
            ),
            1 => ("aws.asg", "peak: 12, autoscale: true, zones_spread: true, sessions: stateless"),
            2 => ("aws.alb", "check: { path: /ready, every: 10s, failures: 3, depth: deep }"),
            3 => ("aws.sqs", "system_of_record: false, events: { ordering: none, duplicates: idempotent }"),
            _ => ("aws.secrets-manager", "replicated: true, rotation: everywhere, references: name"),
        };
        let needs = if i < 5 { String::new() } else { format!("c{}, c{}", i - 5, i / 2) };
        let _ = writeln!(text, "  c{i}: {{ kind: {kind}, needs: [{needs}], id: \"it-{i}-{{site}}\", {more} }}");
    }
    text
}

#[test]
fn a_thousand_components_over_five_regions_are_read() {
    let text = large();
    let checked = spec::check(&text);
    assert_eq!(checked.problems, []);
    let design = checked.design.unwrap();
    assert_eq!((design.components.len(), design.regions().count()), (1000, 5));
    assert_eq!(design.components[999].sites.len(), 5);
}

/// `cargo nextest run -p antipode-model --release --run-ignored only -- how_fast` says how long it takes.
#[test]
#[ignore = "measures"]
fn how_fast_a_large_spec_is_read() {
    let text = large();
    spec::check(&text);
    let begun = std::time::Instant::now();
    for _ in 0..10 {
        assert!(spec::check(&text).design.is_some());
    }
    println!("{} KiB, {:?} each", text.len() >> 10, begun.elapsed() / 10);
}

/// A chain as long as the file needs no stack of its own length.
#[test]
fn a_long_chain_of_needs_is_followed_to_its_end() {
    let chain = |last: &str| {
        let mut text = "workload: chain\nobjectives: {}\nsites: { north: {} }\ncomponents:\n".to_owned();
        for i in 0..5000 {
            let _ = writeln!(text, "  c{i}: {{ kind: cache, needs: [c{}] }}", i + 1);
        }
        text + &format!("  c5000: {{ kind: cache, needs: [{last}] }}\n")
    };
    assert_eq!(spec::check(&chain("")).problems, []);
    let codes: Vec<_> = spec::check(&chain("c4000")).problems.iter().map(|p| (p.code, p.span.line)).collect();
    assert_eq!(codes, [("spec-needs-cycle", 4005)]);
}
