//! UDP, in batches: many datagrams a call, and runs of equal ones as one super-datagram where the kernel can.
//!
//! Messages leave in [`crate::Carrier::send`] itself, since their pieces are only lent. What comes from an address that
//! nobody attached is handed out as a stranger's. A datagram that the network or the system refuses is lost and counted,
//! as a datagram may be.
//!
//! A socket of [`Udp::bind_sealed`] takes nothing in clear text: what is for a channel is sealed in one buffer a run and
//! opened where it was received; everything else that belongs to a sealed channel is handed out as a stranger's, for the
//! gate that shakes hands.

mod carrier;
mod route;
mod sealed;
mod socket;
mod source;

pub use carrier::Udp;
pub use route::{message_most, path_message};
pub use socket::UdpError;
