//! Delayed messages: every order that a controller ever gave, every question to a voter, every approval, once more when
//! they can only do harm: late, twice, and after a cancellation.

use std::time::Duration;

use antipode_lab::world::{death, follow, record, wait_for};
use controller::clock;
use controller::identity::{Identity, Peer};
use controller::rpc::{AgentClient, CallError};
use controller::shell::Granted;
use engine::{Record, Request};
use model::{
    Action, Attempt, AttemptId, ComponentId, Epoch, LeaseRequest, Outcome, Receipt, RunId, SiteId, SyncRecord, Verb,
};
use rustix::process::Signal;

use crate::site::{Lab, PATIENCE, spec};
use crate::writer::Writers;

const WITHIN: Duration = Duration::from_secs(20);

/// Everything that three runs and their chores ordered arrives again, the youngest first, with the word of the present
/// controller: the writer goes on, and nobody else becomes one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_ever_given_may_arrive_again() {
    let lab = Lab::up(&spec("ask").replace("standard,", "standard, healthy_for: 1s,")).await;
    let first = lab.wait_writing(&lab.alpha).await;
    run(&lab, Request::Switchover { to: None }).await;
    run(&lab, Request::Failback).await;
    let epoch = lab.wait_writing(&lab.alpha).await;
    assert!(epoch > first);
    let writers = Writers::start(&lab, &lab.alpha, 2).await;
    writers.wait_for(20).await;

    let orders = orders(&lab).await;
    let verbs: std::collections::BTreeSet<_> = orders.iter().map(|(_, action)| action.verb.name()).collect();
    assert!(["promote", "fence", "follow", "route", "scale"].iter().all(|verb| verbs.contains(verb)), "{verbs:?}");
    let replayed = clock::now();
    for (attempt, action) in orders.iter().rev() {
        let (verb, site) = (action.verb.name(), action.site.clone());
        let outcome = lab.agent(&site).act(attempt.clone(), action.clone(), WITHIN).await;
        println!("{} {verb} at {site}: {outcome:?}", attempt.id);
    }
    // The same orders as if the agent had forgotten them: other attempts, of the epoch in which they were given. (A fence
    // is carried out then: it makes no second writer, and the site that holds the highest epoch obeys older ones.)
    for (n, (attempt, action)) in orders.iter().enumerate() {
        let id = AttemptId { run: RunId(900), step: n as u32, number: 1 };
        let deadline = Duration::from_secs(2);
        if matches!(action.verb, Verb::Promote { .. } | Verb::Follow { .. }) {
            let again = Attempt { id, deadline, ..attempt.clone() };
            let outcome = lab.agent(&action.site).act(again, action.clone(), WITHIN).await;
            let (verb, harmless) = (action.verb.name(), !matches!(outcome, Ok(Outcome::Done(_))));
            assert!(harmless || attempt.epoch == epoch, "{verb} of {} at {}: {outcome:?}", attempt.epoch, action.site);
        }
    }
    writers.wait_for(50).await;
    assert_eq!(lab.wait_writing(&lab.alpha).await, epoch, "an old order ended the epoch");
    assert_eq!(lab.writes(&lab.bravo).await, None);
    assert!(!writers.were_cut(replayed), "a session was cut");
    lab.down().await;
}

