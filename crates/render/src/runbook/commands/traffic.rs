//! Where users are led: by an object that the region that takes over writes, by routing controls, by records.

use model::Part;
use model::design::Site;

use super::{Besides, Made, SOON, Ways, by_hand, calls, words};
use crate::runbook::names::{self, Named};
use crate::runbook::{Purpose, Work};
use crate::services::SIGNAL;
use crate::sheet::{Sheet, aws_region, regional};
use crate::{map, runbook};

/// What shows where a name leads.
pub fn seen(part: &Part) -> Option<String> {
    let record = part.text("record")?;
    let path = part.text("check.path").unwrap_or("/");
    Some(format!(
        "dig +short {} @1.1.1.1; curl --silent --output /dev/null --write-out '%{{http_code}}\\n' {}",
        names::quoted(record),
        names::quoted(&format!("https://{record}{path}"))
    ))
}

/// The object in the own bucket of the region that takes over. What the other said before is taken back where it answers:
/// while both say so, both are as good (`traffic/signal.rs`).
pub fn signal(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (from, region) = ways.regions();
    let account = names::account(sheet, &region);
    let name = sheet.named([ways.part.id.as_str(), "signal"], 34);
    let bucket = |region: &str| format!("\"{name}-${{{}}}-{region}\"", account.variable);
    let automated = |region: &str| format!("{name}-{{{{ global:ACCOUNT_ID }}}}-{region}");
    let lower = format!("aws s3api delete-object --bucket {} --key {SIGNAL} --region {from}", bucket(&from));
    let planned = ways.purpose == Purpose::Failback;
    let besides = Besides {
        says: format!("Take back what {} said, should it have taken over before", ways.from.id),
        commands: vec![match planned {
            true => lower,
            false => format!("{lower} {SOON} || echo 'not reached: go on, its signal is not read while it is away'"),
        }],
        validate: format!(
            "curl --silent --max-time 10 --output /dev/null --write-out '%{{http_code}}\\n' \"https://{name}-${{{}}}-{from}.s3.{from}.amazonaws.com/{SIGNAL}\"   # 200 no more; 000: not reached",
            account.variable
        ),
        work: Work::Tried {
            region: from.clone(),
            script: runbook::automation::ELSEWHERE,
            needs: &["s3:DeleteObject"],
            inputs: map! {
                "service" => "s3", "call" => "delete_object",
                "inputs" => map! { "Bucket" => automated(&from), "Key" => SIGNAL },
            },
        },
    };
    let put = map! { "Bucket" => automated(&region), "Key" => SIGNAL };
    let object = format!("https://{name}-${{{}}}-{region}.s3.{region}.amazonaws.com/{SIGNAL}", account.variable);
    let mut validate = format!(
        "curl --silent --output /dev/null --write-out '%{{http_code}}\\n' \"{object}\"   # 200: it is raised; answers change half a minute later"
    );
    if let Some(seen) = seen(ways.part) {
        validate = format!("{validate}\n{seen}");
    }
    Made {
        commands: vec![format!("aws s3api put-object --bucket {} --key {SIGNAL} --region {region}", bucket(&region))],
        validate: Some(validate),
        work: calls("s3", "PutObject", put, None),
        names: vec![account],
        besides: Some(besides),
    }
}

