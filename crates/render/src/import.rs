//! An ARC Region switch plan becomes runbooks of the same form as ours: what it does, as commands that people can give, and
//! what could not be carried over.
//!
//! Taken are the answer of `aws arc-region-switch get-plan` and templates with an `AWS::ARCRegionSwitch::Plan`. Sources: the
//! API reference of Region switch, types `Plan`, `Workflow` and `ExecutionBlockConfiguration`.

use crate::runbook::{Approval, Purpose, Runbook, Step, Work};
use crate::yaml_read::{self, Node};

/// Why a file is no plan.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImportError {
    #[error("it is neither JSON nor YAML: {0}")]
    Unreadable(String),
    #[error("there is no Region switch plan in it")]
    NoPlan,
    #[error("the plan says no {0}")]
    Missing(&'static str),
}

/// The runbooks of a plan: one for each of its workflows, and of one that is for whichever region, one for each.
///
/// # Errors
/// When the text is no plan.
pub fn arc_plan(text: &str) -> Result<Vec<Runbook>, ImportError> {
    let node = yaml_read::read(text).map_err(ImportError::Unreadable)?;
    let node = lower(&node);
    let plan = plan_in(&node).ok_or(ImportError::NoPlan)?;
    let name = said(plan, "name").ok_or(ImportError::Missing("name"))?;
    let regions: Vec<String> = texts(plan.get("regions"));
    if regions.is_empty() {
        return Err(ImportError::Missing("regions"));
    }
    let workflows = plan.get("workflows").map(Node::items).filter(|all| !all.is_empty());
    let workflows = workflows.ok_or(ImportError::Missing("workflows"))?;
    let steps = |workflow: &&Node| workflow.get("steps").is_some_and(|steps| !steps.items().is_empty());
    let (whole, empty): (Vec<&Node>, Vec<&Node>) = workflows.iter().partition(steps);
    let mut runbooks: Vec<Runbook> = Vec::new();
    for workflow in whole {
        let targets = said(workflow, "workflowTargetRegion").map_or_else(|| regions.clone(), |region| vec![region]);
        runbooks.extend(targets.iter().map(|to| runbook(plan, &name, (&regions, to), workflow)));
    }
    let first = runbooks.first_mut().ok_or(ImportError::Missing("steps in any workflow"))?;
    for workflow in empty {
        let (action, of) = (action(workflow), said(workflow, "workflowTargetRegion").unwrap_or_default());
        let what = format!("the workflow `{action}` {of} has no steps").replace("  ", " ");
        first.gaps.push((what, "It has no runbook: find out whether it was meant to have steps.".to_owned()));
    }
    Ok(runbooks)
}

fn action(workflow: &Node) -> String {
    said(workflow, "workflowTargetAction").unwrap_or_else(|| "activate".to_owned())
}

/// Keys with a small first letter, as the API has them; a template writes them large. Names of regions and alarms stay.
fn lower(node: &Node) -> Node {
    match node {
        Node::Map(entries) => {
            let each = entries.iter().map(|(key, value)| match (small(key), value) {
                // These keys are names.
                (key, Node::Map(named)) if key == "associatedAlarms" => {
                    (key, Node::Map(named.iter().map(|(name, of)| (name.clone(), lower(of))).collect()))
                }
                (key, value) => (key, lower(value)),
            });
            Node::Map(each.collect())
        }
        Node::List(items) => Node::List(items.iter().map(lower).collect()),
        other => other.clone(),
    }
}

fn small(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map(|first| first.to_ascii_lowercase().to_string() + letters.as_str()).unwrap_or_default()
}

fn plan_in(node: &Node) -> Option<&Node> {
    if node.get("workflows").is_some() {
        return Some(node);
    }
    if let Some(plan) = node.get("plan").filter(|plan| !plan.entries().is_empty()) {
        return Some(plan);
    }
    let resources = node.get("resources")?.entries().iter().map(|(_, resource)| resource);
    let mut plans =
        resources.filter(|resource| said(resource, "type").as_deref() == Some("AWS::ARCRegionSwitch::Plan"));
    plans.next()?.get("properties")
}

/// A text; of a function of CloudFormation, how it is written.
fn said(node: &Node, key: &str) -> Option<String> {
    node.get(key).map(shown).filter(|text| !text.is_empty())
}
fn shown(node: &Node) -> String {
    node.text().map_or_else(|| node.to_string(), str::to_owned)
}
fn texts(node: Option<&Node>) -> Vec<String> {
    node.map_or(&[] as &[_], Node::items).iter().map(shown).collect()
}

