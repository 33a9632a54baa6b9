//! What runs the workload in a region that takes over: the right image, enough of it, over zones, replaced when it fails.

use crate::{resource, says, spec, words};

#[test]
fn instances_stand_over_zones_and_one_that_fails_is_replaced() {
    let rendering = spec("alarms");
    says(
        &rendering,
        "us-west-2",
        &[
            ("WebGroup", "VPCZoneIdentifier.*", "{PrivateSubnetA} {PrivateSubnetB}"),
            ("WebGroup", "HealthCheckType", "ELB"),
            ("WebGroup", "HealthCheckGracePeriod", "300"),
            ("WebGroup", "TargetGroupARNs.*", "{LbToWeb}"),
            ("WebGroup", "MinSize", "{WebMinimum}"),
            ("WebGroup", "MaxSize", "{WebMaximum}"),
            ("WebGroup", "LaunchTemplate.LaunchTemplateId", "{WebLaunchTemplate}"),
            ("WebGroup", "LaunchTemplate.Version", "{WebLaunchTemplate.LatestVersionNumber}"),
            ("WebLaunchTemplate", "LaunchTemplateData.ImageId", "{WebImage}"),
            ("WebLaunchTemplate", "LaunchTemplateData.IamInstanceProfile.Arn", "{WebInstanceProfile.Arn}"),
            ("WebLaunchTemplate", "LaunchTemplateData.SecurityGroupIds.*", "{WebSecurityGroupGroupId}"),
        ],
    );
    let policy = &resource(&rendering, "us-west-2", "WebGroup").policies;
    let policy = words::word(policy.get("UpdatePolicy").unwrap());
    for said in ["AutoScalingRollingUpdate=", "MinInstancesInService=2", "MaxBatchSize=1", "AZRebalance"] {
        assert!(policy.contains(said), "{said}: {policy}");
    }
}

/// No deployment takes away what a recovery added.
#[test]
fn no_template_says_how_many_instances_run() {
    for region in ["us-east-1", "us-west-2"] {
        assert!(resource(&spec("alarms"), region, "WebGroup").properties.get("DesiredCapacity").is_none());
    }
}

#[test]
fn tasks_stand_over_zones_without_addresses_of_the_internet() {
    let network = |key: &str| format!("NetworkConfiguration.AwsvpcConfiguration.{key}");
    says(
        &spec("compute"),
        "eu-west-1",
        &[
            ("ApiService", &network("Subnets.*"), "{PrivateSubnetA} {PrivateSubnetB}"),
            ("ApiService", &network("AssignPublicIp"), "DISABLED"),
            ("ApiService", "AvailabilityZoneRebalancing", "ENABLED"),
            ("ApiService", "HealthCheckGracePeriodSeconds", "90"),
            ("ApiService", "LoadBalancers.*.TargetGroupArn", "{LbToApi}"),
            ("ApiService", "TaskDefinition", "{ApiTask}"),
            ("ApiScale", "MinCapacity", "{ApiMinimum}"),
            ("ApiScale", "MaxCapacity", "{ApiMaximum}"),
            ("ApiTask", "ContainerDefinitions.*.ReadonlyRootFilesystem", "true"),
            ("ApiTask", "ContainerDefinitions.*.LogConfiguration.Options.awslogs-region", "{AWS::Region}"),
            ("ClusterCluster", "ZonalShiftConfig.Enabled", "true"),
            ("ClusterCluster", "ResourcesVpcConfig.SubnetIds.*", "{PrivateSubnetA} {PrivateSubnetB}"),
            ("ClusterNodes", "Subnets.*", "{PrivateSubnetA} {PrivateSubnetB}"),
            ("ClusterNodes", "NodeRepairConfig.Enabled", "true"),
        ],
    );
}

#[test]
fn a_function_is_called_by_its_alias_and_what_it_could_not_do_is_kept() {
    let rendering = spec("compute");
    says(
        &rendering,
        "eu-west-1",
        &[
            ("FunctionFunction", "DeadLetterConfig.TargetArn", "{FunctionFailedCalls.Arn}"),
            ("FunctionFunction", "FunctionName", "runs-function"),
            ("FunctionFailedCalls", "MessageRetentionPeriod", "1209600"),
            ("ReservedFunction", "ReservedConcurrentExecutions", "20"),
            ("FunctionAlias", "FunctionName", "{FunctionFunction}"),
            ("LbToReserved", "Targets.*.Id", "{ReservedAlias}"),
        ],
    );
    let version = words::all(resource(&rendering, "eu-west-1", "FunctionAlias"), "FunctionVersion").join("");
    assert!(version.starts_with("{FunctionVersion"), "{version}");
}

