//! Ports that a user-space stack passes on, in both directions.

use serde::{Deserialize, Deserializer, de};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

/// Connections of this host that are passed on to a node of the segment: `[ADDRESS:]PORT:NODE:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where this host listens; 127.0.0.1 unless told otherwise.
    pub listen: SocketAddr,
    /// Name, number or address of the node.
    pub node: String,
    /// Port on that node, not 0.
    pub port: u16,
}

/// Connections of the segment that are passed on to this host: `PORT:ADDRESS:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expose {
    /// Port on the node's own addresses, not 0.
    pub port: u16,
    /// Where connections go: an address that this host reaches.
    pub to: SocketAddr,
}

/// Why a text is no forward.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not usable: {wrong}")]
pub struct ForwardError {
    text: String,
    wrong: &'static str,
}

/// Parts between colons; what is in brackets is one part.
fn parts(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let part = match text.strip_prefix('[') {
            Some(inner) => {
                let (part, behind) = inner.split_once(']')?;
                rest = match behind {
                    "" => None,
                    more => Some(more.strip_prefix(':')?),
                };
                part
            }
            None => {
                let split = text.split_once(':');
                rest = split.map(|(_, rest)| rest);
                split.map_or(text, |(part, _)| part)
            }
        };
        parts.push(part);
    }
    Some(parts)
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

fn address(text: &str) -> Option<IpAddr> {
    if text == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { text.parse().ok() }
}

impl FromStr for Forward {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Forward, ForwardError> {
        let error = |wrong| ForwardError { text: text.into(), wrong };
        const FORM: &str = "it needs a form like 8080:node7:80 or 0.0.0.0:8080:node7:80";
        let parts = parts(text).ok_or(error(FORM))?;
        let (at, own, node, theirs) = match parts[..] {
            [own, node, theirs] => ("localhost", own, node, theirs),
            [at, own, node, theirs] => (at, own, node, theirs),
            _ => return Err(error(FORM)),
        };
        let at = address(at).ok_or(error("the part in front of this host's port is no address of it"))?;
        let own = port(own).ok_or(error("this host's port is none: it is 1 to 65535"))?;
        let port = port(theirs).ok_or(error("the node's port is none: it is 1 to 65535"))?;
        if node.is_empty() {
            return Err(error("the node has no name"));
        }
        Ok(Forward { listen: SocketAddr::new(at, own), node: node.into(), port })
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node.contains(':') {
            true => write!(f, "{}:[{}]:{}", self.listen, self.node, self.port),
            false => write!(f, "{}:{}:{}", self.listen, self.node, self.port),
        }
    }
}

impl FromStr for Expose {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Expose, ForwardError> {
        let error = |wrong| ForwardError { text: text.into(), wrong };
        const FORM: &str = "it needs a form like 22:127.0.0.1:22";
        let parts = parts(text).ok_or(error(FORM))?;
        let [own, at, theirs] = parts[..] else { return Err(error(FORM)) };
        let own = port(own).ok_or(error("the node's port is none: it is 1 to 65535"))?;
        let at = address(at).ok_or(error("the part in the middle is no address"))?;
        let theirs = port(theirs).ok_or(error("the port behind the address is none: it is 1 to 65535"))?;
        Ok(Expose { port: own, to: SocketAddr::new(at, theirs) })
    }
}

impl fmt::Display for Expose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.port, self.to)
    }
}

impl<'de> Deserialize<'de> for Forward {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Forward, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Expose {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Expose, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_understood() {
        let forward = |text: &str| text.parse::<Forward>().unwrap();
        let plain = forward("8080:node7:80");
        assert_eq!((plain.listen, &*plain.node, plain.port), ("127.0.0.1:8080".parse().unwrap(), "node7", 80));
        assert_eq!(forward("0.0.0.0:8080:10.77.0.9:80").listen, "0.0.0.0:8080".parse().unwrap());
        let six = forward("[::1]:8080:[fd4d::9]:80");
        assert_eq!((six.listen, &*six.node), ("[::1]:8080".parse().unwrap(), "fd4d::9"));
        for text in ["127.0.0.1:8080:node7:80", "[::1]:1:[fd4d::9]:65535"] {
            assert_eq!(forward(text).to_string(), text);
        }
        let expose = "22:127.0.0.1:2222".parse::<Expose>().unwrap();
        assert_eq!((expose.port, expose.to), (22, "127.0.0.1:2222".parse().unwrap()));
        assert_eq!("22:[::1]:22".parse::<Expose>().unwrap().to_string(), "22:[::1]:22");
        assert_eq!("22:localhost:22".parse::<Expose>().unwrap().to_string(), "22:127.0.0.1:22");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |text: &str| text.parse::<Forward>().unwrap_err().to_string();
        for text in ["", "8080", "8080:node7", "1:2:3:4:5", "[::1", "[::1]x:1:b:2"] {
            assert!(said(text).contains("a form like 8080:node7:80"), "{text}: {}", said(text));
        }
        assert!(said("0:node7:80").contains("this host's port is none"));
        assert!(said("70000:node7:80").contains("this host's port is none"));
        assert!(said("80:node7:http").contains("the node's port is none"));
        assert!(said("80::80").contains("no name"));
        assert!(said("host:80:node7:80").contains("no address of it"));
        let said = |text: &str| text.parse::<Expose>().unwrap_err().to_string();
        assert!(said("22").contains("a form like 22:127.0.0.1:22"));
        assert!(said("22:example.org:22").contains("is no address"));
        assert!(said("22:127.0.0.1:0").contains("the port behind the address"));
        assert!(said("x:127.0.0.1:1").contains("the node's port"));
    }
}
