//! What `minet join` does: one handshake with the node that invites, before any daemon runs.

use super::{Member, Token};
use fabric_seal::{Address, Denial, Event, Gate, GateConfig, Identity, Keys, OVERHEAD, SetupError};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

/// How long the node that invites may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the proof is sent until it is acknowledged.
const AGAIN: Duration = Duration::from_millis(200);

/// Why nobody joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// No answer.
    #[error("no answer from {0}: is the node that invites running, and can it be reached there?")]
    Silent(SocketAddr),
    /// The other node said no.
    #[error("{contact} does not let this node in: {why}")]
    Denied {
        /// The other node.
        contact: String,
        /// Its word.
        why: Denial,
    },
    /// The handshake cannot begin.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The system refused.
    #[error("cannot talk to {to}")]
    Io {
        /// To whom.
        to: SocketAddr,
        /// The system's word.
        source: io::Error,
    },
}

/// What a node is that joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The node that invited.
    pub contact: Member,
}

/// Uses an invitation. When this returns well, each has the other's key.
///
/// # Errors
/// See [`JoinError`].
pub fn join(identity: Identity, token: &Token) -> Result<Joined, JoinError> {
    let to = token.contact;
    let failed = |source| JoinError::Io { to, source };
    let any: SocketAddr =
        if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(any).and_then(|s| s.connect(to).map(|()| s)).map_err(failed)?;
    let start = Instant::now();
    let mut gate = Gate::new(identity, GateConfig::default())?;
    let at = Address::from(to);
    gate.join(start.elapsed(), token.contact_key, at, token.secret.clone())?;
    let mut keys: Option<Keys> = None;
    let mut bytes = [0; 2048];
    let mut prove_at = Duration::ZERO;
    while start.elapsed() < PATIENCE {
        let now = start.elapsed();
        gate.handle_timeout(now);
        while let Some(event) = gate.poll_event() {
            match event {
                Event::Keys { keys: new, .. } => keys = Some(new),
                Event::Denied { why, .. } => {
                    return Err(JoinError::Denied { contact: format!("{} at {to}", token.contact_name), why });
                }
                _ => {}
            }
        }
        while let Some(transmit) = gate.poll_transmit() {
            send(&socket, &transmit.bytes).map_err(failed)?;
        }
        if let Some(sealer) = keys.as_mut().and_then(|k| k.sealers.first_mut())
            && prove_at <= now
        {
            let mut proof = [0; OVERHEAD];
            if sealer.seal_in_place(&mut proof).is_ok() {
                send(&socket, &proof).map_err(failed)?;
            }
            prove_at = now + AGAIN;
        }
        let wait = if keys.is_some() { AGAIN } else { gate.poll_timeout().unwrap_or(AGAIN).saturating_sub(now) };
        socket.set_read_timeout(Some(wait.clamp(Duration::from_millis(1), AGAIN))).map_err(failed)?;
        let datagram = match socket.recv(&mut bytes) {
            Ok(len) => bytes.get_mut(..len).unwrap_or_default(),
            // Nobody is there yet, or nothing came in time.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::Interrupted
                ) =>
            {
                continue;
            }
            Err(e) => return Err(failed(e)),
        };
        // What opens under the new keys is the word that both have each other's.
        match &mut keys {
            Some(keys) if fabric_seal::index_of(datagram) == Some(keys.index()) => {
                if keys.opener.open_in_place(datagram).is_ok() {
                    let (node, name) = (token.contact_node, token.contact_name.clone());
                    let contact = Member { node, name, key: token.contact_key, address: Some(to) };
                    return Ok(Joined { contact });
                }
            }
            _ => gate.handle_datagram(start.elapsed(), at, datagram),
        }
    }
    Err(JoinError::Silent(to))
}

/// A peer that is not there yet is no error.
fn send(socket: &UdpSocket, bytes: &[u8]) -> io::Result<()> {
    match socket.send(bytes) {
        Err(e) if e.kind() != io::ErrorKind::ConnectionRefused => Err(e),
        _ => Ok(()),
    }
}
