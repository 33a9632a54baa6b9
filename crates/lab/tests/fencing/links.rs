//! Losing the witness, or any one link, stops no healthy writer and starts no failover.

use std::time::Duration;

use antipode_lab::proxy::Link;
use antipode_lab::world::{links_of, wait_for};
use controller::clock;
use model::{DatabaseState, SiteId};

use crate::site::{Lab, PATIENCE, kill, spec, wait_gone};
use crate::writer::Writers;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_any_one_link_or_of_the_witness_stops_nobody() {
    // A restart of an agent on a busy machine takes a second; the writer may have one voter beside itself meanwhile.
    let lab = Lab::up(&spec("automatic").replace("lease: 3s", "lease: 5s")).await;
    let writers = Writers::start(&lab, &lab.alpha, 2).await;
    writers.wait_for(50).await;
    let epoch = lab.wait_writing(&lab.alpha).await;
    let (alpha, bravo, charlie) = (&lab.alpha, &lab.bravo, &lab.charlie);
    let between = |a: &SiteId, b: &SiteId| Link::between(a, b).to_vec();
    let one_way = |from: &SiteId, to: &SiteId| vec![Link::new(from, to)];
    let cuts = [
        ("alpha-bravo", between(alpha, bravo)),
        ("alpha-charlie", between(alpha, charlie)),
        ("bravo-charlie", between(bravo, charlie)),
        ("alpha to charlie only", one_way(alpha, charlie)),
        ("charlie", links_of(&lab.world().topology, charlie)),
    ];
    for (name, links) in cuts {
        let (began, cut) = (clock::now(), lab.world().network.cut(&links));
        wait_for("promises to lapse", PATIENCE, async || clock::now() >= began + lab.lease() * 5 / 4).await.unwrap();
        assert!(cut.hits().any(), "{name}: the cut hit nothing");
        goes_on(&lab, &writers, name, began, &epoch).await;
        lab.world().network.heal(&links);
        wait_for("a confirmed writer", PATIENCE, async || {
            lab.api.status().await.is_ok_and(|s| s.writer.is_some_and(|w| w.confirmed))
        })
        .await
        .unwrap();
    }

    let began = clock::now();
    for _ in 0..3 {
        let agent = lab.agent_pid(charlie).expect("the witness's agent");
        kill(agent);
        wait_gone(&[agent]).await;
        wait_for("the witness's next agent", PATIENCE, async || lab.report(charlie).await.is_some()).await.unwrap();
    }
    goes_on(&lab, &writers, "charlie's voter restarted three times", began, &epoch).await;
    lab.down().await;
}

/// The writer goes on in its epoch, its gate has cut no session since `began`, and only the first start has run. Returns
/// the smallest lease margin so far, and the longest time without an answer: how long a disk keeps a commit waiting is the
/// machine's to say, and nothing to hold a test to.
pub async fn goes_on(
    lab: &Lab,
    writers: &Writers,
    name: &str,
    began: model::Time,
    epoch: &model::Epoch,
) -> (Duration, Duration) {
    writers.wait_for(10).await;
    assert!(!writers.were_cut(began), "{name}: a session was cut");
    let gap = writers.longest_gap(began);
    let margin = match lab.state(&lab.alpha).await {
        Some(DatabaseState::Writing { epoch: now, lowest_margin, gate: true, .. }) => {
            assert_eq!(now, *epoch, "{name}: another epoch");
            lowest_margin
        }
        other => panic!("{name}: alpha is {other:?}"),
    };
    println!("{name}: smallest lease margin so far {margin:?} of {:?}, longest gap {gap:?}", lab.lease());
    assert!(margin > Duration::ZERO, "{name}: the lease ran out");
    let journal = lab.api.journal(1, 1_000).await.unwrap();
    let runs: Vec<_> = journal
        .iter()
        .filter_map(antipode_lab::world::record)
        .filter(|record| matches!(record, engine::Record::RunStarted { .. }))
        .collect();
    assert_eq!(runs.len(), 1, "{name}: only the first start may have run: {runs:?}");
    (margin, gap)
}
