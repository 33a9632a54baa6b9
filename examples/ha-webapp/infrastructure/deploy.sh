#!/usr/bin/env bash
# Written by `antipode render`: change the spec, not this file.
#
# Deploys the stacks beside it, by hand or from the workflow: both do what is written here. Each stack is deployed with
# calls that its own region answers, so that a region can be deployed while another one is down.
#
# usage: deploy.sh STACK [--version V] [--set NAME=VALUE]... [--no-check]
#                                         one stack: us-east-1, global, edge, ...
#        deploy.sh all --serving REGION [--first]
#                                         all of them, in the order that the spec says
#        deploy.sh join                   what joins the regions, once they stand: `all` does it by itself
#        deploy.sh check STACK [--for SECONDS]
#                                         whether the stack is ready for users
#        deploy.sh rollback STACK         the version before
#        deploy.sh waves --serving REGION [--first] [--only STACK]
#                                         what is deployed after what, as the workflow reads it
#        deploy.sh output STACK NAME      what a stack hands on
#        deploy.sh list                   the stacks, and where they are
#
# --serving is the region that serves now, whatever the spec prefers: the spec's order is about roles. --first is for a
# workload that is not there yet. --set changes what recoveries change (the source of a replica, a generation); no other
# deployment touches it. AWS_EXECUTION_ROLE names a role that CloudFormation uses in place of yours.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
templates=${ANTIPODE_TEMPLATES:-$here/cloudformation}
plan=$templates/deployment.json
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

