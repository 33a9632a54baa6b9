//! Containers without instances, run by ECS.

use model::Part;

use super::containers;
use crate::map;
use crate::sheet::Sheet;

pub fn write(sheet: &mut Sheet<'_>, part: &Part) {
    if !sheet.renders(part) {
        return;
    }
    for site in sheet.sites(part) {
        let cluster = containers::cluster(sheet, part, site);
        containers::service(sheet, part, site, &cluster, (map! { "LaunchType" => "FARGATE" }, None));
    }
}
