//! The gate: the only way from clients to the database, open only while the lease holds.
//!
//! A client takes an answer for a commit that will stand. So a byte from the server passes only before the holder's
//! deadline, checked for every write: an agent that is frozen forwards nothing while its lease runs out, and PostgreSQL
//! may acknowledge into the void (SAFETY.md item 4). What a freeze between that check and the write could still let
//! through is closed by the watchdog, which kills a lapsed agent before it can run on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Time;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock;

/// Until when bytes may pass. Written by the lease's thread, read for every byte.
#[derive(Default)]
pub struct Deadline(AtomicU64);

impl Deadline {
    pub fn set(&self, until: Option<Time>) {
        self.0.store(until.map_or(0, |time| time.0), Ordering::SeqCst);
    }
    pub fn get(&self) -> Time {
        Time(self.0.load(Ordering::SeqCst))
    }
    pub fn passed(&self) -> bool {
        clock::now() >= self.get()
    }
}

pub struct Gate {
    deadline: Arc<Deadline>,
    state: watch::Sender<State>,
    /// How often clients named [`SETTING`]; absent where it does not matter.
    named: Option<Arc<AtomicU64>>,
}

/// A session that sets this below `on` is acknowledged without the standby, and PostgreSQL 15 cannot forbid it.
const SETTING: &[u8] = b"synchronous_commit";

#[derive(Default)]
struct State {
    /// How often the gate was shut.
    shuts: u64,
    /// The connections of the present opening; `None` while shut.
    opening: Option<CancellationToken>,
}

/// Leave to open the gate, void once it has been shut since.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket(u64);

impl Gate {
    /// `watches`: counts what clients send that names `synchronous_commit`.
    pub fn new(deadline: Arc<Deadline>, watches: bool) -> Self {
        Self { deadline, state: watch::Sender::new(State::default()), named: watches.then(Arc::default) }
    }

    /// How often clients have named `synchronous_commit`, in whatever they sent. Not all that set it do so in plain words.
    pub fn named(&self) -> u64 {
        self.named.as_ref().map_or(0, |named| named.load(Ordering::Relaxed))
    }

    pub fn ticket(&self) -> Ticket {
        Ticket(self.state.borrow().shuts)
    }

    /// Opens, unless the gate was shut after the ticket was given. Connections of an earlier opening end.
    pub fn open(&self, ticket: Ticket) {
        self.state.send_if_modified(|state| {
            let valid = state.shuts == ticket.0;
            if valid && let Some(old) = state.opening.replace(CancellationToken::new()) {
                old.cancel();
            }
            valid
        });
    }

    /// Ends every connection at once.
    pub fn shut(&self) {
        self.state.send_modify(|state| {
            state.shuts += 1;
            if let Some(token) = state.opening.take() {
                token.cancel();
            }
        });
    }

    pub fn is_open(&self) -> bool {
        self.state.borrow().opening.is_some() && !self.deadline.passed()
    }

    /// Serves `listen` until cancelled. While shut, connections are closed at once.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, socket: PathBuf, stop: CancellationToken) {
        loop {
            let (client, _) = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "gate cannot accept");
                        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                        continue;
                    }
                },
                () = stop.cancelled() => return,
            };
            let opening = self.state.borrow().opening.clone();
            let Some(opening) = opening.filter(|_| !self.deadline.passed()) else { continue };
            let (socket, deadline, named) = (socket.clone(), self.deadline.clone(), self.named.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = opening.cancelled() => {}
                    _ = pass(client, socket, &deadline, named.as_deref()) => {}
                }
            });
        }
    }
}

/// Finds [`SETTING`] in a stream, also across two reads.
#[derive(Default)]
struct Scan {
    tail: Vec<u8>,
}

impl Scan {
    fn finds(&mut self, chunk: &[u8]) -> usize {
        let known = self.tail.len();
        self.tail.extend_from_slice(chunk);
        let found = self.tail.windows(SETTING.len()).filter(|text| text.eq_ignore_ascii_case(SETTING)).count();
        let keep = self.tail.len().min(SETTING.len() - 1);
        self.tail.drain(..self.tail.len() - keep);
        debug_assert!(known < SETTING.len());
        found
    }
}

