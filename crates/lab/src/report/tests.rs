use std::collections::BTreeMap;

use serde_json::Value;

use super::sample::{failed, passed};
use super::*;

#[test]
fn table_of_a_passed_drill() {
    insta::assert_snapshot!(table(&passed()));
}

#[test]
fn table_of_a_failed_drill() {
    insta::assert_snapshot!(table(&failed()));
}

#[test]
fn json_has_the_promised_keys_and_reads_back() {
    for result in [passed(), failed()] {
        let json = serde_json::to_value(&result).unwrap();
        for key in [
            "/drill",
            "/verdict",
            "/profile",
            "/evidence",
            "/rto_seconds/ttl_honouring",
            "/rto_seconds/ttl_stretching",
            "/rto_seconds/pinned",
            "/phases_seconds/client_observed",
            "/writes/acknowledged",
            "/writes/lost",
            "/writes/lost_ids",
        ] {
            assert!(json.pointer(key).is_some(), "{key}");
        }
        assert_eq!(serde_json::from_value::<DrillResult>(json).unwrap(), result);
    }
    let json = serde_json::to_value(passed()).unwrap();
    assert_eq!((&json["verdict"], &json["rto_seconds"]["pinned"]), (&"passed".into(), &Value::Null));
}

/// Every value that the page marks as standing in the JSON, by its path there.
fn marked(page: &str) -> BTreeMap<String, String> {
    let marks = page.split("data-json=\"").skip(1);
    let read = |mark: &str| {
        let (path, rest) = mark.split_once('"').unwrap();
        let text = rest.split_once('>').unwrap().1.split_once('<').unwrap().0;
        (path.to_owned(), text.to_owned())
    };
    marks.map(read).collect()
}

fn says(text: &str, json: &Value) -> bool {
    match json {
        Value::Null => ["–", "none", "not audited"].contains(&text),
        Value::Number(number) => {
            text.trim_end_matches([' ', 's', '%']).parse::<f64>().unwrap() == number.as_f64().unwrap()
        }
        Value::Array(ids) => text == ids.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        other => text == other.as_str().unwrap(),
    }
}

#[test]
fn numbers_of_the_page_are_those_of_the_json() {
    for result in [passed(), failed()] {
        let json = serde_json::to_value(&result).unwrap();
        let marked = marked(&html(&result).unwrap());
        for (path, text) in &marked {
            let value = json.pointer(&format!("/{}", path.replace('.', "/"))).unwrap_or_else(|| panic!("no {path}"));
            assert!(says(text, value), "{path}: the page says {text}, the JSON {value}");
        }
        for group in ["rto_seconds", "phases_seconds"] {
            for key in json[group].as_object().unwrap().keys() {
                assert!(marked.contains_key(&format!("{group}.{key}")), "{group}.{key} is not in the page");
            }
        }
        for path in ["verdict", "writes.acknowledged", "writes.refused", "writes.unknown", "writes.lost", "seal.hash"] {
            assert!(marked.contains_key(path), "{path} is not in the page");
        }
    }
    assert!(marked(&html(&passed()).unwrap()).contains_key("writes.lost_ids"));
}

#[test]
fn the_page_fetches_nothing() {
    for result in [passed(), failed()] {
        let page = html(&result).unwrap();
        for outside in ["http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link", "<iframe", "=\"//"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(!page.contains("NaN") && !page.contains("inf\""));
    }
}

#[test]
fn what_comes_from_outside_is_escaped() {
    let nasty = "<script>alert('x')</script>\"&";
    let mut result = passed();
    for text in [&mut result.workload, &mut result.drill, &mut result.profile, &mut result.evidence] {
        *text = nasty.into();
    }
    result.reasons = vec![nasty.into()];
    result.checks[0].why = nasty.into();
    result.journal[0].what = nasty.into();
    result.timeline.faults[0].name = nasty.into();
    result.timeline.writes[0].site = nasty.into();
    result.timeline.steps[0].name = nasty.into();
    result.timeline.steps[0].note = nasty.into();
    let page = html(&result).unwrap();
    assert!(!page.contains("<script") && !page.contains("'x'"));
    assert!(page.matches("script&#62;").count() + page.matches("script&gt;").count() >= 20);
}

#[test]
fn a_drill_that_failed_before_its_fault_still_has_a_page() {
    let mut result = failed();
    result.timeline = Timeline::default();
    result.clients.clear();
    result.seal = None;
    let page = html(&result).unwrap();
    assert!(page.contains("was not closed"));
    assert!(!page.contains("NaN"));
    assert!(table(&result).starts_with("region-loss failed"));
}

#[test]
fn many_lost_ids_are_cut_short_and_counted() {
    let mut result = passed();
    result.writes.lost_ids = (1..=500u32).map(|n| n.to_string()).collect();
    assert!(table(&result).contains("19, 20, and 480 more in the ledger"));
    assert!(html(&result).unwrap().contains("199, 200, and 300 more in the ledger"));
}

#[test]
fn seconds_are_whole_milliseconds_in_every_form() {
    let second = Seconds::new(1.23456);
    assert_eq!((second.to_string().as_str(), serde_json::to_string(&second).unwrap().as_str()), ("1.235 s", "1.235"));
    assert_eq!(serde_json::from_str::<Seconds>("1.2349999").unwrap(), second);
    assert_eq!(Seconds::new(-0.0001).to_string(), "0.000 s");
    assert_eq!(Seconds::new(f64::NAN), Seconds::new(0.0));
}

/// `cargo test -p antipode-lab write_sample_pages -- --ignored` leaves two pages to look at in the target directory.
#[test]
#[ignore = "writes pages for the eye"]
fn write_sample_pages() {
    let exe = std::env::current_exe().unwrap();
    for (name, result) in [("passed", passed()), ("failed", failed())] {
        let path = exe.with_file_name(format!("report-{name}.html"));
        std::fs::write(&path, html(&result).unwrap()).unwrap();
        println!("{}", path.display());
    }
}
