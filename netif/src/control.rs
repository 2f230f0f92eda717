//! Sets what an interface is: MAC, MTU, state, carrier, addresses.

use crate::{Address, Error, Link, interface::check_name, link::get, netlink::Netlink};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::{
    RouteNetlinkMessage,
    address::AddressMessage,
    link::{LinkAttribute, LinkFlags, LinkMessage},
};

/// Control over one interface of this thread's network namespace.
pub struct Control {
    netlink: Netlink,
    name: String,
    index: u32,
}

impl Control {
    /// # Errors
    /// [`Error::NoInterface`] when there is none of that name.
    pub fn open(name: &str) -> Result<Control, Error> {
        check_name(name)?;
        let mut netlink = Netlink::open()?;
        let link = get(&mut netlink, name)?.ok_or_else(|| Error::NoInterface { name: name.to_owned() })?;
        Ok(Control { netlink, name: name.to_owned(), index: link.index })
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The interface's number.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// What the kernel says of it now.
    ///
    /// # Errors
    /// [`Error::NoInterface`] when it is gone.
    pub fn link(&mut self) -> Result<Link, Error> {
        get(&mut self.netlink, &self.name)?.ok_or_else(|| Error::NoInterface { name: self.name.clone() })
    }

    /// Sets its Ethernet address.
    ///
    /// # Errors
    /// Whatever the kernel says, as with all that follow.
    pub fn set_mac(&mut self, mac: [u8; 6]) -> Result<(), Error> {
        self.set("set the MAC address", |m| m.attributes.push(LinkAttribute::Address(mac.to_vec())))
    }

    /// Sets its MTU, in bytes.
    pub fn set_mtu(&mut self, mtu: u32) -> Result<(), Error> {
        self.set("set the MTU", |m| m.attributes.push(LinkAttribute::Mtu(mtu)))
    }

    /// Limits the super-frames that the kernel makes for it, in bytes, headers included.
    pub fn set_super_frame(&mut self, bytes: u32) -> Result<(), Error> {
        self.set("limit super-frames", |m| m.attributes.push(LinkAttribute::GsoMaxSize(bytes)))
    }

    /// Sets it up or down.
    pub fn set_up(&mut self, up: bool) -> Result<(), Error> {
        self.set(if up { "set the interface up" } else { "set the interface down" }, |m| {
            m.header.change_mask = LinkFlags::Up;
            m.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
        })
    }

    /// Turns its carrier on or off. The kernel allows it for a TAP or TUN that somebody holds and that is up.
    pub fn set_carrier(&mut self, on: bool) -> Result<(), Error> {
        self.set(if on { "turn the carrier on" } else { "turn the carrier off" }, |m| {
            m.attributes.push(LinkAttribute::Carrier(u8::from(on)));
        })
    }

    /// Adds an address, or changes its flags when it is there.
    pub fn add_address(&mut self, address: &Address) -> Result<(), Error> {
        let message = RouteNetlinkMessage::NewAddress(address.to_message(self.index));
        self.netlink.change("add an address", &self.name, message, NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Removes an address; `false` when it was not there.
    pub fn remove_address(&mut self, address: &Address) -> Result<bool, Error> {
        let message = RouteNetlinkMessage::DelAddress(address.to_message(self.index));
        match self.netlink.change("remove an address", &self.name, message, 0) {
            Ok(()) => Ok(true),
            Err(e) if e.errno() == Some(libc::EADDRNOTAVAIL) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// All its addresses, IPv4 first.
    pub fn addresses(&mut self) -> Result<Vec<Address>, Error> {
        let message = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        let answers = self.netlink.list("list the addresses", &self.name, message)?;
        let mut addresses: Vec<Address> = answers
            .iter()
            .filter_map(|m| match m {
                RouteNetlinkMessage::NewAddress(a) if a.header.index == self.index => Address::from_message(a),
                _ => None,
            })
            .collect();
        addresses.sort_by_key(|a| (a.ip, a.prefix));
        Ok(addresses)
    }

    fn set(&mut self, what: &'static str, fill: impl FnOnce(&mut LinkMessage)) -> Result<(), Error> {
        let mut message = LinkMessage::default();
        message.header.index = self.index;
        fill(&mut message);
        self.netlink.change(what, &self.name, RouteNetlinkMessage::SetLink(message), 0)
    }
}
