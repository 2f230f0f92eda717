//! Requests as they come: lines of JSON, in pieces of any length.

use super::{Ask, VERSION};
use serde::{Deserialize, Serialize};

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Version of this protocol.
    pub v: u32,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask,
}

impl Request {
    fn parse(line: &[u8]) -> Result<Ask, String> {
        if line.len() > Requests::LINE {
            return Err(too_long());
        }
        match serde_json::from_slice(line) {
            Ok(Request { v: VERSION, ask }) => Ok(ask),
            Ok(Request { v, .. }) => Err(format!("control protocol {v}, this daemon speaks {VERSION}")),
            Err(e) => Err(format!("request is not understood: {e}")),
        }
    }
}

/// What one client has sent and is not a whole line yet.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    input: Vec<u8>,
}

impl Requests {
    /// Longest request line in bytes, its end counted.
    pub const LINE: usize = 4096;

    /// Takes what came; gives what every whole line asks, or why it asks nothing.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Result<Ask, String>> {
        let mut asked = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.input.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                asked.push(Request::parse(&self.input));
                self.input.clear();
            }
        }
        if self.input.len() > Self::LINE {
            asked.push(Err(too_long()));
            self.input.clear();
        }
        asked
    }
}

fn too_long() -> String {
    format!("request is longer than {} bytes", Requests::LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_wherever_they_are_split() {
        let both = b"{\"v\":1,\"ask\":\"nodes\"}\n{\"v\":1,\"ask\":\"ping\",\"node\":\"b\",\"size\":9}\n{\"v\"";
        let asks = vec![Ok(Ask::Nodes), Ok(Ask::Ping { node: "b".into(), size: 9, timeout_ms: None })];
        for length in 1..=both.len() {
            let mut requests = Requests::default();
            let asked: Vec<_> = both.chunks(length).flat_map(|piece| requests.take(piece)).collect();
            assert_eq!(asked, asks, "pieces of {length}");
            assert_eq!(requests.take(b":1,\"ask\":\"links\"}\n"), [Ok(Ask::Links)]);
        }
    }

    #[test]
    fn what_is_no_request_is_told() {
        let told = |line: &str| Requests::default().take(line.as_bytes()).remove(0).unwrap_err();
        assert_eq!(told("{\"v\":2,\"ask\":\"nodes\"}\n"), "control protocol 2, this daemon speaks 1");
        for line in ["\n", "{}\n", "{\"v\":1,\"ask\":\"all\"}\n", "[1]\n", "\u{0}\n"] {
            assert!(told(line).starts_with("request is not understood: "), "{line}");
        }
        let long = "x".repeat(Requests::LINE);
        assert_eq!(told(&format!("{long}\n")), "request is longer than 4096 bytes");
        assert_eq!(told(&format!("{long}x")), "request is longer than 4096 bytes");
    }

    #[test]
    fn a_line_without_end_takes_no_more_than_a_line() {
        let mut requests = Requests::default();
        for _ in 0..100 {
            requests.take(&[b'x'; 1000]);
            assert!(requests.input.len() <= Requests::LINE);
        }
    }
}
