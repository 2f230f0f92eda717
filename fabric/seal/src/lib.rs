//! The sealed channel: what makes a carrier that leaves the host private and authenticated.
//!
//! A [`Gate`] is one node's doorkeeper on one carrier: it knows the node's [`Identity`], whom to let in, and runs a Noise
//! handshake (IKpsk2, X25519, SHA-256) with each peer. What comes out are [`Keys`]: a [`Sealer`] for each sending thread
//! and an [`Opener`] for the receiving one. These two are all that the fast path needs; they seal and open a datagram in
//! place, without allocation or lock.
//!
//! It does *not* send or receive, read a clock, or know what is in a message or who a peer is beyond its public key. Time
//! is an argument: the time since a start that the caller chose. Addresses are opaque ([`Address`]), so that UDP, raw
//! Ethernet and a serial line use the same code.
//!
//! ```
//! use fabric_seal::{Address, Event, Gate, GateConfig, HEAD, Identity, OVERHEAD, TAG};
//! use std::time::Duration;
//! let (mut a, mut b) = (
//!     Gate::new(Identity::generate()?, GateConfig::default())?,
//!     Gate::new(Identity::generate()?, GateConfig::default())?,
//! );
//! let (at_a, at_b) = (Address::from([1; 6]), Address::from([2; 6]));
//! a.admit(b.public());
//! b.admit(a.public());
//! let now = Duration::ZERO;
//! a.open(now, b.public(), at_b)?;
//! // The two talk until nothing is left to say.
//! loop {
//!     let (mut from_a, mut from_b) = (a.poll_transmit(), b.poll_transmit());
//!     if from_a.is_none() && from_b.is_none() {
//!         break;
//!     }
//!     from_a.iter_mut().for_each(|t| b.handle_datagram(now, at_a, &mut t.bytes));
//!     from_b.iter_mut().for_each(|t| a.handle_datagram(now, at_b, &mut t.bytes));
//! }
//! let keys = |gate: &mut Gate| {
//!     std::iter::from_fn(|| gate.poll_event()).find_map(|e| if let Event::Keys { keys, .. } = e { Some(keys) } else { None })
//! };
//! let (mut of_a, mut of_b) = (keys(&mut a).unwrap(), keys(&mut b).unwrap());
//!
//! let mut datagram = vec![0; 5 + OVERHEAD];
//! datagram[HEAD..HEAD + 5].copy_from_slice(b"hello");
//! of_a.sealers[0].seal_in_place(&mut datagram)?;
//! assert_eq!(of_b.opener.open_in_place(&mut datagram)?, b"hello");
//! assert!(of_b.opener.open_in_place(&mut datagram).is_err(), "a second time is a replay");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod address;
mod cookie;
mod error;
mod gate;
mod identity;
mod invitation;
mod key_file;
mod keys;
mod limiter;
mod noise;
mod opener;
mod primitives;
mod sealer;
mod suite;
mod window;
mod wire;

pub use address::Address;
pub use error::{Denial, Refused, SealError, SetupError};
pub use gate::{Counts, Event, Gate, GateConfig, SessionId, Transmit, Use};
pub use identity::{Identity, KeyTextError, PublicKey, Secret};
pub use invitation::{InvitationId, Standing, fingerprint};
pub use key_file::{KeyFile, KeyFileError};
pub use keys::Keys;
pub use opener::Opener;
pub use sealer::Sealer;
pub use suite::Suite;
pub use wire::{HEAD, Kind, OVERHEAD, TAG, index_of, is_of_gate, kind_of};
