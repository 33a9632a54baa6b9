//! What the workload costs: more than its budget, or unlike what it did. Both are told by services of no region, and so to
//! the topic of the global stack. After a failover an anomaly is expected (seed 003 section 15.3); without one that is watched
//! nobody could tell.
//!
//! Costs are told apart by a tag, which somebody activates once for bills (AWS Billing User Guide, "Activating user-defined
//! cost allocation tags").

use model::ComponentId;

use super::topic;
use crate::resource::Resource;
use crate::root::{Group, Root};
use crate::sheet::Sheet;
use crate::value::Value;
use crate::{Note, list, map};

const TAG: &str = "antipode:workload";
const BUDGET: &str = "objectives.budget";
/// Percent of the budget: spent, or expected of the whole month.
const TOLD: [(&str, u32); 3] = [("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)];

pub fn render(sheet: &mut Sheet<'_>) {
    let Some(budget) = sheet.design.objectives.budget else { return };
    let amount = budget.cents().0.normalize();
    let topic = topic::of(sheet, &Root::Global);
    let asked = sheet.asked_by(BUDGET);
    let add = |sheet: &mut Sheet<'_>, kind, id: &str, properties| {
        sheet.add(&Root::Global, Resource::new(Group::Observability, kind, id, asked.clone(), properties))
    };
    let workload = sheet.design.workload.clone();
    let tags = Value::List(vec![map! { "Key" => TAG, "Value" => workload.as_str() }.into()]);
    let notifications = TOLD.map(|(of, percent)| {
        let when = map! {
            "NotificationType" => of, "ComparisonOperator" => "GREATER_THAN", "Threshold" => percent,
            "ThresholdType" => "PERCENTAGE",
        };
        let who = map! { "SubscriptionType" => "SNS", "Address" => topic.clone() };
        Value::from(map! { "Notification" => when, "Subscribers" => list![who] })
    });
    // It has no name of ours: another one is made in its place when what it tells changes.
    let limit = map! { "Amount" => amount.to_string(), "Unit" => "USD" };
    let costs = map! { "TagKeyValue" => list![format!("user:{TAG}${workload}")] };
    let budget =
        map! { "BudgetType" => "COST", "TimeUnit" => "MONTHLY", "BudgetLimit" => limit, "CostFilters" => costs };
    let budget = map! {
        "Budget" => budget, "NotificationsWithSubscribers" => notifications.to_vec(), "ResourceTags" => tags.clone(),
    };
    add(sheet, "AWS::Budgets::Budget", "Budget", budget);
    let ours = serde_json::json!({ "Tags": { "Key": TAG, "Values": [workload], "MatchOptions": ["EQUALS"] } });
    // One that looks at all services is the account's, which has one only (Cost Management User Guide, "Quotas").
    let monitor = map! {
        "MonitorName" => sheet.named(["costs"], 100), "MonitorType" => "CUSTOM", "MonitorSpecification" => ours.to_string(),
        "ResourceTags" => tags.clone(),
    };
    let monitor = add(sheet, "AWS::CE::AnomalyMonitor", "CostMonitor", monitor);
    // An anomaly is told from a tenth of the budget on, in whole dollars: one more digit after the point.
    let mut much = amount;
    let _ = much.set_scale(amount.scale() + 1);
    let much = serde_json::json!({ "Dimensions": {
        "Key": "ANOMALY_TOTAL_IMPACT_ABSOLUTE", "MatchOptions": ["GREATER_THAN_OR_EQUAL"], "Values": [much.ceil().to_string()],
    } });
    let subscription = map! {
        "SubscriptionName" => sheet.named(["costs"], 100), "Frequency" => "IMMEDIATE", "MonitorArnList" => list![monitor.get()],
        "Subscribers" => list![map! { "Type" => "SNS", "Address" => topic }], "ThresholdExpression" => much.to_string(),
        "ResourceTags" => tags,
    };
    add(sheet, "AWS::CE::AnomalySubscription", "CostAnomalies", subscription);
    let instead = format!(
        "once, with the account that pays: aws ce update-cost-allocation-tags-status --cost-allocation-tags-status TagKey={TAG},Status=Active"
    );
    let says = "its budget and its anomalies are seen when bills know the workload by its tag".to_owned();
    sheet.notes.push(Note { component: ComponentId::new(BUDGET), says, instead });
}