async fn pass(
    client: TcpStream,
    socket: PathBuf,
    deadline: &Deadline,
    named: Option<&AtomicU64>,
) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let server = UnixStream::connect(socket).await?;
    let (mut client_read, mut client_write) = client.into_split();
    let (mut server_read, mut server_write) = server.into_split();
    let up = async {
        let Some(named) = named else {
            tokio::io::copy(&mut client_read, &mut server_write).await?;
            return server_write.shutdown().await;
        };
        let (mut scan, mut buffer) = (Scan::default(), vec![0; 16 * 1024]);
        loop {
            let length = client_read.read(&mut buffer).await?;
            if length == 0 {
                return server_write.shutdown().await;
            }
            named.fetch_add(scan.finds(&buffer[..length]) as u64, Ordering::Relaxed);
            server_write.write_all(&buffer[..length]).await?;
        }
    };
    let down = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let length = server_read.read(&mut buffer).await?;
            if length == 0 {
                return client_write.shutdown().await;
            }
            let mut rest = &buffer[..length];
            while !rest.is_empty() {
                // Between the wait for room in the socket and the write, time may have passed: check, then write what
                // the socket takes without waiting.
                client_write.writable().await?;
                if deadline.passed() {
                    return Ok(());
                }
                match client_write.try_write(rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::net::UnixListener;

    use super::*;

    /// A gate in front of a server that echoes, and a client's connection to it.
    async fn echoing(until: Option<Time>) -> (Arc<Gate>, Arc<Deadline>, SocketAddr, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let server = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.into_split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        let deadline = Arc::new(Deadline::default());
        deadline.set(until);
        let gate = Arc::new(Gate::new(deadline.clone(), true));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(gate.clone().serve(listener, socket, CancellationToken::new()));
        (gate, deadline, address, folder)
    }

    #[test]
    fn a_setting_is_found_in_any_case_and_across_two_reads() {
        let mut scan = Scan::default();
        assert_eq!(scan.finds(b"SET Synchronous_Commit = off; set local synchronous_"), 1);
        assert_eq!(scan.finds(b"com"), 0);
        assert_eq!(scan.finds(b"mit to local"), 1);
        assert_eq!(scan.finds(b"; select synchronous_commi"), 0);
        assert_eq!(scan.finds(b" t"), 0);
    }

    async fn echo(client: &mut TcpStream) -> std::io::Result<usize> {
        client.write_all(b"x").await?;
        let mut buffer = [0; 8];
        tokio::time::timeout(Duration::from_secs(10), client.read(&mut buffer)).await?
    }

    #[tokio::test]
    async fn passes_bytes_only_while_open_and_before_the_deadline() {
        let (gate, deadline, address, _folder) = echoing(Some(clock::now() + Duration::from_secs(60))).await;
        let mut early = TcpStream::connect(address).await.unwrap();
        assert!(!matches!(echo(&mut early).await, Ok(1)), "shut at first");
        gate.open(gate.ticket());
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(echo(&mut client).await.unwrap(), 1);
        assert_eq!(gate.named(), 0);
        client.write_all(b"set synchronous_commit = off").await.unwrap();
        let mut echoed = [0; 28];
        tokio::time::timeout(Duration::from_secs(10), client.read_exact(&mut echoed)).await.unwrap().unwrap();
        assert_eq!(gate.named(), 1);
        deadline.set(Some(clock::now()));
        assert!(
            !matches!(echo(&mut client).await, Ok(1)),
            "the deadline alone stops it, with nobody shutting the gate"
        );
    }

    #[tokio::test]
    async fn shutting_ends_connections_that_are_open() {
        let (gate, _deadline, address, _folder) = echoing(Some(clock::now() + Duration::from_secs(60))).await;
        gate.open(gate.ticket());
        let mut client = TcpStream::connect(address).await.unwrap();
        assert_eq!(echo(&mut client).await.unwrap(), 1);
        let ticket = gate.ticket();
        gate.shut();
        gate.open(ticket);
        assert!(!matches!(echo(&mut client).await, Ok(1)));
        assert!(!gate.is_open());
    }
}
