use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use model::{Epoch, Lsn, Receipt};
use tempfile::TempDir;

use super::*;

fn agent(site: &str) -> Peer {
    Peer::Agent(site.into())
}

fn authority() -> (TempDir, Authority) {
    let dir = TempDir::new().unwrap();
    let authority = Authority::create(dir.path(), "case-api").unwrap();
    for peer in [agent("a"), agent("b"), Peer::Controller] {
        authority.issue(&peer).unwrap();
    }
    (dir, authority)
}

fn receipt() -> Receipt {
    let epoch = Epoch::none().next(&"a".into());
    Receipt { workload: "case-api".into(), site: "a".into(), epoch, end: Some(Lsn(77)), signature: String::new() }
}

#[test]
fn names_lead_back_to_their_peer() {
    for peer in [agent("ap-southeast-1"), Peer::Controller, Peer::Operator("dana.k".into())] {
        assert_eq!(Peer::from_name(&peer.name()), Some(peer));
    }
    for stranger in ["antipode", "x.antipode", ".agent.antipode", "a..b.operator.antipode", "controller.antipode.org"] {
        assert_eq!(Peer::from_name(stranger), None, "{stranger}");
    }
}

#[test]
fn keys_are_private_and_the_authority_is_made_once() {
    let (dir, authority) = authority();
    for key in ["offline/ca.key", "a.agent.antipode.key", "controller.antipode.key"] {
        let mode = std::fs::metadata(dir.path().join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    assert!(matches!(Authority::create(dir.path(), "case-api"), Err(IdentityError::Exists { .. })));
    let bad = Peer::Operator("dana k".into());
    assert!(matches!(authority.issue(&bad), Err(IdentityError::BadName { .. })));
}

#[test]
fn an_authority_taken_up_again_issues_certificates_that_load() {
    let (dir, authority) = authority();
    drop(authority);
    Authority::open(dir.path(), "case-api").unwrap().issue(&Peer::Operator("dana".into())).unwrap();
    let identity = Identity::load(dir.path(), &Peer::Operator("dana".into())).unwrap();
    identity.server_config().unwrap();
    identity.client_config().unwrap();
}

#[test]
fn a_bundle_holds_its_members_keys_and_nobody_elses() {
    let (dir, authority) = authority();
    let to = dir.path().join("site-a");
    authority.bundle(&[agent("a")], &to).unwrap();
    Identity::load(&to, &agent("a")).unwrap();
    let signed = Signer::new(&Identity::load(dir.path(), &agent("b")).unwrap()).unwrap();
    let receipt = signed.sign(Receipt { site: "b".into(), ..receipt() });
    assert!(Verifier::load(&to, "case-api").unwrap().verify(&receipt), "it can check the other agents' receipts");
    let mut keys = std::fs::read_dir(&to).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(keys.all(|name| !name.ends_with(".key") || name == "a.agent.antipode.key"));
    assert!(!to.join("controller.antipode.pem").exists() && !to.join("offline").exists());
}

#[test]
fn an_expired_certificate_is_named() {
    let (dir, authority) = authority();
    let past = |days: u32| SystemTime::now() - Duration::from_secs(24 * 3600) * days;
    authority.issue_for(&agent("a"), past(10), past(3)).unwrap();
    let error = Identity::load(dir.path(), &agent("a")).unwrap_err();
    assert!(matches!(&error, IdentityError::Expired { path, .. } if path.ends_with("a.agent.antipode.pem")), "{error}");
}

#[test]
fn a_foreign_or_swapped_certificate_is_refused() {
    let (dir, _authority) = authority();
    let (other, _other_authority) = authority_of_the_same_name();
    let copy = |from: &std::path::Path, name: &str, to: &str| {
        std::fs::copy(from.join(name), dir.path().join(to)).unwrap();
    };
    copy(other.path(), "a.agent.antipode.pem", "a.agent.antipode.pem");
    copy(other.path(), "a.agent.antipode.key", "a.agent.antipode.key");
    assert!(matches!(Identity::load(dir.path(), &agent("a")), Err(IdentityError::Foreign { .. })));
    assert!(matches!(Verifier::load(dir.path(), "case-api"), Err(IdentityError::Foreign { .. })));

    copy(dir.path(), "b.agent.antipode.pem", "a.agent.antipode.pem");
    assert!(matches!(Identity::load(dir.path(), &agent("a")), Err(IdentityError::OtherName { .. })));

    copy(dir.path(), "controller.antipode.key", "b.agent.antipode.key");
    assert!(matches!(Identity::load(dir.path(), &agent("b")), Err(IdentityError::OtherKey { .. })));
}

fn authority_of_the_same_name() -> (TempDir, Authority) {
    authority()
}

#[test]
fn a_receipt_holds_for_exactly_what_was_signed() {
    let (dir, _authority) = authority();
    let identity = Identity::load(dir.path(), &agent("a")).unwrap();
    let verifier = Verifier::load(dir.path(), "case-api").unwrap();
    let signed = Signer::new(&identity).unwrap().sign(receipt());
    assert!(verifier.verify(&signed));

    let tampered: Vec<Receipt> = vec![
        Receipt { epoch: signed.epoch.next(&"a".into()), ..signed.clone() },
        Receipt { end: None, ..signed.clone() },
        Receipt { end: Some(Lsn(78)), ..signed.clone() },
        Receipt { site: "b".into(), ..signed.clone() },
        Receipt { site: "nowhere".into(), ..signed.clone() },
        Receipt { workload: "other".into(), ..signed.clone() },
        Receipt { signature: String::new(), ..signed.clone() },
        Receipt { signature: signed.signature.replace(&signed.signature[..2], "zz"), ..signed.clone() },
    ];
    for receipt in tampered {
        assert!(!verifier.verify(&receipt), "{receipt:?}");
    }
    let other_workload = Verifier::load(dir.path(), "other").unwrap();
    assert!(!other_workload.verify(&signed));
}

#[test]
fn a_receipt_signed_by_another_member_is_worthless() {
    let (dir, _authority) = authority();
    let verifier = Verifier::load(dir.path(), "case-api").unwrap();
    for liar in [agent("b"), Peer::Controller] {
        let signer = Signer::new(&Identity::load(dir.path(), &liar).unwrap()).unwrap();
        assert!(!verifier.verify(&signer.sign(receipt())), "{liar}");
    }
}
