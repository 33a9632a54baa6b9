//! What a component may do with the data, the queues and the keys that it needs: in its own region, by its own role, and
//! nothing else.

use model::Part;
use model::design::Site;

use crate::cat;
use crate::services::compute::lambda;
use crate::services::data::{dynamodb, s3};
use crate::services::guard::{kms, secrets};
use crate::services::messaging::{eventbridge, kinesis, msk, sns, sqs};
use crate::services::operate::step_functions;
use crate::services::{is_at, role};
use crate::sheet::Sheet;
use crate::value::{ACCOUNT, PARTITION, REGION, Value};

/// Statements of the policy of a component's role.
pub fn needed(sheet: &mut Sheet<'_>, part: &Part, site: &Site) -> Vec<Value> {
    let mut may = secrets::readable(sheet, part, site);
    let needs: Vec<&Part> =
        part.needs.iter().filter_map(|id| sheet.part(id)).filter(|need| is_at(need, site)).collect();
    let mut keys: Vec<Value> = Vec::new();
    for need in needs {
        may.extend(to_use(sheet, need, site));
        keys.extend(key(sheet, need, site).filter(|key| !keys.contains(key)));
    }
    if !keys.is_empty() {
        may.push(role::allow(&["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"], keys));
    }
    may
}

fn to_use(sheet: &Sheet<'_>, need: &Part, site: &Site) -> Vec<Value> {
    let here = |service: &str, resource: Value| {
        cat!["arn:", PARTITION, ":", service, ":", REGION, ":", ACCOUNT, ":", resource]
    };
    match need.kind.name.as_str() {
        "aws.dynamodb" | "aws.dynamodb-global" => {
            let table = here("dynamodb", cat!["table/", dynamodb::table(sheet, need, site)]);
            let actions = [
                "dynamodb:BatchGetItem",
                "dynamodb:BatchWriteItem",
                "dynamodb:ConditionCheckItem",
                "dynamodb:DeleteItem",
                "dynamodb:DescribeTable",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:Scan",
                "dynamodb:UpdateItem",
            ];
            vec![role::allow(&actions, vec![table.clone(), cat![table, "/index/*"]])]
        }
        "aws.s3" => {
            let bucket = s3::arn(sheet, need, site);
            let objects = [
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
            ];
            vec![
                role::allow(&["s3:GetBucketLocation", "s3:ListBucket"], vec![bucket.clone()]),
                role::allow(&objects, vec![cat![bucket, "/*"]]),
            ]
        }
        "aws.sqs" => {
            let actions = [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ];
            vec![role::allow(&actions, vec![here("sqs", sqs::name(sheet, need, site).into())])]
        }
        "aws.sns" => vec![role::allow(&["sns:Publish"], vec![here("sns", sns::name(sheet, need, site).into())])],
        "aws.kinesis" => {
            let actions = [
                "kinesis:DescribeStreamSummary",
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                "kinesis:ListShards",
                "kinesis:PutRecord",
                "kinesis:PutRecords",
            ];
            vec![role::allow(&actions, vec![here("kinesis", cat!["stream/", kinesis::name(sheet, need, site)])])]
        }
        "aws.msk" => brokers(&|what: &str| here("kafka", cat![what, "/", msk::name(sheet, need, site), "/*"])),
        "aws.eventbridge" => vec![role::allow(&["events:PutEvents"], vec![eventbridge::arn(sheet, need, site)])],
        "aws.lambda" => vec![role::allow(&["lambda:InvokeFunction"], vec![lambda::arn(sheet, need, site)])],
        "aws.step-functions" => {
            vec![role::allow(&["states:StartExecution"], vec![step_functions::arn(sheet, need, site)])]
        }
        _ => Vec::new(),
    }
}

/// What a producer and a consumer ask for, of the cluster, its topics and its groups, each of which has a number of AWS in its
/// ARN (MSK Developer Guide, "Common use cases for client authorization policy").
fn brokers(of: &dyn Fn(&str) -> Value) -> Vec<Value> {
    let cluster = [
        "kafka:DescribeClusterV2",
        "kafka:GetBootstrapBrokers",
        "kafka-cluster:Connect",
        "kafka-cluster:DescribeCluster",
        "kafka-cluster:WriteDataIdempotently",
    ];
    let topics = [
        "kafka-cluster:CreateTopic",
        "kafka-cluster:DescribeTopic",
        "kafka-cluster:ReadData",
        "kafka-cluster:WriteData",
    ];
    let groups = ["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"];
    vec![
        role::allow(&cluster, vec![of("cluster")]),
        role::allow(&topics, vec![of("topic")]),
        role::allow(&groups, vec![of("group")]),
    ]
}

/// The key of ours that what it needs is encrypted with, or that it needs itself. Services' own keys need no word.
fn key(sheet: &mut Sheet<'_>, need: &Part, site: &Site) -> Option<Value> {
    match need.kind.name.as_str() {
        "aws.kms" => Some(kms::arn(sheet, need, site)),
        "aws.dynamodb" | "aws.s3" if sheet.renders(need) => Some(kms::key(sheet, need, site)),
        "aws.dynamodb-global" | "aws.sqs" | "aws.sns" | "aws.kinesis" => {
            kms::named(sheet, need, site).map(|key| kms::arn(sheet, key, site))
        }
        _ => None,
    }
}
