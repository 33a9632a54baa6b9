//! The parts of the workload: that every plane has one, that names resolve, and that nothing needs itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Rules;
use crate::Policy;
use crate::spec::Span;
use crate::spec::file::{Component, Setting};
use crate::spec::lower::default_env;
use crate::spec::problem::{Problem, suggest};

const LONGEST_TTL: Duration = Duration::from_secs(86_400);

/// Server settings that leases, fences and replication rely on, with what to use instead.
const OURS: &[(&str, &str)] = &[
    ("synchronous_standby_names", "`replication` decides which standbys are waited for"),
    ("primary_conninfo", "the standby's upstream follows the writer"),
    ("primary_slot_name", "the standby's slot follows the writer"),
    ("recovery_target_timeline", "a standby follows the newest timeline"),
    ("default_transaction_read_only", "who may write is decided by the lease"),
    ("listen_addresses", "clients reach the server through its gate"),
    ("port", "clients reach the server through its gate"),
    ("unix_socket_directories", "clients reach the server through its gate"),
    ("data_directory", "the agent keeps the data directory"),
    ("hba_file", "who may connect is decided by the gate"),
    ("wal_level", "replication needs its own level"),
    ("wal_log_hints", "a rewind needs it"),
    ("wal_keep_size", "use `wal_keep`"),
    ("max_wal_senders", "replication needs its own number"),
    ("max_replication_slots", "replication needs its own number"),
    ("hot_standby", "the lag of a standby is read from it"),
    ("full_page_writes", "a rewind needs it"),
    ("wal_retrieve_retry_interval", "a promotion would wait for it"),
    ("restart_after_crash", "use `on_crash`"),
];

/// Environment variables that every instance of a fleet is started with.
const TOLD_TO_FLEETS: &[&str] = &["DATABASE_URL", "LISTEN", "PORT", "SITE", "ZONE", "INSTANCE", "PATH"];

