//! Argo CD for clusters of EKS: one ApplicationSet that makes an application for each cluster of each region.
//!
//! Each region's Argo CD gets the same file and looks after its own cluster only, so that none needs another region: an
//! Argo CD that serves all clusters is lost with its region (seed 003 section 13).

use model::Part;
use model::design::Site;

use crate::delivery::{self, Order};
use crate::sheet::{Sheet, aws_region};
use crate::value::{Map, Value};
use crate::{File, list, map, yaml};

pub fn files(sheet: &Sheet<'_>) -> Vec<File> {
    let head = format!("# Written by `antipode render` from {}: change the spec, not this file.\n", sheet.spec);
    let file = |name: &str, of: &Map| File::new(format!("argo-cd/{name}.yaml"), head.clone() + &yaml::document(of));
    let clusters: Vec<&Part> = sheet.of_kind("aws.eks").collect();
    let mut files: Vec<File> =
        clusters.iter().map(|part| file(part.id.as_str(), &application_set(sheet, part))).collect();
    if !clusters.is_empty() {
        files.push(file(&format!("projects/{}", sheet.named([], 40)), &project(sheet, &clusters)));
    }
    files
}

/// What the applications may reach: the workload's own namespace in its own clusters. Argo CD refuses an application whose
/// project is not there.
fn project(sheet: &Sheet<'_>, clusters: &[&Part]) -> Map {
    let namespace = sheet.named([], 40);
    let reached = clusters.iter().flat_map(|part| sheet.sites(part).into_iter().map(|site| cluster(sheet, part, site)));
    let reached: Vec<Value> =
        reached.map(|name| map! { "name" => name, "namespace" => namespace.as_str() }.into()).collect();
    map! {
        "apiVersion" => "argoproj.io/v1alpha1",
        "kind" => "AppProject",
        "metadata" => map! { "name" => namespace.as_str(), "namespace" => "argocd" },
        "spec" => map! {
            "description" => format!("What {} deploys, and where", sheet.design.workload),
            // Which repository it is, the secret of each cluster says.
            "sourceRepos" => list!["*"],
            "destinations" => reached,
            "clusterResourceWhitelist" => list![map! { "group" => "", "kind" => "Namespace" }],
        },
    }
}

fn cluster(sheet: &Sheet<'_>, part: &Part, site: &Site) -> String {
    match crate::services::physical(part, site) {
        Some(name) => name,
        None => sheet.named([part.id.as_str(), site.id.as_str()], 100),
    }
}

fn application_set(sheet: &Sheet<'_>, part: &Part) -> Map {
    let sites = sheet.sites(part);
    let elements = sites.iter().map(|site| {
        let element = map! {
            "name" => cluster(sheet, part, site), "region" => aws_region(site), "site" => site.id.as_str(),
        };
        Value::Map(element)
    });
    let elements: Vec<Value> = elements.collect();
    // `serving` is a label of the cluster's secret in Argo CD, which a recovery changes and no deployment.
    let with_role = |role: &str| {
        map! { "matchExpressions" => list![map! { "key" => "serving", "operator" => "In", "values" => list![role] }] }
    };
    let steps = match delivery::order(sheet.design) {
        Order::RecoveryFirst => vec![with_role("false").into(), with_role("true").into()],
        Order::PrimaryFirst => vec![with_role("true").into(), with_role("false").into()],
        Order::Together | Order::None => Vec::new(),
    };
    let labels = map! { "antipode/workload" => sheet.named([], 40), "antipode/component" => part.id.as_str() };
    let application = map! {
        "metadata" => map! {
            "name" => format!("{}-{{{{.site}}}}", sheet.named([part.id.as_str()], 40)),
            "labels" => map! { "serving" => "{{index .metadata.labels \"serving\" | default \"false\"}}", "region" => "{{.region}}" },
        },
        "spec" => map! {
            "project" => sheet.named([], 40),
            "source" => map! {
                "repoURL" => "{{index .metadata.annotations \"antipode/repository\"}}",
                "targetRevision" => sheet.design.artifact.clone().unwrap_or_else(|| "main".to_owned()),
                "path" => format!("kubernetes/{}/overlays/{{{{.site}}}}", part.id),
            },
            "destination" => map! { "name" => "{{.name}}", "namespace" => sheet.named([], 40) },
            "syncPolicy" => map! {
                "automated" => map! { "prune" => true, "selfHeal" => true },
                "syncOptions" => list!["CreateNamespace=true", "PrunePropagationPolicy=foreground"],
                "retry" => map! { "limit" => 5, "backoff" => map! { "duration" => "10s", "factor" => 2, "maxDuration" => "5m" } },
            },
        },
    };
    let names = map! { "clusters" => map! { "selector" => map! { "matchLabels" => labels.clone() } } };
    // The clusters that this Argo CD knows, by their secrets, which say what is so now; and what the spec says of each.
    let merged = map! { "merge" => map! {
        "mergeKeys" => list!["name"],
        "generators" => list![names, map! { "list" => map! { "elements" => elements } }],
    } };
    let spec =
        map! { "goTemplate" => true, "goTemplateOptions" => list!["missingkey=error"], "generators" => list![merged] };
    let spec = match steps.is_empty() {
        true => spec,
        false => spec.with("strategy", map! { "type" => "RollingSync", "rollingSync" => map! { "steps" => steps } }),
    };
    map! {
        "apiVersion" => "argoproj.io/v1alpha1",
        "kind" => "ApplicationSet",
        "metadata" => map! { "name" => sheet.named([part.id.as_str()], 60), "namespace" => "argocd", "labels" => labels },
        "spec" => spec.with("template", application),
    }
}
