//! The agent's API, over mutual TLS; who may ask what stands in `rpc::wire`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use drivers::postgres::Entry;
use engine::Inquiry;
use model::glass::GlassRequest;
use model::{LeaseReply, LeaseRequest, Outcome, Receipt, SiteId, SiteReport};

use super::act::Orders;
use super::glass::GlassDesk;
use super::report::Parts;
use super::vault::{VaultError, VaultStore};
use crate::identity::Peer;
use crate::journal::Line;
use crate::rpc::wire::{self, ActRequest, AttemptRequest, GlassView, PingReply};
use crate::rpc::{FromAgent, FromController, FromOperator, Problem};

pub struct Desk {
    pub report: Parts,
    pub orders: Arc<Orders>,
    /// At the witness, when backups are declared.
    pub vault: Option<Arc<VaultStore>>,
    /// In a region.
    pub glass: Option<Arc<GlassDesk>>,
}

pub fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route(wire::PING, get(ping))
        .route(wire::REPORT, get(report))
        .route(wire::ACT, post(act))
        .route(wire::INQUIRE, post(inquire))
        .route(wire::CANCEL, post(cancel))
        .route(wire::LEASE, post(lease))
        .route(wire::VAULT, get(vault_list))
        .route(wire::VAULT_PART, get(vault_part).post(vault_add))
        .route(wire::VAULT_SEAL, post(vault_seal))
        .route(wire::GLASS, get(glass).post(break_glass))
        .route(wire::GLASS_JOURNAL, get(glass_journal))
        .with_state(desk)
}

async fn ping(_: Peer, State(desk): State<Arc<Desk>>) -> Json<PingReply> {
    Json(PingReply { site: desk.report.site.clone(), incarnation: desk.report.incarnation })
}

async fn report(peer: Peer, State(desk): State<Arc<Desk>>) -> Result<Json<SiteReport>, Problem> {
    match peer {
        Peer::Controller | Peer::Operator(_) => Ok(Json(desk.report.report().await)),
        Peer::Agent(_) => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "not-permitted",
            "an agent may not ask for reports",
            "ask the controller",
        )),
    }
}

async fn act(_: FromController, State(desk): State<Arc<Desk>>, Json(request): Json<ActRequest>) -> Json<Outcome> {
    Json(desk.orders.clone().act(request.attempt, request.action).await)
}

async fn inquire(
    _: FromController,
    State(desk): State<Arc<Desk>>,
    Json(request): Json<AttemptRequest>,
) -> Json<Inquiry> {
    Json(desk.orders.inquire(request.attempt))
}

async fn cancel(
    _: FromController,
    State(desk): State<Arc<Desk>>,
    Json(request): Json<AttemptRequest>,
) -> Json<Inquiry> {
    Json(desk.orders.cancel(request.attempt).await)
}

/// A site asks for itself only, and a receipt counts only with the signature of the site that it speaks for.
async fn lease(
    FromAgent(site): FromAgent,
    State(desk): State<Arc<Desk>>,
    Json(request): Json<LeaseRequest>,
) -> Result<Json<LeaseReply>, Problem> {
    let forbidden = |why: String| Problem::new(StatusCode::FORBIDDEN, "not-permitted", why, "");
    if let Some(asker) = asker(&request)
        && *asker != site
    {
        return Err(forbidden(format!("{site} may not ask for an epoch of {asker}")));
    }
    if let Some(forged) = receipts(&request).iter().find(|receipt| !desk.orders.verifier.verify(receipt)) {
        return Err(forbidden(format!("the receipt of {} does not carry its signature", forged.site)));
    }
    let answered = desk.orders.voter.answer(&request);
    answered.map(Json).map_err(|error| {
        tracing::error!(%error, "the voter cannot answer");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "voter-broken", error.to_string(), "")
    })
}

fn asker(request: &LeaseRequest) -> Option<&model::SiteId> {
    match request {
        LeaseRequest::Sound { epoch, .. }
        | LeaseRequest::Acquire { epoch, .. }
        | LeaseRequest::Renew { epoch }
        | LeaseRequest::BreakGlass { epoch, .. }
        | LeaseRequest::RecordSync { epoch, .. } => Some(&epoch.site),
        LeaseRequest::Release { .. } | LeaseRequest::Recall => None,
    }
}