say() { printf '%s\n' "$*" >&2; }
die() { # message, hint
  printf 'error: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}
for tool in aws jq; do
  command -v "$tool" >/dev/null || die "$tool is not installed" "deploy from AWS CloudShell, which has it"
done
[ -r "$plan" ] || die "there is no $plan" "render again"

workload=$(jq -r .workload "$plan")

# What the plan says of stack $1; $2 is a filter of jq.
of() { jq -r --arg name "$1" ".stacks[] | select(.name == \$name) | $2" "$plan"; }
known() {
  [ -n "$(of "$1" .name)" ] || die "there is no stack $1" "the stacks are $(jq -r '[.stacks[].name] | join(", ")' "$plan")"
}

# For what a region is asked that may be down: a few seconds, and not five times.
soon=(--cli-connect-timeout 5 --cli-read-timeout 10)
# One output of a stack that may be anywhere; empty when it has none, or does not answer. What did not answer is not asked
# for the next.
output() { # stack, name
  local value
  [ ! -e "$scratch/silent-$1" ] || return 0
  if value=$(AWS_MAX_ATTEMPTS=2 aws cloudformation describe-stacks --stack-name "$(of "$1" .stack)" --region "$(of "$1" .region)" \
    "${soon[@]}" --query "Stacks[0].Outputs[?OutputKey=='$2'].OutputValue | [0]" --output text 2>/dev/null); then
    [ "$value" = None ] || printf '%s\n' "$value"
  else
    : >"$scratch/silent-$1"
  fi
}
status() { # stack
  aws cloudformation describe-stacks --stack-name "$(of "$1" .stack)" --region "$(of "$1" .region)" \
    --query 'Stacks[0].StackStatus' --output text 2>/dev/null || true
}

# The bucket of a region, which has the templates of every version deployed there.
bucket() { # stack
  local account
  account=$(aws sts get-caller-identity --region "$(of "$1" .region)" --query Account --output text)
  printf '%s-%s-%s' "$(jq -r .bucket "$plan")" "$account" "$(of "$1" .region)"
}

# The commit when everything is committed; else a digest of what is deployed.
version_here() {
  local files
  if [ -n "${GITHUB_SHA:-}" ]; then
    printf '%s' "$GITHUB_SHA"
  elif git -C "$templates" rev-parse HEAD >/dev/null 2>&1 && [ -z "$(git -C "$templates" status --porcelain .)" ]; then
    git -C "$templates" rev-parse HEAD
  else
    files=$(cd "$templates" && find . -type f | LC_ALL=C sort | xargs cat | sha256sum)
    printf 'files-%.16s' "$files"
  fi
}

# Writes the parameters of stack $1 to $2: the spec's, the team's own, what other stacks hand on, and "$3" on top (JSON).
# What recoveries change is not among them, and so stays as it is.
parameters() {
  local name=$1 into=$2 set=$3 own=$templates/parameters/$1.own.json asked open values key from what value
  rm -f "$scratch"/silent-*
  jq '[.[] | {ParameterKey, ParameterValue}]' "$templates/parameters/$name.json" >"$into"
  if [ -e "$own" ]; then
    # What was asked for once and is no more may stay in it, empty.
    asked=$(of "$name" '[.asked[].parameter]')
    open=$(jq -r --argjson set "$set" --argjson asked "$asked" '.[] | .ParameterKey as $key
      | select(.ParameterValue == "" and $set[$key] == null and ($asked | index($key)) != null)
      | "  \(.ParameterKey): \(.about // "")\n    found by: \(.["found by"] // "")"' "$own")
    [ -z "$open" ] || die "$own has values that nobody has filled in:
$open" "fill them in, and commit the file: it is yours, and is not rendered again"
    values=$(jq -s '.[0] + [.[1][] | select(.ParameterValue != "") | {ParameterKey, ParameterValue}]' "$into" "$own")
    printf '%s' "$values" >"$into"
  elif [ "$(of "$name" '.asked | length')" != 0 ]; then
    die "there is no $own" "render again; it asks for: $(of "$name" '[.asked[].parameter] | join(", ")')"
  fi
  while IFS=$'\t' read -r key from what; do
    value=$(output "$from" "$what")
    if [ -n "$value" ]; then
      values=$(jq --arg key "$key" --arg value "$value" '. + [{ParameterKey: $key, ParameterValue: $value}]' "$into")
      printf '%s' "$values" >"$into"
    elif [ -n "$(status "$name")" ]; then
      say "$from does not say its $what: $key of $name stays as it is"
    else
      die "$name needs $what of $from, which is not there or does not answer" "deploy $from first"
    fi
  done < <(of "$name" '.given[] | [.parameter, .stack, .output] | @tsv')
  values=$(jq --argjson set "$set" \
    '[.[] | select($set[.ParameterKey] == null)] + [$set | to_entries[] | {ParameterKey: .key, ParameterValue: .value}]' "$into")
  printf '%s' "$values" >"$into"
}

# What joins a component's regions can only be made when it stands in each, and so by a second deployment: the parameters
# of stack $1 for which that is so now, as JSON of what is set. None when a region does not answer.
joins() {
  local name=$1 each theirs keys
  keys=$(of "$name" '[.state[] | select(test("OtherRegions[0-9]*$"))]')
  [ "$(jq length <<<"${keys:-[]}")" != 0 ] || { printf '{}'; return; }
  for each in $(jq -r '.stacks[] | select(.kind == "region") | .name' "$plan"); do
    theirs=$(AWS_MAX_ATTEMPTS=2 aws cloudformation describe-stacks --stack-name "$(of "$each" .stack)" --region "$(of "$each" .region)" \
      "${soon[@]}" --query 'Stacks[0].Parameters' --output json 2>/dev/null) || { printf '{}'; return; }
    keys=$(jq --argjson theirs "${theirs:-null}" --argjson planned "$(of "$each" .state)" --argjson own "$([ "$each" = "$name" ] && echo true || echo false)" '
      [.[] as $key | ($theirs // [] | map(select(.ParameterKey == $key)) | first) as $known
       | select(if $own then $known.ParameterValue == "awaited" else $known != null or ($planned | index($key)) == null end) | $key]' <<<"$keys")
  done
  jq 'map({(.): "stand"}) | add // {}' <<<"$keys"
}

# What only the first deployment of stack $1 is told (how many tasks or nodes to begin with), emptied, as JSON of what is
# set: how many there are since is decided while they run. A stack of before there was such a parameter, which knows the
# fewest of that component, has begun too.
begun() {
  local name=$1 keys now
  keys=$(of "$name" '[.state[] | select(test("AtFirst[0-9]*$"))]')
  [ "$(jq length <<<"${keys:-[]}")" != 0 ] || { printf '{}'; return; }
  now=$(aws cloudformation describe-stacks --stack-name "$(of "$name" .stack)" --region "$(of "$name" .region)" \
    --query 'Stacks[0].Parameters' --output json 2>/dev/null) || { printf '{}'; return; }
  jq --argjson now "${now:-null}" \
    '($now // [] | map({(.ParameterKey): .ParameterValue}) | add // {}) as $now
     | [.[] as $key | select(if $now | has($key) then $now[$key] != "" else $now | has(($key | rtrimstr("AtFirst")) + "Minimum") end)
        | {($key): ""}] | add // {}' <<<"$keys"
}

# What an image is, whatever it is called; empty where it is not, or nobody answers soon.
digest() { # stack, component, version
  local repository
  repository=$(of "$1" ".images[] | select(.component == \"$2\") | .repository")
  [ -n "$repository" ] || return 0
  aws ecr describe-images --region "$(of "$1" .region)" --repository-name "$repository" --image-ids "imageTag=$3" \
    "${soon[@]}" --query 'imageDetails[0].imageDigest' --output text 2>/dev/null | sed 's/^None$//' || true
}
# Refuses an image that is not what the other regions have under the same name, and prints what it is.
same() { # stack
  local name=$1 artifact component own each theirs found='{}'
  artifact=$(jq -r '.artifact // ""' "$plan")
  [ -n "$artifact" ] || { printf '{}'; return; }
  for component in $(of "$name" '.images[].component'); do
    own=$(digest "$name" "$component" "$artifact")
    if [ -z "$own" ]; then
      say "no image of $component is called $artifact in the registry of $name: push it, or wait until it is copied"
      continue
    fi
    for each in $(jq -r --arg name "$name" '.stacks[] | select(.kind == "region" and .name != $name) | .name' "$plan"); do
      theirs=$(digest "$each" "$component" "$artifact")
      [ -z "$theirs" ] || [ "$theirs" = "$own" ] || die "$artifact of $component is $own in $name, and $theirs in $each" \
        "push the same image to both: a version is built once"
    done
    found=$(jq --arg component "$component" --arg digest "$own" '. + {($component): $digest}' <<<"$found")
  done
  printf '%s' "$found"
}

# Which version a function says that it is, and what its code is; empty where it is not, or nobody answers soon.
code() { # stack, component
  local function
  function=$(of "$1" ".functions[]? | select(.component == \"$2\") | .function")
  [ -n "$function" ] || return 0
  aws lambda get-function-configuration --region "$(of "$1" .region)" --function-name "$function" --cli-connect-timeout 5 \
    --cli-read-timeout 10 --query '[Description,CodeSha256]' --output text 2>/dev/null || true
}
# Refuses code that is not what the other regions have of the same version. What an archive is, is known when the region
# has it: so before users come, and not before it is deployed.
same_code() { # stack
  local name=$1 component own each theirs
  for component in $(of "$name" '.functions[]?.component'); do
    own=$(code "$name" "$component")
    [ -n "$own" ] || continue
    for each in $(jq -r --arg name "$name" '.stacks[] | select(.kind == "region" and .name != $name) | .name' "$plan"); do
      theirs=$(code "$each" "$component")
      [ -z "$theirs" ] || [ "${theirs%%$'\t'*}" != "${own%%$'\t'*}" ] || [ "$theirs" = "$own" ] ||
        die "${own%%$'\t'*} of $component is ${own##*$'\t'} in $name, and ${theirs##*$'\t'} in $each" \
          "deploy.sh rollback $name; then put the same archive into the bucket of each region under another version: one is built once"
    done
  done
}

deploy() { # stack, version, JSON of what is set
  local name=$1 version=$2 set=$3 region stack bucket now before args images
  known "$name"
  images=$(same "$name")
  set=$(jq --argjson begun "$(begun "$name")" --argjson set "$set" '. + $begun + $set' <<<"$(joins "$name")")
  region=$(of "$name" .region)
  stack=$(of "$name" .stack)
  bucket=$(bucket "$name")
  now=$(status "$name")
  case $now in
    ROLLBACK_COMPLETE | ROLLBACK_FAILED)
      die "$stack was never made: it is $now" "delete it, and deploy again: aws cloudformation delete-stack --stack-name $stack --region $region" ;;
    UPDATE_ROLLBACK_FAILED)
      die "$stack could not go back: it is $now" "aws cloudformation describe-stack-events --stack-name $stack --region $region says why; then aws cloudformation continue-update-rollback --stack-name $stack --region $region, and deploy again" ;;
    REVIEW_IN_PROGRESS)
      # A deployment that was broken off before it began: nothing has been made, and the next one takes its place.
      say "$stack was begun and never made" ;;
    *_IN_PROGRESS)
      die "$stack is $now" "a deployment that was broken off goes on in AWS: wait until it is done, or aws cloudformation cancel-update-stack --stack-name $stack --region $region" ;;
  esac
  say "$name: $stack in $region, version $version"
  # Once for a region is enough.
  if [ ! -e "$scratch/bucket-$region" ]; then
    args=(--template-file "$templates/templates.yaml" --stack-name "$workload-templates" --region "$region"
      --parameter-overrides "Bucket=$bucket" --no-fail-on-empty-changeset)
    [ -z "${AWS_EXECUTION_ROLE:-}" ] || args+=(--role-arn "$AWS_EXECUTION_ROLE")
    aws cloudformation deploy "${args[@]}" >&2
    touch "$scratch/bucket-$region"
  fi
  aws s3 cp --recursive --only-show-errors --region "$region" --exclude '*' --include '*.yaml' --include '*.json' \
    "$templates" "s3://$bucket/$version" >&2
  if [ "$(of "$name" .nested)" = true ]; then
    set=$(jq --arg bucket "$bucket" --arg prefix "$version" '. + {TemplateBucket: $bucket, TemplatePrefix: $prefix}' <<<"$set")
  fi
  parameters "$name" "$scratch/parameters.json" "$set"
  args=(--template-file "$templates/$name/master.yaml" --stack-name "$stack" --region "$region"
    --s3-bucket "$bucket" --s3-prefix "$version/masters" --no-fail-on-empty-changeset
    --capabilities CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND)
  # The form that version 1 of the AWS CLI takes too.
  jq 'map("\(.ParameterKey)=\(.ParameterValue)")' "$scratch/parameters.json" >"$scratch/overrides.json"
  [ "$(jq length "$scratch/overrides.json")" = 0 ] || args+=(--parameter-overrides "file://$scratch/overrides.json")
  [ -z "${AWS_EXECUTION_ROLE:-}" ] || args+=(--role-arn "$AWS_EXECUTION_ROLE")
  aws cloudformation deploy "${args[@]}" >&2
  before=$(aws s3 cp --region "$region" "s3://$bucket/deployed/$name/version" - 2>/dev/null || true)
  if [ -n "$before" ] && [ "$before" != "$version" ]; then
    printf '%s' "$before" | aws s3 cp --only-show-errors --region "$region" - "s3://$bucket/deployed/$name/before" >&2
  fi
  printf '%s' "$version" | aws s3 cp --only-show-errors --region "$region" - "s3://$bucket/deployed/$name/version" >&2
  # Evidence: what was deployed when, by whom, in place of what.
  jq -n --arg version "$version" --arg before "$before" --arg artifact "$(jq -r '.artifact // ""' "$plan")" \
    --arg by "$(aws sts get-caller-identity --region "$region" --query Arn --output text)" --arg at "$(date -u +%FT%TZ)" \
    --argjson images "$images" '{version: $version, before: $before, artifact: $artifact, images: $images, by: $by, at: $at}' |
    aws s3 cp --only-show-errors --region "$region" - "s3://$bucket/deployed/$name/$(date -u +%Y%m%dT%H%M%SZ).json" >&2
}

