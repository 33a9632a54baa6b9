"""Serves moto on 127.0.0.1 at a free port below the ephemeral range, prints the port, and ends with its standard input.

moto 5.2.5 stops at what our templates need, and no more than that is added here, each with what it stands for. What moto
gets wrong without stopping stays wrong, and is pinned in expected.json.
"""
import ipaddress
import itertools
import json
import os
import re
import socket
import sys
import threading

import made
import renewed
from moto.awslambda.models import LambdaVersion
from moto.cloudformation import models, parsing, utils
from moto.cloudformation.exceptions import UnformattedGetAttTemplateException
from moto.cloudformation.models import Stack
from moto.core.common_models import CloudFormationModel
from moto.ec2.models import EC2Backend
from moto.ecs.models import EC2ContainerServiceBackend
from moto.events.models import EventBus
from moto.rds.models import RDSBackend, rds_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


def attribute(stack, name):
    """Outputs of a nested stack: moto has none."""
    wanted = name.removeprefix("Outputs.")
    outputs = stack.output_map
    if wanted not in list(outputs):
        raise KeyError(f"{stack.name} has no output {wanted}, only {list(outputs)}")
    conditions = stack.resource_map.lazy_condition_map
    for each in reached(stack.template_dict["Outputs"][wanted]["Value"], conditions):
        condition = stack.template_dict["Resources"].get(each, {}).get("Condition")
        if condition and not conditions[condition]:
            raise KeyError(f"AWS refuses it: the output {wanted} of {stack.name} names {each}, which {condition} leaves out")
    return outputs[wanted].value


def reached(value, conditions):
    """The resources that a value names, where the conditions hold."""
    if isinstance(value, list):
        return [name for each in value for name in reached(each, conditions)]
    if not isinstance(value, dict):
        return []
    if "Fn::If" in value:
        condition, then, otherwise = value["Fn::If"]
        return reached(then if conditions[condition] else otherwise, conditions)
    if "Ref" in value:
        return [value["Ref"]]
    if "Fn::GetAtt" in value:
        return [value["Fn::GetAtt"][0]]
    if "Fn::Sub" in value and isinstance(value["Fn::Sub"], str):
        return [name.split(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", value["Fn::Sub"])]
    return reached(list(value.values()), conditions)


def tagged(loader, tag, node):
    """`!GetAtt X.Outputs.Y`: moto cuts the name off at its second dot."""
    value = whole(loader, tag, node)
    if tag == "!GetAtt" and "Fn::GetAtt" in value and isinstance(node.value, str):
        return {"Fn::GetAtt": node.value.split(".", 1)}
    return value


def cleaned(value, resources):
    """Fn::Cidr, and attributes of what has none in moto: the ARN stands for one, else the name."""
    if isinstance(value, dict) and "Fn::GetAtt" in value:
        name, attribute = value["Fn::GetAtt"]
        resource = resources.get(name)
        if isinstance(resource, LambdaVersion):
            return resource.version
        try:
            return resource.get_cfn_attribute(attribute)
        except (AttributeError, NotImplementedError, UnformattedGetAttTemplateException):
            whole = getattr(resource, "arn", None) if attribute.lower().endswith("arn") else None
            return whole or resource.physical_resource_id
    if isinstance(value, dict) and "Fn::Cidr" in value:
        block, count, bits = (clean(each, resources) for each in value["Fn::Cidr"])
        pieces = ipaddress.ip_network(block).subnets(new_prefix=32 - int(bits))
        return [str(piece) for piece in itertools.islice(pieces, int(count))]
    return clean(value, resources)


def sized(self, size=None, zone_name=None, snapshot_id=None, **named):
    """A volume without a size has that of the image's snapshot: moto asks for one of both."""
    if size is None and snapshot_id is None:
        size = 8
    return create_volume(self, size=size, zone_name=zone_name, snapshot_id=snapshot_id, **named)


def followed(self, asked):
    """A replica of another region's database: moto looks for its subnet group in that region."""
    return follow(self, {"backend": self, **asked})


class Named(made.Stays, CloudFormationModel):
    """A type that moto's CloudFormation does not know: a name and nothing behind it, so that what refers to it deploys.

    moto says CREATE_COMPLETE of it, and has no attributes of it.
    """

    __module__ = "moto.cloudformation.named"  # moto sorts its models by where they are written.

    def __init__(self, name, arn):
        self.physical_resource_id, self.arn = name, arn

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **named):
        service = named["ResourceType"].split("::")[1].lower()
        return cls(resource_name, f"arn:aws:{service}:{region_name}:{account_id}:nothing/{resource_name}")

    def get_cfn_attribute(self, name):
        return self.arn if name.endswith("Arn") else self.physical_resource_id


def counted(self, cluster_str, service_name, desired_count=None, **named):
    """How many tasks: a parameter is a text, which AWS takes for a number."""
    count = None if desired_count is None else int(desired_count)
    return serve_tasks(self, cluster_str, service_name, count, **named)


def begun(self, global_cluster_identifier, source_db_cluster_identifier, engine, *given, **named):
    """A global database of a cluster that is there: moto looks for it in us-east-1 only."""
    if source_db_cluster_identifier is None:
        return begin(self, global_cluster_identifier, None, engine, *given, **named)
    *_, region, account, _, name = source_db_cluster_identifier.split(":")
    cluster = rds_backends[account][region].clusters[name]
    named |= {"engine_version": cluster.engine_version}
    whole = begin(self, global_cluster_identifier, None, cluster.engine, *given[1:], **named)
    cluster.global_cluster_identifier = whole.global_cluster_arn
    cluster.is_writer = True
    whole.members.append(cluster)
    return whole


def known(kind):
    return made.Made if kind in made.calls else model(kind) or Named


model = parsing.resource_class_from_type
parsing.resource_class_from_type = known
follow = RDSBackend.create_db_instance_read_replica
RDSBackend.create_db_instance_read_replica = followed
EventBus.physical_resource_id = property(lambda self: self.name)  # `!Ref` of a bus: moto hands on its own object.
serve_tasks = EC2ContainerServiceBackend.create_service
EC2ContainerServiceBackend.create_service = counted
begin = RDSBackend.create_global_cluster
RDSBackend.create_global_cluster = begun
create_volume = EC2Backend.create_volume
EC2Backend.create_volume = sized
clean = parsing.clean_json
for module in (models, parsing):
    if hasattr(module, "clean_json"):
        module.clean_json = cleaned
Stack.get_cfn_attribute = attribute
whole = utils.yaml_tag_constructor
for module in (utils, models, parsing):
    if hasattr(module, "yaml_tag_constructor"):
        module.yaml_tag_constructor = tagged


def listening():
    """At a free port below the ephemeral range, which others may take at any time."""
    app = DomainDispatcherApplication(create_backend_app)
    for port in range(21000, 32000):
        with socket.socket() as taken:
            try:
                taken.bind(("127.0.0.1", port))
            except OSError:
                continue
            taken.listen(128)
            return port, make_server("127.0.0.1", port, app, threaded=True, fd=taken.detach())
    sys.exit("no port is free")


renewed.install(sys.argv[1] if len(sys.argv) > 1 else None)
port, server = listening()
made.endpoint = f"http://127.0.0.1:{port}"
print(port, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
