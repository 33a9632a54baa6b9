//! One try of one write over HTTP, and what it says about the write.

use std::error::Error;
use std::net::SocketAddr;

use model::Time;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ClientPlan;
use crate::ledger::entry::{Acknowledgement, Move, Read, Seen, Stale, WriteId};

/// Why a try was not acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Miss {
    /// Whether it may have taken effect.
    pub unknown: bool,
    pub why: String,
}

impl Miss {
    pub fn refused(why: impl Into<String>) -> Self {
        Self { unknown: false, why: why.into() }
    }

    fn unknown(why: impl Into<String>) -> Self {
        Self { unknown: true, why: why.into() }
    }
}

/// The HTTP client of `plan`: connections are kept open per address.
pub fn http(plan: &ClientPlan) -> Result<Client, reqwest::Error> {
    // reqwest wants a TLS provider even for plain HTTP; a second installation changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .retry(reqwest::retry::never())
        .connect_timeout(plan.habits.request_timeout)
        .timeout(plan.habits.request_timeout)
        .pool_idle_timeout(None)
        .tcp_nodelay(true)
        .build()
}

/// Where a request goes, and for which try of its write, counted from 1.
#[derive(Clone, Copy)]
pub struct Try<'a> {
    pub host: &'a str,
    pub address: SocketAddr,
    pub number: u32,
    pub started: Time,
}

/// Opens a case in the name of `id`, or moves one on.
pub async fn command(http: &Client, to: Try<'_>, id: &WriteId, moves: Option<&Move>) -> Result<Acknowledgement, Miss> {
    let (path, body) = match moves {
        None => {
            let ledger = json!({ "client": &*id.client, "seq": id.seq });
            ("/cases".to_owned(), json!({ "subject": format!("drill write {id}"), "ledger": ledger }))
        }
        Some(moves) => transition(moves),
    };
    let said = send(http, to, &path, &id.to_string(), body).await?;
    let Said { opened: Opened { id: case, epoch, lsn, seen }, site, writer_epoch, replayed } = said;
    let Try { address, number, started, .. } = to;
    let writer_epoch = writer_epoch.unwrap_or(epoch);
    Ok(Acknowledgement { attempt: number, started, address, site, case, epoch, writer_epoch, lsn, replayed, seen })
}

fn transition(moves: &Move) -> (String, Value) {
    let body = json!({ "to": moves.to, "expected_version": moves.expected });
    (format!("/cases/{}/transition", moves.case), body)
}

/// Moves a case from a version that is past, under a key of its own. `None` when its end is not known.
pub async fn stale(http: &Client, to: Try<'_>, key: &str, asked: Move) -> Option<Stale> {
    let (path, body) = transition(&asked);
    let response = post(http, to, &path, key, body).send().await.ok()?;
    let (status, writer_epoch) = (response.status(), epoch_of(&response)?);
    let accepted = status.is_success();
    (accepted || status == StatusCode::CONFLICT || status == StatusCode::NOT_FOUND).then_some(Stale {
        started: to.started,
        asked,
        writer_epoch,
        accepted,
    })
}

/// Reads a case; `None` when no answer came, or none of the writer's.
pub async fn read_case(http: &Client, to: Try<'_>, case: &str) -> Option<Read> {
    let url = format!("http://{}/cases/{case}", to.address);
    let response = http.get(url).header("Host", to.host).send().await.ok()?;
    let (status, writer_epoch) = (response.status(), epoch_of(&response)?);
    let seen = match status {
        StatusCode::OK => Some(serde_json::from_str(&response.text().await.ok()?).ok()?),
        StatusCode::NOT_FOUND => None,
        _ => return None,
    };
    Some(Read { started: to.started, case: case.into(), writer_epoch, seen })
}

fn epoch_of(response: &Response) -> Option<u64> {
    response.headers().get("writer-epoch")?.to_str().ok()?.parse().ok()
}

fn post(http: &Client, to: Try<'_>, path: &str, key: &str, body: Value) -> reqwest::RequestBuilder {
    http.post(format!("http://{}{path}", to.address))
        .header("Host", to.host)
        .header("Idempotency-Key", key)
        .header("Content-Type", "application/json")
        .body(body.to_string())
}

/// A command's answer, with what its headers say.
struct Said {
    opened: Opened,
    site: String,
    writer_epoch: Option<u64>,
    replayed: bool,
}

async fn send(http: &Client, to: Try<'_>, path: &str, key: &str, body: Value) -> Result<Said, Miss> {
    let response = post(http, to, path, key, body).send().await.map_err(|error| transport(&error))?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let site = header("site").unwrap_or_default();
    let writer_epoch = epoch_of(&response);
    let replayed = header("idempotent-replay").is_some_and(|value| value == "true");
    let not_forwarded = header(SERVED_BY).is_some_and(|by| by.ends_with(BY_NOBODY));
    Ok(Said { opened: read(response, not_forwarded).await?, site, writer_epoch, replayed })
}

#[derive(Deserialize)]
struct Opened {
    id: String,
    epoch: u64,
    lsn: String,
    #[serde(flatten)]
    seen: Seen,
}

/// The load balancer names who answered, and itself with a dash in place of an instance.
const SERVED_BY: &str = "x-served-by";
const BY_NOBODY: &str = "/-";

async fn read(response: Response, not_forwarded: bool) -> Result<Opened, Miss> {
    let status = response.status();
    let body = response.text().await.map_err(|error| transport(&error))?;
    if status.is_success() {
        return serde_json::from_str(&body).map_err(|error| Miss::unknown(format!("unreadable answer: {error}")));
    }
    let said: Problem = serde_json::from_str(&body).unwrap_or_default();
    let error = if said.error.is_empty() { body.trim().chars().take(200).collect() } else { said.error };
    let why = format!("{}: {error}", status.as_u16());
    // A client error is the service's own verdict. Of a server error only an explicit refusal is certain, and the
    // balancer's word that it had no instance to forward to; its 502 and 504 come after it forwarded.
    let certain = status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT;
    let unavailable = status == StatusCode::SERVICE_UNAVAILABLE && not_forwarded;
    if certain || unavailable || said.outcome.as_deref() == Some("refused") {
        Err(Miss::refused(why))
    } else {
        Err(Miss::unknown(why))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    error: String,
    outcome: Option<String>,
}

/// A request that never left is refused; any other may have arrived.
fn transport(error: &reqwest::Error) -> Miss {
    let mut root: &dyn Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let why = root.to_string();
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => Miss::refused("connecting took too long"),
        (true, false) => Miss::refused(format!("cannot connect: {why}")),
        (false, true) => Miss::unknown("no answer in time"),
        (false, false) => Miss::unknown(why),
    }
}