fn receipts(request: &LeaseRequest) -> &[Receipt] {
    match request {
        LeaseRequest::Sound { receipts, .. } | LeaseRequest::Acquire { receipts, .. } => receipts,
        LeaseRequest::Release { receipt } => std::slice::from_ref(receipt),
        LeaseRequest::Renew { .. }
        | LeaseRequest::BreakGlass { .. }
        | LeaseRequest::RecordSync { .. }
        | LeaseRequest::Recall => &[],
    }
}

/// Every region may read, to restore; the vault decides nothing by who asks.
async fn vault_list(_: FromAgent, State(desk): State<Arc<Desk>>) -> Result<Json<Vec<Entry>>, Problem> {
    Ok(Json(desk.vault()?.list()))
}

async fn vault_part(
    _: FromAgent,
    State(desk): State<Arc<Desk>>,
    Path((name, offset)): Path<(String, u64)>,
) -> Result<Vec<u8>, Problem> {
    let vault = desk.vault()?;
    at_the_vault(move || vault.part(&name, offset)).await
}

async fn vault_add(
    FromAgent(site): FromAgent,
    State(desk): State<Arc<Desk>>,
    Path((name, offset)): Path<(String, u64)>,
    bytes: Bytes,
) -> Result<(), Problem> {
    let vault = desk.vault_of(&site)?;
    at_the_vault(move || vault.add(&site, &name, offset, &bytes)).await
}

async fn vault_seal(
    FromAgent(site): FromAgent,
    State(desk): State<Arc<Desk>>,
    Json(entry): Json<Entry>,
) -> Result<Json<()>, Problem> {
    let vault = desk.vault_of(&site)?;
    at_the_vault(move || vault.seal(&site, &entry)).await.map(Json)
}

async fn glass(_: FromOperator, State(desk): State<Arc<Desk>>) -> Result<Json<GlassView>, Problem> {
    Ok(Json(desk.glass()?.stands().await))
}

/// The person is who the certificate says.
async fn break_glass(
    FromOperator(by): FromOperator,
    State(desk): State<Arc<Desk>>,
    Json(request): Json<GlassRequest>,
) -> Result<Json<GlassView>, Problem> {
    desk.glass()?.ask(by, request).await.map(Json)
}

async fn glass_journal(
    _: FromOperator,
    State(desk): State<Arc<Desk>>,
    Path(from): Path<u64>,
) -> Result<Json<Vec<Line>>, Problem> {
    desk.glass()?.lines(from).map(Json)
}

impl Desk {
    fn glass(&self) -> Result<Arc<GlassDesk>, Problem> {
        self.glass.clone().ok_or_else(|| {
            let why = format!("{} is no region: it holds no data", self.report.site);
            Problem::new(StatusCode::CONFLICT, "no-such-site", why, "name the region that is left")
        })
    }

    fn vault(&self) -> Result<Arc<VaultStore>, Problem> {
        self.vault.clone().ok_or_else(|| {
            let why = format!("{} keeps no vault", self.report.site);
            Problem::new(StatusCode::NOT_FOUND, "no-backups", why, "the witness does, when `backup` is declared")
        })
    }

    fn vault_of(&self, site: &SiteId) -> Result<Arc<VaultStore>, Problem> {
        if self.report.topology.is_region(site) {
            return self.vault();
        }
        let why = format!("{site} is no region: it has nothing to keep");
        Err(Problem::new(StatusCode::FORBIDDEN, "not-permitted", why, ""))
    }
}

/// The disk is not waited for on a thread that answers others.
async fn at_the_vault<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
) -> Result<T, Problem> {
    let failed = |why: String| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "vault", why, "");
    match tokio::task::spawn_blocking(act).await {
        Err(error) => Err(failed(error.to_string())),
        Ok(Err(error @ VaultError::File { .. })) => Err(failed(error.to_string())),
        Ok(Err(error)) => Err(Problem::new(StatusCode::CONFLICT, "vault", error.to_string(), "")),
        Ok(Ok(done)) => Ok(done),
    }
}
