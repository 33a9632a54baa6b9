//! The tables of findings and questions: that they can be read, refer to what exists, and cite who says so.

use std::collections::{BTreeMap, BTreeSet};

use antipode_model::findings::{self, Group, Row};

#[test]
fn ids_are_words_with_hyphens_and_unique() {
    let mut seen = BTreeSet::new();
    let ids = findings::rows().iter().map(|r| &r.id).chain(findings::questions().iter().map(|q| &q.id));
    for id in ids {
        assert!(seen.insert(id), "`{id}` is there twice");
        assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "`{id}`");
    }
}

/// "seed 003 section 19 item 7", "SAFETY.md item 5", or a page of a vendor's documentation.
fn cites(source: &str) -> bool {
    let seed =
        |rest: &str| rest.get(..3).is_some_and(|n| ["000", "001", "002", "003", "004"].contains(&n)) && rest.len() > 4;
    let page = |url: &str| {
        ["docs.aws.amazon.com/", "aws.amazon.com/", "docs.github.com/"].iter().any(|host| url.starts_with(host))
    };
    source.strip_prefix("seed ").is_some_and(seed)
        || source.strip_prefix("https://").is_some_and(page)
        || source.starts_with("SAFETY.md item ")
        || source.starts_with("DESIGN.md ")
}

#[test]
fn every_row_says_all_that_a_person_needs() {
    for row in findings::rows() {
        let Row { id, title, says, consequence, remedy, planes, source, .. } = row;
        assert!(!planes.is_empty(), "{id}: of which plane?");
        assert!(!source.is_empty() && source.iter().all(|s| cites(s)), "{id}: {source:?}");
        assert!(title.len() <= 72 && !title.ends_with('.'), "{id}: the title is a headline: {title}");
        assert!(!says.ends_with('.'), "{id}: what it says is a message: {says}");
        let sentences = [consequence, remedy]
            .map(|text| text == "{instead}" || text.ends_with('.') || text.ends_with(".)") || text.ends_with(")."));
        assert_eq!(sentences, [true, true], "{id}: consequence and remedy are sentences");
        for text in [title, says, consequence, remedy] {
            assert!(!text.is_empty() && text.is_ascii(), "{id}: {text}");
        }
    }
}

#[test]
fn rows_refer_to_questions_that_exist() {
    for row in findings::rows() {
        for id in &row.answers {
            assert!(findings::question(id).is_some(), "{}: there is no question `{id}`", row.id);
        }
    }
}

/// What the seeds ask is asked completely: 22 questions of a review, 13 of a store, 7 of the cost, 9 of the decision.
#[test]
fn every_question_of_the_seeds_is_there() {
    let mut numbers: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
    for question in findings::questions() {
        numbers.entry(question.group).or_default().push(question.number());
        assert!(cites(&question.source) && !question.facts.is_empty() && question.text.ends_with('?'), "{question:?}");
    }
    for (group, last) in [(Group::Review, 22), (Group::Store, 13), (Group::Cost, 7), (Group::Region, 9)] {
        assert_eq!(numbers[&group], (1..=last).collect::<Vec<_>>(), "{group:?}");
    }
}

/// The places in the seeds that must have a finding; some have several.
fn wanted() -> Vec<String> {
    let many = |prefix: &str, last: usize| (1..=last).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    let mut all = many("seed 003 section 19 item ", 20);
    all.extend(many("seed 003 section 9.1 question ", 13));
    all.extend(many("seed 003 section 8.", 5));
    all.extend(many("seed 003 section 7.", 5));
    all.extend(many("seed 003 section 10.", 3));
    all.extend(many("seed 003 section 11.", 3));
    all.extend(many("seed 003 section 12.", 3));
    all.extend(many("seed 003 section 14.", 3));
    all.extend(many("seed 003 section 18.", 2));
    all.extend(many("seed 003 section 22.", 6));
    all.extend(many("seed 003 section 13.1 rule ", 10));
    all.extend(["3", "9.6", "17.1", "17.2"].map(|section| format!("seed 003 section {section}")));
    all.extend(["Pre-Deployment", "Deployment", "Post-Deployment"].map(|list| format!("seed 001 {list} checklist")));
    all
}

#[test]
fn every_point_of_the_seeds_has_a_finding() {
    let cited: BTreeSet<&str> = findings::rows().iter().flat_map(|row| &row.source).map(String::as_str).collect();
    let missing: Vec<String> = wanted().into_iter().filter(|place| !cited.contains(place.as_str())).collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_question_of_the_review_can_be_left_open_by_a_finding() {
    let answered: BTreeSet<&str> = findings::rows().iter().flat_map(|row| &row.answers).map(String::as_str).collect();
    for question in findings::questions().iter().filter(|q| matches!(q.group, Group::Review | Group::Store)) {
        assert!(answered.contains(question.id.as_str()), "no finding answers {}: {}", question.id, question.text);
    }
}

#[test]
fn a_misspelt_id_is_guessed() {
    assert_eq!(findings::nearest("failback-undefind"), Some("failback-undefined"));
}
