//! One alarm: what it looks at, what is too much, and what it means when nothing is seen.

use model::Part;
use model::design::Site;

use super::{Tells, detection::Detection, topic};
use crate::resource::{Asked, Resource, Target};
use crate::root::{Group, Root};
use crate::sheet::Sheet;
use crate::value::{Map, Value};
use crate::{list, map, names};

/// A metric of CloudWatch.
#[derive(Clone, Debug)]
pub struct Metric {
    pub namespace: &'static str,
    pub name: &'static str,
    pub dimensions: Vec<(&'static str, Value)>,
    /// `Sum`, `Maximum`, `p99`.
    pub statistic: &'static str,
}

impl Metric {
    pub fn new(
        namespace: &'static str,
        name: &'static str,
        statistic: &'static str,
        dimensions: Vec<(&'static str, Value)>,
    ) -> Metric {
        Metric { namespace, name, dimensions, statistic }
    }
    fn dimensions(&self) -> Value {
        let each = self.dimensions.iter().map(|(name, value)| map! { "Name" => *name, "Value" => value.clone() });
        Value::List(each.map(Value::Map).collect())
    }
    fn query(&self, id: &str, period: u64) -> Value {
        let metric =
            map! { "Namespace" => self.namespace, "MetricName" => self.name, "Dimensions" => self.dimensions() };
        let stat = map! { "Metric" => metric, "Period" => period, "Stat" => self.statistic };
        map! { "Id" => id, "MetricStat" => stat, "ReturnData" => false }.into()
    }
}

pub enum Look {
    One(Metric),
    /// A formula over metrics, each with its name in it.
    Formula(Vec<(&'static str, Metric)>, String),
    /// A question over metrics of which not all dimensions are known here (CloudWatch Metrics Insights).
    Question(Value),
    /// Outside of what was usual for the metric, in so many standard deviations.
    Unusual(Metric, u8),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    Above,
    Below,
}

/// What no value means.
#[derive(Clone, PartialEq)]
pub enum Missing {
    /// Nothing happened.
    Fine,
    /// What should report does not.
    Bad,
    /// It cannot be known from here.
    Unknown,
    /// It depends on what the region is now.
    Depends(Value),
}

impl Missing {
    fn word(self) -> Value {
        match self {
            Self::Fine => "notBreaching".into(),
            Self::Bad => "breaching".into(),
            Self::Unknown => "missing".into(),
            Self::Depends(value) => value,
        }
    }
}

pub struct Alarm {
    pub id: String,
    pub name: String,
    pub says: String,
    pub look: Look,
    pub bad: Bad,
    pub threshold: Value,
    pub missing: Missing,
    pub detection: Detection,
    pub tells: Tells,
    tags: Value,
    asked: Asked,
}

impl Alarm {
    /// `what` tells the alarms of a component apart. Above zero is bad, and no value is fine, until it is said otherwise.
    pub fn new(
        sheet: &Sheet<'_>,
        part: &Part,
        site: Option<&Site>,
        what: &str,
        detection: Detection,
        look: Look,
    ) -> Alarm {
        let place = site.map_or("global", |site| site.id.as_str());
        let id = names::logical([part.id.as_str(), what, "alarm"]);
        let name = sheet.named([place, part.id.as_str(), what], 120);
        Alarm::called((id, name), (sheet.tags(Some(part)), sheet.asked(part)), detection, look)
    }
    /// One of no component.
    pub fn of_workload(sheet: &Sheet<'_>, site: &Site, what: &str, detection: Detection, look: Look) -> Alarm {
        let (id, name) = (names::logical([what, "alarm"]), sheet.named([site.id.as_str(), what], 120));
        let asked = sheet.asked_by(&format!("sites.{}", site.id));
        Alarm::called((id, name), (sheet.tags(None), asked), detection, look)
    }
    fn called((id, name): (String, String), (tags, asked): (Value, Asked), detection: Detection, look: Look) -> Alarm {
        let (says, threshold) = (String::new(), 0.into());
        let (bad, missing, tells) = (Bad::Above, Missing::Fine, Tells::Only);
        Alarm { id, name, says, look, bad, threshold, missing, detection, tells, tags, asked }
    }
    pub fn above(mut self, threshold: impl Into<Value>) -> Alarm {
        (self.bad, self.threshold) = (Bad::Above, threshold.into());
        self
    }
    pub fn below(mut self, threshold: impl Into<Value>) -> Alarm {
        (self.bad, self.threshold) = (Bad::Below, threshold.into());
        self
    }
    pub fn missing(mut self, missing: Missing) -> Alarm {
        self.missing = missing;
        self
    }
    pub fn tells(mut self, tells: Tells, says: impl Into<String>) -> Alarm {
        (self.tells, self.says) = (tells, says.into());
        self
    }

    pub fn write(self, sheet: &mut Sheet<'_>, root: &Root) -> Target {
        let unknown = self.missing == Missing::Unknown;
        let unusual = matches!(self.look, Look::Unusual(..));
        let mut properties = map! {
            "AlarmName" => self.name,
            "AlarmDescription" => self.says,
            "ComparisonOperator" => match (self.bad, unusual) {
                (_, true) => "GreaterThanUpperThreshold",
                (Bad::Above, false) => "GreaterThanThreshold",
                (Bad::Below, false) => "LessThanThreshold",
            },
            "EvaluationPeriods" => self.detection.evaluations,
            "DatapointsToAlarm" => self.detection.evaluations,
            "TreatMissingData" => self.missing.word(),
        };
        match unusual {
            true => properties.set("ThresholdMetricId", "usual"),
            false => properties.set("Threshold", self.threshold),
        }
        properties.0.extend(looked_at(self.look, self.detection.period).0);
        let topic = topic::of(sheet, root);
        // Where silence says nothing by itself, that it began is still told.
        let silence = unknown.then_some("InsufficientDataActions");
        for action in ["AlarmActions", "OKActions"].into_iter().chain(silence) {
            properties.set(action, list![topic.clone()]);
        }
        properties.set("Tags", self.tags);
        sheet.add(root, Resource::new(Group::Observability, "AWS::CloudWatch::Alarm", self.id, self.asked, properties))
    }
}

fn looked_at(look: Look, period: u64) -> Map {
    match look {
        Look::One(metric) => {
            let how = match metric.statistic.starts_with('p') {
                true => "ExtendedStatistic",
                false => "Statistic",
            };
            map! {
                "Namespace" => metric.namespace, "MetricName" => metric.name, "Dimensions" => metric.dimensions(),
                how => metric.statistic, "Period" => period,
            }
        }
        Look::Formula(metrics, formula) => {
            let result = map! { "Id" => "result", "Expression" => formula, "ReturnData" => true };
            let queries = metrics.iter().map(|(id, metric)| metric.query(id, period));
            map! { "Metrics" => Value::List([result.into()].into_iter().chain(queries).collect()) }
        }
        Look::Question(question) => {
            let result = map! { "Id" => "result", "Expression" => question, "Period" => period, "ReturnData" => true };
            map! { "Metrics" => list![result] }
        }
        Look::Unusual(metric, deviations) => {
            let band = format!("ANOMALY_DETECTION_BAND(metric, {deviations})");
            let band = map! { "Id" => "usual", "Expression" => band, "ReturnData" => true };
            let Value::Map(mut seen) = metric.query("metric", period) else { return Map::new() };
            seen.set("ReturnData", true);
            map! { "Metrics" => list![band, seen] }
        }
    }
}