impl Rules<'_> {
    pub(super) fn components(&mut self) {
        for (name, _) in self.all_components() {
            self.name("component", name, self.key(&["components", name]));
        }
        for (name, component) in self.file.components.iter() {
            match component {
                Component::Dns { .. } => self.dns(name, component),
                Component::Fleet { .. } => self.fleet(name, component),
                Component::Postgres { .. } => self.postgres(name, component),
                Component::Secret { env } => self.secret(name, env.as_deref()),
            }
        }
        if self.to_run {
            self.every_plane();
        }
        self.one_env_each();
    }

    /// Ready means all four planes: traffic, compute and data here, control at the witness (seed 003 section 3).
    fn every_plane(&mut self) {
        for (kind, plane) in [("dns", "traffic"), ("fleet", "compute"), ("postgres", "data")] {
            let found: Vec<_> = self.of_kind(kind).map(|(name, _)| name).collect();
            if found.is_empty() {
                let span = self.key(&["components"]);
                let message = format!("no component of kind `{kind}`: the {plane} plane cannot be recovered");
                let problem = Problem::error("spec-one-of-each", span, message, format!("needs a `{kind}`"));
                self.report(problem.hint("a workload needs one dns, one postgres and at least one fleet"));
            } else if let ([first, second, ..], true) = (&found[..], kind != "fleet") {
                let span = self.key(&["components", second]);
                let message = format!("`{first}` and `{second}` are both of kind `{kind}`");
                self.report(
                    Problem::error("spec-one-of-each", span, message, "a second one")
                        .related(self.key(&["components", first]), "the first")
                        .hint("a workload has one writer and one zone: split it into two workloads"),
                );
            }
        }
    }

    fn dns(&mut self, name: &str, component: &Component) {
        let Component::Dns { zone, policy, ttl, records, .. } = component else { return };
        let label = |l: &str| {
            let letters = l.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
            !l.is_empty() && l.len() <= 63 && letters && !l.starts_with('-') && !l.ends_with('-')
        };
        if !zone.split('.').all(label) || zone.len() > 200 {
            let span = self.at(&["components", name, "zone"]);
            let problem = Problem::error("spec-name", span, format!("`{zone}` is not a DNS zone"), "not a domain name");
            self.report(problem.hint("write lower-case labels without a final dot, such as `case.example`"));
        }
        if ttl.is_some_and(|t| t.0 > LONGEST_TTL || t.0.subsec_nanos() != 0) {
            let span = self.at(&["components", name, "ttl"]);
            let problem = Problem::error("spec-range", span, "this TTL cannot be served", "whole seconds up to 1d");
            self.report(problem.hint("seconds suit a workload that moves: clients follow no faster than the TTL"));
        }
        for (record, fleet) in records.iter().flatten() {
            if record != "@" && !record.split('.').all(label) {
                let span = self.key(&["components", name, "records", record]);
                let problem =
                    Problem::error("spec-name", span, format!("`{record}` is not a name in a zone"), "not a DNS label");
                self.report(
                    problem.hint("write a name relative to the zone, such as `api`, or `@` for the zone itself"),
                );
            }
            let fleets_only = self.to_run || self.json["components"].get(fleet).is_none();
            if fleets_only && !matches!(self.file.components.get(fleet), Some(Component::Fleet { .. })) {
                let span = self.at(&["components", name, "records", record]);
                let message = format!("`{record}` points to `{fleet}`, which is not a fleet");
                let fleets: Vec<_> = self.of_kind("fleet").map(|(name, _)| name).collect();
                let problem = Problem::error("spec-unknown-component", span, message, "not a fleet");
                self.report(problem.hint(suggest(fleet, fleets)));
            }
        }
        self.policy_can_answer(name, *policy);
    }

    fn policy_can_answer(&mut self, name: &str, policy: Policy) {
        let span = self.at(&["components", name, "policy"]);
        let preferred_default = |site: &crate::spec::file::Site| u32::from(site.preferred == Some(true)) * 100;
        let mut weights = self.regions().map(|(_, s)| s.traffic_weight.unwrap_or(preferred_default(s)));
        if policy == Policy::Weighted && weights.all(|w| w == 0) {
            let message = "weighted answers, but every region's weight is 0";
            let problem = Problem::error("spec-range", span, message, "nobody would be answered");
            self.report(problem.hint("set `traffic_weight` in at least one region"));
        }
        let everybody = |site: &crate::spec::file::Site| site.geo.iter().flatten().any(|code| code == "*");
        if policy == Policy::Geolocation && !self.regions().any(|(_, s)| everybody(s)) {
            let message = "answers by country, but no region answers everybody else";
            let problem = Problem::error("spec-range", span, message, "some would get no answer");
            self.report(problem.hint("add `*` to the `geo` of one region"));
        }
    }

    fn fleet(&mut self, name: &str, component: &Component) {
        let Component::Fleet { command, live, ready, exercise, .. } = component else { return };
        if command.trim().is_empty() {
            let span = self.at(&["components", name, "command"]);
            self.report(Problem::error("spec-name", span, format!("the fleet `{name}` has no command"), "empty"));
        }
        for (key, path) in [("live", live), ("ready", ready)] {
            if path.as_ref().is_some_and(|p| !is_path(p)) {
                let span = self.at(&["components", name, key]);
                let message = format!("`{key}` is not the path of a URL");
                let problem = Problem::error("spec-name", span, message, "not a path");
                self.report(problem.hint(format!("begin it with a slash, such as `/{key}`")));
            }
        }
        if exercise.as_ref().is_some_and(|e| !is_request(e)) {
            let span = self.at(&["components", name, "exercise"]);
            let problem = Problem::error("spec-name", span, "`exercise` is not a request", "not a request");
            self.report(problem.hint("write it as `POST /path {\"json\": \"body\"}`, in single quotes"));
        }
    }

    fn postgres(&mut self, name: &str, component: &Component) {
        let Component::Postgres { system_of_record, settings, site_settings, database, ledger, backup, .. } = component
        else {
            return;
        };
        if !system_of_record {
            let span = self.key(&["components", name]);
            let message = format!("no database is the system of record, not even `{name}`");
            let hint = "say which data decides what is true: add `system_of_record: true`";
            self.report(Problem::error("spec-system-of-record", span, message, "not the system of record").hint(hint));
        }
        let usual = |d: &str| d.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if database.as_ref().is_some_and(|d| !usual(d) || d.is_empty() || d.len() > 40) {
            let span = self.at(&["components", name, "database"]);
            let problem = Problem::error("spec-name", span, "this cannot name a database", "not a usable name");
            self.report(problem.hint("use lower-case letters, digits and underscores"));
        }
        for (table, columns) in ledger {
            self.ledger(&["components", name, "ledger", table], table, columns);
        }
        self.settings(settings, &["components", name, "settings"]);
        for (site, settings) in site_settings {
            let path = ["components", name, "site_settings", site.as_str()];
            if !self.region_names().contains(&site.as_str()) {
                let message = format!("`{site}` is not a region of this workload");
                let hint = suggest(site, self.region_names());
                let span = self.key(&path);
                self.report(Problem::error("spec-unknown-site", span, message, "not a region here").hint(hint));
            }
            self.settings(settings, &path);
        }
        if let Some(backup) = backup {
            self.backup(name, backup);
        }
    }

    fn ledger(&mut self, path: &[&str], table: &str, columns: &[String]) {
        let named = |part: &str| !part.is_empty() && part.len() <= 63 && !part.chars().any(char::is_control);
        let parts: Vec<&str> = table.split('.').collect();
        if parts.len() != 2 || !parts.iter().all(|part| named(part)) {
            let message = format!("`{table}` is not a table with its schema");
            let problem = Problem::error("spec-name", self.key(path), message, "not a schema and a table");
            self.report(problem.hint("write it as `shop.orders`; a table without a schema of its own is in `public`"));
        }
        if !(1..=4).contains(&columns.len()) || !columns.iter().all(|column| named(column)) {
            let message = format!("`{table}` needs one to four columns");
            let problem = Problem::error("spec-name", self.at(path), message, "not columns");
            self.report(problem.hint("name the columns that make up a client's own number of a write"));
        }
    }

    fn settings(&mut self, settings: &BTreeMap<String, Setting>, path: &[&str]) {
        for (setting, Setting(value)) in settings {
            let at: Vec<&str> = path.iter().copied().chain([setting.as_str()]).collect();
            let span: Span = self.key(&at);
            let lower = setting.to_ascii_lowercase();
            let letters = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            if !setting.chars().all(letters) || value.contains('\n') {
                let message = format!("`{setting}` cannot be written to a server's configuration");
                self.report(Problem::error("spec-setting", span, message, "not a setting"));
            } else if let Some((_, why)) = OURS.iter().find(|(ours, _)| *ours == lower) {
                let message = format!("`{setting}` is Antipode's to set");
                self.report(Problem::error("spec-setting", span, message, "not yours to set").hint(*why));
            } else if matches!(lower.as_str(), "synchronous_commit" | "fsync")
                && value != "on"
                && value != "remote_apply"
            {
                // SAFETY.md item 8: weaker, and an acknowledged commit may be nowhere.
                let message = format!("`{setting}: {value}` acknowledges commits that a crash can lose");
                let problem = Problem::error("spec-setting", self.at(&at), message, "unsafe");
                self.report(problem.hint("leave it `on`"));
            }
        }
    }

    fn secret(&mut self, name: &str, env: Option<&str>) {
        let default = default_env(name);
        let env = env.unwrap_or(&default);
        let letters = env.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if env.is_empty() || !letters || env.starts_with(|c: char| c.is_ascii_digit()) {
            let span = self.at(&["components", name, "env"]);
            let message = format!("`{env}` is not the name of an environment variable");
            let hint = "use letters, digits and underscores, not beginning with a digit, such as `API_SECRET`";
            self.report(Problem::error("spec-name", span, message, "not a usable name").hint(hint));
        } else if env.starts_with("ANTIPODE_") || TOLD_TO_FLEETS.contains(&env) {
            let span = self.at(&["components", name, "env"]);
            let message = format!("`{env}` tells fleets something else already");
            let problem = Problem::error("spec-name", span, message, "reserved");
            let reserved = TOLD_TO_FLEETS.join(", ");
            self.report(problem.hint(format!("choose another name than {reserved} and `ANTIPODE_…`")));
        }
    }

    fn one_env_each(&mut self) {
        let mut taken: Vec<(String, &str)> = Vec::new();
        for (name, component) in self.of_kind("secret") {
            let Component::Secret { env } = component else { continue };
            let env = env.clone().unwrap_or_else(|| default_env(name));
            if let Some((_, other)) = taken.iter().find(|(e, _)| *e == env) {
                let span = self.at(&["components", name, "env"]);
                let message = format!("`{other}` and `{name}` are both handed over as `{env}`");
                self.report(
                    Problem::error("spec-name", span, message, "already taken")
                        .related(self.key(&["components", other]), "by this one")
                        .hint("give one of them another `env`"),
                );
            }
            taken.push((env, name));
        }
    }
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && !path.contains(char::is_whitespace)
}

/// `POST /path {json}`.
fn is_request(text: &str) -> bool {
    let Some(request) = text.strip_prefix("POST ") else { return false };
    let (path, body) = request.split_once(' ').unwrap_or((request, "{}"));
    is_path(path) && serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok()
}
