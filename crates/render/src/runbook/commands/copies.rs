//! Copies by a clock: a task fetches what another region has. While that region was away its bucket grew old; when it is
//! back, the task would bring the old over the new, and take away what only the new has.

use model::Part;
use model::design::Site;

use super::{Made, by_hand, calls};
use crate::map;
use crate::runbook::names;
use crate::services::datasync;
use crate::sheet::{Sheet, aws_region};

/// What copies by a clock between the two.
pub fn between<'d>(sheet: &Sheet<'d>, (one, other): (&Site, &Site)) -> Vec<&'d Part> {
    let is = |part: &&Part| {
        let copied = part.component("copies").and_then(|id| sheet.part(&id));
        let at = |site: &Site| part.sites.is_empty() || part.is_in(&site.id);
        copied.is_some_and(|copied| copied.kind.name == "aws.s3") && at(one) && at(other)
    };
    sheet.of_kind("aws.datasync").filter(is).collect()
}

/// Nothing more is fetched from the region that is left, and what is under way stops.
pub fn stopped(sheet: &mut Sheet<'_>, part: &Part, (from, to): (&Site, &Site)) -> Made {
    let (task, region) = (names::task(sheet, part, to, from), aws_region(to).to_owned());
    let runs = format!(
        "aws datasync list-task-executions --task-arn {} --region {region} --query \"TaskExecutions[?Status!='SUCCESS' && Status!='ERROR'].TaskExecutionArn\" --output text",
        task.shell()
    );
    let cancel = format!(
        "for run in $({runs}); do aws datasync cancel-task-execution --task-execution-arn \"$run\" --region {region}; done"
    );
    let schedule = map! { "ScheduleExpression" => datasync::clock(part), "Status" => "DISABLED" };
    Made {
        commands: vec![switched(part, &task, &region, "DISABLED"), cancel],
        validate: Some(seen(&task, &region)),
        work: calls("datasync", "UpdateTask", map! { "TaskArn" => task.automated(), "Schedule" => schedule }, None),
        names: vec![task],
        besides: None,
    }
}

/// What only the region that is left has is fetched once more, now that nobody writes there.
pub fn fetched(sheet: &mut Sheet<'_>, part: &Part, (from, to): (&Site, &Site)) -> Made {
    let (task, region) = (names::task(sheet, part, to, from), aws_region(to).to_owned());
    let start = format!(
        "run=$(aws datasync start-task-execution --task-arn {} --region {region} --query TaskExecutionArn --output text)",
        task.shell()
    );
    let state = format!(
        "aws datasync describe-task-execution --task-execution-arn \"$run\" --region {region} --query Status --output text"
    );
    let wait =
        format!("for try in $(seq 90); do\n  case $({state}) in SUCCESS | ERROR) break ;; esac\n  sleep 10\ndone");
    by_hand(vec![start, wait], Some(format!("{state}   # SUCCESS")), vec![task])
}

/// From now on the region that is left fetches what the other has.
pub fn turned(sheet: &mut Sheet<'_>, part: &Part, (from, to): (&Site, &Site)) -> Made {
    let (task, region) = (names::task(sheet, part, from, to), aws_region(from).to_owned());
    by_hand(vec![switched(part, &task, &region, "ENABLED")], Some(seen(&task, &region)), vec![task])
}

fn switched(part: &Part, task: &names::Named, region: &str, status: &str) -> String {
    let schedule = format!("'ScheduleExpression={},Status={status}'", datasync::clock(part));
    format!("aws datasync update-task --task-arn {} --schedule {schedule} --region {region}", task.shell())
}

fn seen(task: &names::Named, region: &str) -> String {
    format!(
        "aws datasync describe-task --task-arn {} --region {region} --query 'Schedule.[ScheduleExpression,Status]' --output text",
        task.shell()
    )
}
