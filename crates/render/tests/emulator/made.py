"""Types that moto has by its services' calls, and its CloudFormation does not: each is made by such a call, to the emulator
itself. botocore refuses what the call does not take, so these calls are checked as an AWS SDK would check them.
"""
import json

import boto3
from moto.core.common_models import CloudFormationModel

# Resource type: service, operation, names of the call that differ from the template's (`-`: another call takes it, which is
# not made), what `!Ref` and `!GetAtt` say: of the answer, or of what was asked, or an ARN made of both. An attribute that is
# not named has its name in the answer too.
calls = {
    "AWS::RDS::DBClusterParameterGroup": (
        "rds", "create_db_cluster_parameter_group", {"Family": "DBParameterGroupFamily", "Parameters": "-"},
        {"Ref": "DBClusterParameterGroup.DBClusterParameterGroupName"},
    ),
    "AWS::RDS::DBCluster": (
        "rds", "create_db_cluster", {},
        {"Ref": "DBCluster.DBClusterIdentifier", "Endpoint.Address": "DBCluster.Endpoint", "DBClusterArn": "DBCluster.DBClusterArn"},
    ),
    # moto's CloudFormation has it, and drops half of what is said of it, the cluster among that.
    "AWS::RDS::DBInstance": (
        "rds", "create_db_instance",
        {"VPCSecurityGroups": "VpcSecurityGroupIds", "DeleteAutomatedBackups": "-", "AllowMajorVersionUpgrade": "-"},
        {"Ref": "DBInstance.DBInstanceIdentifier", "Endpoint.Address": "DBInstance.Endpoint.Address"},
    ),
    "AWS::RDS::GlobalCluster": ("rds", "create_global_cluster", {}, {"Ref": "GlobalCluster.GlobalClusterIdentifier"}),
    # moto's CloudFormation has it, and drops `MultiRegion`.
    "AWS::KMS::Key": (
        "kms", "create_key", {"KeyPolicy": "Policy", "EnableKeyRotation": "-", "PendingWindowInDays": "-"},
        {"Ref": "KeyMetadata.KeyId", "Arn": "KeyMetadata.Arn"},
    ),
    "AWS::KMS::ReplicaKey": (
        "kms", "replicate_key", {"KeyPolicy": "Policy", "PrimaryKeyArn": "KeyId", "PendingWindowInDays": "-"},
        {"Ref": "ReplicaKeyMetadata.KeyId", "Arn": "ReplicaKeyMetadata.Arn"},
    ),
    "AWS::SecretsManager::Secret": ("secretsmanager", "create_secret", {"ReplicaRegions": "AddReplicaRegions"}, {"Ref": "ARN"}),
    "AWS::DynamoDB::GlobalTable": (
        "dynamodb", "create_table",
        {"Replicas": "-", "TimeToLiveSpecification": "-", "MultiRegionConsistency": "-", "GlobalTableWitnesses": "-"},
        {"Ref": "TableName", "Arn": "TableDescription.TableArn", "StreamArn": "TableDescription.LatestStreamArn"},
    ),
    "AWS::CloudWatch::Alarm": (
        "cloudwatch", "put_metric_alarm", {},
        {"Ref": "AlarmName", "Arn": "arn:aws:cloudwatch:{region}:{account}:alarm:{AlarmName}"},
    ),
    "AWS::SNS::Subscription": ("sns", "subscribe", {}, {"Ref": "SubscriptionArn"}),
    "AWS::IAM::OIDCProvider": (
        "iam", "create_open_id_connect_provider", {"ClientIdList": "ClientIDList"}, {"Ref": "OpenIDConnectProviderArn"},
    ),
    "AWS::AutoScaling::ScalingPolicy": (
        "autoscaling", "put_scaling_policy", {},
        # moto does not say the ARN.
        {"Ref": "arn:aws:autoscaling:{region}:{account}:scalingPolicy:unsaid:policyName/{PolicyName}"},
    ),
    "AWS::WAFv2::WebACL": ("wafv2", "create_web_acl", {}, {"Ref": "Summary.Name", "Arn": "Summary.ARN"}),
    "AWS::CloudTrail::Trail": (
        "cloudtrail", "create_trail", {"TrailName": "Name", "KMSKeyId": "KmsKeyId", "Tags": "TagsList", "IsLogging": "-"}, {"Ref": "Name", "Arn": "TrailARN"},
    ),
    # moto's CloudFormation has it, and associates nothing.
    "AWS::EC2::SubnetRouteTableAssociation": ("ec2", "associate_route_table", {}, {"Ref": "AssociationId"}),
    "AWS::GuardDuty::Detector": ("guardduty", "create_detector", {}, {"Ref": "DetectorId"}),
    "AWS::Backup::BackupVault": (
        "backup", "create_backup_vault", {"BackupVaultTags": "-", "LockConfiguration": "-", "AccessPolicy": "-"},
        {"Ref": "BackupVaultName"},
    ),
    "AWS::Backup::BackupPlan": (
        "backup", "create_backup_plan", {}, {"Ref": "BackupPlanId", "BackupPlanArn": "BackupPlanArn"},
    ),
    "AWS::Config::ConfigRule": ("config", "put_config_rule", {}, {"Ref": "ConfigRule.ConfigRuleName"}),
    "AWS::Config::ConfigurationRecorder": (
        "config", "put_configuration_recorder", {}, {"Ref": "ConfigurationRecorder.name"},
    ),
    "AWS::FIS::ExperimentTemplate": (
        "fis", "create_experiment_template", {}, {"Ref": "experimentTemplate.id", "Id": "experimentTemplate.id"},
    ),
}
# The name of a resource that the template does not name.
named = {
    "AWS::RDS::DBClusterParameterGroup": "DBClusterParameterGroupName",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::DynamoDB::GlobalTable": "TableName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::AutoScaling::ScalingPolicy": "PolicyName",
    "AWS::WAFv2::WebACL": "Name",
}
endpoint = ""


