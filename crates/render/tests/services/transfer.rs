//! Partners find the same key under the same name, at addresses that they have let in, in whichever region.

use antipode_render::resource::Keep;
use antipode_render::value::Value;
use antipode_render::{RenderError, render};

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
    assert_eq!(text(resource(&rendering, "us-east-1", "SftpFromPartner2"), "CidrIp"), "198.51.100.7/32");
    assert!(find(&rendering, "us-east-1", "OldFromPartner1").is_none());
    let (_, text) = specs::all().into_iter().find(|(name, _)| name == "transfer").unwrap();
    let open = text.replace("203.0.113.0/24", "0.0.0.0/0");
    let Err(RenderError::Impossible(problems)) = render(&specs::design("transfer", &open), "antipode.yaml") else {
        panic!()
    };
    assert_eq!(problems[0].path, "components.sftp.partners");
}
