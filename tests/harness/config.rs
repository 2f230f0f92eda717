//! The configuration of a node under test, as a value.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

/// Who may join a sealed node, and with which key it seals.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Its key file.
    pub key: PathBuf,
    /// Where it keeps who joined.
    pub book: PathBuf,
    /// Seconds after which keys are replaced.
    pub rekey: u32,
    /// The ciphers it may use, the best first; the daemon's own list when there is none.
    pub ciphers: Vec<String>,
    /// Name, number, public key and perhaps address of each other member.
    pub members: Vec<(String, u32, String, Option<String>)>,
}

/// What a node's TOML file will say. The defaults are the daemon's own where they are not set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: u32,
    /// The run-time directory; by default `run` in the net's directory, so that all nodes of a net are on one host.
    pub run_dir: Option<PathBuf>,
    /// The fabric it belongs to.
    pub fabric: String,
    /// The name of its interface.
    pub interface: String,
    /// Whether it joins others of its run-time directory over shared memory.
    pub shm: bool,
    /// Where it listens for UDP, `address:port`.
    pub listen: Option<String>,
    /// The UDP peers it knows.
    pub peers: Vec<String>,
    /// The interfaces whose Ethernet it is on.
    pub ethers: Vec<String>,
    /// The serial devices it has, with their speed where it is set.
    pub serials: Vec<(String, Option<u32>)>,
    /// Everything on its Ethernets and serial lines is sealed.
    pub sealed_media: bool,
    /// What seals UDP; without it UDP is in clear text.
    pub trust: Option<Trust>,
    /// MTU of the interface.
    pub mtu: u16,
    /// How it attaches: `tap`, `plain` or `tun`.
    pub mode: String,
    /// Addresses of the interface; `None` leaves the daemon's own (`10.77.x.y`, `fd4d::id`).
    pub addresses: Option<Vec<String>>,
    /// Whether the interface stays when the daemon ends.
    pub keep: bool,
    /// Whether there are stations behind the node.
    pub learn: bool,
    /// Heartbeat in milliseconds and how many may be missed.
    pub heartbeat: Option<(u32, u32)>,
    /// I/O processors that it starts, name and id.
    pub iops: Vec<(String, u32)>,
    /// The image that they run.
    pub iop_image: Option<PathBuf>,
    /// Lines added to each I/O processor's table.
    pub iop_extra: String,
    /// Lines put at the end of its segment's table as they are.
    pub segment_extra: String,
    /// Lines put at the top of the file as they are.
    pub extra: String,
    /// The user that it runs as; the harness's own, root, where there is none.
    pub user: Option<u32>,
    /// The log level.
    pub log: String,
}

impl Config {
    /// A node with shared memory and nothing else.
    pub fn new(name: &str, id: u32) -> Self {
        Self {
            name: name.to_owned(),
            id,
            run_dir: None,
            fabric: "default".to_owned(),
            interface: "minet0".to_owned(),
            shm: true,
            listen: None,
            peers: Vec::new(),
            ethers: Vec::new(),
            serials: Vec::new(),
            sealed_media: false,
            trust: None,
            mtu: 1500,
            mode: "tap".to_owned(),
            addresses: None,
            keep: false,
            learn: false,
            heartbeat: None,
            iops: Vec::new(),
            iop_image: None,
            iop_extra: String::new(),
            extra: String::new(),
            user: None,
            segment_extra: String::new(),
            log: "info".to_owned(),
        }
    }

    /// Listens for UDP at `address:port` and knows `peers`, in clear text.
    pub fn udp(mut self, listen: &str, peers: &[&str]) -> Self {
        self.listen = Some(listen.to_owned());
        self.peers = peers.iter().map(|peer| (*peer).to_owned()).collect();
        self
    }

    /// On the Ethernet of an interface, in clear text.
    pub fn ether(mut self, interface: &str) -> Self {
        self.ethers.push(interface.to_owned());
        self
    }

    /// On a serial line.
    pub fn serial(mut self, device: &str, speed: Option<u32>) -> Self {
        self.serials.push((device.to_owned(), speed));
        self
    }

    /// Listens for UDP at `address:port`, sealed, and without shared memory.
    pub fn sealed(mut self, listen: &str, trust: Trust) -> Self {
        (self.listen, self.trust, self.shm) = (Some(listen.to_owned()), Some(trust), false);
        self
    }

    /// With a key that seals its Ethernets and serial lines, and without shared memory.
    pub fn sealing(mut self, trust: Trust) -> Self {
        (self.trust, self.sealed_media, self.shm) = (Some(trust), true, false);
        self
    }

    /// Without shared memory.
    pub fn without_shm(mut self) -> Self {
        self.shm = false;
        self
    }

