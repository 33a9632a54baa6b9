//! Where alarms go: a topic in each region, encrypted with a key that CloudWatch may use, which AWS's own key for topics
//! does not let it (CloudWatch User Guide, "Set up Amazon SNS notifications": a customer managed key is needed).

use crate::resource::{Condition, Resource};
use crate::root::{Group, Root};
use crate::sheet::Sheet;
use crate::value::{ACCOUNT, PARTITION, Value};
use crate::{cat, list, map};

const TOPIC: &str = "AlarmTopic";

/// The topic of a stack, written when it is first named.
pub fn of(sheet: &mut Sheet<'_>, root: &Root) -> Value {
    if !sheet.has(root, TOPIC) {
        write(sheet, root);
    }
    sheet.target(root, TOPIC).get()
}

/// The services that tell people something.
const SENDERS: [&str; 2] = ["cloudwatch.amazonaws.com", "events.amazonaws.com"];

fn write(sheet: &mut Sheet<'_>, root: &Root) {
    let asked = sheet.asked_by("workload");
    let services: Vec<Value> = SENDERS.iter().map(|service| Value::from(*service)).collect();
    let ours = map! { "StringEquals" => map! { "aws:SourceAccount" => ACCOUNT } };
    let owner = map! {
        "Sid" => "Owner", "Effect" => "Allow", "Principal" => map! { "AWS" => cat!["arn:", PARTITION, ":iam::", ACCOUNT, ":root"] },
        "Action" => "kms:*", "Resource" => "*",
    };
    let senders = map! {
        "Sid" => "Senders", "Effect" => "Allow", "Principal" => map! { "Service" => services.clone() },
        "Action" => list!["kms:Decrypt", "kms:GenerateDataKey*"], "Resource" => "*", "Condition" => ours.clone(),
    };
    let key = map! {
        "Description" => format!("Encrypts the alarms of {}", sheet.design.workload),
        "EnableKeyRotation" => true,
        "KeyPolicy" => map! { "Version" => "2012-10-17", "Statement" => list![owner, senders] },
        "Tags" => sheet.tags(None),
    };
    let key = sheet.add(root, Resource::new(Group::Observability, "AWS::KMS::Key", "AlarmKey", asked.clone(), key));
    let topic = map! { "DisplayName" => format!("{} alarms", sheet.design.workload), "KmsMasterKeyId" => key.get(), "Tags" => sheet.tags(None) };
    let topic = sheet.add(root, Resource::new(Group::Observability, "AWS::SNS::Topic", TOPIC, asked.clone(), topic));
    let publish = map! {
        "Effect" => "Allow", "Principal" => map! { "Service" => services }, "Action" => "sns:Publish",
        "Resource" => topic.get(), "Condition" => ours,
    };
    let policy = map! {
        "Topics" => list![topic.get()],
        "PolicyDocument" => map! { "Version" => "2012-10-17", "Statement" => list![publish] },
    };
    let policy =
        Resource::new(Group::Observability, "AWS::SNS::TopicPolicy", "AlarmTopicPolicy", asked.clone(), policy);
    sheet.add(root, policy);
    let about =
        "Where the alarms of this region are sent: an https address of whoever calls people. Empty: nobody is called.";
    let address = sheet.ask(root, "AlarmAddress", about, "the address that the service for on-call people gives");
    let subscription = map! { "TopicArn" => topic.get(), "Protocol" => "https", "Endpoint" => address.clone() };
    let subscription =
        Resource::new(Group::Observability, "AWS::SNS::Subscription", "AlarmSubscription", asked, subscription)
            .only_if(Condition::given("SomebodyIsCalled", address));
    sheet.add(root, subscription);
}
