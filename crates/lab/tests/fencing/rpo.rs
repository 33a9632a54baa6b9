//! An RPO of zero, as the example spec promises it.

use std::path::Path;
use std::process::Command;

use crate::site::programs;

#[test]
fn a_lost_region_loses_no_write_that_a_synchronous_workload_acknowledged() {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/case-api/antipode-sync.yaml");
    let folder = tempfile::tempdir().unwrap();
    let mut drill = Command::new(programs().join("antipode"));
    drill.args(["drill", "region-loss", "--json", "--file"]).arg(spec).arg("--out").arg(folder.path().join("out"));
    let output = drill.output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{told}");
    let result: serde_json::Value = serde_json::from_str(said.trim().lines().last().unwrap_or_default())
        .or_else(|_| serde_json::from_str(&said))
        .unwrap();
    assert_eq!(result["verdict"], "passed");
    assert_eq!(result["writes"]["lost"], 0, "{result}");
    assert!(result["writes"]["acknowledged"].as_u64().unwrap() > 100, "{result}");
}