    /// With another MTU.
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = mtu;
        self
    }

    /// With addresses of its own choice on the interface.
    pub fn addresses(mut self, addresses: &[&str]) -> Self {
        self.addresses = Some(addresses.iter().map(|address| (*address).to_owned()).collect());
        self
    }

    /// On a segment where stations may stand behind nodes.
    pub fn learning(mut self) -> Self {
        self.learn = true;
        self
    }

    /// With this heartbeat, in milliseconds, and so many allowed to be missed.
    pub fn heartbeat(mut self, interval: u32, misses: u32) -> Self {
        self.heartbeat = Some((interval, misses));
        self
    }

    /// In another fabric, with another interface.
    pub fn fabric(mut self, fabric: &str, interface: &str) -> Self {
        self.fabric = fabric.to_owned();
        self.interface = interface.to_owned();
        self
    }

    /// With TCP/IP in its own process, and these lines on its segment, such as `forward` and `expose`.
    pub fn userspace(mut self, lines: &str) -> Self {
        (self.mode, self.segment_extra) = ("smoltcp".to_owned(), lines.to_owned());
        self
    }

    /// As this user, without any privilege.
    pub fn user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// With a run-time directory of its own: another host.
    pub fn run_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.run_dir = Some(dir.into());
        self
    }

    /// Starts an I/O processor that runs this image.
    pub fn iop(mut self, name: &str, id: u32, image: &Path) -> Self {
        self.iops.push((name.to_owned(), id));
        self.iop_image = Some(image.to_owned());
        self
    }

    /// Starts an I/O processor that is a process. All that a node starts are of one kind.
    pub fn iop_process(mut self, name: &str, id: u32) -> Self {
        self.iops.push((name.to_owned(), id));
        self
    }

    /// The daemon's default IPv4 address for this id.
    pub fn ipv4(&self) -> String {
        let host = (self.id.wrapping_sub(1) % 65534) + 1;
        format!("10.77.{}.{}", host >> 8, host & 0xff)
    }

    /// The daemon's default IPv6 address for this id.
    pub fn ipv6(&self) -> String {
        let (high, low) = (self.id >> 16, self.id & 0xffff);
        if high == 0 { format!("fd4d::{low:x}") } else { format!("fd4d::{high:x}:{low:x}") }
    }

    /// The MAC address of this id.
    pub fn mac(&self) -> String {
        let [a, b, c, d] = self.id.to_be_bytes();
        format!("02:4d:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    }

    /// The file.
    pub fn toml(&self) -> String {
        let mut text = String::new();
        let quoted = |words: &[String]| words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        let mut line = |words: std::fmt::Arguments<'_>| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{words}");
        };
        line(format_args!("{}", self.extra));
        line(format_args!("name = {:?}\nid = {}\nfabric = {:?}", self.name, self.id, self.fabric));
        if let Some(dir) = &self.run_dir {
            line(format_args!("run_dir = {:?}", dir.display().to_string()));
        }
        let clear_ether = !self.ethers.is_empty() && !self.sealed_media;
        if clear_ether || self.trust.is_none() && (self.listen.is_some() || !self.peers.is_empty()) {
            line(format_args!("insecure = true"));
        }
        line(format_args!("[shm]\nenable = {}", self.shm));
        if let Some(listen) = &self.listen {
            line(format_args!("[udp]\nlisten = {listen:?}"));
        }
        if let Some(trust) = &self.trust {
            let (key, book) = (trust.key.display().to_string(), trust.book.display().to_string());
            line(format_args!("[trust]\nkey = {key:?}\nbook = {book:?}\nrekey_s = {}", trust.rekey));
            if !trust.ciphers.is_empty() {
                line(format_args!("ciphers = [{}]", quoted(&trust.ciphers)));
            }
            for (name, id, key, address) in &trust.members {
                line(format_args!("[[peer]]\nname = {name:?}\nid = {id}\nkey = {key:?}"));
                if let Some(address) = address {
                    line(format_args!("address = {address:?}"));
                }
            }
        }
        for peer in &self.peers {
            line(format_args!("[[peer]]\naddress = {peer:?}"));
        }
        for interface in &self.ethers {
            line(format_args!("[[ether]]\ninterface = {interface:?}\nsealed = {}", self.sealed_media));
        }
        for (device, speed) in &self.serials {
            line(format_args!("[[serial]]\ndevice = {device:?}\nsealed = {}", self.sealed_media));
            if let Some(speed) = speed {
                line(format_args!("speed = {speed}"));
            }
        }
        if let Some((interval, misses)) = self.heartbeat {
            line(format_args!("[link]\nheartbeat_ms = {interval}\nmiss_limit = {misses}"));
        }
        for (name, id) in &self.iops {
            let kind = match &self.iop_image {
                Some(image) => format!("image = {:?}", image.display().to_string()),
                None => "kind = \"process\"".to_owned(),
            };
            line(format_args!("[[iop]]\nname = {name:?}\nid = {id}\n{kind}\n{}", self.iop_extra));
        }
        line(format_args!("[[segment]]\nname = \"lan\"\ninterface = {:?}\nmtu = {}", self.interface, self.mtu));
        line(format_args!("mode = {:?}\nlearn = {}\nkeep = {}", self.mode, self.learn, self.keep));
        let own = || vec![format!("{}/16", self.ipv4()), format!("{}/64", self.ipv6())];
        line(format_args!("addresses = [{}]", quoted(&self.addresses.clone().unwrap_or_else(own))));
        line(format_args!("{}", self.segment_extra));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_the_id() {
        let of = |id| (Config::new("x", id).ipv4(), Config::new("x", id).ipv6(), Config::new("x", id).mac());
        assert_eq!(of(1), ("10.77.0.1".into(), "fd4d::1".into(), "02:4d:00:00:00:01".into()));
        assert_eq!(of(258), ("10.77.1.2".into(), "fd4d::102".into(), "02:4d:00:00:01:02".into()));
        assert_eq!(of(65535), ("10.77.0.1".into(), "fd4d::ffff".into(), "02:4d:00:00:ff:ff".into()));
        assert_eq!(of(0x1_0002).1, "fd4d::1:2");
    }

    #[test]
    fn toml_has_what_was_asked() {
        let text = Config::new("d", 4).udp("10.99.0.4:7400", &["10.99.0.1:7400"]).without_shm().mtu(9000).toml();
        for line in ["name = \"d\"", "enable = false", "listen = \"10.99.0.4:7400\"", "mtu = 9000", "insecure = true"] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
