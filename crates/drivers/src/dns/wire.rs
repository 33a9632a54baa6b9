//! From packets to questions and back: who asks, what DNS itself demands, and EDNS (RFC 6891, 7871).
//!
//! Decoding, framing and truncation are hickory's. It logs every question at level `info` under `hickory_server`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use async_trait::async_trait;
use hickory_proto::op::{Edns, Header, HeaderCounts, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use super::Shared;
use super::answer::Reply;

/// The largest UDP reply that networks carry unfragmented (DNS flag day 2020).
const LARGEST_UDP: u16 = 1232;
/// What every client takes (RFC 1035, section 4.2.1).
const SMALLEST_UDP: u16 = 512;
/// Replies that may wait on one TCP connection.
pub(super) const TCP_REPLIES: usize = 32;

pub(super) struct Handler {
    shared: Arc<Shared>,
}

impl Handler {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn reply(&self, request: &Request) -> Reply {
        if request.metadata.op_code != OpCode::Query {
            return Reply::error(ResponseCode::NotImp);
        }
        if request.version() > 0 {
            return Reply::error(ResponseCode::BADVERS);
        }
        let [question] = request.queries.queries() else { return Reply::error(ResponseCode::FormErr) };
        let client = self.shared.home.client(client_address(request));
        self.shared.home.reply(&self.shared.served(), question.original(), &client, rand::random())
    }
}

fn subnet(request: &Request) -> Option<ClientSubnet> {
    match request.edns.as_ref()?.option(EdnsCode::Subnet)? {
        EdnsOption::Subnet(subnet) => Some(*subnet),
        _ => None,
    }
}

/// The client's own network where its resolver tells it, else the resolver's address. A prefix of zero is a
/// client that does not want to be located by its own network.
fn client_address(request: &Request) -> Option<Ipv4Addr> {
    let told = subnet(request).filter(|subnet| subnet.source_prefix() > 0).map(|subnet| subnet.addr());
    match told.unwrap_or(request.src().ip()) {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(address) => address.to_ipv4_mapped(),
    }
}

/// A reply carries EDNS exactly when its question did, and the client subnet exactly when it was told.
fn edns(request: &Request, reply: &Reply) -> Option<Edns> {
    let asked = request.edns.as_ref()?;
    let mut edns = Edns::new();
    edns.set_version(0);
    edns.set_rcode_high(reply.code.high());
    edns.set_max_payload(asked.max_payload().clamp(SMALLEST_UDP, LARGEST_UDP));
    edns.set_dnssec_ok(asked.flags().dnssec_ok);
    if let Some(mut subnet) = subnet(request) {
        subnet.set_scope_prefix(reply.scope);
        edns.options_mut().insert(EdnsOption::Subnet(subnet));
    }
    Some(edns)
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut response: R) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        let reply = self.reply(request);
        metadata.response_code = reply.code;
        metadata.authoritative = reply.authoritative;
        let edns = edns(request, &reply);
        let builder = MessageResponseBuilder::new(&request.queries, edns.as_ref());
        let none: &[Record] = &[];
        let message = builder.build(metadata, &reply.answers, &reply.authority, none, &reply.additional);
        match response.send_response(message).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, "cannot send a DNS reply");
                Header { metadata, counts: HeaderCounts::default() }.into()
            }
        }
    }
}
