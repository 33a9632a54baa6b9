//! Partners find the same key under the same name, at addresses that they have let in, in whichever region.

use std::collections::{BTreeMap, BTreeSet};

use antipode_render::resource::Keep;
use antipode_render::value::Value;
use antipode_render::{RenderError, Rendering, render};

use crate::{at, at_first, find, resource, spec, specs, text};

const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

#[test]
fn both_regions_have_one_host_key_and_no_other() {
    let rendering = spec("transfer");
    for region in REGIONS {
        assert_eq!(at(resource(&rendering, region, "SftpServer"), "CreateWithHostKey"), &false.into());
        let key = resource(&rendering, region, "SftpHostKeyImported");
        assert_eq!(text(key, "HostKeyBody"), "{{resolve:secretsmanager:exchange/sftp/host-key:SecretString}}");
        assert_eq!(key.condition.as_ref().unwrap().name, "SftpHostKeyIsStored");
        assert_eq!(at_first(&rendering, region, "SftpHostKey"), "awaited");
    }
}

#[test]
fn a_name_leads_to_addresses_that_stay() {
    let rendering = spec("transfer");
    for (region, zones) in REGIONS.into_iter().zip([2, 3]) {
        let record = resource(&rendering, region, "NameRecord");
        let Value::List(addresses) = at(record, "ResourceRecords") else { panic!() };
        assert_eq!(addresses.len(), zones, "{region}");
        let Value::List(fixed) = at(resource(&rendering, region, "SftpServer"), "EndpointDetails.AddressAllocationIds")
        else {
            panic!()
        };
        assert_eq!(fixed.len(), zones, "{region}");
        assert_eq!(resource(&rendering, region, "SftpAddressA").keep, Keep::Retain);
        assert!(find(&rendering, region, "NameCheckAlarm").is_some(), "nobody but partners can connect");
    }
}

#[test]
fn only_partners_are_let_in() {
    let rendering = spec("transfer");
    let (_, text) = specs::all().into_iter().find(|(name, _)| name == "transfer").unwrap();
    let let_in = |rendering: &Rendering, server: &str| -> BTreeMap<String, String> {
        let stack = rendering.stacks.iter().find(|stack| stack.root.name() == "us-east-1").unwrap();
        let rules = stack.templates.iter().flat_map(|template| &template.resources);
        let rules = rules.filter(|rule| rule.id.starts_with(&format!("{server}FromPartner")));
        rules.map(|rule| (rule.id.to_string(), crate::text(rule, "CidrIp"))).collect()
    };
    let sftp = let_in(&rendering, "Sftp");
    assert_eq!(
        sftp.values().collect::<BTreeSet<_>>(),
        BTreeSet::from([&"198.51.100.7/32".to_owned(), &"203.0.113.0/24".to_owned()])
    );
    assert!(let_in(&rendering, "Old").is_empty());
    // One who goes takes nobody else's rule along: AWS refuses the same rule twice, under whichever name.
    let others = [
        ("203.0.113.0/24, 198.51.100.7/32", "198.51.100.7/32"),
        ("203.0.113.0/24, ", "203.0.113.0/24, 203.0.113.0/24, "),
    ];
    for (all, said) in others {
        let after = let_in(&specs::rendering("transfer", &text.replace(all, said)), "Sftp");
        assert!(!after.is_empty() && after.iter().all(|(id, range)| sftp.get(id) == Some(range)), "{after:?}");
    }
    let open = text.replace("203.0.113.0/24", "0.0.0.0/0");
    let Err(RenderError::Impossible(problems)) = render(&specs::design("transfer", &open), "antipode.yaml") else {
        panic!()
    };
    assert_eq!(problems[0].path, "components.sftp.partners");
}

/// A file system takes a session by the numbers of a user and a group; and an adopted server has the key that it has.
#[test]
fn who_comes_in_is_told_as_the_store_and_the_server_want_it() {
    let rendering = spec("transfer");
    let told = |rendering: &Rendering, server: &str, what: &str| {
        let of = |note: &&antipode_render::Note| note.component.as_str() == server && note.instead.contains(what);
        rendering.notes.iter().any(|note| of(&note))
    };
    assert!(told(&rendering, "old", "--posix-profile Uid=") && !told(&rendering, "sftp", "--posix-profile"));
    assert!(told(&rendering, "sftp", "ssh-keygen"));
    let (_, text) = specs::all().into_iter().find(|(name, _)| name == "transfer").unwrap();
    let theirs = text.replace("needs: [inbox], partners: [203.0.113.0/24, 198.51.100.7/32]", "managed: adopt");
    let theirs = specs::rendering("transfer", &theirs);
    assert!(told(&theirs, "sftp", "create-user") && !told(&theirs, "sftp", "ssh-keygen"));
}
