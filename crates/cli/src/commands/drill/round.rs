//! Several drills, and their scorecard.

use lab::drill::{Round, run_round};
use lab::report::{DrillResult, Scorecard, Verdict, scorecard_table};

use super::schedule::Past;
use super::{cancelled_on_interrupt, failure, with_progress};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Each drill is recorded as soon as it has ended; a history that cannot be written fails the command at its end.
pub async fn carry_out(round: Round, past: &Past<'_>, output: &Output) -> Result<Exit, Failure> {
    let (stop, page) = (cancelled_on_interrupt(), round.out.join("scorecard.html"));
    let mut recorded = Ok(());
    let mut done = |result: &DrillResult| {
        if let Err(error) = past.record(result) {
            recorded = Err(error);
        }
    };
    let ran = with_progress(output, async |say| run_round(round, say, stop, &mut done).await).await;
    let card = ran.map_err(failure)?;
    let recorded = recorded.and_then(|()| past.record_round(&card, &page));
    output.result(&card, || scorecard_table(&card));
    output.notice(&format!("scorecard: {}\n", page.display()));
    recorded.map(|()| exit(&card))
}

/// What was skipped was not proved: that is not success, and not a failure of the workload either.
fn exit(card: &Scorecard) -> Exit {
    match card.verdict {
        _ if card.interrupted => Exit::Interrupted,
        Verdict::Passed => Exit::Ok,
        Verdict::Failed => Exit::Failed,
        Verdict::Skipped => Exit::Environment,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(verdict: Verdict, interrupted: bool) -> Scorecard {
        Scorecard {
            workload: String::new(),
            profile: String::new(),
            replication: String::new(),
            antipode: String::new(),
            began: String::new(),
            took_seconds: Default::default(),
            verdict,
            interrupted,
            drills: Vec::new(),
        }
    }

    #[test]
    fn the_exit_status_says_what_a_script_must_know() {
        let of = |verdict, interrupted| exit(&card(verdict, interrupted));
        assert_eq!(of(Verdict::Passed, false), Exit::Ok);
        assert_eq!(of(Verdict::Failed, false), Exit::Failed);
        assert_eq!(of(Verdict::Skipped, false), Exit::Environment);
        assert_eq!(of(Verdict::Passed, true), Exit::Interrupted);
    }
}
