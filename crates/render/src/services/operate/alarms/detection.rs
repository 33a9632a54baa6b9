//! How long an alarm looks before it is raised: within a third of the RTO, so that two thirds are left to decide and to act.

use std::time::Duration;

use model::Part;

use crate::sheet::Sheet;

/// AWS's own metrics have one value a minute (CloudWatch User Guide, "Resolution").
const MINUTE: u64 = 60;
/// More bad minutes than these in a row say nothing new.
const MOST: u64 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Detection {
    /// Seconds.
    pub period: u64,
    pub evaluations: u64,
}

impl Detection {
    pub fn time(self) -> Duration {
        Duration::from_secs(self.period * self.evaluations)
    }
}

/// What the spec says of alarms on `subject` of this component, by itself or in an `aws.cloudwatch-alarm` that watches it;
/// else as often as the RTO lets it.
pub fn of(sheet: &mut Sheet<'_>, part: &Part, subject: &str) -> Detection {
    let design = sheet.design;
    let watches = |alarm: &&Part| alarm.text("watches") == Some(part.id.as_str());
    let about = |said: &&Part| said.word("alarm.on").is_none_or(|on| on == subject) && said.mentions("alarm");
    let rto = part.duration("objectives.rto").or(design.objectives.rto);
    let own = Some(part).filter(about);
    let said = own.or_else(|| sheet.of_kind("aws.cloudwatch-alarm").filter(watches).find(about));
    let by_rto = rto.map_or(MOST, |rto| (rto.as_secs() / 3 / MINUTE).clamp(1, MOST));
    let Some(said) = said else { return Detection { period: MINUTE, evaluations: by_rto } };
    let period = said.duration("alarm.period").map_or(MINUTE, valid);
    let detection = Detection { period, evaluations: said.count("alarm.evaluations").unwrap_or(by_rto).max(1) };
    if let Some(rto) = rto.filter(|rto| detection.time() > *rto) {
        too_late(sheet, said, detection, rto);
    }
    detection
}

/// Ten, twenty or thirty seconds, or whole minutes (API reference, "PutMetricAlarm").
fn valid(period: Duration) -> u64 {
    match period.as_secs() {
        ..=10 => 10,
        11..=20 => 20,
        21..=30 => 30,
        seconds => seconds.div_ceil(MINUTE) * MINUTE,
    }
}

fn too_late(sheet: &mut Sheet<'_>, said: &Part, detection: Detection, rto: Duration) {
    let says = format!(
        "its alarm is raised after {} s, and everything has to work again after {} s",
        detection.time().as_secs(),
        rto.as_secs()
    );
    let instead = "shorten `alarm.period` and `alarm.evaluations` until their product is a third of the RTO";
    if !sheet.notes.iter().any(|note| note.component == said.id && note.says == says) {
        sheet.note(said, says, instead);
    }
}
