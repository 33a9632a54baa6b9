//! The same sites in network namespaces of their own, on one bridge: what is lost between them is lost by the kernel,
//! packet by packet, with nothing of ours in between. Needs root; whoever lacks it is told so.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};

use model::SiteId;

/// Namespaces and their bridge; gone when this is dropped, with every process in them.
pub struct Spaces {
    bridge: String,
    /// By number from 1: site n has the address `<net>.n`.
    names: Vec<(SiteId, String)>,
    net: [u8; 3],
}

impl Spaces {
    /// # Errors
    /// Why this machine cannot: no permission, or no `ip` or `nft`. Whatever fails once those three are there is a defect
    /// of the test, and panics.
    pub fn make(sites: &[SiteId]) -> Result<Self, String> {
        let id = std::process::id();
        let mut spaces = Self {
            bridge: format!("apb{id}"),
            names: vec![],
            net: [10, 64 + (id / 250 % 128) as u8, (id % 250) as u8],
        };
        run("nft", &["list", "tables"])?;
        sweep(&run("ip", &["netns", "list"])?);
        run("ip", &["link", "add", &spaces.bridge, "type", "bridge"])?;
        let must = |args: &[&str]| run("ip", args).unwrap_or_else(|why| panic!("{why}"));
        must(&["address", "add", &format!("{}/24", spaces.address(254)), "dev", &spaces.bridge]);
        must(&["link", "set", &spaces.bridge, "up"]);
        for (n, site) in (1..).zip(sites) {
            let (name, plug) = (format!("ap{id}-{site}"), format!("apv{id}n{n}"));
            if n == 1 {
                run("ip", &["netns", "add", &name])?;
            } else {
                must(&["netns", "add", &name]);
            }
            spaces.names.push((site.clone(), name.clone()));
            must(&["link", "add", &plug, "type", "veth", "peer", "name", "eth0", "netns", &name]);
            must(&["link", "set", &plug, "master", &spaces.bridge, "up"]);
            must(&["-n", &name, "address", "add", &format!("{}/24", spaces.address(n)), "dev", "eth0"]);
            must(&["-n", &name, "link", "set", "eth0", "up"]);
            must(&["-n", &name, "link", "set", "lo", "up"]);
            let rules = "table inet lost { chain in { type filter hook input priority 0; }; }";
            must(&["netns", "exec", &name, "nft", rules]);
        }
        Ok(spaces)
    }

    fn address(&self, n: u8) -> Ipv4Addr {
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, n)
    }
    /// In CIDR notation.
    pub fn network(&self) -> String {
        format!("{}/24", self.address(0))
    }
    pub fn of(&self, site: &SiteId) -> Ipv4Addr {
        let at = self.names.iter().position(|(id, _)| id == site).expect("a site");
        self.address(at as u8 + 1)
    }
    fn name(&self, site: &SiteId) -> &str {
        &self.names.iter().find(|(id, _)| id == site).expect("a site").1
    }

    /// A command that runs inside `site`.
    pub fn command(&self, site: &SiteId, program: &Path) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("ip");
        command.args(["netns", "exec", self.name(site)]).arg(program);
        command
    }

    /// Packets of `from` vanish before anything in `to` sees them. The other way they pass.
    pub fn lose(&self, from: &SiteId, to: &SiteId) {
        self.rule(to, &format!("ip saddr {} counter drop", self.of(from)));
    }
    /// So many of a hundred packets of other sites vanish, whoever sent them.
    pub fn lose_percent(&self, to: &SiteId, percent: u32) {
        let network = self.network();
        self.rule(to, &format!("ip saddr {network} numgen random mod 100 < {percent} counter drop"));
    }
    pub fn lose_nothing(&self) {
        for (_, name) in &self.names {
            run("ip", &["netns", "exec", name, "nft", "flush", "chain", "inet", "lost", "in"]).unwrap();
        }
    }
    /// How many packets the rules of `site` have dropped.
    pub fn lost(&self, site: &SiteId) -> u64 {
        let rules = run("ip", &["netns", "exec", self.name(site), "nft", "list", "table", "inet", "lost"]).unwrap();
        let counts = rules.split("counter packets ").skip(1);
        counts.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum()
    }

    fn rule(&self, site: &SiteId, rule: &str) {
        let whole = format!("add rule inet lost in {rule}");
        run("ip", &["netns", "exec", self.name(site), "nft", &whole]).unwrap();
    }

    /// An address of the lab on loopback as the same thing in these namespaces. Zones stay on each one's loopback.
    pub fn translate(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => {
                if let Ok(at) = text.parse::<SocketAddr>()
                    && let IpAddr::V4(address) = at.ip()
                {
                    *text = SocketAddr::from((self.translated(address), at.port())).to_string();
                } else if let Ok(address) = text.parse::<Ipv4Addr>() {
                    *text = self.translated(address).to_string();
                }
            }
            serde_json::Value::Array(values) => values.iter_mut().for_each(|value| self.translate(value)),
            serde_json::Value::Object(values) => values.values_mut().for_each(|value| self.translate(value)),
            _ => {}
        }
    }

    /// See `antipode_lab::world::Addresses`: what is real or public of site R, and what one sees of site 100+T.
    fn translated(&self, address: Ipv4Addr) -> Ipv4Addr {
        match address.octets() {
            [127, 0, site, 1 | 10] => self.address(site),
            [127, 0, _, across] if across > 100 => self.address(across - 100),
            _ => address,
        }
    }
}

impl Drop for Spaces {
    fn drop(&mut self) {
        for (_, name) in &self.names {
            // By their ids: what runs in a namespace keeps it alive beyond its name.
            for pid in run("ip", &["netns", "pids", name]).unwrap_or_default().lines() {
                if let Some(pid) = pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw) {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
            let _ = run("ip", &["netns", "delete", name]);
        }
        let _ = run("ip", &["link", "delete", &self.bridge]);
    }
}

/// Removes what tests left that were killed: the number in a name is that of a process that is no more.
fn sweep(namespaces: &str) {
    let names = namespaces.lines().filter_map(|line| line.split_whitespace().next());
    for name in names {
        let number = name.strip_prefix("ap").and_then(|rest| rest.split('-').next()).unwrap_or_default();
        if number.parse::<u32>().is_ok() && !Path::new("/proc").join(number).exists() {
            let _ = run("ip", &["netns", "delete", name]);
            let _ = run("ip", &["link", "delete", &format!("apb{number}")]);
        }
    }
}

fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(format!("{program} {}: {}", args.join(" "), text(&output.stderr))),
    }
}
