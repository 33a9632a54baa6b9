"""Serves moto on 127.0.0.1 at a free port below the ephemeral range, prints the port, and ends with its standard input.

moto 5.2.5 stops at what our templates need, and no more than that is added here, each with what it stands for. What moto
gets wrong without stopping stays wrong, and is pinned in expected.json.
"""
import ipaddress
import itertools
import json
import os
import socket
import sys
import threading

from moto.cloudformation import models, parsing, utils
from moto.cloudformation.models import CloudFormationBackend, Stack
from moto.core.common_models import CloudFormationModel
from moto.ec2.models import EC2Backend
from moto.kms.models import KmsBackend, kms_backends
from moto.rds.models import DBInstance
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


def attribute(stack, name):
    """Outputs of a nested stack: moto has none."""
    wanted = name.removeprefix("Outputs.")
    outputs = stack.output_map
    if wanted not in list(outputs):
        raise KeyError(f"{stack.name} has no output {wanted}, only {list(outputs)}")
    said = json.dumps(stack.template_dict["Outputs"][wanted]["Value"])
    for name, resource in stack.template_dict["Resources"].items():
        condition = resource.get("Condition")
        if condition and f'"{name}"' in said and not stack.resource_map.lazy_condition_map[condition]:
            raise KeyError(f"AWS refuses it: the output {wanted} of {stack.name} names {name}, which {condition} leaves out")
    # An attribute that moto lacks (LoadBalancerFullName) is no output at all: its name stands for it.
    return wanted if outputs[wanted] is None else outputs[wanted].value


def tagged(loader, tag, node):
    """`!GetAtt X.Outputs.Y`: moto cuts the name off at its second dot."""
    value = whole(loader, tag, node)
    if tag == "!GetAtt" and "Fn::GetAtt" in value and isinstance(node.value, str):
        return {"Fn::GetAtt": node.value.split(".", 1)}
    return value


def cleaned(value, resources):
    """Fn::Cidr: moto lacks it."""
    if isinstance(value, dict) and "Fn::Cidr" in value:
        block, count, bits = (clean(each, resources) for each in value["Fn::Cidr"])
        pieces = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
        return [str(piece) for piece in itertools.islice(pieces, int(count))]
    return clean(value, resources)


def retagged(self, *given, **named):
    """Tags of a key: moto reads them under the API's names, templates write them under others. Its policy is a text."""
    if isinstance(named.get("policy"), dict):
        named["policy"] = json.dumps(named["policy"])
    if named.get("tags"):
        named["tags"] = [
            {"TagKey": tag.get("TagKey", tag.get("Key")), "TagValue": tag.get("TagValue", tag.get("Value"))}
            for tag in named["tags"]
        ]
    return create_key(self, *given, **named)


def sized(self, size=None, zone_name=None, snapshot_id=None, **named):
    """A volume without a size has that of the image's snapshot: moto asks for one of both."""
    if size is None and snapshot_id is None:
        size = 8
    return create_volume(self, size=size, zone_name=zone_name, snapshot_id=snapshot_id, **named)


def clustered(cls, resource_name, cloudformation_json, account_id, region_name, **named):
    """An instance of a cluster: moto forgets the cluster, and then asks for what only the cluster says."""
    from moto.rds.models import rds_backends

    said = cloudformation_json["Properties"]
    group = said.get("DBParameterGroupName")
    if group is not None and not isinstance(group, str):
        # Its name is wanted, and moto hands on the group itself.
        cloudformation_json = cloudformation_json | {"Properties": said | {"DBParameterGroupName": group.name}}
    if "DBClusterIdentifier" not in said:
        return create_instance(cls, resource_name, cloudformation_json, account_id, region_name, **named)
    return rds_backends[account_id][region_name].create_db_instance(
        {
            "db_instance_identifier": said.get("DBInstanceIdentifier", resource_name),
            "db_cluster_identifier": said["DBClusterIdentifier"],
            "db_instance_class": said.get("DBInstanceClass"),
            "engine": said["Engine"],
            "tags": said.get("Tags"),
        }
    )


class Named(CloudFormationModel):
    """A type that moto's CloudFormation does not know: a name and nothing behind it, so that what refers to it deploys.

    moto says CREATE_COMPLETE of it, and has no attributes of it.
    """

    __module__ = "moto.cloudformation.named"  # moto sorts its models by where they are written.

    def __init__(self, name, arn):
        self.physical_resource_id, self.arn = name, arn

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **named):
        if named["ResourceType"] == "AWS::KMS::ReplicaKey":
            # Aliases and grants want a key that is there; this one shares nothing with the first.
            said = cloudformation_json["Properties"]
            keys = kms_backends[account_id][region_name]
            return keys.create_key(
                policy=said["KeyPolicy"],
                key_usage="ENCRYPT_DECRYPT",
                key_spec="SYMMETRIC_DEFAULT",
                description=said.get("Description"),
                tags=said.get("Tags", []),
            )
        service = named["ResourceType"].split("::")[1].lower()
        return cls(resource_name, f"arn:aws:{service}:{region_name}:{account_id}:nothing/{resource_name}")

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        return original_resource

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        pass

    @classmethod
    def has_cfn_attr(cls, attr):
        return True

    def get_cfn_attribute(self, name):
        return self.arn if name.endswith("Arn") else self.physical_resource_id


def executed(self, change_set_name, stack_name=None):
    """Outputs of a stack that a change set makes: moto reads them from the empty template that was there before."""
    execute(self, change_set_name, stack_name)
    for change in self.change_sets.values():
        if change_set_name in (change.change_set_id, change.change_set_name) and change.stack_id in self.stacks:
            stack = self.stacks[change.stack_id]
            stack._parse_template()
            stack.output_map = stack._create_output_map()


execute = CloudFormationBackend.execute_change_set
CloudFormationBackend.execute_change_set = executed


def known(kind):
    return model(kind) or Named


model = parsing.resource_class_from_type
parsing.resource_class_from_type = known
create_instance = DBInstance.create_from_cloudformation_json.__func__
DBInstance.create_from_cloudformation_json = classmethod(clustered)
create_volume = EC2Backend.create_volume
EC2Backend.create_volume = sized
create_key = KmsBackend.create_key
KmsBackend.create_key = retagged
clean = parsing.clean_json
for module in (models, parsing):
    if hasattr(module, "clean_json"):
        module.clean_json = cleaned
Stack.get_cfn_attribute = attribute
whole = utils.yaml_tag_constructor
for module in (utils, models, parsing):
    if hasattr(module, "yaml_tag_constructor"):
        module.yaml_tag_constructor = tagged


def free():
    for port in range(21000, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    sys.exit("no port is free")


port = free()
server = make_server("127.0.0.1", port, DomainDispatcherApplication(create_backend_app), threaded=True)
print(port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
