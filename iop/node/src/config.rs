//! What an I/O processor is told by its manager: text, one key and its value a line.

use alloc::{format, string::String, vec::Vec};
use core::{fmt, net::IpAddr, str::FromStr, time::Duration};
use messenger_core::{Incarnation, Name, NodeConfig, NodeId};

/// The configuration of one life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its number.
    pub id: NodeId,
    /// Its name.
    pub name: Name,
    /// The fabric it belongs to.
    pub fabric: Name,
    /// The segment that its interface is on.
    pub segment: Name,
    /// Which life it is.
    pub incarnation: Incarnation,
    /// First version of its registry record: the time of day in nanoseconds.
    pub version: u64,
    /// Seed of all its random numbers, different in each life.
    pub seed: u64,
    /// An idle link gives a sign of life this often.
    pub interval: Duration,
    /// A link is silent after so many intervals.
    pub miss_limit: u32,
    /// MTU of its interface in bytes.
    pub mtu: u32,
    /// Whoever asks for it may have it fail: a trial, never set otherwise.
    pub faults: bool,
    /// Its addresses and the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// Why a text is no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// A line has a value that cannot be used; the key is given.
    Value(String),
    /// A key that must be there is not.
    Missing(&'static str),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Value(key) => write!(f, "the value of `{key}` cannot be used"),
            ConfigError::Missing(key) => write!(f, "`{key}` is missing"),
        }
    }
}

impl core::error::Error for ConfigError {}

/// Smallest and largest MTU in bytes.
const MTU: core::ops::RangeInclusive<u32> = 1280..=65_521;
/// Addresses that are taken.
const ADDRESSES: usize = 4;

impl Config {
    /// The text.
    pub fn emit(&self) -> String {
        let mut text = format!(
            "id {}\nname {}\nfabric {}\nsegment {}\nincarnation {}\nversion {}\nseed {}\ninterval_ms {}\nmiss_limit {}\n\
             mtu {}\n",
            self.id,
            self.name,
            self.fabric,
            self.segment,
            self.incarnation.get(),
            self.version,
            self.seed,
            self.interval.as_millis(),
            self.miss_limit,
            self.mtu
        );
        if self.faults {
            text.push_str("faults 1\n");
        }
        for (ip, prefix) in &self.addresses {
            text.push_str(&format!("address {ip}/{prefix}\n"));
        }
        text
    }

    /// Reads a text. Keys that are not known are skipped: a later manager may say more.
    pub fn parse(text: &str) -> Result<Config, ConfigError> {
        let interval: u64 = one(text, "interval_ms")?;
        let mtu: u32 = one(text, "mtu")?;
        if !MTU.contains(&mtu) {
            return Err(ConfigError::Value("mtu".into()));
        }
        let addresses = values(text, "address").take(ADDRESSES).map(address).collect::<Option<_>>();
        Ok(Config {
            id: NodeId::new(one(text, "id")?).ok_or(ConfigError::Value("id".into()))?,
            name: name(text, "name")?,
            fabric: name(text, "fabric")?,
            segment: name(text, "segment")?,
            incarnation: Incarnation::new(one(text, "incarnation")?),
            version: one(text, "version")?,
            seed: one(text, "seed")?,
            interval: Duration::from_millis(interval),
            miss_limit: one(text, "miss_limit")?,
            mtu,
            faults: values(text, "faults").next() == Some("1"),
            addresses: addresses.ok_or(ConfigError::Value("address".into()))?,
        })
    }

    /// What the core is made from.
    pub(crate) fn node(&self, offloads: u32) -> NodeConfig {
        NodeConfig {
            node: self.id,
            name: self.name.clone(),
            fabric: self.fabric.clone(),
            incarnation: self.incarnation,
            version: self.version,
            seed: self.seed,
            interval: self.interval,
            miss_limit: self.miss_limit,
            relay: false,
            frame: self.frame(),
            offloads,
        }
    }

    /// The largest Ethernet frame of its interface in bytes.
    pub fn frame(&self) -> u32 {
        self.mtu + minet::Ethernet::LEN as u32
    }
}

fn values<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| line.split_once(' ').filter(|(k, _)| *k == key).map(|(_, value)| value))
}

fn one<T: FromStr>(text: &str, key: &'static str) -> Result<T, ConfigError> {
    let value = values(text, key).next().ok_or(ConfigError::Missing(key))?;
    value.parse().map_err(|_| ConfigError::Value(key.into()))
}

fn name(text: &str, key: &'static str) -> Result<Name, ConfigError> {
    Name::new(values(text, key).next().ok_or(ConfigError::Missing(key))?).map_err(|_| ConfigError::Value(key.into()))
}

fn address(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, prefix) = text.split_once('/')?;
    let (ip, prefix): (IpAddr, u8) = (ip.parse().ok()?, prefix.parse().ok()?);
    let usable = !ip.is_unspecified() && !ip.is_multicast() && prefix <= if ip.is_ipv4() { 32 } else { 128 };
    usable.then_some((ip, prefix))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn config(id: u32, name: &str) -> Config {
        Config {
            id: NodeId::new(id).unwrap(),
            name: Name::new(name).unwrap(),
            fabric: Name::new("default").unwrap(),
            segment: Name::new("lan").unwrap(),
            incarnation: Incarnation::new(7),
            version: 1,
            seed: 99,
            interval: Duration::from_millis(500),
            miss_limit: 4,
            mtu: 1500,
            faults: false,
            addresses: [(IpAddr::from([10, 77, 0, id as u8]), 16), ("fd4d::9".parse().unwrap(), 64)].into(),
        }
    }

    /// PROTOCOL 9.4.
    #[test]
    fn survives_the_text_and_skips_what_is_new() {
        let mut config = config(9, "io1");
        assert!(!Config::parse(&config.emit()).unwrap().faults);
        config.faults = true;
        assert_eq!(Config::parse(&(config.emit() + "colour green\n\nnonsense\n")), Ok(config));
    }

    #[test]
    fn says_what_is_wrong() {
        let text = config(9, "io1").emit();
        for key in ["id", "name", "mtu", "seed", "interval_ms", "address"] {
            let broken = text.replace(&format!("\n{key} "), &format!("\n{key} ?? ")).replace(
                "id 9\n",
                match key {
                    "id" => "id 0\n",
                    _ => "id 9\n",
                },
            );
            assert_eq!(Config::parse(&broken), Err(ConfigError::Value(key.into())), "{broken}");
        }
        assert_eq!(Config::parse(""), Err(ConfigError::Missing("interval_ms")));
        assert_eq!(Config::parse(&text.replace("name io1\n", "")), Err(ConfigError::Missing("name")));
        assert_eq!(Config::parse(&text.replace("mtu 1500", "mtu 99999")), Err(ConfigError::Value("mtu".into())));
        assert_eq!(Config::parse(&text.replace("/16", "/33")), Err(ConfigError::Value("address".into())));
    }
}
