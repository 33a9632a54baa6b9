//! What runs: more of it, or the first of it.

use super::{Made, Ways, by_hand, calls, data, made_as, own, wait, words};
use crate::runbook::names::{self, Named};
use crate::runbook::{Until, Work};
use crate::services::floor;
use crate::sheet::{Sheet, regional};
use crate::{list, map};

fn wanted(ways: &Ways<'_>) -> u64 {
    let here = ways.part.at(&ways.to.id);
    here.count("peak").or(here.count("minimum")).unwrap_or(1)
}

const GROUP: &str = "aws autoscaling describe-auto-scaling-groups --filters Name=tag:antipode:component,Values={id} --region {region} --query 'AutoScalingGroups[0].AutoScalingGroupName' --output text";

pub fn grow_group(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (count, (_, region)) = (wanted(ways), ways.regions());
    let name = own(sheet, ways, GROUP);
    let group = name.shell();
    let shown = format!(
        "aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names {group} --region {region} --query"
    );
    let serving = format!(
        "{shown} \"length(AutoScalingGroups[0].Instances[?LifecycleState=='InService'] || \\`[]\\`) >= \\`{count}\\`\" --output text"
    );
    Made {
        commands: vec![
            format!(
                "aws autoscaling set-desired-capacity --auto-scaling-group-name {group} --desired-capacity {count} --no-honor-cooldown --region {region}"
            ),
            wait(&serving, "True"),
        ],
        validate: Some(format!(
            "{shown} 'AutoScalingGroups[0].Instances[].[InstanceId,AvailabilityZone,LifecycleState,HealthStatus]'"
        )),
        work: calls(
            "autoscaling",
            "SetDesiredCapacity",
            map! { "AutoScalingGroupName" => name.automated(), "DesiredCapacity" => count, "HonorCooldown" => false },
            None,
        ),
        names: vec![name],
        besides: None,
    }
}

