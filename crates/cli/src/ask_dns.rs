//! One question to one DNS server: what it answers for a name, and how fast.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use serde::Serialize;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Answer {
    pub addresses: Vec<Ipv4Addr>,
    /// The shortest of the answer.
    pub ttl: Duration,
    pub took: Duration,
}

/// The addresses of `host` as `server` gives them, or why it gives none.
pub async fn ask(server: SocketAddr, host: &str, within: Duration) -> Result<Answer, String> {
    let began = Instant::now();
    let answer = timeout(within, exchange(server, host)).await;
    let answer = answer.map_err(|_| format!("no answer within {}", model::time::human(within)))?;
    let answer = answer.map_err(|error| error.to_string())?;
    let code = answer.metadata.response_code;
    if code != ResponseCode::NoError {
        return Err(code.to_string());
    }
    let addresses = answer.answers.iter().filter_map(|record| match record.data {
        RData::A(address) => Some(address.0),
        _ => None,
    });
    let ttl = answer.answers.iter().map(|record| record.ttl).min().unwrap_or(0);
    let ttl = Duration::from_secs(ttl.into());
    Ok(Answer { addresses: addresses.collect(), ttl, took: began.elapsed() })
}

async fn exchange(server: SocketAddr, host: &str) -> Result<Message, Box<dyn std::error::Error + Send + Sync>> {
    let mut name = Name::from_utf8(host)?;
    name.set_fqdn(true);
    let mut question = Message::query();
    question.add_query(Query::query(name, RecordType::A));
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question.to_vec()?).await?;
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let Ok(answer) = Message::from_vec(&buffer[..length]) else { continue };
        if answer.metadata.id == question.metadata.id {
            return Ok(answer);
        }
    }
}
