//! The answering end, driven by the control thread's poll loop.

use super::{Ask, Failure, Requests};
use crate::{
    seldom::Seldom,
    socket::{Socket, may_ask},
};
use mio::{Interest, Registry, Token, net::UnixStream};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    path::Path,
};

/// Connections at one time; more are turned away, and told so.
const CLIENTS: usize = 32;
/// Most bytes that wait for a client that does not read.
const BACKLOG: usize = 4 << 20;

/// A request and who made it.
pub(crate) struct Asked {
    pub(crate) client: Token,
    pub(crate) ask: Ask,
}

/// The control socket and its clients.
pub(crate) struct Server {
    socket: Socket,
    own: Token,
    clients: BTreeMap<Token, Client>,
    next: usize,
    turned_away: u64,
    /// The log tells of these now and then only: whoever knocks could fill it.
    full: Seldom,
    strangers: Seldom,
    trouble: Seldom,
}

struct Client {
    stream: UnixStream,
    requests: Requests,
    output: Vec<u8>,
    /// It sends nothing more.
    closing: bool,
}

impl Server {
    /// Listens at `path`. Clients get tokens from `first` on.
    pub(crate) fn bind(path: &Path, registry: &Registry, own: Token, first: usize) -> io::Result<Server> {
        let mut socket = Socket::bind(path)?;
        registry.register(&mut socket.listener, own, Interest::READABLE)?;
        Ok(Server {
            socket,
            own,
            clients: BTreeMap::new(),
            next: first,
            turned_away: 0,
            full: Seldom::default(),
            strangers: Seldom::default(),
            trouble: Seldom::default(),
        })
    }

    /// Whether a token is of this server.
    pub(crate) fn owns(&self, token: Token) -> bool {
        token == self.own || self.clients.contains_key(&token)
    }

    /// Who is there and who was turned away, for `minet stats`.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 2] {
        [("control-clients", self.clients.len() as u64), ("control-turned-away", self.turned_away)]
    }

    /// Does what a token's readiness allows; returns what was asked.
    pub(crate) fn handle(&mut self, token: Token, registry: &Registry) -> Vec<Asked> {
        if token == self.own {
            self.accept(registry);
            return Vec::new();
        }
        let Some(client) = self.clients.get_mut(&token) else { return Vec::new() };
        let (mut asked, mut failures) = (Vec::new(), Vec::new());
        let mut chunk = [0; 1024];
        let open = loop {
            match client.stream.read(&mut chunk) {
                Ok(0) => break false,
                Ok(n) => {
                    for request in client.requests.take(chunk.get(..n).unwrap_or_default()) {
                        match request {
                            Ok(ask) => asked.push(Asked { client: token, ask }),
                            Err(failure) => failures.push(failure),
                        }
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break true,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break false,
            }
        };
        for error in failures {
            client.push(&Failure { error });
        }
        // Who asked and then closed its sending half still reads the answer; it is dropped after that.
        client.closing |= !open;
        let gone = client.closing && asked.is_empty();
        if !client.write() || (gone && client.output.is_empty()) {
            self.drop_client(token, registry);
        }
        asked
    }

    /// Sends an answer.
    pub(crate) fn answer(&mut self, token: Token, registry: &Registry, answer: &impl Serialize) {
        let Some(client) = self.clients.get_mut(&token) else { return };
        client.push(answer);
        let written = client.write();
        if !written || client.output.len() > BACKLOG || (client.closing && client.output.is_empty()) {
            self.drop_client(token, registry);
        }
    }

    /// Sends why there is no answer.
    pub(crate) fn refuse(&mut self, token: Token, registry: &Registry, error: impl Into<String>) {
        self.answer(token, registry, &Failure { error: error.into() });
    }

    fn accept(&mut self, registry: &Registry) {
        loop {
            let mut stream = match self.socket.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                // That one is gone already; there may be others.
                Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => continue,
                Err(e) => return self.trouble.warn(|| format!("control socket: nobody is let in for now: {e}")),
            };
            if let Err(error) = may_ask(&stream) {
                self.strangers.warn(|| format!("control socket: {error}"));
                self.turn_away(stream, error);
                continue;
            }
            if self.clients.len() >= CLIENTS {
                self.full.warn(|| format!("control socket: {CLIENTS} clients are there, one more was turned away"));
                let error = format!(
                    "this daemon has {CLIENTS} clients at its control socket and answers no more at one time: ask again \
                     when one of them has gone"
                );
                self.turn_away(stream, error);
                continue;
            }
            let token = Token(self.next);
            self.next += 1;
            if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_ok() {
                self.clients.insert(token, Client::new(stream));
            }
        }
    }

    /// Says why, once: there is room for a line, or nobody reads it.
    fn turn_away(&mut self, stream: UnixStream, error: String) {
        self.turned_away += 1;
        let mut refused = Client::new(stream);
        refused.push(&Failure { error });
        refused.write();
    }

    fn drop_client(&mut self, token: Token, registry: &Registry) {
        if let Some(mut client) = self.clients.remove(&token) {
            let _ = registry.deregister(&mut client.stream);
        }
    }
}

impl Client {
    fn new(stream: UnixStream) -> Client {
        Client { stream, requests: Requests::default(), output: Vec::new(), closing: false }
    }

    /// Writes what waits, as far as it goes; `false` when the client is gone.
    fn write(&mut self) -> bool {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(n) => drop(self.output.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    fn push(&mut self, answer: &impl Serialize) {
        if serde_json::to_writer(&mut self.output, answer).is_ok() {
            self.output.push(b'\n');
        }
    }
}
