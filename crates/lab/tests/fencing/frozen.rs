//! The freeze matrix, continued: a backend, the postmaster, the watchdog before its agent, and the witness.

use antipode_lab::world::{death, follow, wait_for};
use controller::clock;
use engine::Request;
use rustix::process::Signal;
use tokio::task::JoinHandle;

use crate::replay::run;
use crate::site::{Lab, PATIENCE, go_on, spec, stop, wait_gone};
use crate::writer::{Writers, connect, epoch_began};

/// A commit under way in a session whose backend is frozen, the others going on; then the same with the postmaster.
/// Neither is waited for, neither survives the old epoch, and the commit is never acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_backend_and_a_frozen_postmaster_are_gone_before_the_next_epoch() {
    let lab = Lab::up(&spec("ask").replace("standard,", "standard, healthy_for: 1s,")).await;
    for frozen in ["backend", "postmaster"] {
        let old = Writers::start(&lab, &lab.alpha, 4).await;
        old.wait_for(50).await;
        let (session, _tie) = connect(&lab.gate(&lab.alpha)).await.unwrap();
        let backend: i32 = session.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        session.batch_execute("create table if not exists frozen (at timestamptz); begin").await.unwrap();
        session.batch_execute("insert into frozen values (now())").await.unwrap();
        let servers = lab.servers(&lab.alpha);
        let pid = if frozen == "backend" { backend } else { lab.postmaster(&lab.alpha) };
        assert!(servers.contains(&pid));
        stop(pid);
        let commit: JoinHandle<_> = tokio::spawn(async move {
            let ended = session.batch_execute("commit").await;
            (ended.is_ok(), clock::now())
        });
        old.wait_for(20).await;

        move_by_two_people(&lab).await;
        lab.wait_writing(&lab.bravo).await;
        let began = epoch_began(&lab, &lab.bravo).await;
        wait_gone(&servers).await;
        let (committed, at) = tokio::time::timeout(PATIENCE, commit).await.expect("its connection is closed").unwrap();
        assert!(!(committed && at >= began), "{frozen}: acknowledged at {at}, the next epoch began at {began}");
        assert!(frozen != "backend" || !committed, "a frozen backend answers nobody");
        assert!(old.last() < began, "{frozen}: {} and {began}", old.last());
        drop(old);

        lab.wait_fenced(&lab.alpha).await;
        run(&lab, Request::Failback).await;
        lab.wait_writing(&lab.alpha).await;
    }
    lab.down().await;
}

/// As when the agent thaws first, the other way round: the watchdog finds an old deadline and a frozen agent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watchdog_that_thaws_before_its_agent_kills_what_the_agent_left() {
    let lab = Lab::up(&spec("automatic")).await;
    let old = Writers::start(&lab, &lab.alpha, 4).await;
    old.wait_for(50).await;
    let (agent, watchdog, servers) =
        (lab.agent_pid(&lab.alpha).unwrap(), lab.watchdog(&lab.alpha), lab.servers(&lab.alpha));
    stop(watchdog);
    let frozen = stop(agent);
    lab.wait_writing(&lab.bravo).await;
    let began = epoch_began(&lab, &lab.bravo).await;
    assert!(servers.iter().any(|pid| lab.servers(&lab.alpha).contains(pid)), "the old server still runs");

    go_on(watchdog);
    wait_gone(&servers).await;
    wait_gone(&[agent]).await;
    lab.wait_fenced(&lab.alpha).await;
    old.assert_none_late(&lab, frozen);
    assert!(old.last() < began, "{} acknowledged at {}, the next epoch began at {began}", lab.alpha, old.last());
    lab.down().await;
}

/// The witness frozen alone stops nobody. Frozen together with the writer it keeps the other region from being
/// promoted; thawed, it lets it, and what the writer finds when it thaws too is a newer epoch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_witness_stops_nobody_and_elects_nobody() {
    let lab = Lab::up(&spec("automatic")).await;
    let old = Writers::start(&lab, &lab.alpha, 4).await;
    old.wait_for(50).await;
    let epoch = lab.wait_writing(&lab.alpha).await;
    let witness = lab.members(&lab.charlie);
    death::signal(&witness, Signal::STOP);
    let frozen = clock::now();
    leases(&lab, 2).await;
    assert_eq!(lab.wait_writing(&lab.alpha).await, epoch);
    old.wait_for(10).await;
    assert!(!old.were_cut(frozen), "a session was cut");

    let writer = lab.members(&lab.alpha);
    death::signal(&writer, Signal::STOP);
    let frozen = clock::now();
    leases(&lab, 2).await;
    assert_eq!(lab.writes(&lab.bravo).await, None, "promoted by its own vote alone");

    death::signal(&witness, Signal::CONT);
    lab.wait_writing(&lab.bravo).await;
    let began = epoch_began(&lab, &lab.bravo).await;
    let new = Writers::start(&lab, &lab.bravo, 2).await;
    new.wait_for(20).await;
    death::signal(&writer, Signal::CONT);
    lab.wait_fenced(&lab.alpha).await;
    new.wait_for(50).await;
    old.assert_none_late(&lab, frozen);
    assert!(old.last() < began, "{} acknowledged at {}, the next epoch began at {began}", lab.alpha, old.last());
    assert_eq!(new.missing(&lab, &lab.bravo, clock::now()).await, Vec::<i64>::new());
    lab.down().await;
}

async fn leases(lab: &Lab, count: u32) {
    let until = clock::now() + lab.lease() * count;
    wait_for("leases to lapse", PATIENCE, async || clock::now() >= until).await.unwrap();
}

/// A failover from a region that looks well: the second person agrees to the loss too.
async fn move_by_two_people(lab: &Lab) {
    let granted = lab.api.request(&Request::Failover { to: None, accept_loss: true }).await.unwrap();
    let (run, second) = (granted.run.unwrap(), lab.world().operator(&"budi".into()).unwrap());
    second.approve(run, true).await.unwrap();
    follow(&lab.api, granted.seq, run, &|_| {}).await.unwrap();
}
