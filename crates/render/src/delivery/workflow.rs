//! The workflow of GitHub Actions. It decides nothing: `deploy.sh waves` says what is deployed after what, and
//! `deploy.sh` deploys, checks and goes back.

use crate::delivery::{Deployed, Deployment, Kind};
use crate::value::{Map, Value};
use crate::{list, map, yaml};

/// Actions by their commit: a tag can be moved.
const CHECKOUT: &str = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683"; // v4.2.2
const CREDENTIALS: &str = "aws-actions/configure-aws-credentials@e3dd6a429d7300a6a4c196c26e071d42e0343502"; // v4.0.2

const RUNNER: &str = "ubuntu-24.04";

/// The regions once more: what joins a component's regions is made when it stands in each.
const JOINED: &str = "joined";

/// The jobs of the stacks, in their order: name, what it is, the job before it.
const WAVES: [(&str, &str, &str); 5] = [
    ("before", "what the regions need", "plan"),
    ("first", "the regions that go first", "before"),
    ("then", "the other regions", "first"),
    (JOINED, "what joins the regions", "then"),
    ("after", "what leads to the regions", JOINED),
];

pub fn text(deployment: &Deployment, folder: &str, spec: &str) -> String {
    let head = format!("# Written by `antipode render` from {spec}: change the spec, not this file.\n");
    head + &yaml::document(&workflow(deployment, folder))
}

fn workflow(deployment: &Deployment, folder: &str) -> Map {
    let mut jobs = map! { "plan" => plan() };
    for (name, about, before) in WAVES {
        jobs.set(name, wave(name, about, before));
    }
    let clean = folder.trim_matches('/');
    let folder = if clean.is_empty() { "." } else { clean };
    let watched = match folder {
        "." => vec!["cloudformation/**".into(), "deploy.sh".into()],
        folder => vec![format!("{folder}/**").into()],
    };
    map! {
        "name" => format!("Deploy {}", deployment.workload),
        "on" => map! {
            "push" => map! { "branches" => list!["main"], "paths" => Value::List(watched) },
            "workflow_dispatch" => map! { "inputs" => inputs(deployment) },
        },
        "permissions" => map! { "contents" => "read" },
        // Two deployments at a time would each undo the other's.
        "concurrency" => map! { "group" => format!("deploy-{}", deployment.workload), "cancel-in-progress" => false },
        "defaults" => map! { "run" => map! { "shell" => "bash", "working-directory" => folder } },
        "env" => map! {
            "SERVING_REGION" => "${{ inputs.serving != 'variable' && inputs.serving || vars.SERVING_REGION }}",
            "AWS_RETRY_MODE" => "adaptive",
        },
        "jobs" => jobs,
    }
}

fn inputs(deployment: &Deployment) -> Map {
    let names = |wanted: fn(&Deployed) -> bool| {
        deployment.stacks.iter().filter(move |stack| wanted(stack)).map(|stack| Value::from(&stack.name))
    };
    let serving: Vec<Value> =
        [Value::from("variable")].into_iter().chain(names(|stack| stack.kind == Kind::Region)).collect();
    let only: Vec<Value> = [Value::from("all")].into_iter().chain(names(|_| true)).collect();
    let choice = |about: &str, options: Vec<Value>| {
        map! { "description" => about, "type" => "choice", "default" => options[0].clone(), "options" => options }
    };
    let switch = |about: &str| map! { "description" => about, "type" => "boolean", "default" => false };
    map! {
        "serving" => choice("The region that serves now; else the variable SERVING_REGION of the repository says it", serving),
        "only" => choice("One stack only, such as the region that is not down", only),
        "first" => switch("The workload is not there yet"),
        "rollback" => switch("Go back to the version before"),
    }
}

/// What is deployed after what.
fn plan() -> Map {
    let outputs = WAVES.map(|(name, ..)| (name.into(), format!("${{{{ steps.waves.outputs.{name} }}}}").into()));
    let waves = "deploy_first=(); [ \"$FIRST\" != true ] || deploy_first=(--first)\n\
                 bash ./deploy.sh waves --only \"$ONLY\" \"${deploy_first[@]}\" >> \"$GITHUB_OUTPUT\"\n";
    let waves = map! {
        "id" => "waves",
        "env" => map! { "ONLY" => "${{ inputs.only }}", "FIRST" => "${{ inputs.first }}" },
        "run" => waves,
    };
    map! {
        "runs-on" => RUNNER,
        "timeout-minutes" => 5,
        "outputs" => Map(outputs.into()),
        "steps" => list![checkout(), waves],
    }
}

fn checkout() -> Map {
    map! { "uses" => CHECKOUT, "with" => map! { "persist-credentials" => false } }
}

fn wave(name: &str, about: &str, before: &str) -> Map {
    let needs: Vec<Value> = match before {
        "plan" => vec!["plan".into()],
        before => vec!["plan".into(), before.into()],
    };
    // A wave that has nothing to do is skipped, and the next one is not kept from going on by that.
    // Nothing is joined on the way back: it would go back twice.
    let forward = if name == JOINED { " && !inputs.rollback" } else { "" };
    let due = format!("${{{{ !cancelled() && !failure() && needs.plan.outputs.{name} != '[]'{forward} }}}}");
    let account = "${{ matrix.target.account || vars.AWS_ACCOUNT_ID }}";
    let credentials = map! {
        "uses" => CREDENTIALS,
        "with" => map! {
            "role-to-assume" => format!("arn:aws:iam::{account}:role/${{{{ matrix.target.role }}}}"),
            "role-session-name" => "deploy-${{ github.run_id }}",
            "aws-region" => "${{ matrix.target.region }}",
        },
    };
    let environment = map! {
        "STACK" => "${{ matrix.target.stack }}",
        "BAKE" => "${{ matrix.target.bake }}",
        "AWS_EXECUTION_ROLE" => format!("arn:aws:iam::{account}:role/${{{{ matrix.target.execution }}}}"),
    };
    let step = |name: &str, when: &str, run: &str| {
        map! { "name" => name }.with_some("if", (!when.is_empty()).then_some(when)).with("run", run)
    };
    let deploy =
        step("deploy", "${{ !inputs.rollback }}", "bash ./deploy.sh \"$STACK\" --no-check").with("id", "deploy");
    let failed = "${{ failure() && steps.deploy.outcome == 'success' }}";
    map! {
        "name" => format!("{about}: ${{{{ matrix.target.stack }}}}"),
        "needs" => needs,
        "if" => due,
        "runs-on" => RUNNER,
        "timeout-minutes" => 120,
        // One of these for each stack: who may deploy it, and who has to approve, is set there.
        "environment" => "${{ matrix.target.stack }}",
        "permissions" => map! { "contents" => "read", "id-token" => "write" },
        "strategy" => map! {
            "fail-fast" => true,
            // What stands for all regions is deployed one after the other, because one may need another.
            "max-parallel" => if matches!(name, "before" | "after") { 1 } else { 8 },
            "matrix" => map! { "target" => format!("${{{{ fromJSON(needs.plan.outputs.{name}) }}}}") },
        },
        "env" => environment,
        "steps" => list![
            checkout(),
            credentials,
            deploy,
            step("go back", "${{ inputs.rollback }}", "bash ./deploy.sh rollback \"$STACK\""),
            step("check before traffic", "", "bash ./deploy.sh check \"$STACK\" --for \"$BAKE\""),
            step("go back after a failed check", failed, "bash ./deploy.sh rollback \"$STACK\""),
        ],
    }
}
