//! What every relational database has: a place in the network, those who may reach it, and a name that can be resolved.

use model::Part;
use model::design::Site;

use super::{fence, id};
use crate::resource::{Condition, Resource, Target};
use crate::root::Group;
use crate::services::{network, role};
use crate::sheet::{Sheet, aws_region, regional};
use crate::value::Value;
use crate::{list, map, names};

/// Seconds for which a client may remember where the database is: a new generation is another host.
const REMEMBERED: u32 = 10;

/// The kinds that reach a database from instances or tasks in the network.
const CLIENTS: [&str; 7] = ["aws.asg", "aws.ec2", "aws.ecs", "aws.fargate", "aws.eks", "aws.lambda", "aws.msk"];

/// The first user of every database.
pub const FIRST_USER: &str = "dbowner";

/// What an engine is called by AWS, and where it listens.
#[derive(Clone, Copy)]
pub struct Engine {
    pub name: &'static str,
    pub port: u16,
    /// The major version when the spec names none.
    pub version: &'static str,
    /// The parameter that refuses a connection without TLS.
    pub tls: Option<&'static str>,
    pub logs: &'static [&'static str],
    /// Whether a user can be let in by a role instead of a password.
    pub by_role: bool,
}

const POSTGRES: Engine = Engine {
    name: "postgres",
    port: 5432,
    version: "16",
    tls: Some("rds.force_ssl"),
    logs: &["postgresql", "upgrade"],
    by_role: true,
};
const MYSQL: Engine = Engine {
    name: "mysql",
    port: 3306,
    version: "8.4",
    tls: Some("require_secure_transport"),
    logs: &["error", "slowquery"],
    by_role: true,
};

/// Of a database of one instance. Replicas of Oracle and SQL Server need their dearer editions (Amazon RDS User Guide,
/// "Supported Regions and DB engines for cross-Region read replicas").
pub fn engine(part: &Part) -> Engine {
    match part.word("engine").unwrap_or("postgres") {
        "mysql" => MYSQL,
        "mariadb" => Engine { name: "mariadb", version: "10.11", ..MYSQL },
        "oracle" => Engine {
            name: "oracle-ee",
            port: 1521,
            version: "19",
            tls: None,
            logs: &["alert", "audit"],
            by_role: false,
        },
        "sqlserver" => {
            Engine { name: "sqlserver-ee", port: 1433, version: "16.00", logs: &["error"], by_role: false, ..POSTGRES }
        }
        _ => POSTGRES,
    }
}

/// Of a cluster. Every cluster of a global database has the same version, so it is said to the last digit.
pub fn cluster_engine(part: &Part) -> Engine {
    match part.word("engine").unwrap_or("postgres") {
        "mysql" | "mariadb" => Engine { name: "aurora-mysql", version: "8.0.mysql_aurora.3.10.6", ..MYSQL },
        _ => Engine { name: "aurora-postgresql", version: "16.9", logs: &["postgresql"], ..POSTGRES },
    }
}

/// Where it listens, whatever it is.
pub fn port(part: &Part) -> u16 {
    match part.kind.name.as_str() {
        "aws.rds" => engine(part).port,
        _ => cluster_engine(part).port,
    }
}

/// What its group of subnets says of itself.
pub fn about_subnets(part: &Part) -> String {
    format!("Where {} stands", part.id)
}

/// The subnets of its instances. Its group keeps its name whatever the instances are called.
pub fn subnets(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    let properties = map! {
        "DBSubnetGroupDescription" => about_subnets(part),
        "SubnetIds" => fence::subnets(sheet, part, site),
        "Tags" => sheet.tags(Some(part)),
    };
    let asked = sheet.asked(part);
    let group = Resource::new(Group::Data, "AWS::RDS::DBSubnetGroup", id(part, "subnet group"), asked, properties);
    sheet.add(&regional(site), group)
}

/// Its security group, which lets in those that need it.
pub fn firewall(sheet: &mut Sheet<'_>, part: &Part, site: &Site, port: u16) -> Target {
    let group = network::firewall(sheet, part, site, "Who reaches the data");
    let (mut adopted, mut rules) = (false, Vec::new());
    for client in sheet.needing(part).filter(|client| CLIENTS.contains(&client.kind.name.as_str())) {
        if !client.sites.is_empty() && !client.is_in(&site.id) {
            continue;
        }
        if sheet.renders(client) {
            let from = network::firewall(sheet, client, site, "What the instances reach, and who reaches them");
            rules.push(network::allow(sheet, site, (client, &from), (part, &group), port));
        }
        adopted |= !sheet.renders(client);
    }
    if adopted {
        let rule = map! {
            "GroupId" => group.att("GroupId"), "IpProtocol" => "tcp", "FromPort" => u32::from(port), "ToPort" => u32::from(port),
            "CidrIp" => network::addresses(sheet, site), "Description" => "what stands in the network and is adopted",
        };
        let asked = sheet.asked(part);
        let rule =
            Resource::new(Group::Security, "AWS::EC2::SecurityGroupIngress", id(part, "from the network"), asked, rule);
        rules.push(sheet.add(&regional(site), rule));
    }
    if matches!(part.kind.name.as_str(), "aws.rds" | "aws.aurora" | "aws.aurora-global") {
        fence::around(sheet, part, site, &rules);
    }
    group
}

