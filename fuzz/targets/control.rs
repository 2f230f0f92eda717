//! Lines by anybody who may open the control socket, in pieces of any length.
use minet_node::control::{Request, Requests, VERSION};

pub fn run(input: &[u8]) {
    let [length, bytes @ ..] = input else { return };
    let mut whole = Requests::default();
    let at_once = whole.take(bytes);
    if bytes.len() <= Requests::LINE {
        let mut split = Requests::default();
        let asked: Vec<_> = bytes.chunks(usize::from(*length).max(1)).flat_map(|piece| split.take(piece)).collect();
        assert_eq!(asked, at_once, "wherever it is split");
    }
    for request in at_once {
        match request {
            Ok(ask) => {
                let line = serde_json::to_string(&Request { v: VERSION, ask: ask.clone() });
                let line = line.unwrap_or_else(|e| unreachable!("{e}")) + "\n";
                // What is written without its escapes may be longer than what was read.
                if line.len() <= Requests::LINE {
                    assert_eq!(Requests::default().take(line.as_bytes()), [Ok(ask)]);
                }
            }
            Err(told) => assert!(!told.is_empty()),
        }
    }
}
