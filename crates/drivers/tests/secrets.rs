//! The secret store on a real file system.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use antipode_drivers::Secrets;
use antipode_drivers::secrets::{SecretError, SecretStore, SecretValue};
use model::ComponentId;

fn store(directory: &std::path::Path, workload: &str) -> SecretStore {
    let declared = vec![ComponentId::new("api-secret"), ComponentId::new("other")];
    SecretStore::open(directory.join("secrets"), workload, declared).unwrap()
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_secret_is_kept_private_and_compared_by_digest() {
    let directory = tempfile::tempdir().unwrap();
    let id = ComponentId::new("api-secret");
    let here = store(&directory.path().join("here"), "case-api");
    let there = store(&directory.path().join("there"), "case-api");
    assert_eq!(here.get(&id).unwrap(), None);
    assert_eq!(here.digest(&id).unwrap(), None);

    let value = SecretValue::new("correct horse");
    for site in [&here, &there] {
        site.put(&id, &SecretValue::new("replaced by the next")).unwrap();
        site.put(&id, &value).unwrap();
    }
    assert_eq!(here.get(&id).unwrap(), Some(value.clone()));
    assert_eq!(mode(here.directory()), 0o700);
    assert_eq!(mode(&here.directory().join("api-secret")), 0o600);
    assert_eq!(fs::read_dir(here.directory()).unwrap().count(), 1, "nothing but the secret is left behind");

    let digest = here.digest(&id).unwrap().unwrap();
    assert_eq!(digest.len(), 64);
    assert_eq!(there.digest(&id).unwrap().unwrap(), digest, "equal in two regions");

    let report = here.observe().await.unwrap();
    assert_eq!(report[&id].digest.as_deref(), Some(digest.as_str()));
    assert_eq!(report[&ComponentId::new("other")].digest, None, "declared but missing");
    let printed = format!("{value:?} {report:?} {here:?} {}", serde_json::to_string(&report).unwrap());
    assert!(!printed.contains("horse"), "{printed}");
}

#[test]
fn a_digest_depends_on_workload_component_and_value() {
    let directory = tempfile::tempdir().unwrap();
    let one = store(&directory.path().join("one"), "one");
    let two = store(&directory.path().join("two"), "two");
    let (a, b) = (ComponentId::new("api-secret"), ComponentId::new("other"));
    for (site, id, text) in [(&one, &a, "x"), (&one, &b, "x"), (&two, &a, "x"), (&two, &b, "y")] {
        site.put(id, &SecretValue::new(text)).unwrap();
    }
    let digests = [one.digest(&a), one.digest(&b), two.digest(&a), two.digest(&b)].map(|d| d.unwrap().unwrap());
    let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
    assert_eq!(distinct.len(), 4);
}

#[tokio::test]
async fn an_exposed_secret_is_refused_and_never_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let id = ComponentId::new("api-secret");
    let store = store(directory.path(), "case-api");
    store.put(&id, &SecretValue::new("hush")).unwrap();
    let path = store.directory().join("api-secret");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = store.get(&id).unwrap_err();
    assert!(matches!(error, SecretError::Exposed(_, 0o644)), "{error}");
    assert!(matches!(store.observe().await, Err(model::ActError::Permanent(_))));

    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, b"hush\xff").unwrap();
    let error = store.get(&id).unwrap_err();
    assert!(matches!(error, SecretError::Text(_)));
    assert!(!format!("{error} {error:?}").contains("hush"));
}

#[test]
fn names_cannot_leave_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path(), "case-api");
    for name in ["", "..", ".hidden", "../secret", "a/b", "/etc/passwd", "a\0b"] {
        let put = store.put(&ComponentId::new(name), &SecretValue::new("x"));
        assert!(matches!(put, Err(SecretError::Name(_))), "{name:?}");
    }
}