# The ARNs of what this workload has in region $1, of type $2 of load balancing, of component $3 when it is named.
tagged() {
  local filters=("Key=antipode:workload,Values=$(jq -r .tag "$plan")") found
  [ $# -lt 3 ] || filters+=("Key=antipode:component,Values=$3")
  found=$(aws resourcegroupstaggingapi get-resources --region "$1" --resource-type-filters "elasticloadbalancing:$2" \
    --tag-filters "${filters[@]}" --query 'ResourceTagMappingList[].ResourceARN' --output text)
  printf '%s' "${found/None/}"
}

# Prints what keeps stack $1 from taking users; nothing when it is ready.
unready() {
  local name=$1 region now alarms each arn bad host path
  region=$(of "$name" .region)
  now=$(status "$name")
  case $now in
    CREATE_COMPLETE | UPDATE_COMPLETE | UPDATE_ROLLBACK_COMPLETE | IMPORT_COMPLETE) ;;
    *) printf 'the stack is %s\n' "${now:-not there}" ;;
  esac
  # Whether the region fails its users, and whether what was just deployed does. An alarm that only wants somebody to look (a
  # certificate, a cost, another region that does not answer), or that the region could not take over, keeps nobody from
  # mending this one.
  alarms=$(aws cloudwatch describe-alarms --region "$region" --state-value ALARM --alarm-name-prefix "$workload-" \
    --alarm-types CompositeAlarm MetricAlarm --query "[CompositeAlarms[?contains(AlarmName, '-impaired')].AlarmName,
      MetricAlarms[?contains(AlarmName, '-new-version-fails')].AlarmName][]" --output text)
  for each in ${alarms/None/}; do printf 'the alarm %s is raised\n' "$each"; done
  if [ "$(of "$name" .ready.targets)" = true ]; then
    for arn in $(tagged "$region" targetgroup); do
      bad=$(aws elbv2 describe-target-health --target-group-arn "$arn" --region "$region" \
        --query "length(TargetHealthDescriptions[?TargetHealth.State!='healthy' && TargetHealth.State!='draining'])" --output text)
      [ "$bad" = 0 ] || printf '%s targets of %s are not healthy\n' "$bad" "$arn"
    done
  fi
  while IFS=$'\t' read -r each host path; do
    for arn in $(tagged "$region" loadbalancer "$each"); do
      each=$(aws elbv2 describe-load-balancers --load-balancer-arns "$arn" --region "$region" \
        --query 'LoadBalancers[0].DNSName' --output text)
      curl --silent --show-error --fail --output /dev/null --max-time 10 --connect-to "$host:443:$each:443" \
        "https://$host$path" 2>&1 | sed "s|^|https://$host$path by $each: |" || true
    done
  done < <(of "$name" '.ready.urls[] | [.component, .host, .path] | @tsv')
}

