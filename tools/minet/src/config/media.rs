//! Carriers on an interface or a device.

use super::{ConfigError, check, value};
use fabric::{
    ether::MacAddr,
    serial::{Flow, Line},
};
use serde::Deserialize;
use std::{path::PathBuf, str::FromStr};

/// An Ethernet to carry on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ether {
    /// The interface's name on this host.
    pub interface: String,
    /// Finds nodes of the fabric by a broadcast.
    pub seek: bool,
    /// Peers to greet.
    pub peers: Vec<MacAddr>,
    /// Everything on it is sealed.
    pub sealed: bool,
    /// Links of the lowest number carry a conduit's traffic.
    pub priority: u8,
}

/// A serial line to carry on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serial {
    /// The device and its settings.
    pub line: Line,
    /// Everything on it is sealed.
    pub sealed: bool,
    /// Links of the lowest number carry a conduit's traffic.
    pub priority: u8,
}

/// A device as the command line names it: `DEVICE` or `DEVICE:SPEED`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialArg {
    /// The device.
    pub device: PathBuf,
    /// Bits a second.
    pub speed: Option<u32>,
}

impl FromStr for SerialArg {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<SerialArg, Self::Err> {
        // A device may have a colon in its name, as those in /dev/serial/by-path do; what follows is no speed then.
        let parts = text.rsplit_once(':').and_then(|(device, speed)| Some((device, speed.parse().ok()?)));
        let (device, speed) = parts.map_or((text, None), |(device, speed)| (device, Some(speed)));
        Ok(SerialArg { device: device.into(), speed })
    }
}

/// Behind shared memory, ahead of UDP.
const ETHER_PRIORITY: u8 = 20;
/// The last resort.
const SERIAL_PRIORITY: u8 = 50;
const NEEDS_KEY: &str =
    "to seal needs a key: make one with `minet key new FILE` and name it in `trust.key` or with `--key`";
