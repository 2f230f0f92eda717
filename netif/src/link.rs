//! What the kernel says of an interface.

use crate::{Error, Mode, interface::check_name, netlink::Netlink};
use netlink_packet_core::Nla;
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoData, InfoTun, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, Stats64},
};

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it is (`veth`, `tun`, `bridge`); `None` for hardware and loopback.
    pub kind: Option<String>,
    /// Somebody set it up.
    pub up: bool,
    /// It has a carrier.
    pub carrier: bool,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its Ethernet address, if it has one.
    pub mac: Option<[u8; 6]>,
    /// The kernel's counts.
    pub counters: LinkCounters,
    /// More, when it is a TAP or TUN.
    pub tun: Option<TunInfo>,
}

/// The kernel's counts of an interface, from the host's point of view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Packets the host received.
    pub rx_packets: u64,
    /// Bytes of these.
    pub rx_bytes: u64,
    /// Packets dropped on the way in.
    pub rx_dropped: u64,
    /// Bad packets on the way in.
    pub rx_errors: u64,
    /// Packets the host sent.
    pub tx_packets: u64,
    /// Bytes of these.
    pub tx_bytes: u64,
    /// Packets dropped on the way out.
    pub tx_dropped: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
}

/// More about a TAP or TUN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunInfo {
    /// Which of the two.
    pub mode: Mode,
    /// It stays when nobody holds it.
    pub persist: bool,
    /// It was made for several queues.
    pub multi_queue: bool,
    /// Queues that processes hold. Only told when it was made for several.
    pub queues: u32,
    /// It has virtio-net headers.
    pub vnet_header: bool,
    /// It has packet information headers.
    pub packet_info: bool,
}

const LOOK: &str = "look the interface up";

/// Looks an interface up by name.
///
/// # Errors
/// Names the kernel does not take, and what the kernel says; that there is none is no error.
pub fn find(name: &str) -> Result<Option<Link>, Error> {
    check_name(name)?;
    get(&mut Netlink::open()?, name)
}

pub(crate) fn get(netlink: &mut Netlink, name: &str) -> Result<Option<Link>, Error> {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    match netlink.get(LOOK, name, RouteNetlinkMessage::GetLink(message)) {
        Ok(answers) => Ok(answers.iter().find_map(|m| match m {
            RouteNetlinkMessage::NewLink(link) => Link::from_message(link),
            _ => None,
        })),
        Err(Error::NoInterface { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

impl Link {
    pub(crate) fn from_message(message: &LinkMessage) -> Option<Link> {
        let flags = message.header.flags;
        let mut link = Link {
            index: message.header.index,
            name: String::new(),
            kind: None,
            up: flags.contains(LinkFlags::Up),
            carrier: flags.contains(LinkFlags::LowerUp),
            mtu: 0,
            mac: None,
            counters: LinkCounters::default(),
            tun: None,
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::Address(mac) => link.mac = mac.as_slice().try_into().ok(),
                LinkAttribute::Carrier(on) => link.carrier = *on != 0,
                LinkAttribute::Stats64(stats) => link.counters = stats.into(),
                LinkAttribute::LinkInfo(infos) => link.learn(infos),
                _ => {}
            }
        }
        (!link.name.is_empty()).then_some(link)
    }

    fn learn(&mut self, infos: &[LinkInfo]) {
        for info in infos {
            match info {
                LinkInfo::Kind(kind) => self.kind = Some(kind.to_string()),
                LinkInfo::Data(InfoData::Tun(all)) => self.tun = Some(TunInfo::from_attributes(all)),
                _ => {}
            }
        }
    }
}

impl TunInfo {
    /// From the kernel's `IFLA_TUN_*`.
    fn from_attributes(attributes: &[InfoTun]) -> TunInfo {
        let mut info = TunInfo {
            mode: Mode::Tap,
            persist: false,
            multi_queue: false,
            queues: 0,
            vnet_header: false,
            packet_info: false,
        };
        for attribute in attributes {
            let mut value = [0; 4];
            if attribute.value_len() <= value.len() {
                attribute.emit_value(value.get_mut(..attribute.value_len()).unwrap_or_default());
            }
            let on = value.first().is_some_and(|b| *b != 0);
            match attribute.kind() {
                3 => info.mode = if value.first() == Some(&1) { Mode::Tun } else { Mode::Tap },
                4 => info.packet_info = on,
                5 => info.vnet_header = on,
                6 => info.persist = on,
                7 => info.multi_queue = on,
                8 => info.queues = u32::from_ne_bytes(value),
                _ => {}
            }
        }
        info
    }
}

impl From<&Stats64> for LinkCounters {
    fn from(s: &Stats64) -> LinkCounters {
        LinkCounters {
            rx_packets: s.rx_packets,
            rx_bytes: s.rx_bytes,
            rx_dropped: s.rx_dropped,
            rx_errors: s.rx_errors,
            tx_packets: s.tx_packets,
            tx_bytes: s.tx_bytes,
            tx_dropped: s.tx_dropped,
            tx_errors: s.tx_errors,
        }
    }
}
