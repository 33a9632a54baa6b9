//! `docs/findings` is made from the table of findings. Here, because the engine itself reads no file.

use std::path::Path;

use antipode_engine::assess::{explain, index};
use model::findings;

/// `docs/findings` is made from the table. To make it anew: `ANTIPODE_PAGES=write cargo nextest run -p antipode-engine --test pages`.
#[test]
fn pages_in_docs_are_those_of_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings");
    let mut pages: Vec<(String, String)> =
        findings::rows().iter().map(|row| (format!("{}.md", row.id), explain(&row.id).unwrap())).collect();
    pages.push(("README.md".into(), index()));
    if std::env::var_os("ANTIPODE_PAGES").is_some() {
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in &pages {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    let mut there: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let mut names: Vec<String> = pages.iter().map(|(name, _)| name.clone()).collect();
    there.sort();
    names.sort();
    assert_eq!(there, names, "set ANTIPODE_PAGES=write and run this test again");
    for (name, text) in pages {
        assert_eq!(std::fs::read_to_string(folder.join(&name)).unwrap(), text, "{name}: set ANTIPODE_PAGES=write");
    }
}
