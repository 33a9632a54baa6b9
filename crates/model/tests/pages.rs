//! That `docs/spec` says what the catalogue says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use antipode_model::catalogue::{catalogue, pages};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec")
}

/// `INSTA_UPDATE=always` writes them anew.
#[test]
fn the_reference_is_as_the_catalogue() {
    for (name, text) in pages() {
        let path = folder().join(&name);
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == text, "docs/spec/{name} is old: run this test with INSTA_UPDATE=always");
    }
}

#[test]
fn no_other_page_is_kept() {
    let made: BTreeSet<String> = pages().into_iter().map(|(name, _)| name).collect();
    let kept = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(kept.collect::<BTreeSet<_>>(), made);
}

#[test]
fn every_kind_and_every_key_is_in_the_reference() {
    let all: String = pages().into_iter().map(|(_, text)| text).collect();
    for kind in catalogue().kinds() {
        assert!(all.contains(&format!("## `{}`\n", kind.name)), "{}", kind.name);
        for key in kind.keys.keys() {
            assert!(all.contains(&format!("| `{key}` |")), "{}: {key}", kind.name);
        }
    }
    for key in catalogue().practice_keys() {
        assert!(all.contains(&format!("| `{}` |", key.name)), "{}", key.name);
    }
}

/// Links among the pages lead somewhere.
#[test]
fn links_lead_to_headings() {
    let pages = pages();
    let anchors = |text: &str| -> BTreeSet<String> {
        let headings = text.lines().filter_map(|line| line.strip_prefix("## "));
        headings.map(|heading| heading.replace(['`', '.'], "").replace(' ', "-").to_lowercase()).collect()
    };
    for (name, text) in &pages {
        for link in
            text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|l| !l.starts_with("http"))
        {
            let (page, anchor) = link.split_once('#').map_or((link, None), |(page, anchor)| (page, Some(anchor)));
            let target = pages.iter().find(|(name, _)| name == page);
            let (_, target) = target.unwrap_or_else(|| panic!("{name}: {link}"));
            assert!(anchor.is_none_or(|anchor| anchors(target).contains(anchor)), "{name}: {link}");
        }
    }
}
