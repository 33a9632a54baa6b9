//! The handlers.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use engine::{Event, Request, Status};
use model::SiteId;
use serde::Deserialize;

use super::reports::heard;
use super::{Abort, Approve, Heard};
use crate::journal::{JournalError, Line};
use crate::rpc::{FromOperator, Problem};
use crate::shell::{AskError, Granted, Handle};

/// Lines in one answer, at most; whoever wants more asks on from the last.
const MOST_LINES: usize = 1_000;
/// Whoever waits for events asks again at the latest after this, so that a caller who has gone is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The operators' API on a running controller.
pub fn router(controller: Handle) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/reports", get(reports))
        .route("/journal", get(journal))
        .route("/events", get(events))
        .route("/plan", post(plan))
        .route("/request", post(request))
        .route("/approve", post(approve))
        .route("/abort", post(abort))
        .with_state(controller)
}

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    from: u64,
    #[serde(default)]
    limit: Option<usize>,
    /// Seconds.
    #[serde(default)]
    wait: u64,
}

async fn status(_: FromOperator, State(controller): State<Handle>) -> Result<Json<Status>, Refusal> {
    Ok(Json(controller.look(engine::status).await?))
}

async fn reports(_: FromOperator, State(controller): State<Handle>) -> Result<Json<BTreeMap<SiteId, Heard>>, Refusal> {
    Ok(Json(controller.look(heard).await?))
}

async fn journal(
    _: FromOperator,
    State(controller): State<Handle>,
    Query(range): Query<Range>,
) -> Result<Json<Vec<Line>>, Refusal> {
    let limit = range.limit.unwrap_or(MOST_LINES).min(MOST_LINES);
    Ok(Json(controller.lines(range.from, limit).await?))
}

async fn events(
    _: FromOperator,
    State(controller): State<Handle>,
    Query(range): Query<Range>,
) -> Result<Json<Vec<Line>>, Refusal> {
    let wait = Duration::from_secs(range.wait).min(LONGEST_WAIT);
    if let Ok(Err(stopping)) = tokio::time::timeout(wait, controller.written(range.from)).await {
        return Err(stopping.into());
    }
    let limit = range.limit.unwrap_or(MOST_LINES).min(MOST_LINES);
    Ok(Json(controller.lines(range.from, limit).await?))
}

async fn plan(
    _: FromOperator,
    State(controller): State<Handle>,
    Json(request): Json<Request>,
) -> Result<Json<engine::Runbook>, Refusal> {
    let planned = controller.look(move |state, now| engine::plan(state, &request, now)).await?;
    planned.map(Json).map_err(|refused| AskError::Refused(refused).into())
}

async fn request(
    FromOperator(by): FromOperator,
    State(controller): State<Handle>,
    Json(request): Json<Request>,
) -> Result<Json<Granted>, Refusal> {
    Ok(Json(controller.ask(Event::Requested { request, by }).await?))
}

async fn approve(
    FromOperator(by): FromOperator,
    State(controller): State<Handle>,
    Json(Approve { run, accept_loss }): Json<Approve>,
) -> Result<Json<Granted>, Refusal> {
    Ok(Json(controller.ask(Event::Approved { run, by, accept_loss }).await?))
}

async fn abort(
    FromOperator(by): FromOperator,
    State(controller): State<Handle>,
    Json(Abort { run, why }): Json<Abort>,
) -> Result<Json<Granted>, Refusal> {
    Ok(Json(controller.ask(Event::Aborted { run, by, why }).await?))
}

/// How a call that cannot be granted is answered.
struct Refusal(Problem);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl From<AskError> for Refusal {
    fn from(error: AskError) -> Self {
        Refusal(match error {
            AskError::Refused(refused) => Problem::new(StatusCode::CONFLICT, refused.code, refused.why, refused.hint),
            AskError::Stopping => {
                let hint = "look in the journal whether the request was taken up, when the controller is back";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "controller-stopping", error.to_string(), hint)
            }
        })
    }
}

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        let status = match error {
            JournalError::Closed => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refusal(Problem::new(status, "journal", error.to_string(), error.hint()))
    }
}
