mod fakes;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use engine::runbook::run::End;
use engine::{Record, Request};
use model::action::Evidence;
use model::{ActError, Action, Attempt, AttemptId, Epoch, Outcome, RunId, SiteId, Verb};
use tokio::task::JoinHandle;

use self::fakes::{Lab, Orders};
use super::*;
use crate::api::{ApiClient, Heard};
use crate::journal::JournalError;
use crate::rpc::{AgentClient, CallError, PeerClient};

/// Generous: the machine may be busy. Nothing waits this long when all is well.
const LONG: Duration = Duration::from_secs(60);

struct Running {
    api: ApiClient,
    address: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<Result<(), ControllerError>>,
}

impl Running {
    async fn start(lab: &Lab) -> Running {
        let controller = Controller::open(lab.config()).await.unwrap();
        let (address, stop) = (controller.address(), CancellationToken::new());
        let api = ApiClient::new(&lab.identity(&Peer::Operator("ana".into())), address, LONG).unwrap();
        let ended = tokio::spawn(controller.run(stop.clone()));
        Running { api, address, stop, ended }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.ended.await.unwrap().unwrap();
    }

    /// Waits until what was heard of the sites is as `holds` says.
    async fn heard(&self, what: &str, holds: impl Fn(&BTreeMap<SiteId, Heard>) -> bool) {
        until(what, async || holds(&self.api.reports().await.unwrap()).then_some(())).await
    }

    async fn heard_all(&self) {
        self.heard("all sites report", |sites| sites.values().all(|heard| heard.report.is_some())).await;
    }

