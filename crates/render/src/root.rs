//! Which stacks there are: one for each region, and the few that stand for all regions together.

use std::fmt;

use model::SiteId;

/// A stack that is deployed by itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Root {
    /// What every region needs before it is built: the zone, roles, trails. In us-east-1, where these services are
    /// changed (AWS Fault Isolation Boundaries, "Global services").
    Global,
    /// ARC's cluster and controls, which are configured in us-west-2.
    Switch,
    /// One region.
    Region(SiteId),
    /// What leads to the regions and can only be built when they stand: distributions, in us-east-1.
    Edge,
    /// Accelerators, which are configured in us-west-2.
    Accelerator,
    /// Stack sets, which reach into every region: last, so that nothing waits for them.
    StackSets,
}

impl Root {
    /// The folder of its templates, and the end of the stack's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Global => "global",
            Self::Switch => "switch",
            Self::Region(site) => site.as_str(),
            Self::Edge => "edge",
            Self::Accelerator => "accelerator",
            Self::StackSets => "stack-sets",
        }
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The nested stacks of a root, in the order in which they may know one another: each knows those before it only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Group {
    /// Networks, subnets, routes and what joins them. Knows nobody.
    Network,
    /// Keys, secrets, security groups, firewalls, trails. A role stands with what assumes it.
    Security,
    /// What keeps data, its copies and its backups.
    Data,
    /// Load balancers, records, health checks.
    Traffic,
    /// What runs the workload.
    Compute,
    /// Alarms and dashboards.
    Observability,
    /// Runbooks, switch plans, experiments, pipelines.
    Control,
}

impl Group {
    pub const ALL: [Group; 7] =
        [Self::Network, Self::Security, Self::Data, Self::Traffic, Self::Compute, Self::Observability, Self::Control];
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Security => "security",
            Self::Data => "data",
            Self::Traffic => "traffic",
            Self::Compute => "compute",
            Self::Observability => "observability",
            Self::Control => "control",
        }
    }
}
