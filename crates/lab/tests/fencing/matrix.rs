//! The link matrix through the fault proxy: every one-way and two-way cut between two of the three sites, each with a
//! restart of the witness's voter in the middle. Then a writer that is heard by nobody, and one that hears nobody.

use antipode_lab::proxy::{Injection, Link};
use antipode_lab::world::wait_for;
use controller::clock;
use model::SiteId;

use crate::links::goes_on;
use crate::quorum::Quorums;
use crate::site::{Lab, PATIENCE, kill, spec, wait_gone};
use crate::table;
use crate::writer::{Writers, epoch_began};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "three minutes: `bin/bench links`"]
async fn no_cut_of_one_link_and_no_restart_of_the_witness_makes_two_writers_or_none() {
    // A restart of an agent on a busy machine takes a second; the writer may have one voter beside itself meanwhile.
    let lab = Lab::up(&spec("automatic").replace("lease: 3s", "lease: 5s")).await;
    let writers = Writers::start(&lab, &lab.alpha, 2).await;
    writers.wait_for(50).await;
    let epoch = lab.wait_writing(&lab.alpha).await;
    let quorums = watch(&lab);
    let (a, b, w) = (&lab.alpha, &lab.bravo, &lab.charlie);
    for (one, other) in [(a, b), (a, w), (b, w)] {
        for cut in [Cut::Both, Cut::From, Cut::Back] {
            let name = cut.name(one, other);
            let (began, injection) = (clock::now(), cut.make(&lab, one, other));
            restart(&lab, w).await;
            // Longer than any promise that was made before the cut.
            wait_for("promises to lapse", PATIENCE, async || clock::now() >= began + lab.lease() * 5 / 4)
                .await
                .unwrap();
            assert!(injection.hits().any(), "{name}: the cut hit nothing");
            let seen = goes_on(&lab, &writers, &name, began, &epoch).await;
            let hits = injection.hits();
            let lost = format!("{} bytes, {} packets", hits.bytes_dropped, hits.packets_dropped);
            table::row("proxy", &name, &lost, Some(seen), "the writer goes on");
            lab.world().network.heal_all();
            wait_for("a confirmed writer", PATIENCE, async || {
                lab.api.status().await.is_ok_and(|s| s.writer.is_some_and(|w| w.confirmed))
            })
            .await
            .unwrap();
        }
    }
    quorums.assert_at_most_one(100);
    lab.down().await;
}

/// Nobody hears the writer, then (in the other direction, and another region's writer) it hears nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute: `bin/bench links`"]
async fn a_writer_that_one_way_cuts_leave_without_a_majority_gives_way_to_one_successor() {
    let lab = Lab::up(&spec("automatic")).await;
    let old = Writers::start(&lab, &lab.alpha, 2).await;
    old.wait_for(50).await;
    let quorums = watch(&lab);
    let (a, b, w) = (&lab.alpha, &lab.bravo, &lab.charlie);
    let network = &lab.world().network;
    let cuts = [network.cut_one_way(a, b), network.cut_one_way(a, w)];
    restart(&lab, w).await;

    lab.wait_writing(b).await;
    let began = epoch_began(&lab, b).await;
    let new = Writers::start(&lab, b, 2).await;
    new.wait_for(50).await;
    assert!(cuts.iter().all(|cut| cut.hits().any()), "a cut hit nothing");
    let last = old.last();
    assert!(last < began, "{a} acknowledged at {last}, the next epoch began at {began}");
    let lost: u64 = cuts.iter().map(|cut| cut.hits().bytes_dropped).sum();
    let outcome = format!("{b} writes; the last answer of {a} left {:?} before", began.since(last));
    table::row("proxy", &format!("{a} mute"), &format!("{lost} bytes"), None, &outcome);
    // From mute to deaf: what it could not say it can say now, and hears nobody.
    network.heal_all();
    network.cut_one_way(b, a);
    network.cut_one_way(w, a);
    new.wait_for(50).await;
    network.heal_all();
    lab.wait_fenced(a).await;
    new.wait_for(50).await;
    assert!(old.last() < began);
    quorums.assert_at_most_one(50);
    assert_eq!(new.missing(&lab, b, clock::now()).await, Vec::<i64>::new());
    lab.down().await;
}

/// Which way bytes between two sites are lost.
#[derive(Clone, Copy)]
enum Cut {
    Both,
    From,
    Back,
}

impl Cut {
    fn name(self, one: &SiteId, other: &SiteId) -> String {
        match self {
            Cut::Both => format!("{one} → {other}, {other} → {one}"),
            Cut::From => format!("{one} → {other}"),
            Cut::Back => format!("{other} → {one}"),
        }
    }

    fn make(self, lab: &Lab, one: &SiteId, other: &SiteId) -> Injection {
        let network = &lab.world().network;
        match self {
            Cut::Both => network.cut(&Link::between(one, other)),
            Cut::From => network.cut_one_way(one, other),
            Cut::Back => network.cut_one_way(other, one),
        }
    }
}

fn watch(lab: &Lab) -> Quorums {
    let side = |site: &SiteId| (site.clone(), lab.agent(site));
    Quorums::watch(side(&lab.alpha), side(&lab.bravo))
}

async fn restart(lab: &Lab, site: &SiteId) {
    let agent = lab.agent_pid(site).expect("an agent");
    kill(agent);
    wait_gone(&[agent]).await;
    wait_for("the next agent", PATIENCE, async || lab.report(site).await.is_some()).await.unwrap();
}