    async fn generation(&self) -> u64 {
        until("a line of this start", async || self.api.journal(1, 1_000).await.unwrap().pop()).await.generation
    }
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    while since.elapsed() < LONG {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never happened: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_site_is_polled_and_a_silent_one_holds_up_nobody() {
    let lab = Lab::start().await;
    let running = Running::start(&lab).await;
    running.heard_all().await;

    lab.agent("right").stop.cancel();
    let right = "right".into();
    running.heard("the silent site is noticed", |sites| sites[&right].unanswered.is_some()).await;
    lab.agent("left").report.lock().unwrap().incarnation = 7;
    let left = "left".into();
    let again = |heard: &Heard| heard.report.as_ref().is_some_and(|report| report.incarnation == 7);
    running.heard("the others go on reporting", |sites| again(&sites[&left])).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_reach_the_operator_with_code_and_hint_and_others_may_not_ask() {
    let lab = Lab::start().await;
    let running = Running::start(&lab).await;
    let refused = running.api.request(&Request::Failback).await.unwrap_err();
    let CallError::Refused { status: 409, problem, .. } = refused else { panic!("{refused}") };
    assert!(!problem.code.is_empty() && !problem.why.is_empty() && !problem.hint.is_empty(), "{problem:?}");

    for stranger in [Peer::Agent("left".into()), Peer::Controller] {
        let identity = lab.identity(&stranger);
        let client = PeerClient::new(&identity, Peer::Controller, running.address, LONG).unwrap();
        let refused = client.get::<serde_json::Value>("/status", LONG).await.unwrap_err();
        assert!(matches!(refused, CallError::Refused { status: 403, .. }), "{refused}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_out_after_it_is_durable_and_its_end_comes_back() {
    let lab = Lab::start().await;
    let running = Running::start(&lab).await;
    *lab.agent("left").orders.lock().unwrap() = Orders::End(Outcome::Done(Evidence::note("made")));
    running.heard_all().await;
    let plan = running.api.plan(&Request::Establish).await.unwrap();
    assert_eq!(plan.to, "left".into());
    assert_eq!(running.api.status().await.unwrap().run, None, "a plan starts nothing");

    let granted = running.api.request(&Request::Establish).await.unwrap();
    assert_eq!(granted.run, Some(RunId(1)));
    until("the first order", async || lab.agent("left").acts.lock().unwrap().first().cloned()).await;

    let mut from = 1;
    let ended = until("its end", async || {
        let lines = running.api.events(from, Duration::from_secs(1)).await.unwrap();
        from = lines.last().map_or(from, |line| line.seq + 1);
        lines.iter().map(|line| line.record().unwrap()).find(|record| matches!(record, Record::AttemptEnded { .. }))
    });
    let Record::AttemptEnded { outcome, .. } = ended.await else { unreachable!() };
    assert_eq!(outcome, Outcome::Done(Evidence::note("made")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_controller_is_refused_while_the_first_runs() {
    let lab = Lab::start().await;
    let running = Running::start(&lab).await;
    assert_eq!(running.generation().await, 1);
    let second = Controller::open(lab.config()).await.err().expect("a second one must not open");
    assert!(matches!(second, ControllerError::Journal(JournalError::Locked { .. })), "{second}");
    running.stop().await;
    let third = Running::start(&lab).await;
    until("the next has its turn", async || (third.generation().await == 2).then_some(())).await;
    third.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_work_is_refused_at_the_start() {
    let lab = Lab::start().await;
    let mut config = lab.config();
    config.addresses.remove(&SiteId::new("right"));
    let error = Controller::open(config).await.err().unwrap().to_string();
    assert_eq!(error, "the configuration gives no address for the load balancer of right");
    let mut config = lab.config();
    config.agents.remove(&SiteId::new("witness-1"));
    let error = Controller::open(config).await.err().unwrap().to_string();
    assert_eq!(error, "the configuration gives no address for the agent of witness-1");
    assert!(!lab.config().journal.exists(), "and no journal is made");
}

/// Not a test of its own: the controller process that the next tests kill.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that another test starts"]
async fn control_until_killed() {
    let Some(config) = std::env::var_os("ANTIPODE_TEST_CONFIG") else { return };
    let config = ControllerConfig::load(Path::new(&config)).unwrap();
    let controller = Controller::open(config).await.unwrap();
    println!("listening {}", controller.address());
    controller.run(CancellationToken::new()).await.unwrap();
}

/// A controller process of its own, killed with the test.
struct Child {
    process: std::process::Child,
    api: ApiClient,
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Child {
    async fn start(lab: &Lab, crash_after: &str) -> Child {
        let config = lab.dir.path().join("controller.json");
        std::fs::write(&config, serde_json::to_string(&lab.config()).unwrap()).unwrap();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["shell::tests::control_until_killed", "--exact", "--ignored", "--nocapture"])
            .env("ANTIPODE_TEST_CONFIG", &config)
            .env("ANTIPODE_CRASH_AFTER_RECORD", crash_after)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let listens = move || {
            let mut lines = output.lines().map_while(Result::ok);
            lines.find_map(|line| line.split_once("listening ").map(|(_, at)| at.trim().to_string()))
        };
        let address = tokio::task::spawn_blocking(listens).await.unwrap().expect("the child listens");
        let identity = lab.identity(&Peer::Operator("ana".into()));
        let api = ApiClient::new(&identity, address.parse().unwrap(), LONG).unwrap();
        Child { process, api }
    }

    async fn died(&mut self, crash_after: &str) {
        let status = until(crash_after, async || self.process.try_wait().unwrap()).await;
        assert_eq!(status.signal(), Some(6), "{crash_after}: it was to abort, and ended with {status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_decision_and_effect_it_asks_before_it_orders_again() {
    let lab = Lab::start().await;
    let mut child = Child::start(&lab, "attempt_started").await;
    let _ = child.api.request(&Request::Establish).await;
    child.died("attempt_started").await;
    let left = lab.agent("left");
    assert!(left.acts.lock().unwrap().is_empty(), "it died before the effect");

    lab.all_take(Orders::Obey);
    let running = Running::start(&lab).await;
    let first = until("the order", async || left.acts.lock().unwrap().first().cloned()).await;
    let inquired = left.inquiries.lock().unwrap().clone();
    assert!(!inquired.is_empty(), "the order that never went out was asked after first");
    assert!(!inquired.contains(&first.attempt.id), "the second try is another attempt");
    assert_eq!(first.attempt.generation, 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_record_the_run_is_finished_by_the_next_start() {
    let points = [
        "run_started",
        "check_ended:3",
        "attempt_started:2",
        "attempt_ended",
        "committed",
        "attempt_started:4",
        "attempt_ended:3",
        "zone_chosen",
        "attempt_started:7",
        "attempt_ended:6",
        "run_ended",
    ];
    for point in points {
        let lab = Lab::start().await;
        lab.all_take(Orders::Obey);
        let mut child = Child::start(&lab, point).await;
        let _ = child.api.request(&Request::Establish).await;
        child.died(point).await;

        let running = Running::start(&lab).await;
        let run = until(point, async || running.api.status().await.unwrap().last_run).await;
        assert_eq!(run.end, Some(End::Succeeded), "{point}: {:?}", run.summary);
        let acts = lab.agent("left").acts.lock().unwrap().clone();
        let promoted = acts.iter().filter(|act| matches!(act.action.verb, Verb::Promote { .. })).count();
        assert_eq!(promoted, 1, "{point}: a promotion that was ordered once is never ordered twice");
        running.stop().await;
    }
}

fn order(site: &str) -> (Attempt, Action) {
    let id = AttemptId { run: RunId(1), step: 1, number: 1 };
    let attempt = Attempt { id, epoch: Epoch::none(), generation: 1, deadline: Duration::from_millis(200) };
    (attempt, Action { site: site.into(), component: "cases".into(), verb: Verb::Initialise })
}

/// How an order to `site` ends in the eyes of the engine.
async fn end_of(lab: &Lab, site: &str) -> Outcome {
    let (inputs, mut queue) = mpsc::channel(8);
    let identity = lab.identity(&Peer::Controller);
    let mut performer = Performer::new(&identity, &lab.topology, &lab.config().agents, inputs).unwrap();
    let (attempt, action) = order(site);
    performer.perform(vec![engine::Effect::Act { attempt, action }]);
    match queue.recv().await {
        Some(Input::Event(Event::Ended { outcome, .. })) => outcome,
        _ => panic!("an order ends with an event"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_an_answer_ends_as_surely_as_is_known() {
    let lab = Lab::start().await;
    assert!(matches!(end_of(&lab, "left").await, Outcome::Failed(ActError::Unknown(_))), "it hangs: perhaps done");
    assert!(matches!(end_of(&lab, "nowhere").await, Outcome::Failed(ActError::Permanent(_))));
    let gone = lab.agent("right");
    gone.stop.cancel();
    let client = AgentClient::new(&lab.identity(&Peer::Controller), "right".into(), gone.address, LONG).unwrap();
    until("the agent is gone", async || client.ping(LONG).await.err().filter(|e| !e.may_have_happened())).await;
    assert!(matches!(end_of(&lab, "right").await, Outcome::Failed(ActError::Transient(_))), "never sent");
}