#[test]
fn work_by_a_clock_runs_in_one_region() {
    let rendering = spec("operate");
    says(
        &rendering,
        "eu-west-1",
        &[
            ("NightlySchedule", "State", "{NightlyScheduleState}"),
            ("NightlySchedule", "Target.RetryPolicy.MaximumRetryAttempts", "3"),
            ("NightlySchedule", "Target.RoleArn", "{NightlyScheduleRole.Arn}"),
        ],
    );
    let at_first = |region| crate::at_first(&rendering, region, "NightlyScheduleState");
    let both: Vec<String> = ["us-east-1", "eu-west-1"].map(at_first).to_vec();
    assert_eq!(both.iter().filter(|state| *state == "ENABLED").count(), 1, "{both:?}");
}

/// A machine that asks where it serves goes on when it gets no answer, and hands over what fails.
#[test]
fn a_machine_works_when_it_cannot_ask_where() {
    says(
        &spec("operate"),
        "eu-west-1",
        &[
            ("FlowMachine", "Definition.States.Ask where.Catch.*.Next", "Work"),
            ("FlowMachine", "Definition.States.Here.Choices.*.StringEquals", "elsewhere"),
            ("FlowMachine", "Definition.States.Here.Choices.*.Next", "Handed over before"),
            ("FlowMachine", "Definition.States.Here.Default", "Work"),
            ("FlowMachine", "Definition.States.Handed over before.Default", "Hand over"),
            ("FlowMachine", "Definition.States.Hand over.Parameters.Entries.*.Detail.to", "us-east-1"),
            ("FlowMachine", "Definition.States.Hand over.Parameters.Entries.*.Detail.handedOver", "true"),
            (
                "FlowHandsOver",
                "Targets.*.Arn",
                "arn:{AWS::Partition}:events:us-east-1:{AWS::AccountId}:event-bus/default",
            ),
            ("FlowHandsOver", "EventPattern.region.*", "{AWS::Region}"),
            ("FlowTakesOver", "EventPattern.detail.to.*", "eu-west-1"),
            ("FlowTakesOver", "Targets.*.Arn", "{FlowMachine}"),
            ("FlowServes", "Value", "{FlowWorks}"),
        ],
    );
}

/// An experiment touches what bears the workload's mark, and is run by the service for this account only.
#[test]
fn an_experiment_stops_marked_instances_only_and_starts_them_again() {
    let rendering = spec("storefront");
    let role = resource(&rendering, "us-east-1", "ZoneLossExperimentRole");
    let may = words::all(role, "Policies.*.PolicyDocument.Statement").join("");
    assert!(may.contains("ec2:StopInstances") && may.contains("aws:ResourceTag/antipode:workload=storefront"), "{may}");
    says(
        &rendering,
        "us-east-1",
        &[
            (
                "ZoneLossExperimentRole",
                "AssumeRolePolicyDocument.Statement.*.Condition.StringEquals.aws:SourceAccount",
                "{AWS::AccountId}",
            ),
            ("ZoneLossExperiment", "Actions.stop.Parameters.startInstancesAfterDuration", "PT10M"),
            ("ZoneLossExperiment", "Actions.disconnect.Parameters.duration", "PT10M"),
            ("ZoneLossExperiment", "Targets.instances.ResourceTags.antipode:workload", "storefront"),
            ("ZoneLossExperiment", "RoleArn", "{ZoneLossExperimentRole.Arn}"),
        ],
    );
}

/// While a group is renewed, what looks after its instances stands still, and what runs tasks is not taken away.
#[test]
fn a_group_that_is_renewed_keeps_what_it_runs() {
    let rendering = spec("alarms");
    let policy = &resource(&rendering, "us-west-2", "WebGroup").policies;
    let policy = words::word(policy.get("UpdatePolicy").unwrap());
    for process in ["HealthCheck", "ReplaceUnhealthy", "AlarmNotification", "ScheduledActions", "PauseTime=PT300S"] {
        assert!(policy.contains(process), "{process}: {policy}");
    }
    says(
        &spec("compute"),
        "eu-west-1",
        &[
            ("BatchGroup", "NewInstancesProtectedFromScaleIn", "true"),
            ("BatchCapacity", "AutoScalingGroupProvider.ManagedDraining", "ENABLED"),
            ("BatchCapacity", "AutoScalingGroupProvider.ManagedTerminationProtection", "ENABLED"),
            ("BatchCapacity", "AutoScalingGroupProvider.AutoScalingGroupArn", "{BatchGroup.AutoScalingGroupARN}"),
            ("ShopService", "Cluster", "{ShopCluster}"),
        ],
    );
}
