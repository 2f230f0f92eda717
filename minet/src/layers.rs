//! The headers of a frame that can be cut or merged: TCP or UDP, whole, over IPv4 or IPv6.

use crate::{Ethernet, Frame, Gso, Protocol, Reason, VirtioNet, checksum::pseudo, ethernet::be16};
use core::net::IpAddr;

/// Where the headers are, in bytes from the Ethernet header on. All lie inside the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layers {
    /// The IP header.
    pub(crate) l3: usize,
    /// The transport header.
    pub(crate) l4: usize,
    /// What it carries.
    pub(crate) data: usize,
    pub(crate) v6: bool,
    pub(crate) tcp: bool,
}

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
const EXTENSIONS_MAX: usize = 4;

impl Layers {
    /// Reads the headers of a frame of `len` bytes of which `bytes` is the start; `None` when it is anything else, is a
    /// fragment, or its lengths do not agree with `len`.
    pub(crate) fn parse(bytes: &[u8], len: usize, ethernet: &Ethernet) -> Option<Layers> {
        let l3 = ethernet.payload;
        let packet = len.checked_sub(l3)?;
        let first = *bytes.get(l3)?;
        let (v6, l4, protocol) = match ethernet.protocol {
            Protocol::Ipv4 => {
                let header = usize::from(first & 15) * 4;
                let whole = usize::from(be16(bytes, l3 + 2)?) == packet && be16(bytes, l3 + 6)? & 0x3fff == 0;
                if first >> 4 != 4 || header < 20 || !whole {
                    return None;
                }
                (false, l3 + header, *bytes.get(l3 + 9)?)
            }
            Protocol::Ipv6 => {
                if first >> 4 != 6 || usize::from(be16(bytes, l3 + 4)?) + 40 != packet {
                    return None;
                }
                let (mut l4, mut next) = (l3 + 40, *bytes.get(l3 + 6)?);
                for _ in 0..EXTENSIONS_MAX {
                    if !matches!(next, 0 | 43 | 60) {
                        break;
                    }
                    let [following, units] = *bytes.get(l4..)?.first_chunk()?;
                    next = following;
                    l4 += 8 + usize::from(units) * 8;
                }
                (true, l4, next)
            }
            _ => return None,
        };
        let (tcp, data) = match protocol {
            TCP => {
                let header = usize::from(*bytes.get(l4 + 12)? >> 4) * 4;
                if header < 20 {
                    return None;
                }
                (true, l4 + header)
            }
            UDP if usize::from(be16(bytes, l4 + 4)?) == len.checked_sub(l4)? => (false, l4 + 8),
            _ => return None,
        };
        (data <= bytes.len() && data <= len).then_some(Layers { l3, l4, data, v6, tcp })
    }

    /// Whether a virtio-net header speaks of just these headers.
    pub(crate) fn agrees(&self, vnet: &VirtioNet) -> bool {
        let kind = match vnet.gso {
            Gso::None => true,
            Gso::Tcp4 => self.tcp && !self.v6,
            Gso::Tcp6 => self.tcp && self.v6,
            Gso::Udp => !self.tcp,
            Gso::Other(_) => false,
        };
        kind && vnet.needs_csum()
            && usize::from(vnet.csum_start) == self.l4
            && usize::from(vnet.csum_offset) == self.csum_offset()
    }

    /// The kind of a super-frame with these headers.
    pub(crate) const fn gso(&self) -> Gso {
        match (self.tcp, self.v6) {
            (false, _) => Gso::Udp,
            (true, false) => Gso::Tcp4,
            (true, true) => Gso::Tcp6,
        }
    }

    /// Where the checksum is, in the transport header.
    pub(crate) const fn csum_offset(&self) -> usize {
        if self.tcp { 16 } else { 6 }
    }

    /// Length of the IP and transport headers.
    pub(crate) const fn headers(&self) -> usize {
        self.data - self.l3
    }

    /// The unfolded sum of the pseudo-header without its length.
    pub(crate) fn pseudo(&self, bytes: &[u8]) -> Option<u64> {
        let at = |n: usize| bytes.get(self.l3 + n..);
        let (src, dst): (IpAddr, IpAddr) = if self.v6 {
            ((*at(8)?.first_chunk::<16>()?).into(), (*at(24)?.first_chunk::<16>()?).into())
        } else {
            ((*at(12)?.first_chunk::<4>()?).into(), (*at(16)?.first_chunk::<4>()?).into())
        };
        Some(pseudo(src, dst, if self.tcp { TCP } else { UDP }))
    }

    /// Length of the largest IP packet that comes out of a super-frame; `None` when it is an ordinary frame.
    pub(crate) fn segment(frame: Frame<'_>, vnet: &VirtioNet, ethernet: &Ethernet) -> Result<Option<usize>, Reason> {
        if vnet.gso == Gso::None {
            return Ok(None);
        }
        let layers = Layers::parse(frame.ethernet_bytes(), frame.len(), ethernet).ok_or(Reason::Malformed)?;
        if !layers.agrees(vnet) {
            return Err(Reason::Malformed);
        }
        let data = frame.len().saturating_sub(layers.data).min(usize::from(vnet.gso_size));
        Ok(Some(layers.headers() + data))
    }
}