join() { # version, JSON of what is set
  local each
  for each in $(jq -r '.stacks[] | select(.kind == "region") | .name' "$plan"); do
    [ "$(joins "$each")" = '{}' ] || deploy "$each" "$1" "$2"
  done
}

check() { # stack, seconds for which it has to be ready
  local name=$1 lasting=$2 until since="" found
  known "$name"
  same_code "$name"
  # Instances that have just started need a while: as long as a load balancer takes to see them, and some.
  until=$((SECONDS + ${ANTIPODE_PATIENCE:-600} + lasting))
  while :; do
    found=$(unready "$name")
    if [ -z "$found" ]; then
      since=${since:-$SECONDS}
      if [ $((SECONDS - since)) -ge "$lasting" ]; then
        say "$name is ready"
        return
      fi
    elif [ -n "$since" ] || [ "$SECONDS" -ge "$until" ]; then
      die "$name is not ready:
$found" "deploy.sh rollback $name brings the version before"
    fi
    sleep "${ANTIPODE_PAUSE:-10}"
  done
}

rollback() { # stack
  local name=$1 bucket before
  known "$name"
  bucket=$(bucket "$name")
  before=$(aws s3 cp --region "$(of "$name" .region)" "s3://$bucket/deployed/$name/before" - 2>/dev/null || true)
  [ -n "$before" ] || die "no version of $name is known before this one" "deploy an older commit: deploy.sh $name"
  mkdir -p "$scratch/before"
  aws s3 cp --recursive --only-show-errors --region "$(of "$name" .region)" "s3://$bucket/$before" "$scratch/before" >&2
  say "$name goes back to $before"
  ANTIPODE_TEMPLATES=$scratch/before bash "${BASH_SOURCE[0]}" "$name" --version "$before" --no-check
}

