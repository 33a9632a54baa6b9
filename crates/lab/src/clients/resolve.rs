//! Names to addresses, cached as each kind of client does.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use model::Time;
use tokio::net::UdpSocket;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{ClientKind, ClientPlan};
use crate::ledger::now;

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no DNS server gave an address: {0}")]
pub struct ResolveError(String);

/// One client's stub resolver, with its cache.
pub struct Resolver {
    name: Name,
    servers: Vec<SocketAddr>,
    timeout: Duration,
    keep: Keep,
    /// The server that answered last is asked first.
    first: AtomicUsize,
    /// Held while a question is asked: whoever waits takes that answer.
    known: Mutex<Option<Known>>,
}

#[derive(Clone, Copy)]
enum Keep {
    AsTold,
    AtLeast(Duration),
    ForEver,
}

struct Known {
    /// When the answer came.
    at: Time,
    /// Until when the answer may be used for further requests.
    until: Time,
    result: Result<Vec<Ipv4Addr>, ResolveError>,
}

impl Resolver {
    /// Errors: a name that cannot be asked for, or no server to ask.
    pub fn new(plan: &ClientPlan) -> Result<Self, String> {
        let mut name = Name::from_utf8(&plan.host).map_err(|error| format!("bad name `{}`: {error}", plan.host))?;
        name.set_fqdn(true);
        if plan.dns.is_empty() {
            return Err("no DNS server to ask".into());
        }
        let keep = match plan.kind {
            ClientKind::TtlHonouring => Keep::AsTold,
            ClientKind::TtlStretching => Keep::AtLeast(plan.habits.stretch),
            ClientKind::Pinned => Keep::ForEver,
        };
        let (servers, timeout) = (plan.dns.clone(), plan.habits.dns_timeout);
        Ok(Self { name, servers, timeout, keep, first: AtomicUsize::new(0), known: Mutex::new(None) })
    }

    /// The addresses of the name, at least one, from the cache where its rule permits.
    ///
    /// A request waits for a question under way and takes its answer, also when that may not be cached: it was given
    /// after the request came. So a TTL of zero, or servers that are silent, never make a queue of questions.
    pub async fn addresses(&self) -> Result<Vec<Ipv4Addr>, ResolveError> {
        let came = now();
        let mut known = self.known.lock().await;
        if let Some(known) = &*known
            && (known.at >= came || now() < known.until)
        {
            return known.result.clone();
        }
        let result = self.ask_in_turn().await;
        let at = now();
        let until = match (&result, self.keep) {
            (Err(_), _) => at,
            (Ok(_), Keep::ForEver) => Time::MAX,
            (Ok((_, ttl)), Keep::AsTold) => at + *ttl,
            (Ok((_, ttl)), Keep::AtLeast(least)) => at + least.max(*ttl),
        };
        let result = result.map(|(addresses, _)| addresses);
        *known = Some(Known { at, until, result: result.clone() });
        result
    }

    async fn ask_in_turn(&self) -> Result<(Vec<Ipv4Addr>, Duration), ResolveError> {
        let first = self.first.load(Ordering::Relaxed);
        let mut why = String::new();
        for index in (0..self.servers.len()).map(|step| (first + step) % self.servers.len()) {
            let server = self.servers[index];
            match timeout(self.timeout, self.ask(server)).await {
                Ok(Ok(answer)) => {
                    self.first.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Err(error)) => why = format!("{server}: {error}"),
                Err(_) => why = format!("{server}: no answer in {}", model::time::human(self.timeout)),
            }
        }
        Err(ResolveError(why))
    }

    async fn ask(&self, server: SocketAddr) -> Result<(Vec<Ipv4Addr>, Duration), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let mut question = Message::query();
        question.metadata.recursion_desired = true;
        question.add_query(Query::query(self.name.clone(), RecordType::A));
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.map_err(|error| text(&error))?;
        socket.connect(server).await.map_err(|error| text(&error))?;
        socket.send(&question.to_vec().map_err(|error| text(&error))?).await.map_err(|error| text(&error))?;
        let mut buffer = [0; 4096];
        loop {
            let length = socket.recv(&mut buffer).await.map_err(|error| text(&error))?;
            let Ok(answer) = Message::from_vec(&buffer[..length]) else { continue };
            if answer.metadata.id == question.metadata.id {
                return addresses_in(&answer);
            }
        }
    }
}

/// The addresses of an answer, and how long all of them may be kept.
fn addresses_in(answer: &Message) -> Result<(Vec<Ipv4Addr>, Duration), String> {
    if answer.metadata.response_code != ResponseCode::NoError {
        return Err(answer.metadata.response_code.to_string());
    }
    let addresses: Vec<Ipv4Addr> = answer
        .answers
        .iter()
        .filter_map(|record| match record.data {
            RData::A(address) => Some(address.0),
            _ => None,
        })
        .collect();
    let ttl = answer.answers.iter().map(|record| record.ttl).min().unwrap_or(0);
    if addresses.is_empty() { Err("no address".into()) } else { Ok((addresses, Duration::from_secs(ttl.into()))) }
}
