//! Handshakes, on a thread of their own: a flood of them takes its share of the machine from nobody's
//! turn. Each has its time and, all together, their memory.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;

use super::session::{RECORD_BYTES_MAX, Session};
use strom_intake::Ending;
use strom_intake::budget::COMPLETION_MS;

/// What all handshakes together may hold of messages that are not whole.
const BYTES_MAX: usize = 32 << 20;
/// The first byte of a TLS connection: a record of the handshake.
const HANDSHAKE_RECORD: u8 = 0x16;

/// A connection that wants TLS.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) socket: StdStream,
    pub(crate) address: SocketAddr,
    /// Index into the node's listeners.
    pub(crate) listener: usize,
    pub(crate) config: Arc<ServerConfig>,
}

/// A connection that has it.
#[derive(Debug)]
pub(crate) struct Shaken {
    pub(super) socket: StdStream,
    pub(super) session: Session,
}

/// How a handshake ended, and whose it was.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) address: SocketAddr,
    pub(crate) listener: usize,
    pub(crate) result: Result<Shaken, Ending>,
}

/// The thread's end at the shard. The thread ends with it.
#[derive(Debug)]
pub(crate) struct Handshakes {
    wanted: UnboundedSender<Wanted>,
}

impl Handshakes {
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start() -> io::Result<(Self, UnboundedReceiver<Outcome>)> {
        let (wanted, jobs) = unbounded_channel();
        let (results, outcomes) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("handshakes".to_owned()).spawn(move || {
            LocalSet::new().block_on(&runtime, take_up(jobs, results));
        })?;
        Ok((Self { wanted }, outcomes))
    }

    /// The outcome is told later. Connections are as many as the node admits.
    pub(crate) fn submit(&self, wanted: Wanted) -> bool {
        self.wanted.send(wanted).is_ok()
    }
}

/// Shared by the handshakes of the thread.
struct Shared {
    scratch: RefCell<Vec<u8>>,
    bytes: Cell<usize>,
}

async fn take_up(mut jobs: UnboundedReceiver<Wanted>, results: UnboundedSender<Outcome>) {
    let shared = Rc::new(Shared {
        scratch: RefCell::new(vec![0; RECORD_BYTES_MAX + UNSHAKEN_ROOM]),
        bytes: Cell::new(0),
    });
    while let Some(wanted) = jobs.recv().await {
        let (shared, results) = (Rc::clone(&shared), results.clone());
        tokio::task::spawn_local(async move {
            let Wanted { socket, address, listener, config } = wanted;
            let result = shake_in_time(socket, config, &shared).await;
            // The shard is gone when the node stops.
            let _ = results.send(Outcome { address, listener, result });
        });
    }
}

/// Beside one read, what of a handshake may be held already.
const UNSHAKEN_ROOM: usize = 64 * 1024;

async fn shake_in_time(
    socket: StdStream,
    config: Arc<ServerConfig>,
    shared: &Shared,
) -> Result<Shaken, Ending> {
    let socket = TcpStream::from_std(socket).map_err(|error| ending(&error))?;
    let mut share = Share { shared, bytes: 0 };
    let limit = Duration::from_millis(COMPLETION_MS);
    let shaking = tokio::time::timeout(limit, shake(&socket, config, &mut share));
    let session = shaking.await.map_err(|_| {
        Ending::Notable(format!("a TLS handshake was not done {COMPLETION_MS} ms after its begin"))
    })??;
    let socket = socket.into_std().map_err(|error| ending(&error))?;
    Ok(Shaken { socket, session })
}

/// What one handshake holds, given back when it ends.
struct Share<'a> {
    shared: &'a Shared,
    bytes: usize,
}

impl Share<'_> {
    fn set(&mut self, bytes: usize) -> bool {
        let all = self.shared.bytes.get() - self.bytes + bytes;
        self.shared.bytes.set(all);
        self.bytes = bytes;
        all <= BYTES_MAX
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.set(0);
    }
}

