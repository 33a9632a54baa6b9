//! `kill -9` of the controller at each step of a failover and of a failback, with real agents underneath.
//!
//! One run is carried through by many controllers. Most of them abort themselves as soon as their k-th line of the run
//! is durable, before any effect of it and after those of the lines before it (`ANTIPODE_CRASH_AFTER_RECORD=*:k`, k from
//! 1 to 5), the first two at the first beginning and at the first end of a step; once enough have died so, every fourth
//! one is killed by us when the journal shows a line of it, while the effects are under way: how far the run has come by
//! then is the machine's to say.
//! `ANTIPODE_ROUNDS` repeats it all, each time with other controllers dying at other lines.

use std::collections::BTreeMap;

use antipode_lab::world::wait_for;
use controller::clock;
use controller::journal::Line;
use engine::runbook::run::{End, Pause};
use engine::{Request, Status};
use model::SiteId;

use crate::quorum::Quorums;
use crate::site::{Lab, PATIENCE, spec};
use crate::writer::Writers;

/// A run that dies more often than this goes in circles.
const MOST_DEATHS: usize = 200;
/// Lines of a run at which a controller must have died: the first two that are started do.
const STEPS: [&str; 2] = ["attempt_started", "attempt_ended"];
/// These abort themselves, within their first five lines: a run is longer than all of them together.
const FEWEST_DEATHS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_step_of_failover_and_failback_each_run_ends_and_loses_nothing() {
    let lab = Lab::up(&patient_spec()).await;
    let rounds = std::env::var("ANTIPODE_ROUNDS").map_or(1, |text| text.parse().expect("ANTIPODE_ROUNDS is a number"));
    let side = |site: &SiteId| (site.clone(), lab.agent(site));
    let quorums = Quorums::watch(side(&lab.alpha), side(&lab.bravo));
    for round in 1..=rounds {
        let home = Writers::start(&lab, &lab.alpha, 2).await;
        home.wait_for(20).await;
        let before = generation(&journal(&lab).await);
        lab.world().kill_controller().await;
        lab.world().kill_site(&lab.alpha).await.unwrap();
        let until = home.last();
        let deaths = Deaths::until(&lab, &lab.bravo, None, (round, before)).await;
        println!("round {round}, failover: {deaths}");
        deaths.assert_enough();
        // Asynchronous: what the region acknowledged just before it died may be lost, within the objective of a minute.
        let lost = home.missing(&lab, &lab.bravo, until).await;
        println!("round {round}: the region's death lost {} of {} acknowledged writes", lost.len(), home.count());
        drop(home);

        lab.world().start_site(&lab.alpha).await.unwrap();
        lab.wait_fenced(&lab.alpha).await;
        let away = Writers::start(&lab, &lab.bravo, 2).await;
        away.wait_for(20).await;
        let before = generation(&journal(&lab).await);
        let deaths = Deaths::until(&lab, &lab.alpha, Some(Request::Failback), (round, before)).await;
        println!("round {round}, failback: {deaths}");
        deaths.assert_enough();
        let lost = away.missing(&lab, &lab.alpha, clock::now()).await;
        assert_eq!(lost, Vec::<i64>::new(), "a planned move loses nothing that was acknowledged");
    }
    quorums.assert_at_most_one(100);
    lab.down().await;
}

/// Steps may take as long as dozens of controllers' starts, which is what they do here.
fn patient_spec() -> String {
    let timing = "standard, healthy_for: 1s, deadlines: { check: 120s, fence: 120s, promote: 120s, follow: 120s, \
                  scale: 120s, route: 120s, exercise: 120s },";
    spec("automatic").replace("standard,", timing)
}

/// How often controllers died at a line of each name.
#[derive(Default)]
struct Deaths {
    before_effects: BTreeMap<String, usize>,
    amid_effects: BTreeMap<String, usize>,
}

