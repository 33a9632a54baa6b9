"""Renders examples, deploys them with their own deploy.sh into an emulator of AWS, and reads back what stands there;
then swaps the roles of the regions and deploys again.

usage: emulate.py ANTIPODE ROOT SCRATCH [--pin] [EXAMPLE...]

Exit status 1 when what is found differs from what the templates say and expected.json does not say so, and also when
expected.json says so and it does not differ: then the emulator has changed, and the pin is to be looked at. Likewise when
the second deployment takes away, makes anew or changes what stands.
"""
import concurrent.futures
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import boto3
import read

here = pathlib.Path(__file__).parent
# What the emulator changes by itself from one look to the next. moto keeps one configuration for the keys of all regions.
moving = {"LatestRestorableTime", "SizeInBytes", "MultiRegionConfiguration"}
examples = ["xyz-webserver", "storefront", "regulated-cases", "ha-webapp"]


def serve(changes, log):
    """The emulator, which ends when this program does: its standard input is ours."""
    changes.touch()
    server = subprocess.Popen(
        [sys.executable, here / "serve.py", changes], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
    )
    port = server.stdout.readline().strip()
    if not port:
        sys.exit("error: the emulator does not start\nhint: its log is beside the rendered files")
    return server, f"http://localhost:{port}"


def render(antipode, root, name, into, edit=lambda spec: spec):
    spec = (root / "examples" / name / "antipode.yaml").read_text()
    into.mkdir(parents=True, exist_ok=True)
    (into / "antipode.yaml").write_text(edit(spec.replace("manage: adopt", "manage: render")))
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


def deploy(out, serving, version, first, environment, log):
    """All stacks; no check: targets of the emulator are never healthy."""
    command = ["bash", "deploy.sh", "all", "--serving", serving, "--no-check", "--version", version]
    command += ["--first"] if first else []
    return subprocess.run(command, cwd=out, env=environment, stdout=log, stderr=log, timeout=900).returncode


def swapped(spec, serving, other):
    """The spec after a role change that people have written down too."""
    without = re.sub(r"preferred: true, *", "", spec)
    said = re.sub(rf"^(  {other}: *\{{ *)", r"\1preferred: true, ", without, count=1, flags=re.MULTILINE)
    assert without != spec and said != without, f"{serving} and {other} cannot be swapped in the spec"
    return said


def still(found):
    if not isinstance(found, dict):
        return found
    return {name: value for name, value in found.items() if name not in moving}


def difference(was, now):
    """Of one resource that is not there as it was: what the most similar one says otherwise."""
    if not isinstance(was, dict):
        return f"{was} is gone"
    likes = [{key for key in was if was[key] != each.get(key)} for each in now]
    least = min(likes, key=len, default=set(was))
    return f"{json.dumps(was, default=str)[:120]}… differs in {', '.join(sorted(least))}"


def moved(root, changes, before, after):
    """What a deployment took away or made anew, in words; and what it changed in its place."""
    only_made = json.loads((root / "crates/render/data/regions.json").read_text())["create_only"]
    lost, changed = [], []
    for change in changes:
        named = f"{change['type']} {change['name']} of {change['stack']}"
        anew = [name for name in change["properties"] if name in only_made.get(change["type"], [])]
        if change["what"] == "removed" or anew:
            lost.append(f"{named} {change['what']} {' '.join(anew)}".strip())
        elif change["what"] == "changed" and change["type"] != "AWS::CloudFormation::Stack":
            changed.append(f"{named}: {', '.join(change['properties'])}")
    for (kind, region), found in before.items():
        now = [still(each) for each in after.get((kind, region)) or []]
        lost += [f"{kind} in {region}: {difference(each, now)}" for each in map(still, found or []) if each not in now]
    return lost, changed


def one(name, antipode, root, scratch):
    """The rows of one example, and whether its script came to its end, both times."""
    out = render(antipode, root, name, scratch / name)
    plan = json.loads((out / "cloudformation" / "deployment.json").read_text())
    regions = [stack["name"] for stack in plan["stacks"] if stack["kind"] == "region"]
    changes = scratch / f"{name}.changes"
    with open(scratch / f"{name}.emulator.log", "w") as quiet, open(scratch / f"{name}.deploy.log", "w") as log:
        server, endpoint = serve(changes, quiet)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
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
            ended = [deploy(out, regions[0], "one", True, environment, log)]
            after = read.everything(plan, client)
            rows, unread = read.compare(out / "cloudformation", plan, before, after, client)
            lost, changed = [], []
            if ended == [0]:
                # The roles are swapped, in the spec and in truth, and everything is deployed again.
                begun = len(changes.read_text().splitlines())
                render(antipode, root, name, scratch / name, lambda spec: swapped(spec, *regions[:2]))
                ended.append(deploy(out, regions[1], "two", False, environment, log))
                done = [json.loads(line) for line in changes.read_text().splitlines()[begun:]]
                lost, changed = moved(root, done, after, read.everything(plan, client))
            return rows, ended, unread, lost, changed
        finally:
            server.stdin.close()
            server.wait()


def judge(name, found, pins, pin):
    """Prints the table of one example; how many of its lines are not what is expected."""
    rows, ended, unread, lost, changed = found
    expected = pins.setdefault(name, {"differs": {}})
    wrong = 0
    print(f"\n{name}: deploy.sh ended with status {ended[0]}")
    if ended[0] != 0:
        wrong += 1
        print(f"  NOT EXPECTED: {name}.deploy.log says why")
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
        pins[name] = {"differs": differs}
        wrong = 0 if ended[0] == 0 else 1
    kinds = [count for (kind, _), count in rows.items() if " ." not in kind]
    print(
        f"  {sum(a for a, _ in kinds)} resources rendered, {sum(b for _, b in kinds)} found by re-reading;"
        f" {len(rows) - len(kinds)} lines of properties; {len(differs)} lines differ"
    )
    print(f"  not re-read: {', '.join(f'{count} {kind}' for kind, count in sorted(unread.items()))}")
    if ended[0] == 0:
        print(f"  deployed again with the roles swapped: status {ended[1]}, {len(lost)} taken away or made anew, {len(changed)} changed")
        print("".join(f"    NOT EXPECTED: {line}\n" for line in lost + changed), end="")
        wrong += len(lost) + len(changed) + (ended[1] != 0)
    return wrong


def written(pins):
    """One line for each difference."""
    text = json.dumps(pins, indent=2)
    return re.sub(r"\[\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2]", text) + "\n"


def main():
    antipode, root, scratch, *names = sys.argv[1:]
    pin = "--pin" in names
    names = [name for name in names if name != "--pin"] or examples
    unknown = [name for name in names if not (pathlib.Path(root) / "examples" / name / "antipode.yaml").exists()]
    if unknown:
        os.rmdir(scratch)
        sys.exit(f"error: there is no example `{unknown[0]}`\nhint: those that deploy are {', '.join(examples)}")
    path = here / "expected.json"
    pins = json.loads(path.read_text()) if path.exists() else {"why": {}}
    os.environ["AWS_MAX_ATTEMPTS"] = "1"  # What the emulator does not know, it does not know the second time either.
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as together:
        found = {name: together.submit(one, name, antipode, pathlib.Path(root), pathlib.Path(scratch)) for name in names}
        for name, each in found.items():
            wrong += judge(name, each.result(), pins, pin)
    if pin:
        path.write_text(written(pins))
    if wrong:
        sys.exit(f"\nerror: {wrong} lines are not what is expected\nhint: files and logs are in {scratch}")
    shutil.rmtree(scratch)
    print("\nall of it is what is expected")


if __name__ == "__main__":
    main()
