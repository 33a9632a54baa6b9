//! What things are called: by the stacks that made them, else by the spec, else whoever runs it has to say.

use model::Part;
use model::design::Site;

use crate::delivery;
use crate::names;
use crate::resource::Target;
use crate::root::Root;
use crate::runbook::commands;
use crate::services::datasync;
use crate::sheet::{Sheet, Stack, regional};
use crate::value::Value;

/// A name that the commands of a runbook use.
#[derive(Clone, PartialEq, Debug)]
pub struct Named {
    /// `DB_TO`, as the shell has it.
    pub variable: String,
    /// `DbTo`, as an automation has it.
    pub parameter: String,
    pub about: String,
    pub from: From,
}

#[derive(Clone, PartialEq, Debug)]
pub enum From {
    Known(String),
    /// A resource of the stack of that region, said by an output of the same name.
    Made {
        target: Target,
        output: String,
        stack: String,
        region: String,
    },
    /// A parameter of the stack of that region, which recoveries change.
    State {
        root: Root,
        parameter: String,
        stack: String,
        region: String,
    },
    /// By this command, in the way of the AWS CLI.
    Asked(String),
    /// Likewise; asked beforehand, because only this region answers it.
    Kept {
        command: String,
        region: String,
    },
}

/// A template has 200 outputs at most, and others hand on some too.
const MOST_OUTPUTS: usize = 100;

fn said(sheet: &Sheet<'_>, target: &Target) -> usize {
    sheet.stacks.get(&target.root).map_or(0, |stack| stack.outputs.len())
}

/// The type of the resource that stands for a component.
fn main_type(kind: &str) -> &'static [&'static str] {
    match kind {
        "aws.asg" => &["AWS::AutoScaling::AutoScalingGroup"],
        "aws.ec2" => &["AWS::AutoScaling::AutoScalingGroup", "AWS::EC2::Instance"],
        "aws.ecs" | "aws.fargate" => &["AWS::ECS::Service"],
        "aws.rds" => &["AWS::RDS::DBInstance"],
        "aws.aurora" | "aws.aurora-global" => &["AWS::RDS::DBCluster"],
        "aws.efs" => &["AWS::EFS::FileSystem"],
        "aws.elasticache" => &["AWS::ElastiCache::ReplicationGroup"],
        "aws.lambda" => &["AWS::Lambda::Function"],
        "aws.secrets-manager" => &["AWS::SecretsManager::Secret"],
        "aws.step-functions" => &["AWS::StepFunctions::StateMachine"],
        "aws.alb" | "aws.nlb" => &["AWS::ElasticLoadBalancingV2::LoadBalancer"],
        _ => &[],
    }
}

/// What makes a component in a region, where we render it.
pub fn made(sheet: &Sheet<'_>, part: &Part, site: &Site) -> Option<Target> {
    let root = regional(site);
    let asked = format!("components.{}", part.id);
    let stack = sheet.stacks.get(&root)?;
    let of = |kind: &&str| stack.asked_by(&asked).find(|resource| resource.kind == *kind);
    let found = main_type(&part.kind.name).iter().find_map(of)?;
    Some(Target { root, id: found.id.clone() })
}

/// The resource of a component in a region.
pub fn of(sheet: &mut Sheet<'_>, part: &Part, site: &Site, known_by: &str) -> Named {
    let region = crate::sheet::aws_region(site).to_owned();
    let words = [part.id.as_str(), site.id.as_str()];
    let about = format!("{} in {region}", part.id);
    let from = match (made(sheet, part, site), crate::services::physical(part, site)) {
        (Some(target), _) if said(sheet, &target) < MOST_OUTPUTS => said_by_stack(sheet, part, target, region),
        (_, Some(name)) => From::Known(name),
        (_, None) => From::Asked(known_by.replace("{region}", &region).replace("{id}", part.id.as_str())),
    };
    named(words, about, from)
}

fn said_by_stack(sheet: &mut Sheet<'_>, part: &Part, target: Target, region: String) -> From {
    let (output, stack) = (target.id.to_string(), delivery::stack_name(sheet, &target.root));
    let says = format!("What runbooks call {} in this region", part.id);
    let known = |stack: &Stack| stack.outputs.iter().any(|(name, ..)| *name == output);
    if !sheet.stacks.get(&target.root).is_some_and(known) {
        sheet.output(&target.root, output.clone(), says, target.get());
    }
    From::Made { target, output, stack, region }
}