async fn shake(
    socket: &TcpStream,
    config: Arc<ServerConfig>,
    share: &mut Share<'_>,
) -> Result<Session, Ending> {
    // Who says nothing gets nothing.
    socket.readable().await.map_err(|error| ending(&error))?;
    let mut session = Session::new(config).map_err(Ending::Notable)?;
    let mut is_first = true;
    loop {
        while !session.outgoing().is_empty() {
            match socket.try_write(session.outgoing()) {
                Ok(count) => session.sent(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    socket.writable().await.map_err(|error| ending(&error))?;
                }
                Err(error) => return Err(ending(&error)),
            }
        }
        if !session.is_shaking() {
            return Ok(session);
        }
        match receive(socket, &mut session, share.shared, is_first) {
            Ok(Some(())) => is_first = false,
            Ok(None) => socket.readable().await.map_err(|error| ending(&error))?,
            Err(ended) => {
                // The alert, for what it is worth.
                let _ = socket.try_write(session.outgoing());
                return Err(ended);
            }
        }
        if !share.set(session.begun_bytes()) {
            return Err(Ending::Notable("too many TLS handshakes at once".to_owned()));
        }
        // Others have their turn between two steps.
        tokio::task::yield_now().await;
    }
}

/// Reads once; `None` where nothing has come.
fn receive(
    socket: &TcpStream,
    session: &mut Session,
    shared: &Shared,
    is_first: bool,
) -> Result<Option<()>, Ending> {
    let mut scratch = shared.scratch.borrow_mut();
    let begun = session.begun().len();
    let (start, room) = scratch
        .split_at_mut_checked(begun)
        .ok_or_else(|| Ending::Notable("a handshake of more than 64 KiB".to_owned()))?;
    let count = match socket.try_read(room) {
        Ok(0) => return Err(Ending::ByPeer),
        Ok(count) => count,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(ending(&error)),
    };
    start.copy_from_slice(session.begun());
    if is_first && scratch.first() != Some(&HANDSHAKE_RECORD) {
        return Err(Ending::Notable(
            "a client without TLS on a TLS listener: set security.protocol=SSL at the client"
                .to_owned(),
        ));
    }
    let received = scratch.get_mut(..begun + count).unwrap_or_default();
    // What follows the handshake at once waits in the session.
    session.receive(received, &mut |_| 0).map(Some).map_err(Ending::Notable)
}

fn ending(error: &io::Error) -> Ending {
    crate::connection::ending_of(error)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use rustls::pki_types::PrivateKeyDer;

    use super::*;

    fn config() -> Arc<ServerConfig> {
        let made = rcgen::generate_simple_self_signed(["a".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key);
        Arc::new(config.expect("a pair"))
    }

    /// How the handshake of a peer ends that sends these bytes, and then nothing.
    fn ending_of_peer(bytes: &[u8]) -> Ending {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut peer = StdStream::connect(listener.local_addr().expect("bound")).expect("open");
        let (socket, address) = listener.accept().expect("a connection");
        socket.set_nonblocking(true).expect("a socket");
        let (handshakes, mut outcomes) = Handshakes::start().expect("a thread");
        assert!(handshakes.submit(Wanted { socket, address, listener: 3, config: config() }));
        peer.write_all(bytes).expect("sent");
        peer.shutdown(std::net::Shutdown::Write).expect("open");
        let outcome = outcomes.blocking_recv().expect("an outcome");
        assert_eq!((outcome.address, outcome.listener), (address, 3));
        outcome.result.expect_err("no handshake")
    }

    #[test]
    fn who_leaves_or_speaks_plainly_is_told_apart() {
        assert_eq!(ending_of_peer(&[]), Ending::ByPeer);
        assert_eq!(ending_of_peer(&[HANDSHAKE_RECORD, 3, 1, 0, 9]), Ending::ByPeer);
        let Ending::Notable(said) = ending_of_peer(&[0, 0, 0, 9]) else { panic!("notable") };
        assert!(said.starts_with("a client without TLS on a TLS listener"), "{said}");
    }

    #[test]
    fn what_handshakes_hold_is_bounded_together() {
        let shared = Shared { scratch: RefCell::new(Vec::new()), bytes: Cell::new(0) };
        let mut first = Share { shared: &shared, bytes: 0 };
        let mut second = Share { shared: &shared, bytes: 0 };
        assert!(first.set(BYTES_MAX - 10) && second.set(10));
        assert!(!second.set(11));
        drop(first);
        assert!(second.set(11));
        assert_eq!(shared.bytes.get(), 11);
    }
}
