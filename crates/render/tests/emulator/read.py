"""What the templates say stands in each region, and what describe calls find there: never CloudFormation's own word."""
import collections
import json
import pathlib
import re
import sys

import jmespath
import yaml

# Resource type: service, operation, what of the answer (JMESPath), arguments. One entry in the answer is one resource.
calls = {
    "AWS::EC2::VPC": ("ec2", "describe_vpcs", "Vpcs[?!IsDefault]"),
    "AWS::EC2::Subnet": ("ec2", "describe_subnets", "Subnets[?!DefaultForAz]"),
    "AWS::EC2::InternetGateway": ("ec2", "describe_internet_gateways", "InternetGateways[]"),
    "AWS::EC2::RouteTable": ("ec2", "describe_route_tables", "RouteTables[?!(Associations[?Main])]"),
    "AWS::EC2::SubnetRouteTableAssociation": ("ec2", "describe_route_tables", "RouteTables[].Associations[] | [?SubnetId]"),
    "AWS::EC2::NatGateway": ("ec2", "describe_nat_gateways", "NatGateways[]"),
    "AWS::EC2::EIP": ("ec2", "describe_addresses", "Addresses[]"),
    "AWS::EC2::SecurityGroup": ("ec2", "describe_security_groups", "SecurityGroups[?GroupName!='default']"),
    "AWS::EC2::VPCEndpoint": ("ec2", "describe_vpc_endpoints", "VpcEndpoints[]"),
    "AWS::EC2::FlowLog": ("ec2", "describe_flow_logs", "FlowLogs[]"),
    "AWS::EC2::LaunchTemplate": ("ec2", "describe_launch_templates", "LaunchTemplates[]"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("elbv2", "describe_load_balancers", "LoadBalancers[]"),
    "AWS::ElasticLoadBalancingV2::TargetGroup": ("elbv2", "describe_target_groups", "TargetGroups[]"),
    "AWS::AutoScaling::AutoScalingGroup": ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups[]"),
    "AWS::AutoScaling::ScalingPolicy": ("autoscaling", "describe_policies", "ScalingPolicies[]"),
    "AWS::RDS::DBInstance": ("rds", "describe_db_instances", "DBInstances[]"),
    "AWS::RDS::DBCluster": ("rds", "describe_db_clusters", "DBClusters[]"),
    "AWS::RDS::GlobalCluster": ("rds", "describe_global_clusters", "GlobalClusters[]"),
    "AWS::RDS::DBSubnetGroup": ("rds", "describe_db_subnet_groups", "DBSubnetGroups[]"),
    "AWS::RDS::DBParameterGroup": ("rds", "describe_db_parameter_groups", "DBParameterGroups[]"),
    "AWS::RDS::DBClusterParameterGroup": ("rds", "describe_db_cluster_parameter_groups", "DBClusterParameterGroups[]"),
    "AWS::EFS::FileSystem": ("efs", "describe_file_systems", "FileSystems[]"),
    "AWS::SNS::Topic": ("sns", "list_topics", "Topics[]"),
    "AWS::SNS::Subscription": ("sns", "list_subscriptions", "Subscriptions[]"),
    "AWS::SQS::Queue": ("sqs", "list_queues", "QueueUrls[]"),
    "AWS::KMS::Alias": ("kms", "list_aliases", "Aliases[?!starts_with(AliasName, 'alias/aws/')]"),
    "AWS::Logs::LogGroup": ("logs", "describe_log_groups", "logGroups[]"),
    "AWS::CloudWatch::Alarm": ("cloudwatch", "describe_alarms", "MetricAlarms[]"),
    "AWS::CloudWatch::CompositeAlarm": ("cloudwatch", "describe_alarms", "CompositeAlarms[]", {"AlarmTypes": ["CompositeAlarm"]}),
    "AWS::CloudWatch::Dashboard": ("cloudwatch", "list_dashboards", "DashboardEntries[]"),
    "AWS::Events::EventBus": ("events", "list_event_buses", "EventBuses[?Name!='default']"),
    "AWS::Events::Archive": ("events", "list_archives", "Archives[]"),
    "AWS::SSM::Document": ("ssm", "list_documents", "DocumentIdentifiers[]", {"Filters": [{"Key": "Owner", "Values": ["Self"]}]}),
    "AWS::DLM::LifecyclePolicy": ("dlm", "get_lifecycle_policies", "Policies[]"),
    "AWS::FIS::ExperimentTemplate": ("fis", "list_experiment_templates", "experimentTemplates[]"),
    "AWS::ECS::Cluster": ("ecs", "list_clusters", "clusterArns[]"),
    "AWS::ECS::TaskDefinition": ("ecs", "list_task_definitions", "taskDefinitionArns[]"),
    "AWS::ECR::Repository": ("ecr", "describe_repositories", "repositories[]"),
    "AWS::Lambda::Function": ("lambda", "list_functions", "Functions[]"),
    "AWS::SecretsManager::Secret": ("secretsmanager", "list_secrets", "SecretList[]"),
    "AWS::DynamoDB::GlobalTable": ("dynamodb", "list_tables", "TableNames[]"),
    "AWS::Backup::BackupVault": ("backup", "list_backup_vaults", "BackupVaultList[]"),
    "AWS::Backup::BackupPlan": ("backup", "list_backup_plans", "BackupPlansList[]"),
    "AWS::WAFv2::WebACL": ("wafv2", "list_web_acls", "WebACLs[]", {"Scope": "REGIONAL"}),
    "AWS::GuardDuty::Detector": ("guardduty", "list_detectors", "DetectorIds[]"),
    "AWS::Config::ConfigRule": ("config", "describe_config_rules", "ConfigRules[]"),
    "AWS::Config::ConfigurationRecorder": ("config", "describe_configuration_recorders", "ConfigurationRecorders[]"),
    "AWS::CloudTrail::Trail": ("cloudtrail", "list_trails", "Trails[]"),
    "AWS::IAM::Role": ("iam", "list_roles", "Roles[]"),
    "AWS::IAM::ManagedPolicy": ("iam", "list_policies", "Policies[]", {"Scope": "Local"}),
    "AWS::IAM::InstanceProfile": ("iam", "list_instance_profiles", "InstanceProfiles[]"),
    "AWS::IAM::OIDCProvider": ("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList[]"),
    "AWS::Route53::HostedZone": ("route53", "list_hosted_zones", "HostedZones[].{Id: Id, Name: Name}"),
    "AWS::Route53::HealthCheck": ("route53", "list_health_checks", "HealthChecks[]"),
    "AWS::CloudFront::Distribution": ("cloudfront", "list_distributions", "DistributionList.Items[]"),
}
anywhere = ("iam", "route53", "cloudfront", "globalaccelerator")


def ask(client, region, service, operation, wanted, given=None):
    named = client(service, region)
    if named.can_paginate(operation):
        pages = named.get_paginator(operation).paginate(**(given or {}))
    else:
        pages = [getattr(named, operation)(**(given or {}))]
    return [each for page in pages for each in jmespath.search(wanted, page) or []]


def keys(client, region):
    """moto makes keys of services, such as that of volumes, and calls them the customer's; their aliases tell."""
    own = ask(client, region, "kms", "list_aliases", "Aliases[?starts_with(AliasName, 'alias/aws/')].TargetKeyId")
    for each in ask(client, region, "kms", "list_keys", "Keys[]"):
        key = client("kms", region).describe_key(KeyId=each["KeyId"])["KeyMetadata"]
        if key["KeyManager"] == "CUSTOMER" and each["KeyId"] not in own:
            yield key


def listeners(client, region):
    for each in ask(client, region, "elbv2", "describe_load_balancers", "LoadBalancers[].LoadBalancerArn"):
        yield from client("elbv2", region).describe_listeners(LoadBalancerArn=each)["Listeners"]


def rules(client, region):
    for each in listeners(client, region):
        found = client("elbv2", region).describe_rules(ListenerArn=each["ListenerArn"])["Rules"]
        yield from (rule for rule in found if not rule["IsDefault"])


def mounts(client, region):
    for each in ask(client, region, "efs", "describe_file_systems", "FileSystems[].FileSystemId"):
        yield from client("efs", region).describe_mount_targets(FileSystemId=each)["MountTargets"]


def services(client, region):
    for each in ask(client, region, "ecs", "list_clusters", "clusterArns[]"):
        yield from client("ecs", region).list_services(cluster=each)["serviceArns"]


def instances(client, region):
    """Those of groups are no resources of templates."""
    found = ask(client, region, "ec2", "describe_instances", "Reservations[].Instances[]")
    return [one for one in found if not any(tag["Key"].startswith("aws:autoscaling") for tag in one.get("Tags", []))]


def buckets(client, region):
    for each in client("s3", region).list_buckets()["Buckets"]:
        place = client("s3", region).get_bucket_location(Bucket=each["Name"])["LocationConstraint"] or "us-east-1"
        if place == region:
            yield each


def records(client, region):
    for zone in ask(client, region, "route53", "list_hosted_zones", "HostedZones[].Id"):
        found = client("route53", region).list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        yield from (record for record in found if record["Type"] not in ("NS", "SOA"))


def bus_rules(client, region):
    for each in client("events", region).list_event_buses()["EventBuses"]:
        found = client("events", region).list_rules(EventBusName=each["Name"])["Rules"]
        # An archive has a rule that the service makes.
        yield from (rule for rule in found if not rule["Name"].startswith("Events-Archive-"))


walks = {
    "AWS::Events::Rule": ("events", bus_rules),
    "AWS::KMS::Key": ("kms", keys),
    "AWS::ElasticLoadBalancingV2::Listener": ("elbv2", listeners),
    "AWS::ElasticLoadBalancingV2::ListenerRule": ("elbv2", rules),
    "AWS::EFS::MountTarget": ("efs", mounts),
    "AWS::ECS::Service": ("ecs", services),
    "AWS::EC2::Instance": ("ec2", instances),
    "AWS::S3::Bucket": ("s3", buckets),
    "AWS::Route53::RecordSet": ("route53", records),
}
# What is read of one found resource, beside that it is there: the property of the template, and the path in the answer.
properties = {
    "AWS::EC2::VPC": {"CidrBlock": "CidrBlock"},
    "AWS::EC2::Subnet": {"MapPublicIpOnLaunch": "MapPublicIpOnLaunch"},
    "AWS::RDS::DBInstance": {
        "StorageEncrypted": "StorageEncrypted",
        "DeletionProtection": "DeletionProtection",
        "MultiAZ": "MultiAZ",
        "PubliclyAccessible": "PubliclyAccessible",
        "EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
        "BackupRetentionPeriod": "BackupRetentionPeriod",
        "Engine": "Engine",
    },
    "AWS::RDS::DBCluster": {
        "StorageEncrypted": "StorageEncrypted",
        "DeletionProtection": "DeletionProtection",
        "BackupRetentionPeriod": "BackupRetentionPeriod",
        "Engine": "Engine",
    },
    "AWS::EFS::FileSystem": {"Encrypted": "Encrypted", "ThroughputMode": "ThroughputMode"},
    "AWS::ElasticLoadBalancingV2::LoadBalancer": {"Scheme": "Scheme", "Type": "Type"},
    "AWS::ElasticLoadBalancingV2::Listener": {"Port": "Port", "Protocol": "Protocol", "SslPolicy": "SslPolicy"},
    "AWS::ElasticLoadBalancingV2::TargetGroup": {
        "HealthCheckPath": "HealthCheckPath",
        "HealthCheckIntervalSeconds": "HealthCheckIntervalSeconds",
        "UnhealthyThresholdCount": "UnhealthyThresholdCount",
    },
    "AWS::AutoScaling::AutoScalingGroup": {
        "HealthCheckType": "HealthCheckType",
        "HealthCheckGracePeriod": "HealthCheckGracePeriod",
    },
    "AWS::KMS::Key": {"MultiRegion": "MultiRegion"},
    "AWS::Route53::RecordSet": {"Type": "Type", "TTL": "TTL", "Failover": "Failover", "SetIdentifier": "SetIdentifier"},
    "AWS::Route53::HealthCheck": {
        "HealthCheckConfig.Type": "HealthCheckConfig.Type",
        "HealthCheckConfig.RequestInterval": "HealthCheckConfig.RequestInterval",
        "HealthCheckConfig.FailureThreshold": "HealthCheckConfig.FailureThreshold",
    },
    "AWS::CloudWatch::Alarm": {"Threshold": "Threshold", "TreatMissingData": "TreatMissingData", "Statistic": "Statistic"},
}


class Loader(yaml.SafeLoader):
    """Templates, with the short forms of functions as the long ones."""


def function(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", function)


def templates(cloudformation, stack):
    for path in sorted((pathlib.Path(cloudformation) / stack).glob("*.yaml")):
        yield yaml.load(path.read_text(), Loader)


def holds(condition, template, values):
    """Whether a condition of a template holds; `values` are the parameters of its stack."""

    def value(said):
        if isinstance(said, dict) and "Ref" in said:
            return values.get(said["Ref"])
        if isinstance(said, dict) and "Fn::Join" in said:
            between, parts = said["Fn::Join"]
            parts = value(parts)
            return between.join(parts if isinstance(parts, list) else [str(parts)])
        return said

    if isinstance(condition, str):
        return holds(template["Conditions"][condition], template, values)
    (name, said), = condition.items()
    if name == "Fn::Equals":
        return str(value(said[0])) == str(value(said[1]))
    if name == "Fn::Not":
        return not holds(said[0], template, values)
    if name in ("Fn::And", "Fn::Or"):
        return (all if name == "Fn::And" else any)(holds(each, template, values) for each in said)
    return holds(said, template, values)


def given(client, region, stack):
    """The parameters of a stack, which decide its conditions; none where it is not there."""
    found = answered(lambda: client("cloudformation", region).describe_stacks(StackName=stack)["Stacks"][0])
    if found is None:
        return None
    return {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}


def rendered(cloudformation, plan, client):
    """The resources of every template whose conditions hold, by type and region."""
    said = collections.defaultdict(list)
    folder = pathlib.Path(cloudformation)

    def count(template, region, values, nested):
        values = {
            **{name: each.get("Default") for name, each in template.get("Parameters", {}).items()},
            **{"AWS::Region": region},
            **(values or {}),
        }
        for name, resource in template["Resources"].items():
            if "Condition" in resource and not holds(resource["Condition"], template, values):
                continue
            kind = resource["Type"]
            if kind == "AWS::CloudFormation::Stack":
                file = re.search(r"([^/]+/[^/]+\.yaml)", json.dumps(resource["Properties"]["TemplateURL"]))[1]
                inner = yaml.load((folder / file.strip('"')).read_text(), Loader)
                count(inner, region, given(client, region, nested[name]) if name in nested else None, {})
            elif kind == "AWS::DynamoDB::GlobalTable":
                for each in resource["Properties"]["Replicas"]:
                    if isinstance(each, dict) and "Fn::If" in each:
                        condition, then, otherwise = each["Fn::If"]
                        each = then if holds(condition, template, values) else otherwise
                    if "Region" in each:
                        said[kind, each["Region"]].append({})
            else:
                for each in resource.get("Properties", {}).get("ReplicaRegions", []):
                    said[kind, each["Region"]].append({})
                said["AWS::KMS::Key" if kind == "AWS::KMS::ReplicaKey" else kind, region].append(
                    {name: resolve(each, values) for name, each in resource.get("Properties", {}).items()}
                )

    regions = set()
    for stack in plan["stacks"]:
        region, nested = stack["region"], {}
        values = given(client, region, stack["stack"])
        if values is not None:
            found = answered(
                lambda: client("cloudformation", region).describe_stack_resources(StackName=stack["stack"])["StackResources"]
            )
            nested = {
                each["LogicalResourceId"]: each["PhysicalResourceId"]
                for each in found or []
                if each["ResourceType"] == "AWS::CloudFormation::Stack"
            }
        count(yaml.load((folder / stack["name"] / "master.yaml").read_text(), Loader), region, values, nested)
        if region not in regions:
            count(yaml.load((folder / "templates.yaml").read_text(), Loader), region, None, {})
            regions.add(region)
    return said


def resolve(said, values):
    """A property as the template says it, where it is a text or a parameter."""
    if isinstance(said, dict) and set(said) == {"Ref"} and said["Ref"] in values:
        return values[said["Ref"]]
    return said


def everything(plan, client):
    """Everything that describe calls find, by type and region; None where the emulator does not answer."""
    found = {}
    for region in sorted({stack["region"] for stack in plan["stacks"]}):
        for kind, (service, operation, wanted, *more) in calls.items():
            where = "everywhere" if service in anywhere else region
            if (kind, where) not in found:
                found[kind, where] = answered(lambda: ask(client, region, service, operation, wanted, *more))
        for kind, (service, walk) in walks.items():
            where = "everywhere" if service in anywhere else region
            if (kind, where) not in found:
                found[kind, where] = answered(lambda: list(walk(client, region)))
    return found


silent = set()


def answered(call):
    try:
        return call()
    except Exception as error:  # An emulator fails in ways that no list of exceptions has.
        said = str(error).splitlines()[0][:150]
        if said not in silent:
            print(f"  no answer: {said}", file=sys.stderr)
        silent.add(said)
        return None


def place(kind, region):
    service = (calls.get(kind) or walks.get(kind))[0]
    return "everywhere" if service in anywhere else region


def compare(cloudformation, plan, before, after, client):
    """(type or type.property, region): how many the templates say, how many are found so."""
    said = collections.defaultdict(list)
    unread = collections.Counter()
    for (kind, region), resources in rendered(cloudformation, plan, client).items():
        if kind in calls or kind in walks:
            said[kind, place(kind, region)] += resources
        else:
            unread[kind] += len(resources)
    rows = {}
    for (kind, region), resources in said.items():
        old, new = before.get((kind, region)), after.get((kind, region))
        if new is None:
            rows[kind, region] = (len(resources), 0)
            continue
        new = [each for each in new if each not in (old or [])]
        rows[kind, region] = (len(resources), len(new))
        for name, path in properties.get(kind, {}).items():
            wanted = collections.Counter(
                text for each in resources if (text := plain(jmespath.search(name, each))) is not None
            )
            if wanted:
                got = collections.Counter(plain(jmespath.search(path, each)) for each in new)
                rows[f"{kind} .{name}", region] = (wanted.total(), (wanted & got).total())
    return rows, unread


def plain(value):
    """A text to compare: numbers and truths are written in several ways. None for what only a deployment knows."""
    if isinstance(value, bool) or value in ("true", "false"):
        return str(value).lower()
    if isinstance(value, (int, float)) or (isinstance(value, str) and re.fullmatch(r"[\d.]+", value) and value.count(".") < 2):
        return f"{float(value):g}"
    return value if isinstance(value, str) else None
