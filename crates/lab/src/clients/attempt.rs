//! One try of one write over HTTP, and what it says about the write.

use std::error::Error;
use std::net::SocketAddr;

use model::Time;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;

use super::ClientPlan;
use crate::ledger::entry::{Acknowledgement, WriteId};

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

/// Opens a case in the name of `id`. `number` counts the tries of this write from 1.
pub async fn open_case(
    http: &Client,
    host: &str,
    address: SocketAddr,
    id: &WriteId,
    number: u32,
    started: Time,
) -> Result<Acknowledgement, Miss> {
    let body = serde_json::json!({
        "subject": format!("drill write {id}"),
        "ledger": { "client": &*id.client, "seq": id.seq },
    });
    let request = http
        .post(format!("http://{address}/cases"))
        .header("Host", host)
        .header("Idempotency-Key", id.to_string())
        .header("Content-Type", "application/json")
        .body(body.to_string());
    let response = request.send().await.map_err(|error| transport(&error))?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let site = header("site").unwrap_or_default();
    let writer_epoch = header("writer-epoch").and_then(|epoch| epoch.parse().ok());
    let replayed = header("idempotent-replay").is_some_and(|value| value == "true");
    let not_forwarded = header(SERVED_BY).is_some_and(|by| by.ends_with(BY_NOBODY));
    let opened = read(response, not_forwarded).await?;
    let writer_epoch = writer_epoch.unwrap_or(opened.epoch);
    let Opened { id: case, epoch, lsn } = opened;
    Ok(Acknowledgement { attempt: number, started, address, site, case, epoch, writer_epoch, lsn, replayed })
}

#[derive(Deserialize)]
struct Opened {
    id: String,
    epoch: u64,
    lsn: String,
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
    let said: Said = serde_json::from_str(&body).unwrap_or_default();
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
struct Said {
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