/// Through any of the five endpoints of the cluster, never through ARC's own region: that is asked beforehand.
pub fn controls(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let design = sheet.design;
    let arc = design.of_kind("aws.arc-routing-control").next();
    let id = arc.map_or(&ways.part.id, |arc| &arc.id);
    let config = "aws route53-recovery-control-config";
    let ours = arc.filter(|arc| sheet.renders(arc));
    let which = match ours {
        Some(arc) => format!("Clusters[?Name=='{}']", sheet.named([arc.id.as_str()], 64)),
        None => "Clusters[]".to_owned(),
    };
    let kept = |what: &str, about: &str, command: String| {
        names::kept(
            &words(id, what),
            about,
            &format!("{config} {command} --region us-west-2 --output text"),
            "us-west-2",
        )
    };
    let cluster = kept("cluster", "the cluster", format!("list-clusters --query \"{which}.ClusterArn | [0]\""));
    let endpoints = kept(
        "endpoints",
        "its five endpoints, each as REGION,URL",
        format!(
            "describe-cluster --cluster-arn {} --query \"Cluster.ClusterEndpoints[].join(',', [Region, Endpoint])\"",
            cluster.shell()
        ),
    );
    let panel = kept(
        "panel",
        "the control panel",
        format!(
            "list-control-panels --cluster-arn {} --query \"ControlPanels[?RoutingControlCount > \\`1\\`].ControlPanelArn | [0]\"",
            cluster.shell()
        ),
    );
    let control = |site: &Site| {
        let about = format!("the routing control of {}", site.id);
        let called = match ours {
            Some(_) => format!("Name=='{}'", sheet.named([site.id.as_str()], 64)),
            None => format!("contains(Name, '{}')", site.id),
        };
        let command = format!(
            "list-routing-controls --control-panel-arn {} --query \"RoutingControls[?{called}].RoutingControlArn | [0]\"",
            panel.shell(),
        );
        kept(&format!("control {}", site.id), &about, command)
    };
    let (left, taken) = (control(ways.from), control(ways.to));
    let each = |call: &str| {
        format!(
            "for endpoint in ${}; do   # the next one when one does not answer\n  aws route53-recovery-cluster {call} --region \"${{endpoint%%,*}}\" --endpoint-url \"${{endpoint#*,}}\" {SOON} && break\ndone",
            endpoints.variable
        )
    };
    let gate = ours.filter(|arc| arc.bool("safety_rules") != Some(false)).map(|_| {
        let called = sheet.named(["gate"], 64);
        let command = format!(
            "list-routing-controls --control-panel-arn {} --query \"RoutingControls[?Name=='{called}'].RoutingControlArn | [0]\"",
            panel.shell()
        );
        kept("gate", "the gate, which has to be on for any other to be turned", command)
    });
    let turn = each(&format!(
        "update-routing-control-states --update-routing-control-state-entries \"RoutingControlArn=${},RoutingControlState=On\" \"RoutingControlArn=${},RoutingControlState=Off\"",
        taken.variable, left.variable
    ));
    let mut validate =
        each(&format!("get-routing-control-state --routing-control-arn {} --query RoutingControlState", taken.shell()));
    if let Some(seen) = seen(ways.part) {
        validate = format!("{validate}\n{seen}");
    }
    let mut commands = vec![turn];
    if let Some(gate) = &gate {
        let which = gate.shell();
        let see = each(&format!("get-routing-control-state --routing-control-arn {which} --query RoutingControlState"));
        let open = each(&format!(
            "update-routing-control-states --update-routing-control-state-entries \"RoutingControlArn=${},RoutingControlState=On\"",
            gate.variable
        ));
        let asks = "# The gate: when it is Off, somebody froze all controls, or it was never turned on. Know why, then turn it on:";
        commands.splice(0..0, [format!("{see}\n{asks}"), open]);
    }
    let names = [cluster, endpoints, panel, left, taken].into_iter().chain(gate).collect();
    by_hand(commands, Some(validate), names)
}

fn zone(part: &Part) -> Named {
    names::kept(&words(&part.id, "zone"), "the hosted zone", &crate::services::find_zone(part), "us-east-1")
}

