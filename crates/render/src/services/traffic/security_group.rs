//! Groups of rules that a spec names by themselves: which ports anybody on the internet reaches. Groups of single components
//! are made where these are.

use model::Part;
use model::design::Site;

use crate::resource::Resource;
use crate::root::Group;
use crate::services::{is_at, network};
use crate::sheet::{Sheet, regional};
use crate::value::Value;
use crate::{map, names};

/// Ports by which machines are administered, or databases asked: nobody opens them to the whole internet.
const NEVER: [u16; 8] = [22, 3389, 1433, 3306, 5432, 6379, 9200, 27017];

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    let said = part.words("open_to_all").unwrap_or_default();
    let ports: Vec<(u16, u16)> = said.iter().filter_map(|word| range(word)).collect();
    let path = format!("components.{}.open_to_all", part.id);
    if ports.len() < said.len() {
        sheet.problem(
            &path,
            "a port is a number from 1 to 65535, or a range such as `8000-8100`",
            "write `[\"80\", \"443\"]`",
        );
    }
    if let Some(port) = NEVER.into_iter().find(|port| ports.iter().any(|(from, to)| (from..=to).contains(&port))) {
        let hint = "take it out: instances are reached through Session Manager, and databases from their own network";
        sheet.problem(&path, format!("port {port} must not be open to the whole internet"), hint);
    }
    for site in sheet.sites(part) {
        let group = network::firewall(sheet, part, site, "Which ports anybody reaches");
        for (from, to) in &ports {
            rule(sheet, part, site, group.att("GroupId"), (*from, *to));
        }
    }
}

fn range(word: &str) -> Option<(u16, u16)> {
    let (from, to) = word.split_once('-').unwrap_or((word, word));
    let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (from > 0 && from <= to).then_some((from, to))
}

fn rule(sheet: &mut Sheet<'_>, part: &Part, site: &Site, group: Value, (from, to): (u16, u16)) {
    let id = names::logical([part.id.as_str(), "open", &from.to_string(), &to.to_string()]);
    if sheet.has(&regional(site), &id) {
        return;
    }
    let properties = map! {
        "GroupId" => group, "IpProtocol" => "tcp", "FromPort" => u32::from(from), "ToPort" => u32::from(to),
        "CidrIp" => "0.0.0.0/0", "Description" => "anybody, as the spec says",
    };
    let asked = sheet.asked(part);
    let rule = Resource::new(Group::Security, "AWS::EC2::SecurityGroupIngress", id, asked, properties);
    let rule =
        if (from..=to).contains(&80) { rule.excused("CKV_AWS_260", "the spec opens it to everybody") } else { rule };
    sheet.add(&regional(site), rule);
}

/// The groups that a component says it needs, in a region.
pub fn needed(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Value> {
    let groups =
        part.needs.iter().filter_map(|id| sheet.part(id)).filter(|needed| needed.kind.name == "aws.security-group");
    let groups: Vec<&Part> = groups.filter(|needed| sheet.renders(needed) && is_at(needed, site)).collect();
    let group = |needed: &Part| sheet.target(&regional(site), names::logical([needed.id.as_str(), "security group"]));
    groups.into_iter().map(|needed| group(needed).att("GroupId")).collect()
}
