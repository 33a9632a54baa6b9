//! Kinds that no template is written for: what is done instead.

use model::Part;

use crate::sheet::Sheet;

/// What the spec says of templates is what is rendered.
pub fn cloudformation(_: &mut Sheet<'_>, _: &Part) {}

pub fn job(sheet: &mut Sheet<'_>, part: &Part) {
    sheet.note(
        part,
        "AWS does not start it, so nothing is rendered that would",
        "let what starts it ask for a lease before each run, or make it an aws.scheduler",
    );
}

pub fn organizations(sheet: &mut Sheet<'_>, part: &Part) {
    sheet.note(
        part,
        "guardrails belong to the organization's own account, and a workload does not change them",
        "see that no guardrail denies a recovery region: aws organizations list-policies-for-target --filter SERVICE_CONTROL_POLICY --target-id ACCOUNT, from the management account",
    );
}