/// What a former writer asked of the voters in its old epoch, and its receipts, release nothing of the present one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_of_an_old_epoch_are_refused_by_every_voter() {
    let lab = Lab::up(&spec("ask").replace("standard,", "standard, healthy_for: 1s,")).await;
    let old = lab.wait_writing(&lab.alpha).await;
    run(&lab, Request::Switchover { to: None }).await;
    let epoch = lab.wait_writing(&lab.bravo).await;
    let receipt = receipt(&lab, &lab.alpha).await;
    assert!(receipt.covers(&old) && !receipt.covers(&epoch));
    let writers = Writers::start(&lab, &lab.bravo, 2).await;
    writers.wait_for(20).await;

    let begun = clock::now();
    for voter in [&lab.alpha, &lab.bravo, &lab.charlie] {
        let alpha = as_agent(&lab, &lab.alpha, voter);
        let record = SyncRecord { version: 99, in_sync: vec![lab.alpha.clone()] };
        let receipts = || vec![receipt.clone()];
        let newer = Epoch { number: epoch.number + 1, site: lab.alpha.clone() };
        let questions = [
            LeaseRequest::Renew { epoch: old.clone() },
            LeaseRequest::Acquire { epoch: old.clone(), receipts: receipts() },
            LeaseRequest::Sound { epoch: old.clone(), receipts: receipts() },
            LeaseRequest::RecordSync { epoch: old.clone(), record: record.clone() },
            // Above everybody's, with the old receipt: the present writer's promise stands.
            LeaseRequest::Sound { epoch: newer.clone(), receipts: receipts() },
        ];
        for question in questions {
            let reply = alpha.lease(&question, WITHIN).await.unwrap();
            assert!(!reply.granted(), "{voter} grants {question:?}");
        }
        // Told again, the receipt frees what it freed before: nothing that anybody holds now.
        alpha.lease(&LeaseRequest::Release { receipt: receipt.clone() }, WITHIN).await.unwrap();
        let reply = alpha.lease(&LeaseRequest::Sound { epoch: newer, receipts: vec![] }, WITHIN).await.unwrap();
        assert!(!reply.granted(), "{voter} forgot its promise: {reply:?}");

        // Nobody asks in another's name, and a receipt counts with its signature only.
        let asks_for_bravo = LeaseRequest::Renew { epoch: epoch.clone() };
        assert_eq!(status(alpha.lease(&asks_for_bravo, WITHIN).await), Some(403));
        let forged = Receipt { site: lab.bravo.clone(), epoch: epoch.clone(), ..receipt.clone() };
        assert_eq!(status(alpha.lease(&LeaseRequest::Release { receipt: forged }, WITHIN).await), Some(403));
    }
    writers.wait_for(50).await;
    assert_eq!(lab.writes(&lab.bravo).await, Some(epoch));
    assert!(!writers.were_cut(begun), "a session was cut");
    lab.down().await;
}

/// A promotion that was given up, arriving when it could succeed: the writer is frozen, its lease is over, and
/// nobody else would stop it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_that_was_given_up_promotes_nobody_although_the_lease_is_over() {
    let lab = Lab::up(&spec("ask")).await;
    let writers = Writers::start(&lab, &lab.alpha, 2).await;
    writers.wait_for(20).await;
    let epoch = lab.wait_writing(&lab.alpha).await;
    lab.world().kill_controller().await;
    let bravo = lab.agent(&lab.bravo);
    let attempt = |number| Attempt {
        id: AttemptId { run: RunId(50), step: 3, number },
        epoch: epoch.clone(),
        generation: 1_000,
        deadline: Duration::from_secs(15),
    };
    let promote = || Action {
        site: lab.bravo.clone(),
        component: ComponentId::new("cases"),
        verb: Verb::Promote { receipts: vec![], at_least: None, accept_loss: None },
    };
    // One that runs and is given up; one that is given up before it comes; and an older one. Asked after before it
    // came, an order never begins: like the engine, the next number is given then.
    let mut given = None;
    for number in 2..100 {
        let (asks, id, order) = (bravo.clone(), attempt(number), promote());
        let order = tokio::spawn(async move { asks.act(id, order, WITHIN).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
        let seen = bravo.inquire(attempt(number).id, WITHIN).await.unwrap();
        if !matches!(seen, controller::rpc::wire::AttemptReply::NeverSeen) {
            given = Some((number, order));
            break;
        }
    }
    let (runs, running) = given.expect("no order came before the question after it");
    let unborn = runs + 1;
    for number in [runs, unborn] {
        bravo.cancel(attempt(number).id, WITHIN).await.unwrap();
    }
    let ended = running.await.unwrap().unwrap();
    assert!(matches!(&ended, Outcome::Refused { .. }), "{ended:?}");

    let frozen = lab.members(&lab.alpha);
    death::signal(&frozen, Signal::STOP);
    let over = clock::now() + lab.lease() * 2;
    wait_for("the end of the lease", PATIENCE, async || clock::now() >= over).await.unwrap();
    for number in [unborn, runs, 1, unborn] {
        let late = bravo.act(attempt(number), promote(), WITHIN).await.unwrap();
        assert!(matches!(&late, Outcome::Refused { .. }), "attempt {number}: {late:?}");
        assert_eq!(lab.writes(&lab.bravo).await, None);
    }
    death::signal(&frozen, Signal::CONT);
    lab.wait_writing(&lab.alpha).await;
    writers.wait_for(20).await;
    // The voters would have let it: an order that was not given up is carried out.
    assert_eq!(writers.missing(&lab, &lab.alpha, clock::now()).await, Vec::<i64>::new());
    lab.world().start_controller(&[]).await.unwrap();
    lab.down().await;
}

/// Two people at once, again and again: one says yes, the other stop. Each is told clearly, and the run ends one way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_and_an_abort_at_once_end_the_run_one_way() {
    let text =
        spec("ask").replace("approvals:  { failover: 1, failback: 1,", "approvals:  { failover: 2, failback: 1,");
    let lab = Lab::up(&text).await;
    let writers = Writers::start(&lab, &lab.alpha, 2).await;
    writers.wait_for(20).await;
    let (ana, budi) = (&lab.api, lab.world().operator(&"budi".into()).unwrap());
    let mut ways = [0; 2];
    for _ in 0..6 {
        let run = taken_up(&lab, &Request::Switchover { to: None }).await.run.unwrap();
        let (approved, aborted) = tokio::join!(budi.approve(run, false), ana.abort(run, "changed my mind"));
        println!("{run}: approve {:?}; abort {:?}", told(&approved), told(&aborted));
        for code in [told(&approved), told(&aborted)] {
            assert!(
                ["ok", "no-such-run", "nothing-to-approve", "past-commit-point"].contains(&code.as_str()),
                "{code}"
            );
        }
        wait_for("the end of the run", PATIENCE, async || lab.api.status().await.is_ok_and(|s| s.run.is_none()))
            .await
            .unwrap();
        let status = lab.api.status().await.unwrap();
        let end = status.last_run.and_then(|run| run.end).expect("it ended");
        ways[usize::from(end == engine::runbook::run::End::Succeeded)] += 1;
        let late = budi.approve(run, false).await;
        assert_eq!(told(&late), "no-such-run", "an approval after the end is refused");
    }
    println!("stopped {}, went through {}", ways[0], ways[1]);
    lab.down().await;
}

