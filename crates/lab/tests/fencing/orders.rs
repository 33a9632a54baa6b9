//! Orders that come late, twice, after a cancellation, or from an old controller.

use std::time::Duration;

use model::{Action, Attempt, AttemptId, ComponentId, Epoch, Outcome, RunId, SiteId, Verb};

use crate::site::{Lab, spec};
use crate::writer::Writers;

const WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_and_repeated_orders_are_harmless() {
    let lab = Lab::up(&spec("ask")).await;
    let writers = Writers::start(&lab, &lab.alpha, 2).await;
    writers.wait_for(20).await;
    let epoch = lab.wait_writing(&lab.alpha).await;
    let (alpha, bravo) = (lab.alpha.clone(), lab.bravo.clone());
    // Above the controller's own: from here on it is the old one, and gets in nobody's way.
    let generation = 1_000;
    let attempt = |step, epoch: &Epoch, generation| Attempt {
        id: AttemptId { run: RunId(1_000), step, number: 1 },
        epoch: epoch.clone(),
        generation,
        deadline: Duration::from_secs(8),
    };
    let act = async |site: &SiteId, attempt: Attempt, verb: Verb| {
        let action = Action { site: site.clone(), component: ComponentId::new("cases"), verb };
        lab.agent(site).act(attempt, action, WITHIN).await.unwrap()
    };
    let promote = || Verb::Promote { receipts: vec![], at_least: None, accept_loss: None };
    let refused = |outcome: &Outcome, word: &str| match outcome {
        Outcome::Refused { why } => assert!(why.contains(word), "{why}"),
        other => panic!("not refused: {other:?}"),
    };

    // While the writer renews, no promotion wins, and its tries do not disturb the writer.
    let outcome = act(&bravo, attempt(1, &epoch, generation), promote()).await;
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    assert_eq!(lab.writes(&alpha).await.as_ref(), Some(&epoch));

    // The same attempt again has the same end, and does nothing anew.
    assert_eq!(act(&bravo, attempt(1, &epoch, generation), promote()).await, outcome);

    // Given up before it arrived.
    lab.agent(&alpha).cancel(attempt(2, &epoch, generation).id, WITHIN).await.unwrap();
    refused(&act(&alpha, attempt(2, &epoch, generation), Verb::Fence { clean: false }).await, "cancelled");

    // An old controller, and one that knows less than the agent. Alpha has heard of the new one by its fence order only.
    act(&alpha, attempt(3, &epoch, generation), promote()).await;
    refused(&act(&alpha, attempt(4, &epoch, generation - 1), Verb::Fence { clean: false }).await, "controller start");
    assert_eq!(lab.writes(&alpha).await.as_ref(), Some(&epoch), "nothing of this stopped the writer");

    // A real move by the new controller's orders; then what was given in the old epoch arrives.
    let fenced = act(&alpha, attempt(5, &epoch, generation), Verb::Fence { clean: true }).await;
    let receipt = fenced.evidence().and_then(|evidence| evidence.receipt.as_deref().cloned()).expect("a receipt");
    assert_eq!(act(&alpha, attempt(5, &epoch, generation), Verb::Fence { clean: true }).await, fenced);
    let take_over = Verb::Promote { receipts: vec![receipt.clone()], at_least: receipt.end, accept_loss: None };
    let promoted = act(&bravo, attempt(6, &epoch, generation), take_over).await;
    let newer =
        promoted.evidence().and_then(|evidence| evidence.epoch.clone()).unwrap_or_else(|| panic!("{promoted:?}"));
    assert!(newer > epoch);
    let late = act(&alpha, attempt(7, &epoch, generation), promote()).await;
    assert!(matches!(late, Outcome::Refused { .. } | Outcome::Failed(_)), "{late:?}");
    assert_eq!(lab.writes(&bravo).await.as_ref(), Some(&newer), "the late promotion disturbed the new writer");
    assert_eq!(lab.servers(&alpha), Vec::<i32>::new());

    // An old receipt releases nothing of the new epoch.
    let forged = model::Receipt { site: bravo.clone(), epoch: newer.clone(), ..receipt };
    let with_forged = Verb::Promote { receipts: vec![forged], at_least: None, accept_loss: None };
    let outcome = act(&alpha, attempt(8, &newer, generation), with_forged).await;
    assert!(matches!(outcome, Outcome::Failed(_) | Outcome::Refused { .. }), "{outcome:?}");
    assert_eq!(lab.writes(&bravo).await, Some(newer));
    lab.down().await;
}
