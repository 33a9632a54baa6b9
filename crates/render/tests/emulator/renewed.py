"""Updates of stacks, as CloudFormation does them: in their place, resource by resource, when what a template says has
another value now. moto deletes nested stacks and makes others, sees no change that comes through a condition, and forgets
what it cannot change.

Each change is written down, for whoever wants to know what a deployment did: `changes` is a file.
"""
import json

from moto.cloudformation import parsing
from moto.cloudformation.models import CloudFormationBackend, Stack
from moto.cloudformation.parsing import ResourceMap
from moto.cloudformation.responses import CloudFormationResponse
from moto.cloudformation.utils import get_stack_from_s3_url

changes = None


def note(what, resources, name, kind, properties=()):
    said = {"what": what, "stack": resources["AWS::StackName"], "name": name, "type": kind, "properties": sorted(properties)}
    if changes:
        with open(changes, "a") as file:
            print(json.dumps(said), file=file)


def said(resources, name):
    """The properties of a resource, with what parameters, conditions and other resources give."""
    return parsing.clean_json(resources._resource_json_map[name].get("Properties", {}), resources)


def stands(resources, name):
    condition = resources._resource_json_map[name].get("Condition")
    return not condition or resources.lazy_condition_map[condition]


def ordered(template):
    """Every resource after those that it says it depends on."""
    order = []

    def see(name):
        if name in order or name not in template["Resources"]:
            return
        after = template["Resources"][name].get("DependsOn", [])
        for each in [after] if isinstance(after, str) else after:
            see(each)
        order.append(name)

    for name in template["Resources"]:
        see(name)
    return order


def update(self, template, parameters=None):
    """In place of `ResourceMap.update`."""
    before = self._resource_json_map
    had = {name: said(self, name) for name in before if self._parsed_resources.get(name) is not None}
    if parameters:
        self.input_parameters = parameters
    self._template = template
    self.load_mapping()
    self.load_parameters()
    self.load_conditions()
    self._resource_json_map = template["Resources"]
    for name in ordered(template):
        if not stands(self, name):
            continue
        kind = template["Resources"][name]["Type"]
        if name not in had:
            note("added", self, name, kind)
            _ = self[name]
            continue
        now = said(self, name)
        differ = [key for key in {**now, **had[name]} if now.get(key) != had[name].get(key)]
        if differ:
            note("changed", self, name, kind, differ)
            resource = self._parsed_resources[name]
            changed = parsing.parse_and_update_resource(
                name, template["Resources"][name], self, account_id=self._account_id, region_name=self._region_name
            )
            self._parsed_resources[name] = changed or resource
    for name in had:
        if name in template["Resources"] and stands(self, name):
            continue
        note("removed", self, name, before[name]["Type"])
        resource = self._parsed_resources.pop(name)
        if before[name].get("DeletionPolicy") not in ("Retain", "RetainExceptOnCreate", "Snapshot"):
            self._delete_resource(resource, before[name])


def nested(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
    """In place of `Stack.update_from_cloudformation_json`."""
    properties = cloudformation_json["Properties"]
    body = get_stack_from_s3_url(properties["TemplateURL"], account_id=account_id, partition="aws")
    original_resource.update(body, parameters=properties.get("Parameters", {}))
    return original_resource


def executed(self, change_set_name, stack_name=None):
    """Outputs of a stack that a change set makes: moto reads them from the empty template that was there before."""
    execute(self, change_set_name, stack_name)
    for change in self.change_sets.values():
        if change_set_name in (change.change_set_id, change.change_set_name) and change.stack_id in self.stacks:
            stack = self.stacks[change.stack_id]
            stack.parameters = change.parameters
            stack._parse_template()
            stack.output_map = stack._create_output_map()
            # AWS says what is wrong with an output now; moto leaves all of them out when they are asked for.
            list(stack.output_map.values())


def same(self, others):
    """Whether a change set has the parameters that are there: moto compares only with what the first deployment gave."""
    known = self.resource_map
    return all(value in (known.input_parameters.get(key), known.resolved_parameters.get(key)) for key, value in others.items())


def looked_up(self, value, value_type):
    """A parameter of Systems Manager that stays as it was: moto hands on what was found there, and looks that up too."""
    return look_up(self, value, value_type) if value.startswith("/") else value


def install(into):
    global changes
    changes = into
    ResourceMap.update = update
    ResourceMap.parse_ssm_parameter = looked_up
    Stack.update_from_cloudformation_json = classmethod(nested)
    Stack.has_parameters = same
    CloudFormationBackend.execute_change_set = executed
    # An empty change set is one that failed, and says why; moto refuses to make it.
    CloudFormationResponse._validate_different_update = lambda *given: None


execute = CloudFormationBackend.execute_change_set
look_up = ResourceMap.parse_ssm_parameter
