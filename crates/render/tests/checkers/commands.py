"""Whether every command that is rendered for people, and every call of an automation, is one that AWS has.

usage: commands.py FOLDER, with the Python of the AWS CLI that is pinned. Each folder in FOLDER was rendered. Pages are run by
a shell with stand-ins for the programs that they call; what is asked of `aws` is read by the AWS CLI's own parser, which
then validates it against the models of the services: verbs, options, required parameters, and each name in a --query.
Nothing is called. Prints what is wrong, a line each.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import botocore.client
import botocore.session
import jmespath
import yaml
from awscli.clidriver import create_clidriver
from botocore.validate import ParamValidator

wrong = []


class Reached(BaseException):
    """The command came as far as its call."""


# --- what a query finds in an answer, by its shape


def one_of(shape, *names):
    return shape is not None and shape.type_name in names


def found(node, shape):
    """The shape that an expression of JMESPath gives, or None where any text may come. Raises KeyError for a wrong name."""
    kind, children, value = node["type"], node.get("children", []), node.get("value")
    if kind in ("current", "identity"):
        return shape
    if kind == "field":
        if shape is None or not one_of(shape, "structure"):
            if shape is not None and not one_of(shape, "map"):
                raise KeyError(f"{value} of a {shape.type_name}")
            return shape.value if shape is not None else None
        if value not in shape.members:
            raise KeyError(f"{value}; there are {', '.join(sorted(shape.members))}")
        return shape.members[value]
    if kind in ("subexpression", "index_expression", "pipe"):
        for child in children:
            shape = found(child, shape)
        return shape
    if kind in ("index", "slice"):
        return element(shape) if kind == "index" else shape
    if kind in ("projection", "value_projection"):
        return many(found(children[1], element(found(children[0], shape))))
    if kind == "filter_projection":
        item = element(found(children[0], shape))
        found(children[2], item)
        return many(found(children[1], item))
    if kind == "flatten":
        inner = found(children[0], shape)
        item = element(inner)
        return many(element(item)) if one_of(item, "list") else inner
    if kind in ("multi_select_list", "multi_select_dict", "comparator", "and_expression", "or_expression", "not_expression"):
        results = [found(child, shape) for child in children]
        return results[0] if kind == "or_expression" else None
    if kind == "key_val_pair":
        return found(children[0], shape)
    if kind == "function_expression":
        first = found(children[0], shape)
        for child in children[1:]:
            if child["type"] == "expref":
                found(child["children"][0], element(first))
            else:
                found(child, shape)
        if value in ("sort_by", "sort", "reverse", "max_by", "min_by"):
            return element(first) if value in ("max_by", "min_by") else first
        return None
    if kind == "literal":
        return None
    raise KeyError(f"an expression of the kind {kind}")


def element(shape):
    if shape is None:
        return None
    if isinstance(shape, Many):
        return shape.member
    if shape.type_name == "list":
        return shape.member
    if shape.type_name == "map":
        return shape.value
    raise KeyError(f"an element of a {shape.type_name}")


class Many:
    type_name = "list"

    def __init__(self, member):
        self.member = member


def many(shape):
    return Many(shape)


# --- commands


def reached(self, operation, parameters):
    model = self._service_model.operation_model(operation)
    if model.input_shape is not None:
        report = ParamValidator().validate(parameters, model.input_shape)
        if report.has_errors():
            raise Reached(None, report.generate_report())
    raise Reached(model, None)


botocore.client.BaseClient._make_api_call = reached
os.environ.update(AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none", AWS_EC2_METADATA_DISABLED="true")
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
driver = create_clidriver()
known = {}


def command(arguments):
    """What is wrong with the arguments of `aws`; None when nothing is."""
    key = tuple(arguments)
    if key not in known:
        known[key] = judged(arguments)
    return known[key]


def judged(arguments):
    if "--region" not in arguments and arguments[0] not in ("configure",):
        return "no --region: it would go to whatever region the shell has"
    if arguments[0] == "s3":
        return None if arguments[1:2] and arguments[1] in ("cp", "ls", "rm", "sync") else "no such verb of s3"
    with tempfile.TemporaryFile("w+") as said:
        before = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            driver.main(list(arguments))
            model, complaint = None, "it reached no call"
        except Reached as end:
            model, complaint = end.args
        except SystemExit:
            model, complaint = None, "it is refused"
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
        if model is None:
            said.seek(0)
            return " ".join((complaint + " " + said.read()).split())[-300:]
    if "--query" in arguments and arguments[1] != "wait":
        query = arguments[arguments.index("--query") + 1]
        try:
            found(jmespath.compile(query).parsed, model.output_shape)
        except KeyError as error:
            return f"--query {query}: no {error.args[0]}"
    return None


# Functions, because a shell starts a program a hundred times slower.
STAND_INS = r"""
aws() {
  printf '%s\0' "$@" >>"$CALLS"
  printf '\n' >>"$CALLS"
  case "$*" in *ClusterEndpoints*) echo us-west-2,https://value.example.com/v1 ;; *DBInstances\[0\].ReadReplicaSourceDBInstanceIdentifier*) echo "arn:aws:rds:$(echo {us-east-1,us-west-2,eu-west-1,eu-central-1,ap-south-1,ap-southeast-1,ap-southeast-3} | tr ' ' :):1:db:value" ;; *job.jobID*) echo drsjob-0123456789abcdef0 ;; *ParameterValue*) echo 1 ;; *) echo value-0123456789abcdef ;; esac
}
# What jq would make of an answer, as far as a command wants to have it.
jq() {
  case "$*" in
  *ResourceRecordSet*) echo '{"Changes":[{"Action":"DELETE","ResourceRecordSet":{"Name":"x","Type":"A"}}]}' ;;
  *DistributionConfig*) echo '{"CallerReference":"x","Comment":"","Enabled":true,"Origins":{"Quantity":0,"Items":[]},"DefaultCacheBehavior":{"TargetOriginId":"x","ViewerProtocolPolicy":"https-only"}}' ;;
  *LastModificationDate*) echo '{"Name":"x","ScheduleExpression":"rate(1 day)","FlexibleTimeWindow":{"Mode":"OFF"},"Target":{"Arn":"x","RoleArn":"x"}}' ;;
  *) echo '{}' ;;
  esac
}
for program in gh curl dig kubectl psql mysql sleep seq; do eval "$program() { echo 1; }"; done
"""
SCRIPT = """#!/usr/bin/env bash
case "$1" in list | all | join) ;; check | rollback | output) shift; jq -e --arg s "$1" 'any(.stacks[]; .name == $s)' "$PLAN" >/dev/null || echo "deploy.sh: no stack $1" >>"$WRONG" ;;
*) jq -e --arg s "$1" 'any(.stacks[]; .name == $s)' "$PLAN" >/dev/null || echo "deploy.sh: no stack $1" >>"$WRONG" ;; esac
"""


def run(text, plan):
    """What a shell asks of `aws` when it runs a text, and what it complains about."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "deploy.sh").write_text(SCRIPT)
        environment = dict(os.environ, CALLS=str(place / "calls"), PLAN=str(plan), WRONG=str(place / "wrong"), USER="somebody")
        shell = subprocess.run(["bash", "-u"], input=STAND_INS + text, text=True, cwd=folder, env=environment, capture_output=True)
        calls = place / "calls"
        lines = calls.read_bytes().split(b"\0\n") if calls.exists() else []
        complaint = shell.stderr.strip()
        if (place / "wrong").exists():
            complaint += (place / "wrong").read_text()
        # What a shell hands over in a file of its own is gone with the shell.
        words = [[re.sub(r"^file:///dev/fd/\d+$", "handed-over", word.decode()) for word in line.split(b"\0")] for line in lines if line]
        return words, complaint


