//! The freeze matrix: agent, watchdog, a whole site, and what thaws after another region was promoted.

use std::os::unix::process::CommandExt;
use std::process::Command;

use antipode_lab::world::{death, wait_for};
use controller::clock;
use engine::Request;
use rustix::process::Signal;

use crate::site::{Lab, PATIENCE, go_on, kill, spec, stop, wait_gone};
use crate::writer::{Writers, connect, epoch_began};

/// A frozen agent: the gate is frozen with it, and the watchdog ends both server and agent. Nobody else was promoted,
/// so the next agent goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_agent_is_replaced_and_writes_again() {
    let lab = Lab::up(&spec("ask")).await;
    let writers = Writers::start(&lab, &lab.alpha, 2).await;
    writers.wait_for(50).await;
    let (before, servers, agent) =
        (lab.wait_writing(&lab.alpha).await, lab.servers(&lab.alpha), lab.agent_pid(&lab.alpha).unwrap());

    let frozen = stop(agent);
    wait_gone(&servers).await;
    wait_gone(&[agent]).await;
    let dead = clock::now();
    let after = lab.wait_writing(&lab.alpha).await;
    writers.wait_for(50).await;

    // The watchdog acts when the right ends, half a margin later; a busy machine may take a moment more.
    assert!(dead >= lab.last_right(frozen) - lab.lease(), "killed {dead}, frozen {frozen}");
    writers.assert_none_late(&lab, frozen);
    assert!(after > before, "{after} is not newer than {before}: the lapsed epoch was not given up");
    assert_eq!(writers.missing(&lab, &lab.alpha, clock::now()).await, Vec::<i64>::new());
    lab.down().await;
}

/// Agent and watchdog are frozen while the server goes on; the other region is promoted; then the agent thaws first,
/// with answers of the server waiting in its sockets, and nobody to kill it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_thaws_after_a_promotion_acknowledges_nothing_and_fences_itself() {
    let lab = Lab::up(&spec("ask")).await;
    let old = Writers::start(&lab, &lab.alpha, 4).await;
    old.wait_for(50).await;
    let (agent, watchdog, servers) =
        (lab.agent_pid(&lab.alpha).unwrap(), lab.watchdog(&lab.alpha), lab.servers(&lab.alpha));
    stop(watchdog);
    let frozen = stop(agent);
    fail_over(&lab).await;
    lab.wait_writing(&lab.bravo).await;
    let began = epoch_began(&lab, &lab.bravo).await;
    let new = Writers::start(&lab, &lab.bravo, 2).await;
    new.wait_for(20).await;
    assert!(servers.iter().any(|pid| lab.servers(&lab.alpha).contains(pid)), "the old server still runs");

    go_on(agent);
    wait_gone(&servers).await;
    lab.wait_fenced(&lab.alpha).await;
    go_on(watchdog);
    new.wait_for(20).await;
    lab.wait_fenced(&lab.alpha).await;
    old.assert_none_late(&lab, frozen);
    assert!(old.last() < began, "{} acknowledged at {}, the next epoch began at {began}", lab.alpha, old.last());

    stays_fenced_when_restarted(&lab).await;
    cannot_be_started_by_hand(&lab);
    assert_eq!(new.missing(&lab, &lab.bravo, clock::now()).await, Vec::<i64>::new());
    assert!(old.last() < began);
    lab.down().await;
}

/// Everything of a site stops at once, as a hypervisor would do it with clocks that go on, and thaws after promotion.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_site_that_thaws_after_a_promotion_is_fenced_before_it_serves() {
    let lab = Lab::up(&spec("automatic")).await;
    let old = Writers::start(&lab, &lab.alpha, 4).await;
    old.wait_for(50).await;
    let members = lab.members(&lab.alpha);
    death::signal(&members, Signal::STOP);
    let frozen = clock::now();
    lab.wait_writing(&lab.bravo).await;
    let began = epoch_began(&lab, &lab.bravo).await;
    let new = Writers::start(&lab, &lab.bravo, 2).await;
    new.wait_for(20).await;

    death::signal(&members, Signal::CONT);
    lab.wait_fenced(&lab.alpha).await;
    new.wait_for(50).await;
    old.assert_none_late(&lab, frozen);
    assert!(old.last() < began, "{} acknowledged at {}, the next epoch began at {began}", lab.alpha, old.last());
    assert_eq!(lab.servers(&lab.alpha), Vec::<i32>::new());
    assert_eq!(new.missing(&lab, &lab.bravo, clock::now()).await, Vec::<i64>::new());
    lab.down().await;
}

