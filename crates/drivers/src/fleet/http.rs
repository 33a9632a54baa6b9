//! Small HTTP requests: checks of instances, and the exercise of the whole fleet.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A client that makes a new connection for each request, so that a check proves that connections are taken.
pub(super) type Checker = Client<HttpConnector, Full<Bytes>>;

/// Of a reply's body, in bytes: more is not worth quoting.
const QUOTED: usize = 500;

pub(super) fn checker(connect_timeout: Duration) -> Checker {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(connect_timeout));
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector)
}

/// Whether a GET ends in 2xx; `Some(false)` for any other end, `None` when there was none in time.
pub(super) async fn succeeds(checker: &Checker, address: SocketAddr, path: &str, within: Duration) -> Option<bool> {
    let uri = format!("http://{address}{path}");
    let request = Request::get(uri).body(Full::default()).ok()?;
    match tokio::time::timeout(within, checker.request(request)).await {
        Ok(Ok(response)) => Some(response.status().is_success()),
        Ok(Err(error)) if timed_out(&error) => None,
        Ok(Err(_)) => Some(false),
        Err(_) => None,
    }
}

/// The connector's own time-out looks like any other failure to connect.
fn timed_out(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut) || error.source().is_some_and(timed_out)
}

/// A reply in short.
pub(super) struct Said {
    pub status: StatusCode,
    pub served_by: String,
    pub body: String,
}

/// Sends one request and reads the reply whole.
///
/// # Errors
/// Why there was no reply, in plain words.
pub(super) async fn say(
    method: Method,
    address: SocketAddr,
    path: &str,
    key: &str,
    body: Option<String>,
    within: Duration,
) -> Result<Said, String> {
    let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json").header("idempotency-key", key);
    }
    let request = request.body(Full::from(body.unwrap_or_default())).map_err(|error| error.to_string())?;
    let reply = async {
        let response = checker(within).request(request).await.map_err(|error| plainly(&error))?;
        let served_by = response.headers().get("x-served-by").and_then(|value| value.to_str().ok()).unwrap_or("?");
        let (status, served_by) = (response.status(), served_by.to_owned());
        let body = Limited::new(response.into_body(), 1 << 20).collect().await;
        let body = body.map_err(|error| format!("the reply broke off: {error}"))?.to_bytes();
        let body = String::from_utf8_lossy(&body[..body.len().min(QUOTED)]).trim().to_owned();
        Ok(Said { status, served_by, body })
    };
    let late = || format!("no reply within {}", model::time::human(within));
    tokio::time::timeout(within, reply).await.unwrap_or_else(|_| Err(late()))
}

/// An error with its causes, in one line.
pub(super) fn plainly(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
