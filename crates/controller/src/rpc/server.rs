//! A server that knows who calls before it reads a byte of the call.

use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::identity::{Identity, IdentityError, Peer, peer_of};

/// Strangers who connect and say nothing lose their descriptor after this. Decides nothing else.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Pause after a failed accept (out of descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router` on `listener` until `stop`, as `identity`, to members of the same workload only. Handlers find the
/// caller's [`Peer`] as an extractor. When stopped, open connections are cut: callers must bear that at any time.
///
/// # Errors
/// Only before the first connection, when the identity makes no usable TLS configuration.
pub async fn serve(
    listener: TcpListener,
    identity: &Identity,
    router: Router,
    stop: CancellationToken,
) -> Result<(), IdentityError> {
    let acceptor = TlsAcceptor::from(identity.server_config()?);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, acceptor.clone(), router.clone()));
            }
            Err(error) => {
                debug!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.shutdown().await;
    Ok(())
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, router: Router) {
    let from = stream.peer_addr().ok();
    let _ = stream.set_nodelay(true);
    let tls = match tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
        Ok(Ok(tls)) => tls,
        Ok(Err(error)) => return debug!(?from, %error, "refused a connection"),
        Err(_) => return debug!(?from, "a connection said nothing"),
    };
    let Some(peer) = caller(&tls) else {
        return debug!(?from, "refused a certificate that names no member");
    };
    let service = TowerToHyperService::new(router.layer(Extension(peer.clone())));
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(tls), service).await {
        debug!(%peer, %error, "a connection broke");
    }
}

fn caller(tls: &tokio_rustls::server::TlsStream<TcpStream>) -> Option<Peer> {
    tls.get_ref().1.peer_certificates()?.first().and_then(peer_of)
}