fn runbook(plan: &Node, name: &str, (regions, to): (&[String], &String), workflow: &Node) -> Runbook {
    let action = action(workflow);
    let primary = said(plan, "primaryRegion");
    let others = regions.iter().filter(|region| *region != to);
    let from = Some(others.cloned().collect::<Vec<_>>().join(", ")).filter(|from| !from.is_empty());
    let mut made = Made { to: to.clone(), steps: Vec::new(), gaps: Vec::new() };
    let steps = workflow.get("steps").map_or(&[] as &[_], Node::items);
    steps.iter().for_each(|step| made.step(step));
    made.around(plan);
    made.unresolved();
    let minutes =
        said(plan, "recoveryTimeObjectiveMinutes").map(|minutes| ("RTO".to_owned(), format!("{minutes} min")));
    let slug = format!("{name}-{action}-{to}");
    let mut criteria: Vec<String> = said(plan, "description").into_iter().collect();
    criteria.extend(said(workflow, "workflowDescription"));
    criteria.extend(primary.map(|region| {
        format!("The plan calls {region} its primary region; which one serves now is found out, not assumed.")
    }));
    Runbook {
        name: slug.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect(),
        title: format!("{name}: {action} {to}"),
        purpose: Purpose::Imported,
        from,
        to: to.clone(),
        objectives: minutes.into_iter().collect(),
        criteria,
        approval: Approval { people: 1, ..Approval::default() },
        abort: vec![
            "A step that fails stops the plan; what was done before it stays. Decide, then go on or undo by hand."
                .to_owned(),
        ],
        before: Vec::new(),
        names: Vec::new(),
        steps: made.steps,
        after: vec!["Users are served, and writes succeed, in the region that was moved to.".to_owned()],
        gaps: made.gaps,
    }
}

struct Made {
    to: String,
    steps: Vec<Step>,
    gaps: Vec<(String, String)>,
}

impl Made {
    fn gap(&mut self, what: impl Into<String>, instead: impl Into<String>) {
        let gap = (what.into(), instead.into());
        if !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }

    /// What a template leaves to its stack is no value for a command: whoever types it has to put it there.
    fn unresolved(&mut self) {
        let commands = self.steps.iter().flat_map(|step| step.commands.iter().chain(&step.validate));
        let functions = commands.flat_map(|command| command.split('!').skip(1).map(str::to_owned).collect::<Vec<_>>());
        for text in functions.collect::<Vec<_>>() {
            let mut words = text.split(|c: char| c.is_whitespace() || "\"',".contains(c));
            let (function, of) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            if ["Ref", "GetAtt", "Sub", "ImportValue", "FindInMap", "Join", "Select", "If"].contains(&function) {
                self.gap(
                    format!("`!{function} {of}` is only known to the stack of the template"),
                    format!("Put its value into the command, and leave the command out when it is of another region than {}: aws cloudformation describe-stack-resources --stack-name STACK --logical-resource-id {of} --query 'StackResources[0].PhysicalResourceId'", self.to),
                );
            }
        }
    }

