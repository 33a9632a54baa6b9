//! What the driver tests share.
#![allow(dead_code, reason = "each test uses its own part")]

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a loaded machine.
pub const GENEROUS: Duration = Duration::from_secs(30);

/// The first of `count` neighbouring ports that nobody uses now on `ip`, for UDP and for TCP.
pub fn free_ports(ip: Ipv4Addr, count: u16) -> u16 {
    let free = |port: u16| {
        let address = SocketAddr::from((ip, port));
        TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
    };
    let tries = (0..200).map(|_| rand::random_range(20_000..32_000 - count));
    let found = tries.into_iter().find(|first| (0..count).all(|offset| free(first + offset)));
    found.expect("200 tries find free ports")
}

/// Polls until `condition` holds.
pub async fn until<F, Fut>(what: &str, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < GENEROUS, "not within {GENEROUS:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
