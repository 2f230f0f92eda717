//! Where a peer is: on which carrier, and where on that. One gate serves all sealed carriers, so what it takes for an address says both.

use crate::daemon::UDP;
use fabric::{Address, ether::MacAddr};
use std::fmt;

/// A place on a carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Spot {
    pub(in crate::daemon) carrier: usize,
    pub(in crate::daemon) at: Address,
}

impl Spot {
    /// On UDP.
    pub(super) fn udp(at: std::net::SocketAddr) -> Spot {
        Spot { carrier: UDP, at: Address::Udp(at) }
    }

    /// As the gate has it: a socket address as such, all else behind the carrier's number. `None` for a carrier beyond 255.
    pub(super) fn to_gate(self) -> Option<fabric_seal::Address> {
        let carrier = u8::try_from(self.carrier).ok()?;
        match self.at {
            Address::Udp(at) => Some(at.into()),
            Address::Ether(mac) => {
                let [a, b, c, d, e, f] = mac.octets();
                fabric_seal::Address::new(&[carrier, a, b, c, d, e, f])
            }
            Address::Line => fabric_seal::Address::new(&[carrier]),
            _ => None,
        }
    }

    pub(super) fn from_gate(address: &fabric_seal::Address) -> Option<Spot> {
        if let Some(at) = address.socket() {
            return Some(Spot::udp(at));
        }
        match *address.as_bytes() {
            [carrier, a, b, c, d, e, f] => {
                Some(Spot { carrier: carrier.into(), at: Address::Ether(MacAddr::new(a, b, c, d, e, f)) })
            }
            [carrier] => Some(Spot { carrier: carrier.into(), at: Address::Line }),
            _ => None,
        }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_survive_and_carriers_are_told_apart() {
        let mac = Address::Ether(MacAddr::new(2, 0, 0, 0, 0, 7));
        let all = [
            Spot::udp("10.1.2.3:7400".parse().unwrap()),
            Spot { carrier: 2, at: mac },
            Spot { carrier: 3, at: mac },
            Spot { carrier: 4, at: Address::Line },
        ];
        for spot in all {
            assert_eq!(Spot::from_gate(&spot.to_gate().unwrap()), Some(spot));
        }
        assert_ne!(all[1].to_gate(), all[2].to_gate());
    }
}