    fn step(&mut self, step: &Node) {
        let name = said(step, "name").unwrap_or_else(|| "a step without a name".to_owned());
        let kind = said(step, "executionBlockType").unwrap_or_default();
        let empty = Node::Map(Vec::new());
        let config = step.get("executionBlockConfiguration").unwrap_or(&empty);
        // A union: one key, which says what kind of block it is.
        let of = |key: &str| config.get(key).unwrap_or(&empty);
        match kind.as_str() {
            "Parallel" => {
                let inner = of("parallelConfig").get("steps").map_or(&[] as &[_], Node::items);
                self.gap(
                    format!("`{name}` does {} steps at the same time", inner.len()),
                    "They stand one after the other here; several people can do them at once.",
                );
                inner.iter().for_each(|step| self.step(step));
                return;
            }
            "ManualApproval" => {
                let role = said(of("executionApprovalConfig"), "approvalRole").unwrap_or_default();
                self.push(step, &name, format!("approved by whoever may use {role}"), Vec::new(), None, false);
            }
            "CustomActionLambda" => self.lambda(step, &name, of("customActionLambdaConfig")),
            "AuroraGlobalDatabase" => self.database(step, &name, of("globalAuroraConfig"), "rds"),
            "DocumentDb" => self.database(step, &name, of("documentDbConfig"), "docdb"),
            "EC2AutoScaling" => self.grow(step, &name, of("ec2AsgCapacityIncreaseConfig"), "asgs"),
            "ECSServiceScaling" => self.grow(step, &name, of("ecsCapacityIncreaseConfig"), "services"),
            "EKSResourceScaling" => self.grow(step, &name, of("eksResourceScalingConfig"), "eksClusters"),
            "ARCRoutingControl" => self.controls(step, &name, of("arcRoutingControlConfig")),
            "Route53HealthCheck" => self.health(step, &name, of("route53HealthCheckConfig")),
            "ARCRegionSwitchPlan" => {
                let arn = said(of("regionSwitchPlanConfig"), "arn").unwrap_or_default();
                let command = format!("aws arc-region-switch get-plan-in-region --arn {arn} --region {}", self.to);
                self.push(
                    step,
                    &name,
                    "another plan, which has a runbook of its own".to_owned(),
                    vec![command],
                    None,
                    false,
                );
                self.gap(format!("`{name}` runs the plan {arn}"), "Import that plan too, and follow its runbook here.");
            }
            other => {
                self.push(step, &name, format!("a block of the kind {other}"), Vec::new(), None, false);
                self.gap(
                    format!("`{name}`: the kind {other} is not known"),
                    "Find out what it does, and write it into this step.",
                );
            }
        }
        self.roles(&name, config);
    }

    fn push(
        &mut self,
        step: &Node,
        name: &str,
        why: String,
        commands: Vec<String>,
        validate: Option<String>,
        commits: bool,
    ) {
        let why = match said(step, "description") {
            Some(about) => format!("{why}; {about}"),
            None => why,
        };
        let id = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
        self.steps.push(Step {
            id,
            says: name.to_owned(),
            why,
            commands,
            validate,
            work: Work::Person,
            best_effort: false,
            commits,
        });
    }

    fn lambda(&mut self, step: &Node, name: &str, config: &Node) {
        let to = self.to.clone();
        let deactivating = said(config, "regionToRun").as_deref() == Some("deactivatingRegion");
        let functions =
            config.get("lambdas").map_or(&[] as &[_], Node::items).iter().filter_map(|each| said(each, "arn"));
        let commands: Vec<String> = functions
            .map(|arn| {
                format!(
                    "aws lambda invoke --function-name {arn} --region {} --log-type Tail /dev/stdout",
                    region_of(&arn).unwrap_or(&to)
                )
            })
            .collect();
        self.push(step, name, "a function of the team's own".to_owned(), commands, None, false);
        self.gap(
            format!("`{name}`: the payload that Region switch gives to the function, and its retries"),
            "Give the same payload by hand (--payload), and call it again when it fails.",
        );
        if deactivating {
            self.gap(
                format!("`{name}` runs in the region that is left"),
                "It cannot be waited for when that region is down: take it as best effort.",
            );
        }
    }

    fn database(&mut self, step: &Node, name: &str, config: &Node, service: &str) {
        let global = said(config, "globalClusterIdentifier").unwrap_or_default();
        let clusters = texts(config.get("databaseClusterArns"));
        let target = clusters
            .iter()
            .find(|arn| region_of(arn) == Some(self.to.as_str()))
            .cloned()
            .unwrap_or_else(|| "CLUSTER_ARN".to_owned());
        let planned = said(config, "behavior").as_deref() == Some("switchoverOnly");
        let to = &self.to;
        let verb = if planned { "switchover-global-cluster" } else { "failover-global-cluster --allow-data-loss" };
        let see = format!(
            "aws {service} describe-global-clusters --global-cluster-identifier {global} --region {to} --query 'GlobalClusters[0].GlobalClusterMembers[?IsWriter].DBClusterArn'"
        );
        let command = format!(
            "aws {service} {verb} --global-cluster-identifier {global} --target-db-cluster-identifier {target} --region {to}"
        );
        self.push(step, name, "the writer moves".to_owned(), vec![command], Some(see), true);
        if config.get("ungraceful").is_some_and(|node| !node.entries().is_empty()) {
            self.gap(format!("`{name}`: what is done instead when the plan runs ungracefully"), "When the region that is left does not answer: failover-global-cluster with --allow-data-loss in place of a switchover.");
        }
    }

