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

fn write(sheet: &mut Sheet<'_>, root: &Root) {
    let asked = sheet.asked_by("workload");
    let owner = map! {
        "Sid" => "Owner", "Effect" => "Allow", "Principal" => map! { "AWS" => cat!["arn:", PARTITION, ":iam::", ACCOUNT, ":root"] },
        "Action" => "kms:*", "Resource" => "*",
    };
    let uses = senders(sheet, root, &["kms:Decrypt", "kms:GenerateDataKey*"], &"*".into());
    let key = map! {
        "Description" => format!("Encrypts the alarms of {}", sheet.design.workload),
        "EnableKeyRotation" => true,
        "KeyPolicy" => map! { "Version" => "2012-10-17", "Statement" => [vec![owner.into()], uses].concat() },
        "Tags" => sheet.tags(None),
    };
    let key = sheet.add(root, Resource::new(Group::Observability, "AWS::KMS::Key", "AlarmKey", asked.clone(), key));
    let topic = map! { "DisplayName" => format!("{} alarms", sheet.design.workload), "KmsMasterKeyId" => key.get(), "Tags" => sheet.tags(None) };
    let topic = sheet.add(root, Resource::new(Group::Observability, "AWS::SNS::Topic", TOPIC, asked.clone(), topic));
    let policy = map! {
        "Topics" => list![topic.get()],
        "PolicyDocument" => map! { "Version" => "2012-10-17", "Statement" => senders(sheet, root, &["sns:Publish"], &topic.get()) },
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

/// What alarms and rules may do. Rules cannot be held to this account: EventBridge does not say it when it calls
/// (EventBridge User Guide, "Using resource-based policies": no conditions in policies of topics).
fn senders(sheet: &Sheet<'_>, root: &Root, actions: &[&str], resource: &Value) -> Vec<Value> {
    let actions: Vec<Value> = actions.iter().map(|action| Value::from(*action)).collect();
    let by = |sid: &str, service: &str| {
        let who = map! { "Service" => service };
        map! { "Sid" => sid, "Effect" => "Allow", "Principal" => who, "Action" => actions.clone(), "Resource" => resource.clone() }
    };
    let ours = map! { "StringEquals" => map! { "aws:SourceAccount" => ACCOUNT } };
    let alarms = by("Alarms", "cloudwatch.amazonaws.com").with("Condition", ours.clone());
    let mut senders = vec![alarms.into(), by("Rules", "events.amazonaws.com").into()];
    if *root == Root::Global && sheet.design.objectives.budget.is_some() {
        // What costs is told for the account (Cost Management User Guide, "Creating an Amazon SNS topic for …").
        senders.push(by("Budgets", "budgets.amazonaws.com").with("Condition", ours.clone()).into());
        senders.push(by("Anomalies", "costalerts.amazonaws.com").with("Condition", ours).into());
    }
    senders
}
