//! A chat over a pattern: whoever has a port `chat/…` reads what anybody says.
//!
//! `chat NODE NAME`: lines from the standard input go to all, what the others say comes out. The end of the input ends it.

use messenger::{Guest, Message, Place, PortSpec, To, WaitSet};
use std::{env, io, io::Read, time::Duration};

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let mut args = env::args().skip(1);
    let (Some(node), Some(name)) = (args.next(), args.next()) else { return Err("chat NODE NAME".into()) };
    let guest = Guest::join(&Place { name: Some(node), ..Place::default() })?;
    let port = guest.open(&PortSpec { kind: Some("chat".into()), ..PortSpec::named(format!("chat/{name}")) })?;
    let all = To::Pattern("chat/* kind=chat".into());
    let (mut input, mut typed) = (io::stdin(), Vec::new());
    let mut ends = WaitSet::new(&guest)?;
    ends.add("said", port)?;
    ends.add_fd("typed", &input)?;
    loop {
        let ready = ends.wait(None)?;
        while let Some(message) = guest.receive(port, Some(Duration::ZERO))? {
            // Who spoke hears himself, too: not twice.
            if (message.head.node, message.head.from) != (guest.node(), port) {
                println!("{}", String::from_utf8_lossy(&message.payload));
            }
        }
        if !ready.iter().any(|(end, _)| *end == "typed") {
            continue;
        }
        let mut chunk = [0; 8192];
        let length = input.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        typed.extend_from_slice(&chunk[..length]);
        while let Some(end) = typed.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = typed.drain(..=end).collect();
            let said = format!("{name}: {}", String::from_utf8_lossy(&line[..end]));
            guest.send(&all, &Message { from: Some(port), ..Message::new(said) })?;
        }
    }
}
