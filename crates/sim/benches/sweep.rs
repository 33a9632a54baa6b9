//! Disasters by the million on one core: tells how far it is, and goes on where an earlier call stopped.
//!
//! `bin/sweep [FIRST] [COUNT]`, or `cargo bench -p antipode-sim --bench sweep -- FIRST COUNT FILE`. The file gets a line
//! for each part that is done; two calls with different ranges may share it. It belongs to one state of the code.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use antipode_sim::{Report, Sweep};
use serde_json::{Value, json};

/// Some seconds' work: so much is lost when it is killed.
const PART: u64 = 5_000;

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Cargo adds an option of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number = |at: usize, other| words.get(at).map_or(other, |word| word.parse().expect("a number of seeds"));
    let (first, count) = (number(0, 1), number(1, 1_000_000));
    let path = words.get(2).map_or("sweep.jsonl", String::as_str);
    let done = parts(path);
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the file can be written");
    let (began, mut tried) = (Instant::now(), 0);
    let starts = (first..first + count).step_by(PART as usize);
    let left: Vec<u64> = starts.filter(|start| !done.contains_key(start)).collect();
    println!("{count} seeds from {first}; {} parts of {PART} are left", left.len());
    for (number, start) in left.iter().enumerate() {
        let seeds = PART.min(first + count - start);
        part(&mut file, *start, seeds);
        tried += seeds;
        let elapsed = began.elapsed().as_secs_f64();
        let rest = elapsed / tried as f64 * (PART * (left.len() - number - 1) as u64) as f64;
        println!(
            "{} of {} parts, {:.0} a second, about {rest:.0} s left",
            number + 1,
            left.len(),
            tried as f64 / elapsed
        );
    }
    let range: Vec<Value> = parts(path)
        .into_iter()
        .filter(|(start, _)| (first..first + count).contains(start))
        .map(|(_, part)| part)
        .collect();
    tell(&range)
}

/// What earlier calls did, by first seed.
fn parts(path: &str) -> BTreeMap<u64, Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| Some((line["first"].as_u64()?, line))).collect()
}

fn part(file: &mut File, first: u64, count: u64) {
    let (mut sweep, began) = (Sweep::default(), processor_seconds());
    for seed in first..first + count {
        let report = antipode_sim::run(seed);
        if !report.violations.is_empty() {
            fails(&report);
        }
        sweep.add(report);
    }
    let line = json!({ "first": first, "processor_seconds": processor_seconds() - began, "sweep": sweep });
    writeln!(file, "{line}").expect("the file can be written");
}

fn fails(report: &Report) {
    let Report { seed, kind, shape, violations, .. } = report;
    println!("FAILED seed {seed}, {kind:?} of {shape:?}: {violations:?}\n  again: antipode sim --seed {seed} --trace");
}

/// What this thread has had of the processor; nothing where Linux is not.
fn processor_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    nanoseconds.unwrap_or_default() as f64 / 1e9
}

fn tell(parts: &[Value]) -> ExitCode {
    const COLUMNS: [&str; 6] = ["disasters", "hit_nothing", "waiting", "down", "promotions", "lost"];
    let mut kinds: BTreeMap<String, [u64; 6]> = BTreeMap::new();
    let (mut total, mut seconds, mut failed) = ([0; 6], 0.0, Vec::new());
    for part in parts {
        seconds += part["processor_seconds"].as_f64().unwrap_or_default();
        failed.extend(part["sweep"]["failed"].as_array().into_iter().flatten().map(|report| report["seed"].clone()));
        for (kind, ends) in part["sweep"]["by_kind"].as_object().into_iter().flatten() {
            let numbers = COLUMNS.map(|column| ends[column].as_u64().unwrap_or_default());
            let of_kind = kinds.entry(kind.clone()).or_default();
            for (column, number) in numbers.into_iter().enumerate() {
                of_kind[column] += number;
                total[column] += number;
            }
        }
    }
    println!("| kind | {} |\n|---|{}", COLUMNS.join(" | ").replace('_', " "), "---|".repeat(COLUMNS.len()));
    kinds.insert("all".into(), total);
    for (kind, numbers) in &kinds {
        println!("| {kind} | {} |", numbers.map(|number| number.to_string()).join(" | "));
    }
    let disasters = total[0] as f64;
    println!("{disasters} disasters in {seconds:.0} s of one processor, {:.0} a second", disasters / seconds);
    if failed.is_empty() {
        println!("every invariant held");
        return ExitCode::SUCCESS;
    }
    println!("seeds that broke one: {failed:?}");
    ExitCode::FAILURE
}