# What nobody can find out by a command, and so has no command in a page.
EMPTY = re.compile(r"^[A-Z0-9_]+=$|^[A-Z0-9_]+= +#")
PLACEHOLDER = re.compile(r"(?<![\w$\"'{=./\[-])(?:ARN|ID|NAME|ENGINE|CLASS|ZONE|ROLE|CLUSTER|SNAPSHOT|GROUP|VALUE)(?![\w=}\"'])")


def told(path, plan, text):
    """What a stack is told is a parameter that it has."""
    for stack, sets in re.findall(r"deploy\.sh ([\w-]+)([^`\n]*)", text):
        master = plan.parent / stack / "master.yaml"
        known = set(re.findall(r"^  (\w+):$", master.read_text().split("\nResources:")[0], re.M)) if master.exists() else set()
        for name in re.findall(r"--set (\w+)=", sets):
            if name not in known:
                wrong.append(f"{path}: the stack {stack} has no parameter {name}")


def page(path, plan):
    text = path.read_text()
    blocks = re.findall(r"^( *)```bash\n(.*?)^ *```$", text, re.M | re.S)
    lines = [line.removeprefix(indent) for indent, block in blocks for line in block.splitlines()]
    lines += re.findall(r"`(bash deploy\.sh [^`]*)`", text)
    told(path, plan, text)
    for line in lines:
        if EMPTY.match(line):
            wrong.append(f"{path}: `{line}` says no command that gives it")
        elif not line.lstrip().startswith("#") and PLACEHOLDER.search(line):
            wrong.append(f"{path}: `{line}` is not exact: {PLACEHOLDER.search(line).group()}")
    calls, complaint = run("\n".join(lines), plan)
    if complaint:
        wrong.append(f"{path}: the shell says: {complaint}")
    for arguments in calls:
        says = command(arguments)
        if says:
            wrong.append(f"{path}: aws {' '.join(arguments)}: {says}")


