//! An operator's hold on a running workload: where its controller is, who asks, and what its answers mean.
//!
//! What runs decides, not the file: with `--state` the spec is not read at all, so that a spec that somebody is just
//! editing never keeps anybody from looking.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use controller::api::ApiClient;
use controller::identity::{Identity, IdentityError, Peer};
use controller::rpc::{AgentClient, CallError};
use lab::world::LabFile;
use model::spec;
use model::{Person, RunId, SiteId};

use crate::args::Globals;
use crate::exit::Exit;
use crate::failure::{Code, Failure, causes};
use crate::output::Output;
use crate::spec_file;

/// Longest that one question to the controller may take.
pub const ASK_WITHIN: Duration = Duration::from_secs(5);

pub struct Operator {
    pub api: ApiClient,
    /// Everybody who has a certificate to approve with.
    pub people: Vec<Person>,
    pub lab: LabFile,
    identity: Identity,
    /// What every further command needs to find the same workload.
    flags: String,
}

impl Operator {
    /// For looking: anybody whose certificate can be read will do, since nothing is recorded under the name.
    pub fn looking(globals: &Globals, output: &Output) -> Result<Self, Failure> {
        let found = Found::new(globals, output)?;
        let person = match &globals.person {
            Some(person) => found.known(person)?,
            None => found.people.first().cloned().ok_or_else(|| found.nobody())?,
        };
        found.connect(person)
    }

    /// For asking, approving and aborting: what is done stands in the journal under this name.
    pub fn acting(globals: &Globals, output: &Output) -> Result<Self, Failure> {
        let found = Found::new(globals, output)?;
        let from_environment = std::env::var("ANTIPODE_AS").ok().filter(|name| !name.is_empty());
        let person = match (globals.person.clone().or(from_environment), found.people.as_slice()) {
            (Some(person), _) => found.known(&person)?,
            (None, [only]) => only.clone(),
            (None, []) => return Err(found.nobody()),
            (None, people) => {
                return Err(Failure::new(Code::NoPerson, "it is not known who asks")
                    .hint(format!("say who you are with `--as` or ANTIPODE_AS: {}", list(people))));
            }
        };
        found.connect(person)
    }

    /// A command line that finds the same workload.
    pub fn command(&self, what: &str) -> String {
        format!("antipode {what}{}", self.flags)
    }

    /// How to approve `run`, by somebody who has not yet.
    pub fn approve(&self, run: RunId, given: &[Person], accept_loss: bool) -> String {
        let next = self.people.iter().find(|person| !given.contains(person));
        let who = next.map_or("PERSON", Person::as_str);
        let accept = if accept_loss { " --accept-loss" } else { "" };
        self.command(&format!("approve {run}{accept} --as {who}"))
    }

    /// The agent of `site`, asked from this machine without a controller.
    pub fn agent(&self, site: &SiteId) -> Result<AgentClient, Failure> {
        let addresses = &self.lab.addresses;
        let at = SocketAddr::from((addresses.real(site), addresses.agent_port()));
        AgentClient::new(&self.identity, site.clone(), at, ASK_WITHIN).map_err(|error| identity_failure(&error))
    }

    /// An answer that did not come, or a refusal.
    pub fn failure(&self, error: &CallError) -> Failure {
        let up = self.command("up");
        match error {
            CallError::Unreachable { why, .. } => {
                let at = self.lab.controller;
                Failure::new(Code::NotRunning, format!("no controller answers at {at}: {why}")).hint(format!(
                    "`{up}` starts the workload; while only the controller is away, the sites go on by themselves"
                ))
            }
            CallError::Refused { problem, .. } if problem.code != "refused" => {
                Failure::refused(problem.code.clone(), &problem.why, &problem.hint)
            }
            other => Failure::new(Code::ControllerNoAnswer, causes(other))
                .hint(format!("the controller may or may not have taken it up: `{}` tells", self.command("status"))),
        }
    }
}

/// A workload that was brought up once, whether it runs or not.
struct Found {
    lab: LabFile,
    people: Vec<Person>,
    flags: String,
}