    fn grow(&mut self, step: &Node, name: &str, config: &Node, list: &str) {
        let to = self.to.clone();
        let percent = said(config, "targetPercent").unwrap_or_else(|| "100".to_owned());
        let things = config.get(list).map_or(&[] as &[_], Node::items);
        let mut commands = Vec::new();
        for thing in things {
            let arn = ["arn", "serviceArn", "clusterArn"].iter().find_map(|key| said(thing, key)).unwrap_or_default();
            if region_of(&arn).is_some_and(|region| region != to) {
                continue;
            }
            let short = arn.rsplit('/').next().unwrap_or_default().to_owned();
            commands.push(match list {
                "asgs" => format!("aws autoscaling set-desired-capacity --auto-scaling-group-name {short} --desired-capacity COUNT --region {to}"),
                "services" => format!("aws ecs update-service --cluster {} --service {short} --desired-count COUNT --region {to}", said(thing, "clusterArn").unwrap_or_default()),
                _ => format!("aws eks update-kubeconfig --name {short} --region {to} && kubectl scale RESOURCE --replicas COUNT"),
            });
        }
        self.push(step, name, format!("{percent} % of what runs in the other region"), commands, None, false);
        self.gap(format!("`{name}`: Region switch has watched how much runs in the other region, and takes {percent} % of it"), "COUNT has to be known beforehand: write it down after each change of capacity, for the other region cannot be asked.");
    }

    fn controls(&mut self, step: &Node, name: &str, config: &Node) {
        let empty = Node::Map(Vec::new());
        let regions = config.get("regionAndRoutingControls").unwrap_or(&empty);
        let mut entries = Vec::new();
        for (_, controls) in regions.entries().iter().filter(|(region, _)| *region == self.to) {
            for control in controls.items() {
                let (arn, state) = (
                    said(control, "routingControlArn").unwrap_or_default(),
                    said(control, "state").unwrap_or_else(|| "On".to_owned()),
                );
                entries.push(format!("\"RoutingControlArn={arn},RoutingControlState={state}\""));
            }
        }
        let command = format!(
            "aws route53-recovery-cluster update-routing-control-states --region \"${{ENDPOINT%%,*}}\" --endpoint-url \"${{ENDPOINT#*,}}\" --update-routing-control-state-entries {}",
            entries.join(" ")
        );
        self.push(
            step,
            name,
            "through any of the five endpoints of the cluster".to_owned(),
            vec![command],
            None,
            false,
        );
        self.gap(
            format!("`{name}`: Region switch tries the endpoints one after the other"),
            "Set ENDPOINT=REGION,URL, and take the next one when one does not answer; keep all five with this runbook.",
        );
    }

    fn health(&mut self, step: &Node, name: &str, config: &Node) {
        let record = said(config, "recordName").unwrap_or_default();
        let see = format!("dig +short {record} @1.1.1.1");
        self.push(
            step,
            name,
            format!("traffic of {record} moves when a health check of Region switch changes its state"),
            Vec::new(),
            Some(see),
            false,
        );
        self.gap(
            format!("`{name}`: the health check belongs to Region switch, and only a plan that runs changes it"),
            "Run the plan for this step, or let the record fail over by a check, an ARC routing control or a signal of the standby of your own.",
        );
    }

    fn roles(&mut self, name: &str, config: &Node) {
        let text = config.to_string();
        if text.contains("crossAccountRole") || text.contains("externalId") {
            self.gap(
                format!("`{name}` assumes a role in another account"),
                "Assume it before the step: aws sts assume-role, with the external ID.",
            );
        }
    }

    /// What of the plan itself no runbook has.
    fn around(&mut self, plan: &Node) {
        if let Some(role) = said(plan, "executionRole") {
            self.gap(
                format!("the plan runs as {role}"),
                "Whoever follows this runbook needs the same rights, in the region that is moved to.",
            );
        }
        if plan.get("triggers").is_some_and(|triggers| !triggers.items().is_empty()) {
            self.gap(
                "the plan is started by alarms (triggers)",
                "Let the alarm wake people, who decide; or let the watcher of `antipode` propose the failover.",
            );
        }
        for (alarm, _) in plan.get("associatedAlarms").map_or(&[] as &[_], Node::entries) {
            self.gap(
                format!("the alarm `{alarm}` tells Region switch when the workload is healthy again"),
                "Look at it before the recovery is called done.",
            );
        }
    }
}

fn region_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(3).filter(|region| region.contains('-'))
}