/// A change of records, which only us-east-1 takes: one that leads to one region is led to the other; of several, those of
/// the region that is left are taken away, and kept for the way back, which puts them beside the others again.
pub fn record(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let Some(name) = ways.part.text("record").map(str::to_owned) else {
        let says = format!("# the spec names no record: change by hand what leads users to {}", ways.from.id);
        return by_hand(vec![says], None, Vec::new());
    };
    let zone = zone(ways.part);
    let change =
        format!("aws route53 change-resource-record-sets --hosted-zone-id {} --region us-east-1", zone.shell());
    if crate::services::is_one_record(sheet, ways.part)
        && let Some((answer, names)) = answer(sheet, ways)
    {
        let batch = format!(
            "{{\\\"Changes\\\":[{{\\\"Action\\\":\\\"UPSERT\\\",\\\"ResourceRecordSet\\\":{{\\\"Name\\\":\\\"{name}\\\",\\\"Type\\\":\\\"A\\\",{answer}}}}}]}}"
        );
        let commands = vec![format!("{change} --change-batch \"{batch}\"")];
        return by_hand(commands, seen(ways.part), [vec![zone], names].concat());
    }
    let file = |site: &Site| format!("{}-{}.json", crate::names::physical([ways.part.id.as_str()], 40), site.id);
    let batch = |verb: &str, file: &str| {
        format!(
            "{change} --change-batch \"$(jq -c '{{Changes: map({{Action: \"{verb}\", ResourceRecordSet: .}})}}' {file})\""
        )
    };
    let back = put_back(sheet, ways, &file(ways.to), &batch("UPSERT", &file(ways.to)));
    if ways.purpose == Purpose::Failback {
        return by_hand(vec![back], seen(ways.part), vec![zone]);
    }
    let file = file(ways.from);
    let each = crate::services::record_identifiers(sheet, ways.part, ways.from);
    let each: Vec<String> = each.into_iter().map(|word| format!("SetIdentifier=='{word}'")).collect();
    let listed = format!(
        "aws route53 list-resource-record-sets --hosted-zone-id {} --region us-east-1 --query \"ResourceRecordSets[?Name=='{name}.' && ({})]\" >{file}   # keep it: the way back",
        zone.shell(),
        each.join(" || ")
    );
    by_hand(vec![back, listed, batch("DELETE", &file)], seen(ways.part), vec![zone])
}

/// The records of the region that is moved to, where they were taken away when it was left: its stack makes them anew if it was
/// told that they are gone; else they are put there as they were, once.
fn put_back(sheet: &Sheet<'_>, ways: &Ways<'_>, file: &str, upsert: &str) -> String {
    let kept = format!(
        "[ -e {file} ]; then   # what was kept when {} was left\n  {upsert} && mv {file} {file}.done\nfi",
        ways.to.id
    );
    let (root, answers) = (regional(ways.to), crate::services::answers_parameter(ways.part));
    if !sheet.has_parameter(&root, &answers) {
        return format!("if {kept}");
    }
    let now = names::parameter_of(&crate::delivery::stack_name(sheet, &root), aws_region(ways.to), &answers);
    format!(
        "answers=$({now})\nif [ \"$answers\" = no ]; then\n  bash deploy.sh {} --set {answers}=yes\nelif {kept}",
        ways.to.id
    )
}