# --- automations

session = botocore.session.get_session()
services = {}
KEYS = {
    "name", "action", "description", "inputs", "timeoutSeconds", "onFailure", "onCancel", "maxAttempts", "isEnd", "isCritical",
    "nextStep", "outputs",
}
ACTIONS = {"aws:approve", "aws:pause", "aws:executeAwsApi", "aws:executeScript", "aws:waitForAwsResourceProperty", "aws:sleep", "aws:branch"}


def operation(service, name):
    if service not in services:
        services[service] = session.get_service_model(service)
    model = services[service]
    for known in model.operation_names:
        if known == name or botocore.xform_name(known) == name:
            return model.operation_model(known)
    raise KeyError(f"{service} has no {name}")


def plain(value, shape):
    """A value with what is filled in when it runs made one of the type that is wanted."""
    if isinstance(value, str) and "{{" in value:
        kind = shape.type_name
        return {"integer": 1, "long": 1, "boolean": True, "list": [], "structure": {}}.get(kind, "value-filled-in-later")
    if isinstance(value, dict) and shape.type_name == "structure":
        return {key: plain(inner, shape.members[key]) if key in shape.members else inner for key, inner in value.items()}
    if isinstance(value, list) and shape.type_name == "list":
        return [plain(inner, shape.member) for inner in value]
    return value


def called(where, service, name, parameters):
    try:
        model = operation(service, name)
    except (KeyError, botocore.exceptions.UnknownServiceError) as error:
        wrong.append(f"{where}: {error}")
        return None
    for key in parameters:
        if model.input_shape is None or key not in model.input_shape.members:
            wrong.append(f"{where}: {service} {name} takes no {key}")
            return model
    report = ParamValidator().validate(plain(parameters, model.input_shape), model.input_shape)
    if report.has_errors():
        wrong.append(f"{where}: {report.generate_report()}")
    return model


def selected(where, selector, shape):
    for name, index in re.findall(r"\.([A-Za-z0-9]+)((?:\[[^\]]*\])?)", selector):
        if name not in getattr(shape, "members", {}):
            return wrong.append(f"{where}: {selector}: there is no {name}")
        shape = shape.members[name]
        if index:
            shape = shape.member


