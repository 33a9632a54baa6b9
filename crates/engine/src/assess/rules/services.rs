//! What single services have of their own that a recovery trips over, and what telemetry of all of them together lacks.

use model::Part;
use model::findings::{self, Be};

use super::Rule;
use crate::assess::checklist::days;
use crate::assess::finding::{Found, listed};
use crate::assess::view::{self, View};

pub const RULES: &[Rule] = &[accounts, addresses, encryption, old_objects, vaults, tokens, images, telemetry];

/// Controls that look after accounts as well as regions.
const OF_ACCOUNTS: [&str; 4] = ["aws.cloudtrail", "aws.guardduty", "aws.security-hub", "aws.config"];

fn accounts(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("coverage") {
        let found = || Found::about("accounts-not-covered", part, "all_accounts");
        match part.bool("all_accounts") {
            Some(false) => out.push(found()),
            None if OF_ACCOUNTS.contains(&part.kind.name.as_str()) => out.push(found().left_unsaid()),
            _ => {}
        }
    }
}

fn addresses(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.parts().filter(|part| view.several_regions() && part.bool("cidr_overlaps") == Some(true)) {
        out.push(Found::about("addresses-overlap", part, "cidr_overlaps"));
    }
}

fn encryption(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.parts().filter(|part| part.bool("encrypted") == Some(false)) {
        out.push(Found::about("not-encrypted", part, "encrypted"));
    }
}

/// A rule of replication begins with the day on which it is made.
fn old_objects(view: &View<'_>, out: &mut Vec<Found>) {
    let has_key = |part: &&Part| part.kind.key("existing_copied").is_some() && view::replicated(part);
    for part in view.stores().filter(has_key) {
        let found = || Found::about("old-objects-not-copied", part, "existing_copied");
        match part.bool("existing_copied") {
            Some(true) => {}
            Some(false) => out.push(found()),
            None => out.push(found().left_unsaid()),
        }
    }
}

fn vaults(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.parts().filter(|part| part.word("vault_lock") == Some("none")) {
        out.push(Found::about("vault-unlocked", part, "vault_lock"));
    }
}

fn tokens(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.parts().filter(|part| view.several_regions() && part.bool("regional_sts") == Some(false)) {
        out.push(Found::about("tokens-from-one-endpoint", part, "regional_sts"));
    }
}

/// In days: images are tried with each full drill, once a quarter.
const IMAGE_TRIED: u64 = 100;

fn images(view: &View<'_>, out: &mut Vec<Found>) {
    for part in view.with("image").filter(|part| view.several_regions() && part.mentions("image")) {
        let found = || Found::about("image-untested", part, "image.tested");
        match part.date("image.tested").map(|day| view.age(day)) {
            None => out.push(found().left_unsaid()),
            Some(age) if age > IMAGE_TRIED => out.push(found().with("age", days(age))),
            Some(_) => {}
        }
    }
}

/// Where `practice` says nothing, what the components that watch have together.
const TELEMETRY: [(&str, &str, &str); 3] = [
    ("dimensions-missing", "observability.dimensions", "observe.dimensions"),
    ("metrics-missing", "observability.metrics", "observe.metrics"),
    ("alarms-missing", "observability.alarms", "observe.alarms"),
];

fn telemetry(view: &View<'_>, out: &mut Vec<Found>) {
    let watching: Vec<&Part> = view.with("observe").collect();
    if watching.is_empty() || !view.several_regions() {
        return;
    }
    for (id, practice, own) in TELEMETRY.iter().filter(|(_, key, _)| !view.design.practice.answered(key)) {
        let Some(first) = watching.iter().find(|part| part.answered(own)) else {
            out.push(Found::new(id, format!("practice.{practice}")).left_unsaid());
            continue;
        };
        let there: Vec<&str> = watching.iter().filter_map(|part| part.words(own)).flatten().collect();
        let wanted = findings::row(id).and_then(|row| row.wants.first()).map(|wants| &wants.be);
        let Some(Be::Has(wanted)) = wanted else { continue };
        let missing: Vec<&String> = wanted.iter().filter(|word| !there.contains(&word.as_str())).collect();
        if !missing.is_empty() {
            out.push(Found::about(id, first, own).with("missing", listed(&missing)));
        }
    }
}
