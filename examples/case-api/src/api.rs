//! The HTTP face: requests in, JSON out, the same shape of error everywhere.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::command::{Command, Effect, Invalid, MAX_CLIENT, OpenCase, Transition, check_case_id, is_token};
use crate::config::Config;
use crate::store::{Done, Failure, Store};

const MAX_BODY: usize = 16 * 1024;

#[derive(Clone)]
pub struct App {
    pub store: Arc<Store>,
    pub config: Arc<Config>,
}

pub fn router(app: App) -> Router {
    Router::new()
        .route("/cases", post(open_case).get(list_cases))
        .route("/cases/{id}", get(read_case))
        .route("/cases/{id}/transition", post(move_case))
        .route("/cases/{id}/audit", get(read_trail))
        .route("/live", get(live))
        .route("/ready", get(ready))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "no such page") })
        .method_not_allowed_fallback(|| async { Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no such method here") })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(app.clone(), say_who_answers))
        .with_state(app)
}

async fn open_case(State(app): State<App>, headers: HeaderMap, body: BodyBytes) -> Result<Response, Problem> {
    let open: OpenCase = parse(body)?;
    command(&app, &headers, Effect::Open(open)).await
}

async fn move_case(
    State(app): State<App>,
    Path(case): Path<String>,
    headers: HeaderMap,
    body: BodyBytes,
) -> Result<Response, Problem> {
    let change: Transition = parse(body)?;
    let case = case.to_ascii_lowercase();
    command(&app, &headers, Effect::Transition { case, change }).await
}

async fn command(app: &App, headers: &HeaderMap, effect: Effect) -> Result<Response, Problem> {
    if !app.config.has_secret() {
        return Err(Problem::from(Failure::Refused(NO_SECRET.into())));
    }
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let Done { answer, writer_epoch, replayed } = app.store.execute(Command::new(key, effect)?).await?;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(answer.body)).into_response();
    response.headers_mut().insert("writer-epoch", writer_epoch.into());
    if replayed {
        response.headers_mut().insert("idempotent-replay", HeaderValue::from_static("true"));
    }
    Ok(response)
}

async fn read_case(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    check_case_id(&id)?;
    let (case, epoch) = app.store.case(&id).await?;
    let mut response = case.map_or_else(|| no_such_case().into_response(), |case| Json(case).into_response());
    // As with a command: a client can tell an older writer's answer from a newer one's.
    response.headers_mut().insert("writer-epoch", epoch.into());
    Ok(response)
}

async fn read_trail(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    check_case_id(&id)?;
    let trail = app.store.trail(&id).await?;
    // A case has its first entry from the transaction that opened it.
    if trail.is_empty() { Err(no_such_case()) } else { Ok(Json(json!({ "id": id, "audit": trail }))) }
}

async fn list_cases(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, Problem> {
    let client = query.get("client").filter(|client| is_token(client, MAX_CLIENT)).ok_or(Invalid::Client)?;
    let after = match query.get("after") {
        None => -1,
        Some(after) => after.parse().map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "`after` must be a number"))?,
    };
    Ok(Json(json!({ "cases": app.store.cases_of(client, after).await? })))
}

/// Shallow: the process answers.
async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

/// Deep: this instance could carry out a command now.
async fn ready(State(app): State<App>) -> Response {
    let epoch = if app.config.has_secret() {
        app.store.writer_epoch().await.map_err(|failure| failure.to_string())
    } else {
        Err(NO_SECRET.to_owned())
    };
    match epoch {
        Ok(epoch) => Json(json!({ "ready": true, "epoch": epoch })).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "why": why }))).into_response(),
    }
}

const NO_SECRET: &str = "API_SECRET is not set";

/// Every answer says where it came from (seed 003 section 14.1).
async fn say_who_answers(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let config = &app.config;
    for (name, value) in [("site", &config.site), ("zone", &config.zone), ("instance", &config.instance)] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

type BodyBytes = Result<Bytes, axum::extract::rejection::BytesRejection>;

fn parse<T: DeserializeOwned>(body: BodyBytes) -> Result<T, Problem> {
    let body = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("cannot read the body: {error}")))
}

fn no_such_case() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no such case")
}

/// An error as the client sees it: `{"error": …}`, and for a command whose end is not a plain answer
/// `{"outcome": "refused" | "unknown"}`.
struct Problem {
    status: StatusCode,
    error: String,
    outcome: Option<&'static str>,
}

impl Problem {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), outcome: None }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let status = match invalid {
            Invalid::Key => StatusCode::BAD_REQUEST,
            Invalid::CaseId => StatusCode::NOT_FOUND,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, invalid.to_string())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let error = failure.to_string();
        match failure {
            Failure::KeyReused => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error),
            Failure::Refused(_) => Self { status: StatusCode::SERVICE_UNAVAILABLE, error, outcome: Some("refused") },
            Failure::Unknown(_) => Self { status: StatusCode::SERVICE_UNAVAILABLE, error, outcome: Some("unknown") },
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": self.error });
        if let Some(outcome) = self.outcome {
            body["outcome"] = outcome.into();
        }
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