/// Lets RDS say every minute what an instance does.
pub fn monitoring(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Target {
    role::service_role(
        sheet,
        part,
        site,
        (Group::Data, "monitoring"),
        "monitoring.rds.amazonaws.com",
        &["service-role/AmazonRDSEnhancedMonitoringRole"],
        Vec::new(),
    )
}

/// The name that clients use, the same in every region: what it leads to is said in each.
pub fn name(sheet: &Sheet<'_>, part: &Part) -> String {
    match part.text("name") {
        Some(name) => name.trim_end_matches('.').to_ascii_lowercase(),
        None => format!(
            "{}.{}.internal",
            names::physical([part.id.as_str()], 60),
            names::physical([sheet.design.workload.as_str()], 60)
        ),
    }
}

/// A name for the writer in a zone of the region's own network: resolved without any other region, and led elsewhere by a
/// parameter when a recovery says so.
pub fn record(sheet: &mut Sheet<'_>, part: &Part, site: &Site, own: Value, when: Option<Condition>) {
    let name = name(sheet, part);
    let Some((_, domain)) = name.split_once('.').filter(|(_, domain)| domain.contains('.')) else {
        let path = format!("components.{}.name", part.id);
        return sheet.problem(
            &path,
            format!("`{name}` has no domain that could be a zone of its own"),
            "name it like db.internal.example.com",
        );
    };
    if hides(sheet, domain) {
        let path = format!("components.{}.name", part.id);
        let says = format!("a private zone `{domain}` would hide the public names in it from the workload itself");
        return sheet.problem(&path, says, format!("put a name between: {}", name.replacen('.', ".internal.", 1)));
    }
    let root = regional(site);
    let zone = zone(sheet, site, domain);
    let about = format!(
        "Another host that clients of this region reach as {name}; empty: the one of this region. A recovery may set it."
    );
    let elsewhere = sheet.state(&root, &id(part, "host"), &about, "");
    let led = Condition::given(format!("{}IsElsewhere", id(part, "host")), elsewhere.clone());
    let properties = map! {
        "HostedZoneId" => zone.get(), "Name" => name, "Type" => "CNAME", "TTL" => REMEMBERED.to_string(),
        "ResourceRecords" => list![Value::either(led, elsewhere, own)],
    };
    let asked = sheet.asked(part);
    let mut record = Resource::new(Group::Data, "AWS::Route53::RecordSet", id(part, "name"), asked, properties);
    record.condition = when;
    sheet.add(&root, record);
}

/// Whether the workload has a public name in that domain.
fn hides(sheet: &Sheet<'_>, domain: &str) -> bool {
    let public = sheet.of_kind("aws.route53").filter_map(|part| part.text("record"));
    public.into_iter().any(|record| record == domain || record.ends_with(&format!(".{domain}")))
}

fn zone(sheet: &mut Sheet<'_>, site: &Site, domain: &str) -> Target {
    let (root, id) = (regional(site), names::logical(["zone", domain]));
    if sheet.has(&root, &id) {
        return sheet.target(&root, id);
    }
    let network = map! { "VPCId" => network::vpc(sheet, site), "VPCRegion" => aws_region(site) };
    let tags = sheet.tags(None);
    let properties = map! { "Name" => domain, "VPCs" => list![network], "HostedZoneTags" => tags };
    let asked = sheet.asked_by(&format!("sites.{}", site.id));
    sheet.add(&root, Resource::new(Group::Security, "AWS::Route53::HostedZone", id, asked, properties))
}

/// Days for which backups are kept, as RDS takes them: 1 to 35.
pub fn backup_days(part: &Part) -> u64 {
    super::days(part, "backup.keep").map_or(7, |days| days.clamp(1, 35))
}

/// The version of its engine, region by region: an upgrade goes to one region first.
pub fn version(sheet: &mut Sheet<'_>, part: &Part, site: &Site, engine: Engine) -> Value {
    let about = format!("The version of the engine of {} in this region.", part.id);
    sheet.setting(&regional(site), &id(part, "version"), &about, part.text("version").unwrap_or(engine.version))
}
