"""Renders examples, deploys them with their own deploy.sh into an emulator of AWS, and reads back what stands there.

usage: emulate.py ANTIPODE ROOT SCRATCH [--pin] [EXAMPLE...]

Exit status 1 when what is found differs from what the templates say and expected.json does not say so, and also when
expected.json says so and it does not differ: then the emulator has changed, and the pin is to be looked at.
"""
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import boto3
import read

here = pathlib.Path(__file__).parent
workings = ["xyz-webserver"]


def serve(log):
    """The emulator, which ends when this program does: its standard input is ours."""
    server = subprocess.Popen(
        [sys.executable, here / "serve.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
    )
    port = server.stdout.readline().strip()
    if not port:
        sys.exit("error: the emulator does not start\nhint: its log is beside the rendered files")
    return server, f"http://localhost:{port}"


def render(antipode, root, name, into):
    spec = (root / "examples" / name / "antipode.yaml").read_text()
    into.mkdir(parents=True, exist_ok=True)
    (into / "antipode.yaml").write_text(spec.replace("manage: adopt", "manage: render"))
    made = subprocess.run([antipode, "render", "antipode.yaml", "--out", "out"], cwd=into, capture_output=True, text=True)
    if made.returncode != 0:
        sys.exit(f"error: {name} does not render\n{made.stderr}")
    return into / "out"


def value(client, region, key, plan):
    """What a team would fill in: made here first, where it is a resource."""
    if key == "CertificateArn":
        return client("acm", region).request_certificate(DomainName="www.example.com")["CertificateArn"]
    if key.endswith("HostedZone"):
        zones = client("route53", region)
        known = zones.list_hosted_zones()["HostedZones"]
        zone = known[0] if known else zones.create_hosted_zone(Name="example.com", CallerReference="once")["HostedZone"]
        return zone["Id"].removeprefix("/hostedzone/")
    if key == "ArtifactBucket":
        name = f"artifacts-{region}"
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        client("s3", region).create_bucket(Bucket=name, **where)
        return name
    return {"AlarmAddress": "https://example.com/called", "Repository": "example/example"}.get(key, "said")


def fill(out, plan, client):
    """The values that only a team knows, and the images that parameters of Systems Manager name."""
    cloudformation = out / "cloudformation"
    for stack in plan["stacks"]:
        for kind in (".own.json", ".json"):
            path = cloudformation / "parameters" / (stack["name"] + kind)
            if not path.exists():
                continue
            said = json.loads(path.read_text())
            for each in said:
                if each["ParameterValue"] == "":
                    each["ParameterValue"] = value(client, stack["region"], each["ParameterKey"], plan)
                if each["ParameterValue"].startswith("/"):
                    try:
                        client("ssm", stack["region"]).put_parameter(
                            Name=each["ParameterValue"], Type="String", Value="ami-03cf127a", Overwrite=True
                        )
                    except client("ssm", stack["region"]).exceptions.ClientError:
                        pass
            if kind == ".own.json":
                path.write_text(json.dumps(said, indent=2))
    for stack in plan["stacks"]:
        artifacts(cloudformation, stack, plan, client)


def artifacts(cloudformation, stack, plan, client):
    """The code of functions, wherever a template of this region says that it is."""
    s3 = client("s3", stack["region"])
    bucket = f"artifacts-{stack['region']}"
    if bucket not in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
        return
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): pass\n")
    for template in read.templates(cloudformation, stack["name"]):
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                key = resource["Properties"]["Code"].get("S3Key", {})
                key = key.get("Fn::Sub", "") if isinstance(key, dict) else key
                for version in ("said", plan.get("artifact") or "said"):
                    s3.put_object(Bucket=bucket, Key=key.replace("${Artifact}", version), Body=packed.getvalue())


def deploy(out, plan, environment, log):
    """All stacks, as for a workload that is not there yet; no check: targets of the emulator are never healthy."""
    regions = [stack["name"] for stack in plan["stacks"] if stack["kind"] == "region"]
    command = ["bash", "deploy.sh", "all", "--serving", regions[0], "--first", "--no-check", "--version", "one"]
    return subprocess.run(command, cwd=out, env=environment, stdout=log, stderr=log, timeout=280).returncode


