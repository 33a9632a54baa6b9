//! What the fleet runs: this test program, as a service that lives and is never ready, as beside a standby.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Set for the instances alone.
pub const SWITCH: &str = "CONFORMANCE_SERVICE";

/// Not a test but the service, when the environment says so.
#[tokio::test]
async fn the_service() {
    if std::env::var_os(SWITCH).is_none() {
        return;
    }
    let env = |name: &str| std::env::var(name).expect("the fleet sets it");
    let listener = TcpListener::bind(format!("{}:{}", env("LISTEN"), env("PORT"))).await.expect("its own port");
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        tokio::spawn(async move {
            let mut request = [0; 4096];
            let length = stream.read(&mut request).await.unwrap_or(0);
            let lives = request[..length].starts_with(b"GET /live ");
            let status = if lives { "200 OK" } else { "503 Service Unavailable" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        });
    }
}
