//! An address with its prefix length.

use serde::{Deserialize, Deserializer, de};
use std::{fmt, net::IpAddr, str::FromStr};

/// An IPv4 or IPv6 address and the length of its network's prefix, as in `10.77.0.1/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// The address.
    pub ip: IpAddr,
    /// Bits of the prefix.
    pub prefix: u8,
}

/// Why a text is no address with prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address with prefix length: {wrong}")]
pub struct CidrError {
    text: String,
    wrong: &'static str,
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Cidr, CidrError> {
        let error = |wrong| CidrError { text: text.into(), wrong };
        let (ip, prefix) = text.split_once('/').ok_or(error("it needs a form like 10.77.0.1/16"))?;
        let ip: IpAddr = ip.parse().map_err(|_| error("the part before `/` is no IP address"))?;
        let prefix = prefix.parse().map_err(|_| error("the part after `/` is no number of bits"))?;
        match ip {
            IpAddr::V4(_) if prefix > 32 => Err(error("an IPv4 prefix has at most 32 bits")),
            IpAddr::V6(_) if prefix > 128 => Err(error("an IPv6 prefix has at most 128 bits")),
            _ => Ok(Cidr { ip, prefix }),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Cidr, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["10.77.0.1/16", "fd4d::1/64", "0.0.0.0/0"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
        for text in ["10.77.0.1", "10.77.0/8", "fd::/129", "10.0.0.1/x", ""] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }
}