def one(name, antipode, root, scratch):
    """The rows of one example, and whether its script came to its end."""
    out = render(antipode, root, name, scratch / name)
    plan = json.loads((out / "cloudformation" / "deployment.json").read_text())
    with open(scratch / f"{name}.emulator.log", "w") as quiet, open(scratch / f"{name}.deploy.log", "w") as log:
        server, endpoint = serve(quiet)
        environment = os.environ | {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }
        clients = {}

        def client(service, region):
            if (service, region) not in clients:
                clients[service, region] = boto3.client(
                    service, region_name=region, endpoint_url=endpoint, aws_access_key_id="x", aws_secret_access_key="x"
                )
            return clients[service, region]

        try:
            fill(out, plan, client)
            before = read.everything(plan, client)
            ended = deploy(out, plan, environment, log)
            after = read.everything(plan, client)
            rows, unread = read.compare(out / "cloudformation", plan, before, after, client)
            return rows, ended, unread
        finally:
            server.stdin.close()
            server.wait()


def judge(name, rows, ended, unread, pins, pin):
    """Prints the table of one example; how many of its lines are not what is expected."""
    expected = pins.setdefault(name, {"ends": 0, "differs": {}})
    wrong = 0
    print(f"\n{name}: deploy.sh ended with status {ended}")
    if ended != expected["ends"]:
        wrong += 1
        print(f"  EXPECTED status {expected['ends']}: {name}.deploy.log says why")
    print(f"  {'resource type':<46} {'region':<15} {'rendered':>8} {'re-read':>8}")
    differs = {}
    for (kind, region), (rendered, found) in sorted(rows.items()):
        key = f"{kind} in {region}"
        known = expected["differs"].get(key)
        word = ""
        if found != rendered:
            differs[key] = [rendered, found]
        if pin:
            known = [rendered, found] if found != rendered else None
        if known is None and found != rendered:
            word, wrong = "NOT EXPECTED", wrong + 1
        elif known is not None and known != [rendered, found]:
            word, wrong = f"EXPECTED {known[0]} and {known[1]}", wrong + 1
        elif known is not None:
            word = pins["why"].get(kind, "known")
        print(f"  {kind:<46} {region:<15} {rendered:>8} {found:>8}  {word}")
    gone = [key for key in expected["differs"] if key not in {f"{kind} in {region}" for kind, region in rows}]
    for key in gone:
        wrong += 0 if pin else 1
        print(f"  {key}: expected to differ, and is not rendered any more")
    if pin:
        pins[name] = {"ends": ended, "differs": differs}
        wrong = 0
    kinds = [count for (kind, _), count in rows.items() if " ." not in kind]
    print(
        f"  {sum(a for a, _ in kinds)} resources rendered, {sum(b for _, b in kinds)} found by re-reading;"
        f" {len(rows) - len(kinds)} lines of properties; {len(differs)} lines differ"
    )
    print(f"  not re-read: {', '.join(f'{count} {kind}' for kind, count in sorted(unread.items()))}")
    return wrong


def written(pins):
    """One line for each difference."""
    text = json.dumps(pins, indent=2)
    return re.sub(r"\[\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2]", text) + "\n"


def main():
    antipode, root, scratch, *names = sys.argv[1:]
    pin = "--pin" in names
    names = [name for name in names if name != "--pin"] or workings
    path = here / "expected.json"
    pins = json.loads(path.read_text()) if path.exists() else {"why": {}}
    os.environ["AWS_MAX_ATTEMPTS"] = "1"  # What the emulator does not know, it does not know the second time either.
    wrong = 0
    for name in names:
        rows, ended, unread = one(name, antipode, pathlib.Path(root), pathlib.Path(scratch))
        wrong += judge(name, rows, ended, unread, pins, pin)
    if pin:
        path.write_text(written(pins))
    print(f"\n{wrong} lines are not what is expected; files and logs are in {scratch}")
    sys.exit(1 if wrong else 0)


main()
