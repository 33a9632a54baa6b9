//! The values that a root stack is deployed with: those of the spec, and those that somebody has to find out.

use serde_json::{Value, json};

use crate::File;
use crate::link::Linked;
use crate::resource::Given;

/// `parameters/ROOT.json` follows the spec. `parameters/ROOT.own.json` is begun once, and belongs to whoever fills it in.
/// What recoveries change is in neither, so that a deployment leaves it as it is.
pub fn files(stack: &Linked) -> Vec<File> {
    let path = |end: &str| format!("cloudformation/parameters/{}{end}.json", stack.root);
    let parameters = &stack.master().parameters;
    let from_spec = parameters.iter().filter_map(|parameter| match &parameter.value {
        Given::Spec(value) => Some(json!({ "ParameterKey": parameter.name, "ParameterValue": value })),
        _ => None,
    });
    let asked = parameters.iter().filter_map(|parameter| match &parameter.value {
        Given::Ask(how) => Some(json!({
            "ParameterKey": parameter.name, "ParameterValue": "", "about": parameter.about, "found by": how,
        })),
        _ => None,
    });
    let (from_spec, asked): (Vec<Value>, Vec<Value>) = (from_spec.collect(), asked.collect());
    let mut files = vec![File::new(path(""), text(&from_spec))];
    if !asked.is_empty() {
        files.push(File { once: true, ..File::new(path(".own"), text(&asked)) });
    }
    files
}

/// What somebody has filled in, and after it what is asked for since; `None` when it cannot be understood.
pub fn merged(own: &str, asked: &str) -> Option<String> {
    let parse = |text: &str| serde_json::from_str::<Vec<Value>>(text).ok();
    let (mut values, asked) = (parse(own)?, parse(asked)?);
    let known = |values: &[Value], key: &Value| values.iter().any(|value| value["ParameterKey"] == *key);
    let new: Vec<Value> = asked.into_iter().filter(|value| !known(&values, &value["ParameterKey"])).collect();
    if new.is_empty() {
        return Some(own.to_owned());
    }
    values.extend(new);
    Some(text(&values))
}

fn text(values: &[Value]) -> String {
    let text = serde_json::to_string_pretty(values).unwrap_or_default();
    format!("{text}\n")
}