/// Carriers of a kind.
const MOST: usize = 8;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EtherFile {
    interface: String,
    seek: Option<bool>,
    #[serde(default)]
    peers: Vec<String>,
    sealed: Option<bool>,
    priority: Option<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SerialFile {
    device: PathBuf,
    speed: Option<u32>,
    #[serde(default)]
    flow: FlowFile,
    message: Option<usize>,
    sealed: Option<bool>,
    priority: Option<u8>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FlowFile {
    #[default]
    None,
    Hardware,
}

/// With a key everything on an Ethernet is sealed, unless clear text is asked for and accepted.
pub(super) fn ethers(
    files: Vec<EtherFile>,
    more: &[String],
    insecure: bool,
    has_key: bool,
) -> Result<Vec<Ether>, ConfigError> {
    let mut all: Vec<Ether> = Vec::new();
    let of_name = |name: &String| EtherFile {
        interface: name.clone(),
        seek: None,
        peers: Vec::new(),
        sealed: None,
        priority: None,
    };
    for file in files.into_iter().chain(more.iter().map(of_name)) {
        let name = &file.interface;
        let fine = (1..=15).contains(&name.len()) && !name.contains(|c: char| c == '/' || c.is_whitespace());
        check("ether.interface", name, fine, "it must be the name of an interface, at most 15 characters")?;
        let sealed = file.sealed.unwrap_or(has_key);
        check("ether.sealed", name, has_key || !sealed, NEEDS_KEY)?;
        if !insecure && !sealed {
            let allowed = "raw Ethernet needs a key, as UDP does: make one with `minet key new FILE` and name it in `trust.key` or \
                           with `--key` (`insecure = true` or `--insecure` accepts clear text instead)";
            return Err(value("ether.interface", name, allowed));
        }
        let mac = |text: &String| {
            let mac = text.parse::<MacAddr>().ok().filter(|mac| !mac.is_multicast() && !mac.is_zero());
            mac.ok_or_else(|| value("ether.peers", text, "it must be the MAC address of one interface"))
        };
        let peers = file.peers.iter().map(mac).collect::<Result<Vec<_>, _>>()?;
        if all.iter().any(|other| other.interface == file.interface) {
            continue;
        }
        all.push(Ether {
            interface: file.interface,
            seek: file.seek.unwrap_or(true),
            peers,
            sealed,
            priority: file.priority.unwrap_or(ETHER_PRIORITY),
        });
    }
    check("ether", all.len(), all.len() <= MOST, "a node carries on at most 8 Ethernets")?;
    Ok(all)
}

/// A serial line is sealed where that is asked for.
pub(super) fn serials(files: Vec<SerialFile>, more: &[SerialArg], has_key: bool) -> Result<Vec<Serial>, ConfigError> {
    let mut all: Vec<Serial> = Vec::new();
    let of_argument = |SerialArg { device, speed }: SerialArg| SerialFile {
        device,
        speed,
        flow: FlowFile::None,
        message: None,
        sealed: None,
        priority: None,
    };
    for file in files.into_iter().chain(more.iter().cloned().map(of_argument)) {
        let message = file.message.unwrap_or(Line::MESSAGE);
        check("serial.device", file.device.display(), !file.device.as_os_str().is_empty(), "it must be a path")?;
        check("serial.message", message, (256..=32_768).contains(&message), "it must be 256 to 32768")?;
        let speed = file.speed.unwrap_or(115_200);
        check("serial.speed", speed, (1200..=12_000_000).contains(&speed), "it must be 1200 to 12000000")?;
        if all.iter().any(|other| other.line.path == file.device) {
            continue;
        }
        let sealed = file.sealed.unwrap_or(false);
        check("serial.sealed", file.device.display(), has_key || !sealed, NEEDS_KEY)?;
        let flow = match file.flow {
            FlowFile::None => Flow::None,
            FlowFile::Hardware => Flow::Hardware,
        };
        let line = Line { path: file.device, speed: file.speed, flow, message };
        all.push(Serial { line, sealed, priority: file.priority.unwrap_or(SERIAL_PRIORITY) });
    }
    check("serial", all.len(), all.len() <= MOST, "a node carries on at most 8 serial lines")?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use crate::{Config, Overrides};

    fn error(text: &str) -> String {
        Config::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn media_are_read_and_added_to() {
        let text = "name='a'\ninsecure=true\n[[ether]]\ninterface='eth1'\nseek=false\npeers=['02:00:00:00:00:07']\n\
            [[serial]]\ndevice='/dev/ttyS0'\nspeed=921600\nflow='hardware'\nmessage=512";
        let over = Overrides {
            ethers: vec!["eth2".into(), "eth1".into()],
            serials: vec!["/dev/ttyUSB0:115200".parse().unwrap(), "/dev/a:b".parse().unwrap()],
            ..Overrides::default()
        };
        let config = Config::new(Some(text), &over).unwrap();
        let ethers: Vec<_> = config.ethers.iter().map(|e| (&*e.interface, e.seek, e.peers.len(), e.priority)).collect();
        assert_eq!(ethers, [("eth1", false, 1, 20), ("eth2", true, 0, 20)]);
        let lines: Vec<_> =
            config.serials.iter().map(|s| (s.line.path.to_str().unwrap(), s.line.speed, s.line.message)).collect();
        assert_eq!(
            lines,
            [("/dev/ttyS0", Some(921_600), 512), ("/dev/ttyUSB0", Some(115_200), 2048), ("/dev/a:b", None, 2048)]
        );
    }

    /// The large MTU is for carriers that stay on the host.
    #[test]
    fn media_leave_the_host() {
        let mtu = |text: &str| Config::from_toml(&format!("name='a'\n{text}")).unwrap().segments[0].mtu;
        let ether = "insecure=true\n[[ether]]\ninterface='eth1'";
        let serial = "[[serial]]\ndevice='/dev/ttyS0'";
        assert_eq!(mtu(""), 65_000);
        assert_eq!([mtu(ether), mtu(serial), mtu(&format!("{ether}\n{serial}"))], [1500; 3]);
        assert_eq!(mtu(&format!("{ether}\n[[segment]]\nmtu=9000")), 9000);
    }

    /// A key seals UDP and Ethernets; clear text has to be asked for and accepted.
    #[test]
    fn a_key_seals_ethernets_too() {
        let key = "name='a'\n[trust]\nkey='/k'\n";
        let ether = |more: &str| Config::from_toml(&format!("{more}{key}[[ether]]\ninterface='e'"));
        for insecure in ["", "insecure=true\n"] {
            let config = ether(insecure).unwrap();
            assert!(config.ethers[0].sealed && config.seals_any() && !config.is_in_clear(), "{insecure}");
        }
        assert!(error(&format!("{key}[[ether]]\ninterface='e'\nsealed=false")).contains("insecure = true"));
        assert!(error("name='a'\ninsecure=true\n[[ether]]\ninterface='e'\nsealed=true").contains("needs a key"));
        let line = |more: &str| Config::from_toml(&format!("{key}[[serial]]\ndevice='/dev/x'\n{more}")).unwrap();
        assert!(!line("").serials[0].sealed && !line("").seals_any());
        assert!(line("sealed=true").serials[0].sealed && line("sealed=true").seals_any());
        assert!(error("name='a'\n[[serial]]\ndevice='/dev/x'\nsealed=true").contains("needs a key"));
    }

    /// A key seals UDP whatever else is accepted in clear text.
    #[test]
    fn udp_is_sealed_beside_an_ethernet() {
        let udp = "name='a'\n[udp]\nlisten='10.0.0.1:7400'\n[trust]\nkey='/k'\n";
        let both = Config::from_toml(&format!("insecure=true\n{udp}[[ether]]\ninterface='e'\nsealed=false")).unwrap();
        assert!(both.is_sealed() && both.is_in_clear());
        let line = Config::from_toml(&format!("{udp}[[serial]]\ndevice='/dev/x'")).unwrap();
        assert!(line.is_sealed() && !line.is_in_clear());
        assert!(error(&format!("{udp}[[ether]]\ninterface='e'\nsealed=false")).contains("insecure = true"));
        assert!(error(&format!("insecure=true\n{udp}[[peer]]\naddress='10.0.0.2:1'")).contains("sealed peer"));
    }

    #[test]
    fn errors_say_what_was_wrong_and_what_would_be_right() {
        assert!(error("name='a'\n[[ether]]\ninterface='eth0'").contains("insecure = true"));
        let ether = "name='a'\ninsecure=true\n[[ether]]\n";
        assert!(error(&format!("{ether}interface='way-too-long-name'")).contains("at most 15"));
        assert!(error(&format!("{ether}interface='e'\npeers=['ff:ff:ff:ff:ff:ff']")).contains("of one interface"));
        assert!(error("name='a'\n[[serial]]\ndevice='/dev/x'\nspeed=5").contains("1200 to 12000000"));
        assert!(error("name='a'\n[[serial]]\ndevice='/dev/x'\nmessage=5").contains("256 to 32768"));
        assert!(error("name='a'\n[[serial]]\ndevice='/dev/x'\nflow='xon'").contains("unknown variant"));
    }
}