# The stacks in the order in which they are deployed, as lists of JSON: those before the regions, the regions that go
# first, the others, and those after the regions.
waves() { # serving region, whether it is the first time, one stack only
  jq -c --arg serving "$1" --arg first "$2" --arg only "$3" '
    def target: {stack: .name, region: .region, account: .account, role: .role, execution: .execution, bake: .bake};
    .order as $order
    | [.stacks[] | select($only == "" or .name == $only)] as $stacks
    | [$stacks[] | select(.kind == "region")] as $regions
    | (if $first == "true" then [[$regions[] | select(.after | length == 0)], [$regions[] | select(.after | length != 0)]]
       elif $only != "" or $order == "together" or $order == "none" then [$regions, []]
       elif $order == "primary-first" then [[$regions[] | select(.name == $serving)], [$regions[] | select(.name != $serving)]]
       else [[$regions[] | select(.name != $serving)], [$regions[] | select(.name == $serving)]] end) as $split
    | {before: [$stacks[] | select(.kind == "before") | target], first: [$split[0][] | target],
       then: [$split[1][] | target],
       joined: [$regions[] | select(.state | any(test("OtherRegions[0-9]*$"))) | target], after: [$stacks[] | select(.kind == "after") | target]}' "$plan"
}
ordered() { # serving region, first time, one stack only
  if [ -z "$1" ] && [ "$2" != true ] && [ -z "$3" ] && [ "$(jq '[.stacks[] | select(.kind == "region")] | length' "$plan")" -gt 1 ]; then
    case $(jq -r .order "$plan") in
      together | none) ;;
      *) die "which region serves now is not said" "--serving REGION, or the variable SERVING_REGION of the repository" ;;
    esac
  fi
  [ -z "$1" ] || [ "$(of "$1" .kind)" = region ] || die "$1 is no region of this workload" \
    "the regions are $(jq -r '[.stacks[] | select(.kind == "region") | .name] | join(", ")' "$plan")"
  [ -z "$3" ] || known "$3"
  waves "$1" "$2" "$3"
}

