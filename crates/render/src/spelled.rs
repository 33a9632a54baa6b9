//! Names of the spec that stand in commands and records as they are: what a shell, a query or DNS would take for something
//! else is refused before anything is written.

use model::Value;

use crate::sheet::Sheet;

/// Keys of components that are names of DNS.
const HOSTS: [&str; 3] = ["name", "record", "zone"];

pub fn check(sheet: &mut Sheet<'_>) {
    let design = sheet.design;
    let mut wrong: Vec<(String, String, &str)> = Vec::new();
    if let Some(artifact) = design.artifact.as_deref().filter(|artifact| !is_tag(artifact)) {
        let says = format!("`{}` cannot be the tag of an image", artifact.escape_debug());
        wrong.push(("artifact".to_owned(), says, "letters, digits, `.`, `_` and `-`, 128 at most, such as v1.2.3"));
    }
    for part in design.components.iter().filter(|part| part.kind.name.starts_with("aws.")) {
        for (key, value) in part.values.iter() {
            let path = || format!("components.{}.{key}", part.id);
            for text in texts(value) {
                if HOSTS.contains(&key) && !is_host(text) {
                    let says = format!("`{}` is no name of DNS", text.escape_debug());
                    wrong.push((path(), says, "letters, digits and hyphens between dots, such as www.example.com"));
                } else if key == "id" && !is_id(text) {
                    let says = format!("`{}` cannot be what AWS calls it", text.escape_debug());
                    wrong.push((path(), says, "letters, digits and any of ` ._-/:@+=,{}`"));
                } else if key == "check.path" && !is_path(text) {
                    let says = format!("`{}` is no path of a URL", text.escape_debug());
                    wrong.push((path(), says, "a slash and then what a URL may have, such as /ready or /ready?deep=1"));
                }
            }
        }
    }
    wrong.into_iter().for_each(|(path, says, hint)| sheet.problem(&path, says, hint));
}

/// What is said of all sites, or of each.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Text(text) => vec![text],
        Value::PerSite(each) => each.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let host = text.strip_prefix("*.").unwrap_or(text);
    text.len() <= 255 && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

fn is_tag(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=128).contains(&text.len()) && text.chars().all(letter) && !text.starts_with(['.', '-'])
}

fn is_id(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || " ._-/:@+=,{}".contains(c))
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._~-?=&%+,:@".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_or_dns_takes_for_something_else_is_no_name() {
        for good in [
            "www.example.com",
            "*.example.com",
            "_acme.example.com",
            "db.internal.example.com.",
            "xn--bcher-kva.example",
        ] {
            assert!(is_host(good), "{good}");
        }
        for bad in
            ["", "a b.example.com", "a'b.example.com", "$(id).example.com", "-a.example.com", "a..b", "bücher.example"]
        {
            assert!(!is_host(bad), "{bad}");
        }
        assert!(is_tag("2026.07.01-1842") && !is_tag("v1 $(id)") && !is_tag("-v1") && !is_tag(""));
        assert!(is_id("cases-{site}") && is_id("arn:aws:x:y/z") && !is_id("a'b") && !is_id("a`b`") && !is_id("a\nb"));
        assert!(is_path("/ready?deep=1&x=%20") && !is_path("ready") && !is_path("/a$(id)") && !is_path("/a'b"));
    }
}