fn told<T>(answer: &Result<T, CallError>) -> String {
    match answer {
        Ok(_) => "ok".into(),
        Err(CallError::Refused { problem, .. }) => problem.code.clone(),
        Err(error) => error.to_string(),
    }
}

fn status<T>(answer: Result<T, CallError>) -> Option<u16> {
    match answer {
        Err(CallError::Refused { status, .. }) => Some(status),
        _ => None,
    }
}

/// Asked until it is taken up: what a planned move needs may still be on its way.
pub async fn taken_up(lab: &Lab, request: &Request) -> Granted {
    let (mut granted, mut last) = (None, String::new());
    let asked = wait_for("a run", PATIENCE, async || {
        match lab.api.request(request).await {
            Ok(run) => granted = Some(run),
            Err(error) => last = error.to_string(),
        }
        granted.is_some()
    });
    asked.await.unwrap_or_else(|error| panic!("{error}: {last}"));
    granted.unwrap()
}

/// Asked for, and followed to its good end.
pub async fn run(lab: &Lab, request: Request) {
    let granted = taken_up(lab, &request).await;
    follow(&lab.api, granted.seq, granted.run.unwrap(), &|_| {}).await.unwrap();
}

/// Every order in the journal, as it went out.
async fn orders(lab: &Lab) -> Vec<(Attempt, Action)> {
    let lines = lab.api.journal(1, 1_000).await.unwrap();
    let (mut epoch, mut orders) = (Epoch::none(), Vec::new());
    for line in &lines {
        match record(line) {
            Some(Record::RunStarted { base, .. }) => epoch = base,
            Some(Record::Committed { epoch: newer, .. }) => epoch = newer,
            Some(Record::AttemptStarted { attempt, action, deadline, .. }) => {
                orders.push((
                    Attempt { id: attempt, epoch: epoch.clone(), generation: line.generation, deadline },
                    action,
                ));
            }
            Some(Record::ChoreStarted { attempt, action, .. }) => {
                let deadline = Duration::from_secs(5);
                orders.push((
                    Attempt { id: attempt, epoch: epoch.clone(), generation: line.generation, deadline },
                    action,
                ));
            }
            _ => {}
        }
    }
    orders
}

async fn receipt(lab: &Lab, site: &SiteId) -> Receipt {
    let lines = lab.api.journal(1, 1_000).await.unwrap();
    let mut ends = lines.iter().filter_map(record).filter_map(|record| match record {
        Record::AttemptEnded { outcome, .. } => outcome.evidence().and_then(|evidence| evidence.receipt.clone()),
        _ => None,
    });
    ends.rfind(|receipt| receipt.site == *site).map(|receipt| *receipt).expect("its receipt is in the journal")
}

/// The agent of `voter`, called as the agent of `site`.
fn as_agent(lab: &Lab, site: &SiteId, voter: &SiteId) -> AgentClient {
    let (world, addresses) = (lab.world(), &lab.world().addresses);
    let identity = Identity::load(&world.layout.identity(), &Peer::Agent(site.clone())).unwrap();
    let at = (addresses.real(voter), addresses.agent_port()).into();
    AgentClient::new(&identity, voter.clone(), at, WITHIN).unwrap()
}