command=${1:-}
[ -n "$command" ] || { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2; }
shift
stack="" name="" serving=${SERVING_REGION:-} first=false only="" version="" lasting="" set='{}' checked=true
case $command in
  check | rollback | output) stack=${1:-}; shift || true; [ -n "$stack" ] || die "which stack?" "deploy.sh list" ;;
esac
[ "$command" != output ] || { name=${1:-}; shift || true; }
while [ $# -gt 0 ]; do
  case $1 in
    --serving) serving=${2:-}; shift ;;
    --only) only=${2:-}; shift; [ "$only" != all ] || only="" ;;
    --version) version=${2:-}; shift ;;
    --for) lasting=${2:-}; shift ;;
    --set)
      [[ ${2:-} == *=* ]] || die "--set wants NAME=VALUE"
      set=$(jq --arg key "${2%%=*}" --arg value "${2#*=}" '. + {($key): $value}' <<<"$set"); shift ;;
    --first) first=true ;;
    --no-check) checked=false ;;
    *) die "there is no option $1" "deploy.sh without arguments says what there is" ;;
  esac
  shift
done

case $command in
  list) jq -r '.stacks[] | [.name, .region, .stack] | @tsv' "$plan" ;;
  output) known "$stack"; output "$stack" "$name" ;;
  check) check "$stack" "${lasting:-0}" ;;
  rollback) rollback "$stack" ;;
  waves) ordered "$serving" "$first" "$only" | jq -r 'to_entries[] | "\(.key)=\(.value | tojson)"' ;;
  all)
    version=${version:-$(version_here)}
    targets=$(ordered "$serving" "$first" "$only" | jq -r '(.before, .first, .then, .after)[].stack')
    for each in $targets; do
      deploy "$each" "$version" "$set"
      [ "$checked" = false ] || check "$each" "${lasting:-$(of "$each" .bake)}"
    done
    join "$version" "$set" ;;
  join) join "${version:-$(version_here)}" "$set" ;;
  *)
    deploy "$command" "${version:-$(version_here)}" "$set"
    [ "$checked" = false ] || check "$command" "${lasting:-0}" ;;
esac
