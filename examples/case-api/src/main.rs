//! case-api: an example workload for Antipode, and the service that its drills write through.
//!
//! A case is opened, then moved from UnderReview to Escalated or Closed. Each command carries an Idempotency-Key and
//! takes effect once however often it is tried, across a failover too (seed 003 sections 10.3, 11.3 and 24).
//!
//! ```text
//! api ──► command (checked) ──► store: claim key ─► effect + audit + answer ─► COMMIT ──► done | refused | unknown
//! ```

mod api;
mod command;
mod config;
mod store;

use std::process::ExitCode;
use std::sync::Arc;

use axum::serve::ListenerExt;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::store::Store;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    match serve(Config::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("cannot read DATABASE_URL: {0}")]
    DatabaseUrl(#[from] tokio_postgres::Error),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("cannot serve: {0}")]
    Serve(#[from] std::io::Error),
}

async fn serve(config: Config) -> Result<(), ServeError> {
    let store = Store::new(&config)?;
    let address = (config.listen, config.port).into();
    let listener = TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })?;
    tracing::info!(site = config.site, zone = config.zone, instance = config.instance, "listening on {address}");
    let app = api::App { store, config: Arc::new(config) };
    let mut stop = signal(SignalKind::terminate())?;
    // Answers are one small packet: never wait to fill it.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, api::router(app))
        .with_graceful_shutdown(async move {
            stop.recv().await;
        })
        .await?;
    Ok(())
}