impl Found {
    fn new(globals: &Globals, output: &Output) -> Result<Self, Failure> {
        let state = match globals.given_state() {
            Some(state) => state.to_path_buf(),
            None => globals.state_dir(&workload(&globals.file, output)?),
        };
        let file = state.join("lab.json");
        let text = std::fs::read_to_string(&file).map_err(|error| {
            let message = match error.kind() {
                std::io::ErrorKind::NotFound => format!("no workload is up with its state in {}", state.display()),
                _ => format!("cannot read {}: {error}", file.display()),
            };
            Failure::new(Code::NotRunning, message)
                .hint("`antipode up` starts the workload; `--state` names the folder when it is not the default one")
        })?;
        let lab: LabFile = serde_json::from_str(&text).map_err(|error| {
            Failure::new(Code::NotRunning, format!("cannot understand {}: {error}", file.display()))
                .hint("`antipode up` writes it anew")
        })?;
        let people = people(&lab.identity);
        Ok(Self { lab, people, flags: flags(globals) })
    }

    fn known(&self, person: &str) -> Result<Person, Failure> {
        let found = self.people.iter().find(|known| known.as_str() == person).cloned();
        found.ok_or_else(|| {
            Failure::new(Code::NotAnApprover, format!("{person} is not an approver of {}", self.lab.workload))
                .hint(format!("approvers are {}; `approvals` in the spec says so", list(&self.people)))
        })
    }

    fn nobody(&self) -> Failure {
        let folder = self.lab.identity.display();
        Failure::new(Code::Identity, format!("{folder} holds no approver's certificate and key that you may read"))
            .hint("`antipode up` makes them for the approvers of the spec; run as the user who ran it")
    }

    fn connect(self, person: Person) -> Result<Operator, Failure> {
        let failed = |error| identity_failure(&error);
        let identity = Identity::load(&self.lab.identity, &Peer::Operator(person)).map_err(failed)?;
        let api = ApiClient::new(&identity, self.lab.controller, ASK_WITHIN).map_err(failed)?;
        Ok(Operator { api, people: self.people, lab: self.lab, identity, flags: self.flags })
    }
}

/// A certificate or key that cannot be used.
pub fn identity_failure(error: &IdentityError) -> Failure {
    Failure::new(Code::Identity, causes(error)).hint(error.hint())
}

/// The workload's name. Warnings are for `validate`: whoever looks at three in the morning needs none of them.
fn workload(file: &Path, output: &Output) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    match spec::check(&text).topology {
        Some(topology) => Ok(topology.workload),
        None => spec_file::load(file, output).map(|topology| topology.workload).map_err(|failure| {
            failure
                .hint("correct the spec, or name the running workload's folder with `--state`: then no spec is needed")
        }),
    }
}

/// Who may act on this machine: everybody whose certificate and key can be read.
fn people(identity: &Path) -> Vec<Person> {
    let names = std::fs::read_dir(identity).into_iter().flatten().flatten().map(|entry| entry.path());
    let readable = |path: &PathBuf| std::fs::File::open(path).is_ok();
    let mut people: Vec<Person> = names
        .filter(|path| path.extension().is_some_and(|e| e == "pem") && readable(&path.with_extension("key")))
        .filter_map(|path| match Peer::from_name(path.file_stem()?.to_str()?)? {
            Peer::Operator(person) => Some(person),
            Peer::Agent(_) | Peer::Controller => None,
        })
        .collect();
    people.sort();
    people
}

pub fn list(people: &[Person]) -> String {
    people.iter().map(Person::as_str).collect::<Vec<_>>().join(", ")
}

/// The same `--file` and `--state`, ready to be pasted into a shell.
fn flags(globals: &Globals) -> String {
    let quoted = |path: &Path| {
        let text = path.display().to_string();
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+:".contains(&b));
        if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
    };
    let default = globals.file == Path::new("antipode.yaml");
    let file = if default { String::new() } else { format!(" -f {}", quoted(&globals.file)) };
    let state = globals.given_state().map_or(String::new(), |state| format!(" --state {}", quoted(state)));
    file + &state
}

/// Runs `work` where there are a clock and a network.
pub fn block_on(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(|e| Failure::new(Code::CannotStart, causes(&e)))?;
    runtime.block_on(work)
}