/// A frozen watchdog holds up nobody, and kills nobody when it thaws with old news in its pipe. A killed one ends
/// the agent, which fences first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_watchdog_harms_nobody_and_a_killed_one_ends_its_site() {
    let lab = Lab::up(&spec("ask")).await;
    let writers = Writers::start(&lab, &lab.alpha, 2).await;
    writers.wait_for(50).await;
    let (epoch, agent, watchdog) =
        (lab.wait_writing(&lab.alpha).await, lab.agent_pid(&lab.alpha), lab.watchdog(&lab.alpha));

    for _ in 0..3 {
        let frozen = stop(watchdog);
        wait_until(frozen + lab.lease() * 2).await;
        go_on(watchdog);
        wait_until(clock::now() + lab.lease() / 2).await;
        assert_eq!(lab.agent_pid(&lab.alpha), agent, "the thawed watchdog killed a healthy agent");
        writers.wait_for(10).await;
        assert!(!writers.were_cut(frozen), "a session was cut");
    }
    assert_eq!(lab.wait_writing(&lab.alpha).await, epoch);

    // A stopped backend and a stopped postmaster hold up neither the other sessions nor the fence.
    let (client, _tie) = connect(&lab.gate(&lab.alpha)).await.unwrap();
    let backend: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    stop(backend);
    writers.wait_for(20).await;
    stop(lab.postmaster(&lab.alpha));
    writers.wait_for(20).await;
    let members = lab.members(&lab.alpha);
    kill(watchdog);
    let killed = clock::now();
    wait_gone(&members).await;
    writers.assert_none_late(&lab, killed);
    assert_eq!(lab.members(&lab.alpha), Vec::<i32>::new());

    lab.world().start_site(&lab.alpha).await.unwrap();
    lab.wait_writing(&lab.alpha).await;
    assert_eq!(writers.missing(&lab, &lab.alpha, killed).await, Vec::<i64>::new());
    lab.down().await;
}

async fn fail_over(lab: &Lab) {
    let ask = Request::Failover { to: None, accept_loss: true };
    let mut last = String::new();
    let asked = wait_for("a failover", PATIENCE, async || match lab.api.request(&ask).await {
        Ok(_) => true,
        Err(error) => {
            last = error.to_string();
            false
        }
    });
    asked.await.unwrap_or_else(|e| panic!("{e}: {last}"));
}

async fn stays_fenced_when_restarted(lab: &Lab) {
    let agent = lab.agent_pid(&lab.alpha).unwrap();
    kill(agent);
    wait_gone(&[agent]).await;
    lab.wait_fenced(&lab.alpha).await;
    let passed = tokio::time::timeout(PATIENCE, connect(&lab.gate(&lab.alpha))).await;
    assert!(passed.expect("shut, not silent").is_err(), "the gate of a fenced site lets clients in");
    assert_eq!(lab.servers(&lab.alpha), Vec::<i32>::new());
}

/// As an init script would after a reboot.
fn cannot_be_started_by_hand(lab: &Lab) {
    let postgres = drivers::postgres::find().unwrap().program("postgres");
    let mut command = Command::new(postgres);
    command.arg("-D").arg(lab.world().layout.data(&lab.alpha)).current_dir("/").env("LC_ALL", "C");
    if let Some(user) = drivers::postgres::unprivileged().unwrap() {
        command.uid(user.uid).gid(user.gid);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("lease.conf"), "{said}");
    assert!(!matches!(lab.servers(&lab.alpha).as_slice(), [_, ..]), "a server runs without a lease");
}

async fn wait_until(at: model::Time) {
    wait_for("a moment", PATIENCE, async || clock::now() >= at).await.unwrap();
}