def automation(path):
    document = yaml.safe_load(path.read_text())
    if document.get("schemaVersion") != "0.3":
        wrong.append(f"{path}: schemaVersion")
    given = set(document.get("parameters", {}))
    steps = document["mainSteps"]
    names = [step["name"] for step in steps]
    if len(set(names)) != len(names):
        wrong.append(f"{path}: two steps have one name")
    if steps[0]["action"] != "aws:approve":
        wrong.append(f"{path}: it begins without an approval")
    for step in steps:
        where = f"{path}: {step['name']}"
        if not re.fullmatch(r"[a-zA-Z0-9_]{3,128}", step["name"]):
            wrong.append(f"{where}: no name of a step")
        if step["action"] not in ACTIONS or set(step) - KEYS:
            wrong.append(f"{where}: {step['action']} {set(step) - KEYS}")
        failure = step.get("onFailure", "Abort")
        if failure not in ("Abort", "Continue") and failure.removeprefix("step:") not in names:
            wrong.append(f"{where}: onFailure {failure}")
        used = set(re.findall(r"{{ *([\w:.]+) *}}", json.dumps(step)))
        for name in used:
            if name not in given and not name.startswith("global:") and name.split(".")[0] not in names:
                wrong.append(f"{where}: nothing gives {name}")
        judge_inputs(where, step, step.get("inputs", {}))
    for name in given - set(re.findall(r"{{ *([\w:]+)", path.read_text())):
        wrong.append(f"{path}: the parameter {name} is not used")


def judge_inputs(where, step, inputs):
    action = step["action"]
    if action == "aws:approve":
        if set(inputs) - {"Approvers", "MinRequiredApprovals", "Message", "NotificationArn"} or not inputs["Approvers"]:
            wrong.append(f"{where}: {inputs}")
    elif action == "aws:executeAwsApi":
        rest = {key: value for key, value in inputs.items() if key not in ("Service", "Api")}
        called(where, inputs["Service"], inputs["Api"], rest)
    elif action == "aws:waitForAwsResourceProperty":
        fixed = ("Service", "Api", "PropertySelector", "DesiredValues")
        model = called(where, inputs["Service"], inputs["Api"], {key: value for key, value in inputs.items() if key not in fixed})
        if model is not None:
            selected(where, inputs["PropertySelector"], model.output_shape)
    elif action == "aws:executeScript":
        compile(inputs["Script"], where, "exec")
        if not 0 < step["timeoutSeconds"] <= 600:
            wrong.append(f"{where}: a script may take 600 seconds")
        payload = inputs["InputPayload"]
        if "service" in payload:
            called(where, payload["service"], payload["call"], payload["inputs"])


# --- what else is said to people


def values(path, plan):
    for value in json.loads(path.read_text()):
        how = value.get("found by", "")
        if not re.match(r"aws [a-z0-9-]+ [a-z]", how):
            continue
        if PLACEHOLDER.search(how):
            wrong.append(f"{path}: {value['ParameterKey']}: {how} is not exact")
        calls, complaint = run(how, plan)
        if complaint:
            wrong.append(f"{path}: {value['ParameterKey']}: {how}: {complaint}")
        for arguments in calls:
            says = command(arguments)
            if says:
                wrong.append(f"{path}: {value['ParameterKey']}: {how}: {says}")


for folder in sorted(Path(sys.argv[1]).iterdir()):
    plan = folder / "cloudformation/deployment.json"
    for path in sorted(folder.glob("runbooks/*.md")):
        page(path, plan)
    for path in sorted(folder.glob("runbooks/*.ssm.yaml")):
        automation(path)
    for path in sorted(folder.glob("cloudformation/parameters/*.own.json")):
        values(path, plan)
for line in sorted(set(wrong)):
    print(line)
sys.exit(1 if wrong else 0)