/// What a record says of the region that is moved to.
fn answer(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Option<(String, Vec<Named>)> {
    let (_, region) = ways.regions();
    let front = crate::services::led_to(sheet, ways.part, ways.to)?;
    let (quote, ttl) = ("\\\"", ways.part.duration("ttl").map_or(60, |ttl| ttl.as_secs()));
    match front.kind.name.as_str() {
        "aws.alb" | "aws.nlb" => {
            let how = "aws elbv2 describe-load-balancers --region {region} --query \"LoadBalancers[?contains(LoadBalancerName,'{id}')].LoadBalancerArn | [0]\" --output text";
            let balancer = names::balancer(sheet, front, ways.to, how);
            let of = |what: &str, key: &str, about: &str| {
                let how = format!(
                    "aws elbv2 describe-load-balancers {} --region {region} --query 'LoadBalancers[0].{key}' --output text",
                    balancer.1
                );
                names::found(&[front.id.to_string(), format!("{what} {}", ways.to.id)], about, &how)
            };
            let host = of("host", "DNSName", "the name of the load balancer");
            let own = of("zone", "CanonicalHostedZoneId", "the zone of that name");
            let answer = format!(
                "{quote}AliasTarget{quote}:{{{quote}DNSName{quote}:{quote}${}{quote},{quote}HostedZoneId{quote}:{quote}${}{quote},{quote}EvaluateTargetHealth{quote}:false}}",
                host.variable, own.variable
            );
            Some((answer, balancer.0.into_iter().chain([host, own]).collect()))
        }
        "aws.ec2" => {
            let how = "aws ec2 describe-instances --filters Name=tag:antipode:component,Values={id} Name=instance-state-name,Values=running,stopped --region {region} --query 'Reservations[0].Instances[0].InstanceId' --output text";
            let instance = names::of(sheet, front, ways.to, how);
            let how = format!(
                "aws ec2 describe-instances --instance-ids {} --region {region} --query 'Reservations[0].Instances[0].PublicIpAddress' --output text",
                instance.shell()
            );
            let address = names::found(&[front.id.to_string(), format!("address {}", ways.to.id)], "its address", &how);
            let answer = format!(
                "{quote}TTL{quote}:{ttl},{quote}ResourceRecords{quote}:[{{{quote}Value{quote}:{quote}${}{quote}}}]",
                address.variable
            );
            Some((answer, vec![instance, address]))
        }
        _ => None,
    }
}

pub fn accelerator(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (id, (from, to)) = (&ways.part.id, ways.regions());
    let name = crate::services::physical(ways.part, ways.to).unwrap_or_else(|| sheet.named([id.as_str()], 64));
    let kept = |what: &str, about: &str, command: String| {
        let command = format!("aws globalaccelerator {command} --region us-west-2 --output text");
        names::kept(&words(id, what), about, &command, "us-west-2")
    };
    let whole = kept(
        "accelerator",
        "the accelerator",
        format!("list-accelerators --query \"Accelerators[?Name=='{name}'].AcceleratorArn | [0]\""),
    );
    let listener = kept(
        "listener",
        "its listener",
        format!("list-listeners --accelerator-arn {} --query 'Listeners[0].ListenerArn'", whole.shell()),
    );
    let group = |what: &str, about: &str, region: &str| {
        kept(
            what,
            &format!("the endpoint group of the region that is {about}"),
            format!(
                "list-endpoint-groups --listener-arn {} --query \"EndpointGroups[?EndpointGroupRegion=='{region}'].EndpointGroupArn | [0]\"",
                listener.shell()
            ),
        )
    };
    let (left, taken) = (group("left", "left", &from), group("taken", "moved to", &to));
    let which = |group: &Named| format!("--endpoint-group-arn {} --region us-west-2", group.shell());
    let turn = |group: &Named, percent: &str| {
        format!("aws globalaccelerator update-endpoint-group {} --traffic-dial-percentage {percent}", which(group))
    };
    let see = |group: &Named| {
        format!(
            "aws globalaccelerator describe-endpoint-group {} --query 'EndpointGroup.[EndpointGroupRegion,TrafficDialPercentage]'",
            which(group)
        )
    };
    // It may have been turned down when it was left, or be one that nothing goes to while all is well. Before the other one:
    // never is nothing answered. A planned return leaves as much where it was as there is when all is well.
    let mut commands = vec![turn(&taken, "100")];
    let serves = crate::services::dial(ways.from);
    if ways.purpose != Purpose::Failback || serves == "0" {
        commands.push(turn(&left, "0"));
    }
    let seen = [see(&left), see(&taken)].join("\n");
    by_hand(commands, Some(seen), vec![whole, listener, left, taken])
}

/// A rendered one has an origin in each region, and goes to the other by itself.
pub fn distribution(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    if sheet.renders(ways.part) {
        let says = "# nothing is called: it asks the other origin when the first does not answer; watch it happen";
        return by_hand(vec![says.to_owned()], seen(ways.part), Vec::new());
    }
    let to = aws_region(ways.to).to_owned();
    let alias = ways.part.text("record").map_or("Items[0]".to_owned(), |record| {
        format!("Items[?contains(Aliases.Items || \\`[]\\`, '{record}')] | [0]")
    });
    let how = format!(
        "aws cloudfront list-distributions --region us-east-1 --query \"DistributionList.{alias}.Id\" --output text"
    );
    let id = match crate::services::physical(ways.part, ways.to) {
        Some(known) => names::known(&words(&ways.part.id, "id"), "the distribution", known),
        None => names::kept(&words(&ways.part.id, "id"), "the distribution", &how, "us-east-1"),
    };
    let which = format!("--id {} --region us-east-1", id.shell());
    let commands = vec![
        format!("aws cloudfront get-distribution-config {which} >distribution.json   # keep it: the way back"),
        format!(
            "aws cloudfront update-distribution {which} --if-match \"$(jq -r .ETag distribution.json)\" --distribution-config \"$(jq -c '.DistributionConfig | ([.Origins.Items[] | select(.DomainName | contains(\"{to}\"))][0].Id) as $to | .DefaultCacheBehavior.TargetOriginId = $to' distribution.json)\""
        ),
    ];
    let see = format!(
        "aws cloudfront get-distribution {which} --query 'Distribution.[Status,DistributionConfig.DefaultCacheBehavior.TargetOriginId]'"
    );
    by_hand(commands, Some(see), vec![id])
}