/// Scaling takes a standby down to what its share says, which may be none, as soon as a night is quiet.
pub fn floor(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Option<Made> {
    let fewest = floor::serving(sheet, ways.part, ways.to)?;
    let (_, region) = ways.regions();
    match ways.part.kind.name.as_str() {
        "aws.asg" | "aws.ec2" => {
            let name = own(sheet, ways, GROUP);
            made_as(sheet, &name, "AutoScalingGroup")?;
            let group = format!("--auto-scaling-group-name {} --region {region}", name.shell());
            let see = format!(
                "aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names {} --region {region} --query 'AutoScalingGroups[0].[MinSize,DesiredCapacity,MaxSize]'",
                name.shell()
            );
            let inputs = map! { "AutoScalingGroupName" => name.automated(), "MinSize" => fewest };
            Some(Made {
                commands: vec![format!("aws autoscaling update-auto-scaling-group {group} --min-size {fewest}")],
                validate: Some(see),
                work: calls("autoscaling", "UpdateAutoScalingGroup", inputs, None),
                names: vec![name],
                besides: None,
            })
        }
        "aws.ecs" | "aws.fargate" => {
            let (name, scaled) = (service(sheet, ways), "ecs:service:DesiredCount");
            let which = format!("--service-namespace ecs --scalable-dimension {scaled}");
            let resource = format!("\"service/${0}/${0}\"", name.variable);
            let automated = format!("service/{{{{ {0} }}}}/{{{{ {0} }}}}", name.parameter);
            let inputs = map! {
                "ServiceNamespace" => "ecs", "ScalableDimension" => scaled, "ResourceId" => automated, "MinCapacity" => fewest,
            };
            Some(Made {
                commands: vec![format!(
                    "aws application-autoscaling register-scalable-target {which} --resource-id {resource} --min-capacity {fewest} --region {region}"
                )],
                validate: Some(format!(
                    "aws application-autoscaling describe-scalable-targets {which} --resource-ids {resource} --region {region} --query 'ScalableTargets[0].[MinCapacity,MaxCapacity]'"
                )),
                work: calls("application-autoscaling", "RegisterScalableTarget", inputs, None),
                names: vec![name],
                besides: None,
            })
        }
        _ => None,
    }
}

/// Its cluster is called as its service is.
fn service(sheet: &Sheet<'_>, ways: &Ways<'_>) -> Named {
    let (_, region) = ways.regions();
    let known =
        crate::services::physical(ways.part, ways.to).unwrap_or_else(|| sheet.named([ways.part.id.as_str()], 255));
    let about = format!("{} in {region}: its service, and its cluster", ways.part.id);
    names::known(&[ways.part.id.to_string(), ways.to.id.to_string()], &about, known)
}

pub fn grow_service(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (count, (_, region)) = (wanted(ways), ways.regions());
    let name = service(sheet, ways);
    let service = name.shell();
    let inputs = map! { "cluster" => name.automated(), "service" => name.automated(), "desiredCount" => count };
    let until = Until {
        service: "ecs",
        api: "DescribeServices",
        inputs: map! { "cluster" => name.automated(), "services" => list![name.automated()] },
        selector: "$.services[0].deployments[0].rolloutState",
        wanted: &["COMPLETED"],
    };
    Made {
        commands: vec![
            format!(
                "aws ecs update-service --cluster {service} --service {service} --desired-count {count} --region {region}"
            ),
            format!("aws ecs wait services-stable --cluster {service} --services {service} --region {region}"),
        ],
        validate: Some(format!(
            "aws ecs describe-services --cluster {service} --services {service} --region {region} --query 'services[0].[runningCount,desiredCount]'"
        )),
        work: calls("ecs", "UpdateService", inputs, Some(until)),
        names: vec![name],
        besides: None,
    }
}

pub fn start_instance(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let how = "aws ec2 describe-instances --filters Name=tag:antipode:component,Values={id} Name=instance-state-name,Values=stopped,running --region {region} --query 'Reservations[0].Instances[0].InstanceId' --output text";
    let name = own(sheet, ways, how);
    if data::grouped(sheet, &name) {
        return grow_group(sheet, ways);
    }
    let which = map! { "InstanceIds" => list![name.automated()] };
    let instance = name.shell();
    let until = Until {
        service: "ec2",
        api: "DescribeInstanceStatus",
        inputs: which.clone(),
        selector: "$.InstanceStatuses[0].InstanceStatus.Status",
        wanted: &["ok"],
    };
    Made {
        commands: vec![
            format!("aws ec2 start-instances --instance-ids {instance} --region {region}"),
            format!("aws ec2 wait instance-status-ok --instance-ids {instance} --region {region}"),
        ],
        validate: Some(format!(
            "aws ec2 describe-instance-status --instance-ids {instance} --region {region} --query 'InstanceStatuses[0].[InstanceState.Name,InstanceStatus.Status]'"
        )),
        work: calls("ec2", "StartInstances", which, Some(until)),
        names: vec![name],
        besides: None,
    }
}

/// An image cannot be copied from a region that is lost: the newest one that is there is taken.
pub fn image(ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let see = format!(
        "aws ec2 describe-images --owners self --region {region} --query 'sort_by(Images,&CreationDate)[-1].[ImageId,Name,CreationDate]'"
    );
    by_hand(
        vec![
            "# nothing is copied from a region that is lost: the newest image that is here is the one to start"
                .to_owned(),
        ],
        Some(see),
        Vec::new(),
    )
}

pub fn workflow(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let how = "aws stepfunctions list-state-machines --region {region} --query \"stateMachines[?contains(name,'{id}')].stateMachineArn | [0]\" --output text";
    let name = own(sheet, ways, how);
    let inputs = map! { "stateMachineArn" => name.automated() };
    Made {
        commands: vec![format!(
            "aws stepfunctions start-execution --state-machine-arn {} --region {region}",
            name.shell()
        )],
        validate: Some(format!(
            "aws stepfunctions list-executions --state-machine-arn {} --max-items 5 --region {region} --query 'executions[].[name,status,startDate]'",
            name.shell()
        )),
        work: calls("stepfunctions", "StartExecution", inputs, None),
        names: vec![name],
        besides: None,
    }
}

/// Turned on where the workload goes. Where it was, it is off only when somebody can reach it.
pub fn schedule(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (_, region) = ways.regions();
    let name =
        crate::services::physical(ways.part, ways.to).unwrap_or_else(|| sheet.named([ways.part.id.as_str()], 64));
    let see =
        format!("aws scheduler get-schedule --name {name} --region {region} --query '[State,ScheduleExpression]'");
    let known = format!("{}ScheduleState", crate::names::logical([ways.part.id.as_str()]));
    let known = sheet.has_parameter(&regional(ways.to), &known).then_some(known);
    let command = match known {
        Some(parameter) => format!("bash deploy.sh {} --set {parameter}=ENABLED", ways.to.id),
        None => format!(
            "aws scheduler update-schedule --region {region} --cli-input-json \"$(aws scheduler get-schedule --name {name} --region {region} | jq 'del(.Arn, .CreationDate, .LastModificationDate) | .State = \"ENABLED\"')\""
        ),
    };
    by_hand(vec![command], Some(see), Vec::new())
}

pub fn cluster(sheet: &mut Sheet<'_>, ways: &Ways<'_>) -> Made {
    let (count, (_, region)) = (wanted(ways), ways.regions());
    let known =
        crate::services::physical(ways.part, ways.to).unwrap_or_else(|| sheet.named([ways.part.id.as_str()], 100));
    let about = format!("{} in {region}", ways.part.id);
    let name = names::known(&[ways.part.id.to_string(), ways.to.id.to_string()], &about, known);
    let kube = format!("aws eks update-kubeconfig --name {} --region {region}", name.shell());
    // Rendered ones answer nobody outside (see `services/compute/eks.rs`).
    let kube = match sheet.renders(ways.part) {
        true => format!(
            "# from a machine in the network of {region}: the cluster answers nobody outside; `aws ssm start-session` leads to one\n{kube}"
        ),
        false => kube,
    };
    if ways.act == model::catalogue::ActName::Deploy {
        let see = "kubectl --namespace argocd get applications".to_owned();
        let sync = format!(
            "kubectl --namespace argocd annotate applicationset {} argocd.argoproj.io/application-set-refresh=true --overwrite",
            sheet.named([ways.part.id.as_str()], 60)
        );
        return by_hand(vec![kube, sync], Some(see), vec![name]);
    }
    let how = format!(
        "aws eks list-nodegroups --cluster-name {} --region {region} --query 'nodegroups[0]' --output text",
        name.shell()
    );
    let nodes = names::found(&words(&ways.part.id, "nodes"), "its group of nodes", &how);
    let which = format!("--cluster-name {} --nodegroup-name {} --region {region}", name.shell(), nodes.shell());
    let fewest = floor::serving(sheet, ways.part, ways.to);
    let sizes = map! { "desiredSize" => count }.with_some("minSize", fewest);
    let inputs =
        map! { "clusterName" => name.automated(), "nodegroupName" => nodes.automated(), "scalingConfig" => sizes };
    let fewest = fewest.map_or_else(String::new, |fewest| format!(",minSize={fewest}"));
    let until = Until {
        service: "eks",
        api: "DescribeNodegroup",
        inputs: map! { "clusterName" => name.automated(), "nodegroupName" => nodes.automated() },
        selector: "$.nodegroup.status",
        wanted: &["ACTIVE"],
    };
    Made {
        commands: vec![
            format!("aws eks update-nodegroup-config {which} --scaling-config desiredSize={count}{fewest}"),
            format!("aws eks wait nodegroup-active {which}"),
            kube,
        ],
        validate: Some(
            "kubectl get nodes; kubectl get pods --all-namespaces --field-selector status.phase!=Running".to_owned(),
        ),
        work: Work::Call { service: "eks", api: "UpdateNodegroupConfig", inputs, until: Some(until) },
        names: vec![name, nodes],
        besides: None,
    }
}