/// The same of the region that is left, asked beforehand: only that region's stack says it.
pub fn left(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Option<Named> {
    let From::Made { output, stack, region, .. } = of(sheet, part, site, "").from else { return None };
    let how = output_of(&stack, &region, &output);
    Some(kept(&[part.id.to_string(), site.id.to_string()], &format!("{} in {region}", part.id), &how, &region))
}

/// What a stack puts out under a name.
pub fn output_of(stack: &str, region: &str, name: &str) -> String {
    described(stack, region, &format!("Outputs[?OutputKey=='{name}'].OutputValue"))
}

/// What a parameter of a stack is now.
pub fn parameter_of(stack: &str, region: &str, name: &str) -> String {
    described(stack, region, &format!("Parameters[?ParameterKey=='{name}'].ParameterValue"))
}

fn described(stack: &str, region: &str, what: &str) -> String {
    format!(
        "aws cloudformation describe-stacks --stack-name {stack} --region {region} \\\n  --query \"Stacks[0].{what}\" --output text"
    )
}

/// What a parameter of a region's stack says.
pub fn state(sheet: &Sheet<'_>, words: &[String], about: &str, site: &Site, parameter: String) -> Named {
    let root = regional(site);
    let (stack, region) = (delivery::stack_name(sheet, &root), crate::sheet::aws_region(site).to_owned());
    named(texts(words), about.to_owned(), From::State { root, parameter, stack, region })
}

/// The task in `site` that fetches what `other` has.
pub fn task(sheet: &mut Sheet<'_>, part: &Part, site: &Site, other: &Site) -> Named {
    let region = crate::sheet::aws_region(site).to_owned();
    let root = regional(site);
    let target = Target { id: datasync::task_id(part, other).into(), root };
    let from = match sheet.has(&target.root, &target.id) && said(sheet, &target) < MOST_OUTPUTS {
        true => said_by_stack(sheet, part, target, region),
        false => From::Asked(format!(
            "aws datasync list-tasks --region {region} --query \"Tasks[?contains(Name,'{}')].TaskArn | [0]\" --output text",
            part.id
        )),
    };
    let about = format!("the task in {} that fetches what {} has", site.id, other.id);
    named([part.id.as_str(), "task", site.id.as_str()], about, from)
}

/// Something else that a command finds.
pub fn found(words: &[String], about: &str, command: &str) -> Named {
    named(texts(words), about.to_owned(), From::Asked(command.to_owned()))
}

/// What is to be asked before it is needed: only that region answers.
pub fn kept(words: &[String], about: &str, command: &str, region: &str) -> Named {
    named(texts(words), about.to_owned(), From::Kept { command: command.to_owned(), region: region.to_owned() })
}

pub fn known(words: &[String], about: &str, value: String) -> Named {
    named(texts(words), about.to_owned(), From::Known(value))
}

fn texts(words: &[String]) -> impl Iterator<Item = &str> + Clone {
    words.iter().map(String::as_str)
}

/// The account that everything is in.
pub fn account(sheet: &Sheet<'_>, region: &str) -> Named {
    let words = ["account".to_owned()];
    match sheet.design.aws.as_ref().and_then(|aws| aws.account.clone()) {
        Some(known) => self::known(&words, "the account", known),
        None => {
            let how = format!("aws sts get-caller-identity --region {region} --query Account --output text");
            found(&words, "the account", &how)
        }
    }
}

/// A load balancer, and the option of the AWS CLI that names it.
pub fn balancer(sheet: &mut Sheet<'_>, part: &Part, site: &Site, found_by: &str) -> (Option<Named>, String) {
    let name = of(sheet, part, site, found_by);
    let by = if matches!(name.from, From::Known(_)) { "--names" } else { "--load-balancer-arns" };
    let option = format!("{by} {}", name.shell());
    (Some(name), option)
}

/// As the shell has it.
pub fn variable<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let upper = |word: &str| {
        word.chars()
            .map(|c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect::<String>()
    };
    let variable = words.into_iter().map(upper).collect::<Vec<_>>().join("_");
    // A name of the shell begins with a letter.
    if variable.starts_with(|c: char| c.is_ascii_digit()) { format!("N_{variable}") } else { variable }
}

fn named<'a>(words: impl IntoIterator<Item = &'a str> + Clone, about: String, from: From) -> Named {
    Named { variable: variable(words.clone()), parameter: names::logical(words), about, from }
}

impl Named {
    /// In a command.
    pub fn shell(&self) -> String {
        format!("\"${}\"", self.variable)
    }
    /// In an automation.
    pub fn automated(&self) -> Value {
        format!("{{{{ {} }}}}", self.parameter).into()
    }
    /// The line of the shell that sets it.
    pub fn line(&self) -> String {
        match &self.from {
            From::Known(value) => format!("{}={}", self.variable, quoted(value)),
            From::Made { output, stack, region, .. } => {
                format!("{}=$({})", self.variable, output_of(stack, region, output))
            }
            From::State { parameter, stack, region, .. } => {
                format!("{}=$({})", self.variable, parameter_of(stack, region, parameter))
            }
            From::Asked(command) => format!("{}=$({command})", self.variable),
            From::Kept { command, region } => {
                format!(
                    "# {}: keep the answer here beforehand, only {region} gives it.\n{}=$({command} {})",
                    self.about,
                    self.variable,
                    commands::SOON
                )
            }
        }
    }
}

/// As one word of the shell.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