def client(service, region):
    return boto3.client(
        service, region_name=region, endpoint_url=endpoint, aws_access_key_id="x", aws_secret_access_key="x"
    )


def shaped(shape, said):
    """A value of a template as a call takes it: numbers and truths are texts in templates, and some keys are the call's."""
    if shape.type_name == "structure":
        # What the call does not know is handed on as it is, so that botocore refuses it.
        known = {name.lower(): name for name in shape.members}
        names = {name: known.get(name.lower(), name) for name in said}
        return {
            names[name]: shaped(shape.members[names[name]], each) if names[name] in shape.members else each
            for name, each in said.items()
        }
    if shape.type_name == "list":
        return [shaped(shape.member, each) for each in said]
    if shape.type_name == "map" and isinstance(said, list):
        return {tag["Key"]: tag["Value"] for tag in said}
    if shape.type_name == "map":
        return {name: shaped(shape.value, each) for name, each in said.items()}
    if shape.type_name == "boolean":
        return str(said).lower() == "true"
    if shape.type_name in ("integer", "long"):
        return int(said)
    if shape.type_name in ("float", "double"):
        return float(said)
    if isinstance(said, (str, int, float)):
        return str(said)
    if isinstance(said, (dict, list)):
        return json.dumps(said)
    return said.name  # moto hands on its own object where AWS hands on a name.


def path(answer, said):
    if said in answer:
        return answer[said]
    for name in said.split("."):
        answer = answer[name]
    return answer


def prepared(kind, said, region, account):
    """What the call says otherwise than the template."""
    if kind == "AWS::RDS::GlobalCluster" and ":" not in said.get("SourceDBClusterIdentifier", ":"):
        said["SourceDBClusterIdentifier"] = f"arn:aws:rds:{region}:{account}:cluster:{said['SourceDBClusterIdentifier']}"
    if kind == "AWS::Backup::BackupPlan":
        rules = [{"TargetBackupVaultName": rule["TargetBackupVault"], **rule} for rule in said["BackupPlan"]["BackupPlanRule"]]
        rules = [{name: each for name, each in rule.items() if name != "TargetBackupVault"} for rule in rules]
        said["BackupPlan"] = {"BackupPlanName": said["BackupPlan"]["BackupPlanName"], "Rules": rules}
    if kind.startswith("AWS::Config::"):
        said = {kind.split("::")[-1]: said}
    if kind == "AWS::Config::ConfigurationRecorder":
        said["ConfigurationRecorder"].setdefault("name", "default")
    if kind.startswith("AWS::KMS::"):
        said["Tags"] = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in said.get("Tags", [])]
    if kind == "AWS::KMS::ReplicaKey":
        said["ReplicaRegion"] = region
    if kind == "AWS::SecretsManager::Secret" and "GenerateSecretString" in said:
        generated = said.pop("GenerateSecretString").get("GenerateStringKey", "password")
        said["SecretString"] = json.dumps({generated: "generated"})
    if kind == "AWS::DynamoDB::GlobalTable" and "StreamSpecification" in said:
        said["StreamSpecification"] = {"StreamEnabled": True, **said["StreamSpecification"]}
    if kind == "AWS::DynamoDB::GlobalTable" and "SSESpecification" in said:
        enabled = said["SSESpecification"].pop("SSEEnabled")
        said["SSESpecification"] = {"Enabled": enabled, **said["SSESpecification"]}
    if "SourceDBInstanceIdentifier" in said:
        said.pop("BackupRetentionPeriod", None)  # A later call gives it to a replica.
    return said


class Stays:
    """What an update leaves as it is, and says of each attribute that it has it."""

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        pass

    @classmethod
    def has_cfn_attr(cls, attr):
        return True


class Made(Stays, CloudFormationModel):
    __module__ = "moto.cloudformation.made"  # moto sorts its models by where they are written.

    def __init__(self, answer, attributes, asked):
        self.answer, self.attributes, self.asked = answer, attributes, asked
        self.physical_resource_id = self.get_cfn_attribute("Ref")

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **named_by):
        kind = named_by["ResourceType"]
        service, operation, renamed, attributes = calls[kind]
        given = cloudformation_json["Properties"].items()
        said = {renamed.get(name, name): each for name, each in given if renamed.get(name) != "-"}
        if kind in named:
            said.setdefault(named[kind], resource_name.lower())
        if "SourceDBInstanceIdentifier" in said:
            operation = "create_db_instance_read_replica"
        said = prepared(kind, said, region_name, account_id)
        where = region_name
        if kind == "AWS::KMS::ReplicaKey":
            # The region of its key makes it; moto knows that key by its id alone.
            where, said["KeyId"] = said["KeyId"].split(":")[3], said["KeyId"].split("/")[-1]
        to = client(service, where)
        shape = to.meta.service_model.operation_model(to.meta.method_to_api_mapping[operation]).input_shape
        asked = shaped(shape, said)
        answer = getattr(to, operation)(**asked)
        return cls(answer, attributes, asked | {"region": region_name, "account": account_id})

    def get_cfn_attribute(self, name):
        where = self.attributes.get(name, name)
        if where.startswith("arn:"):
            return where.format(**self.asked)
        return path({**self.answer, **self.asked}, where)
