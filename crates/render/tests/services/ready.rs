//! What runs the workload in a region that takes over: the right image, enough of it, over zones, replaced when it fails.

use antipode_render::value::Value;

use crate::{at, at_first, resource, says, spec, words};

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
            ("WebGroup", "MinSize", "4 {WebMinimum}"),
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
    for said in [
        "IgnoreUnmodifiedGroupSizeProperties=true",
        "AutoScalingRollingUpdate=",
        "MinInstancesInService=2",
        "MaxBatchSize=1",
        "AZRebalance",
    ] {
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
            ("ApiScale", "MinCapacity", "12 {ApiMinimum}"),
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
    // Whichever region works on it, its function is given what the first was.
    let states = words::all(resource(&spec("operate"), "eu-west-1", "FlowMachine"), "Definition.States").join("");
    for said in ["input.$=$.given", "given.$=$.input", "given.$=$ "] {
        assert!(states.contains(said), "{said} is not in {states}");
    }
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

/// An alarm reads the metric of the thing that it is named for, in its own region, and knows which way is bad.
#[test]
fn an_alarm_reads_the_metric_of_its_own_region() {
    let rendering = spec("alarms");
    let metric = |key: &str| format!("Metrics.*.MetricStat.Metric.{key}");
    for (alarm, name, value, statistic, worse) in [
        ("AllLagAlarm", "AuroraGlobalDBReplicationLag", "watched-all-us-west-2", "Maximum", "GreaterThanThreshold"),
        ("WebCapacityAlarm", "GroupInServiceInstances", "{WebGroup}", "Minimum", "LessThanThreshold"),
    ] {
        says(
            &rendering,
            "us-west-2",
            &[
                (alarm, "MetricName", name),
                (alarm, "Dimensions.*.Value", value),
                (alarm, "Statistic", statistic),
                (alarm, "ComparisonOperator", worse),
                (alarm, "Period", "60"),
            ],
        );
    }
    // By a formula: a replica that copies no more says -1.
    says(
        &rendering,
        "us-west-2",
        &[
            ("DbLagAlarm", &metric("MetricName"), "ReplicaLag"),
            ("DbLagAlarm", &metric("Dimensions.*.Value"), "watched-db-g{DbGeneration}"),
            ("DbLagAlarm", "Metrics.*.MetricStat.Stat", "Maximum"),
            ("DbLagAlarm", "Metrics.*.MetricStat.Period", "60"),
            ("DbLagAlarm", "ComparisonOperator", "GreaterThanThreshold"),
        ],
    );
    // No instance that reports is an instance that is missing.
    says(&rendering, "us-west-2", &[("WebCapacityAlarm", "TreatMissingData", "breaching")]);
    let balancer = "{LbLoadBalancerLoadBalancerFullName}";
    let read = words::all(resource(&rendering, "us-west-2", "LbErrorsAlarm"), &metric("Dimensions")).join(" ");
    assert_eq!(read.matches(balancer).count(), 3, "{read}");
    let rule = |id| words::all(resource(&rendering, "us-west-2", id), "AlarmRule").join("");
    assert!(rule("RegionImpaired").contains("ALARM(\"{LbErrorsAlarm}\")"), "{}", rule("RegionImpaired"));
    assert!(rule("RegionNotReady").contains("ALARM(\"{DbLagAlarm}\")"), "{}", rule("RegionNotReady"));
}

/// A plan names what it promotes, scales and turns, in each region, and turns one region on and the other off.
#[test]
fn a_plan_acts_on_what_stands_in_the_region_that_it_leads_to() {
    let rendering = spec("alarms");
    let plan = resource(&rendering, "edge", "SwitchPlan");
    let steps = words::all(plan, "Workflows.*.Steps.*.ExecutionBlockConfiguration").join("\n");
    for region in ["us-east-1", "us-west-2"] {
        for arn in
            [format!(":rds:{region}:{{AWS::AccountId}}:db:watched-db-g"), format!(":cluster:watched-all-{region}")]
        {
            assert!(steps.contains(&arn), "{arn}: {steps}");
        }
    }
    for said in [
        "GlobalClusterIdentifier=watched-all",
        "Behavior=switchoverOnly",
        "Ungraceful=failover",
        "TargetPercent=100",
        "{UsWest2WebGroupAutoScalingGroupARN}",
        "{UsWest2ApiService}",
        "ApprovalRole={SwitchApprover.Arn}",
    ] {
        assert!(steps.contains(said), "{said}: {steps}");
    }
    let turned = "Workflows.*.Steps.*.ExecutionBlockConfiguration.ArcRoutingControlConfig.RegionAndRoutingControls";
    let states = |region: &str| {
        let each = words::all(plan, &format!("{turned}.{region}.*.State"));
        each.into_iter().filter(|state| !state.is_empty()).collect::<Vec<_>>()
    };
    // The gate, then the two.
    assert_eq!(states("us-west-2"), ["On", "Off", "On"].repeat(2));
    assert_eq!(states("us-east-1"), ["On", "On", "Off"].repeat(2));
    says(
        &rendering,
        "edge",
        &[
            ("SwitchPlan", "RecoveryApproach", "activePassive"),
            ("SwitchPlan", "PrimaryRegion", "{SwitchFirstRegion}"),
            ("SwitchPlan", "RecoveryTimeObjectiveMinutes", "15"),
            ("SwitchPlan", "ExecutionRole", "{SwitchRole.Arn}"),
            ("SwitchPlan", "Regions.*", "us-east-1 us-west-2"),
            ("SwitchPlan", "Workflows.*.WorkflowTargetRegion", "us-east-1 us-west-2"),
            ("SwitchPlan", "Workflows.*.WorkflowTargetAction", "activate activate"),
            (
                "SwitchPlan",
                "AssociatedAlarms.us-west-2-impaired.ResourceIdentifier",
                "arn:{AWS::Partition}:cloudwatch:us-west-2:{AWS::AccountId}:alarm:watched-us-west-2-region-impaired",
            ),
        ],
    );
}

/// A share of the peak while it waits, and as many as where it serves once it took over; where both have as many, nobody asks.
#[test]
fn a_region_that_took_over_keeps_as_many_as_one_that_serves() {
    let rendering = spec("alarms");
    for (id, key, fewest, least) in
        [("WebGroup", "MinSize", "4", "WebMinimum"), ("ApiScale", "MinCapacity", "6", "ApiMinimum")]
    {
        let Value::If(condition, serving, waiting) = at(resource(&rendering, "us-west-2", id), key) else {
            panic!("{key} of {id} is one for both")
        };
        assert_eq!(condition.name, "HasTakenOver");
        assert_eq!((words::word(serving), words::word(waiting)), (fewest.to_owned(), format!("{{{least}}}")));
        assert!(matches!(at(resource(&rendering, "us-east-1", id), key), Value::Parameter(..)));
    }
    assert_eq!(at_first(&rendering, "us-west-2", "TookOver"), "no");
}
