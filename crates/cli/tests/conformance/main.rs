//! The cases of `conformance/`, played in the modelled world and with real drivers: where the two differ, one of them is
//! wrong, or the difference is said in the case and on docs/conformance.md.

mod agent;
mod case;
mod database;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use case::{Case, Expected, Given, Side, Told};

/// Longest that anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Something that orders can be given to.
trait World<O> {
    /// How the order ended; empty where nothing tells.
    async fn perform(&mut self, order: &O) -> String;
    /// What is so now, as far as the order asks.
    async fn see(&mut self, order: &O) -> BTreeSet<String>;
    /// Lets things happen between two looks. False when there was time enough.
    async fn pass(&mut self, since: Instant) -> bool;
}

/// What failed for now, as anything may on a busy machine, is tried again, as a controller does.
async fn perform<O>(world: &mut impl World<O>, order: &O, wanted: &str) -> String {
    let began = Instant::now();
    loop {
        let ended = world.perform(order).await;
        let again = ended != wanted && ["failed for now", "unknown"].contains(&ended.as_str());
        if !again || !world.pass(began).await {
            return ended;
        }
    }
}

async fn play<O>(world: &mut impl World<O>, case: &Case<O>, side: Side) -> Result<(), String> {
    for line in &case.lines {
        let began = Instant::now();
        match line.expected(side) {
            Expected::End(wanted) => {
                let ended = perform(world, &line.order, wanted).await;
                if ended != *wanted {
                    return Err(format!("`{}`: {ended:?}, not {wanted:?}", line.text));
                }
            }
            Expected::Facts(wanted) => loop {
                let seen = world.see(&line.order).await;
                let missing: Vec<_> = wanted.difference(&seen).collect();
                if missing.is_empty() {
                    break;
                }
                if !world.pass(began).await {
                    return Err(format!("`{}`: {missing:?} is not so, but {seen:?}", line.text));
                }
            },
        }
    }
    Ok(())
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All of a file, or with `CASES=word` those whose title has the word.
fn cases<O: Told>(file: &str, least: usize) -> Vec<Case<O>> {
    let word = std::env::var("CASES").unwrap_or_default();
    let mut cases = case::read(&root().join("conformance").join(file));
    assert!(cases.len() >= least, "{file}: only {} cases", cases.len());
    cases.retain(|case| case.title.contains(&word));
    cases
}

fn databases() -> Vec<Case<database::order::Order>> {
    cases("database.yaml", 20)
}
fn agents() -> Vec<Case<agent::order::Order>> {
    cases("agent.yaml", 10)
}

fn told(failed: Vec<String>) {
    assert!(failed.is_empty(), "{} cases differ:\n{}", failed.len(), failed.join("\n"));
}

/// The modelled world has delays of its own in each of these.
const SEEDS: u64 = 12;

async fn modelled<O, W: World<O>>(cases: Vec<Case<O>>, given: impl Fn(Given, u64) -> W) {
    let mut failed = Vec::new();
    for case in cases {
        for seed in 0..SEEDS {
            if let Err(why) = play(&mut given(case.given, seed), &case, Side::Modelled).await {
                failed.push(format!("{} (seed {seed})\n  {why}", case.title));
                break;
            }
        }
    }
    told(failed);
}

#[tokio::test]
async fn modelled_databases_conform() {
    modelled(databases(), database::modelled::Modelled::given).await;
}

#[tokio::test]
async fn modelled_agents_conform() {
    modelled(agents(), agent::modelled::Modelled::given).await;
}

/// So many cases at once: they mostly wait.
const LANES: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_databases_conform() {
    let template = Arc::new(database::real::Template::make().await);
    let mut waiting: Vec<_> = databases().into_iter().enumerate().collect();
    waiting.reverse();
    let (mut playing, mut failed) = (tokio::task::JoinSet::new(), Vec::new());
    loop {
        while playing.len() < LANES
            && let Some((number, case)) = waiting.pop()
        {
            let template = template.clone();
            playing.spawn(async move {
                let began = Instant::now();
                let does: Vec<_> = case.lines.iter().map(|line| &line.order).collect();
                let Some(mut world) = database::real::Real::given(&template, case.given, number, &does).await else {
                    return Ok(());
                };
                let ended = play(&mut world, &case, Side::Real).await;
                println!("{:>6.1?} {}", began.elapsed(), case.title);
                ended.map_err(|why| format!("{}\n  {why}", case.title))
            });
        }
        let Some(ended) = playing.join_next().await else { break };
        failed.extend(ended.expect("a case does not panic").err());
    }
    told(failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_agents_conform() {
    let mut failed = Vec::new();
    for (number, case) in agents().into_iter().enumerate() {
        let began = Instant::now();
        let mut world = agent::real::Real::new(number).await;
        let ended = play(&mut world, &case, Side::Real).await;
        println!("{:>6.1?} {}", began.elapsed(), case.title);
        failed.extend(ended.err().map(|why| format!("{}\n  {why}", case.title)));
    }
    told(failed);
}

/// Rows of the page for the differences that a file of cases tells.
fn rows<O>(cases: &[Case<O>]) -> Vec<String> {
    let lines = cases.iter().flat_map(|case| case.lines.iter().map(move |line| (case, line)));
    lines.filter(|(_, line)| line.because.is_some()).map(|(case, line)| line.row(&case.title)).collect()
}

#[test]
fn the_page_tells_every_difference_and_no_other() {
    let page = fs::read_to_string(root().join("docs/conformance.md")).expect("docs/conformance.md");
    let rows = [rows(&databases()), rows(&agents())].concat();
    for row in &rows {
        assert!(page.contains(row), "docs/conformance.md lacks this row:\n{row}");
    }
    let (_, table) = page.split_once("## Differences that stay").expect("the table");
    let told = table.lines().filter(|line| line.starts_with("| ")).count() - 1;
    assert!(std::env::var("CASES").is_ok() || told == rows.len(), "{told} rows, {} differences", rows.len());
}
