//! Who may call what: extractors that answer 403 when the caller's role does not fit.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use model::{Person, SiteId};
use serde::{Deserialize, Serialize};

use crate::identity::Peer;

/// A refusal as it travels: a stable code for programs, the reason and what to do next for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    #[serde(skip, default = "unset")]
    status: StatusCode,
    pub code: String,
    pub why: String,
    #[serde(default)]
    pub hint: String,
}

fn unset() -> StatusCode {
    StatusCode::BAD_REQUEST
}

impl Problem {
    pub fn new(status: StatusCode, code: impl Into<String>, why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status, code: code.into(), why: why.into(), hint: hint.into() }
    }

    fn not_yours(peer: &Peer, who: &str) -> Self {
        let why = format!("{peer} may not ask this: only {who} may");
        Self::new(StatusCode::FORBIDDEN, "not-permitted", why, "use the certificate of the role that the call is for")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

/// Any member of the workload.
impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Peer>().cloned().ok_or_else(|| {
            let why = "the call came without a verified certificate";
            Problem::new(StatusCode::FORBIDDEN, "not-permitted", why, "call over mutual TLS")
        })
    }
}

/// The agent of that site.
pub struct FromAgent(pub SiteId);

impl<S: Send + Sync> FromRequestParts<S> for FromAgent {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Peer::from_request_parts(parts, state).await? {
            Peer::Agent(site) => Ok(FromAgent(site)),
            peer => Err(Problem::not_yours(&peer, "an agent")),
        }
    }
}

/// The controller.
pub struct FromController;

impl<S: Send + Sync> FromRequestParts<S> for FromController {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Peer::from_request_parts(parts, state).await? {
            Peer::Controller => Ok(FromController),
            peer => Err(Problem::not_yours(&peer, "the controller")),
        }
    }
}

/// That person, at a command line.
pub struct FromOperator(pub Person);

impl<S: Send + Sync> FromRequestParts<S> for FromOperator {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Peer::from_request_parts(parts, state).await? {
            Peer::Operator(person) => Ok(FromOperator(person)),
            peer => Err(Problem::not_yours(&peer, "an operator")),
        }
    }
}