impl Deaths {
    /// Kills controllers until a run has ended well and `to` writes; asks for `request` whenever no run is active. `from`:
    /// the round, and the generation of the last controller before.
    async fn until(lab: &Lab, to: &SiteId, request: Option<Request>, from: (usize, u64)) -> Self {
        let ((round, first), mut hooked) = (from, BTreeMap::new());
        for n in 0..MOST_DEATHS {
            lab.world().kill_controller().await;
            let abort = n < FEWEST_DEATHS || n % 4 != 3;
            let named = STEPS.get(n).copied();
            let line = named.map_or_else(|| format!("*:{}", 1 + (n + round) % 5), str::to_owned);
            let hook: &[_] = if abort { &[("ANTIPODE_CRASH_AFTER_RECORD", line.as_str())] } else { &[] };
            lab.world().start_controller(hook).await.unwrap();
            let mut over = false;
            // Counted by openings of the journal, so it is known before the controller has written anything.
            let mine = first + 1 + n as u64;
            let died = wait_for("a line of the run, or its end", PATIENCE, async || {
                let Ok(status) = lab.api.status().await else { return lab.world().controller_ended().await.is_some() };
                over = is_over(&status, to);
                if !over {
                    push(lab, &status, request.as_ref()).await;
                }
                over || (!abort && journal(lab).await.iter().any(|line| line.generation == mine && of_a_run(line)))
            });
            died.await.unwrap();
            if abort {
                hooked.insert(mine, named);
            }
            if over {
                return Self::count(&journal(lab).await, first, &hooked);
            }
        }
        panic!(
            "after {MOST_DEATHS} deaths the run has not ended: {:?}",
            lab.api.status().await.map(|status| status.run)
        );
    }

    /// Where each of these controllers died: at the line that it was to die at, or else at the last of a run that it wrote
    /// (what is durable at once with that line may stand after it).
    fn count(lines: &[Line], after: u64, hooked: &BTreeMap<u64, Option<&'static str>>) -> Self {
        let of_runs = lines.iter().filter(|line| line.generation > after && of_a_run(line));
        let last: BTreeMap<u64, &Line> = of_runs.map(|line| (line.generation, line)).collect();
        let mut deaths = Self::default();
        for (generation, line) in last {
            let hook = hooked.get(&generation);
            let kind = if hook.is_some() { &mut deaths.before_effects } else { &mut deaths.amid_effects };
            let wrote = |at: &&str| lines.iter().any(|line| line.generation == generation && name(line) == *at);
            let at = hook.copied().flatten().filter(wrote).unwrap_or_else(|| name(line));
            *kind.entry(at.to_owned()).or_default() += 1;
        }
        deaths
    }

    fn count_all(&self) -> usize {
        self.before_effects.values().chain(self.amid_effects.values()).sum()
    }

    fn assert_enough(&self) {
        for name in STEPS {
            assert!(self.before_effects.contains_key(name), "no controller died at `{name}`: {self}");
        }
        assert!(self.count_all() >= FEWEST_DEATHS, "{self}");
    }
}

impl std::fmt::Display for Deaths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.count_all();
        let (before, amid) = (&self.before_effects, &self.amid_effects);
        write!(f, "{all} deaths; before its effects: {before:?}; amid them: {amid:?}")
    }
}

fn is_over(status: &Status, to: &SiteId) -> bool {
    let there = status.writer.as_ref().is_some_and(|writer| writer.site == *to && writer.confirmed);
    let well = status.last_run.as_ref().is_some_and(|run| run.end == Some(End::Succeeded) && run.to == *to);
    status.run.is_none() && there && well
}

/// What people do meanwhile: ask again when a run was undone, and agree to what waits for them. A controller that was
/// killed has forgotten the lost region's last report, so that it asks two people to accept a loss that it cannot estimate.
async fn push(lab: &Lab, status: &Status, request: Option<&Request>) {
    let Some(run) = &status.run else {
        if let Some(request) = request {
            drop(lab.api.request(request).await);
        }
        return;
    };
    let accept_loss = matches!(run.pause, Some(Pause::AcceptLoss { .. }));
    if run.pause.is_some() {
        for person in ["ana", "budi"] {
            drop(lab.world().operator(&person.into()).unwrap().approve(run.run, accept_loss).await);
        }
    }
}

async fn journal(lab: &Lab) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    while let Ok(more) = lab.api.journal(lines.len() as u64 + 1, 1_000).await
        && !more.is_empty()
    {
        lines.extend(more);
    }
    lines
}

fn generation(lines: &[Line]) -> u64 {
    lines.last().map_or(0, |line| line.generation)
}

fn of_a_run(line: &Line) -> bool {
    let belongs = !line.record["run"].is_null() || !line.record["attempt"].is_null();
    belongs && !name(line).starts_with("chore_")
}

fn name(line: &Line) -> &str {
    line.record["record"].as_str().unwrap_or_default()
}
