//! The agent's API, over mutual TLS; who may ask what stands in `rpc::wire`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use engine::Inquiry;
use model::{LeaseReply, LeaseRequest, Outcome, Receipt, SiteReport};

use super::act::Orders;
use super::report::Parts;
use crate::identity::Peer;
use crate::rpc::wire::{self, ActRequest, AttemptRequest, PingReply};
use crate::rpc::{FromAgent, FromController, Problem};

pub struct Desk {
    pub report: Parts,
    pub orders: Arc<Orders>,
}

pub fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route(wire::PING, get(ping))
        .route(wire::REPORT, get(report))
        .route(wire::ACT, post(act))
        .route(wire::INQUIRE, post(inquire))
        .route(wire::CANCEL, post(cancel))
        .route(wire::LEASE, post(lease))
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
