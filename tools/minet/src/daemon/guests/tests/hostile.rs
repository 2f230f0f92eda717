//! Guests that send what is no call, or read nothing.

use super::{
    ways::{Tag, tagged, to},
    *,
};
use messenger::{
    Wants,
    arena::{Place, Region, SIDE, Side},
    protocol::{Call, Envelope, Frames, Origin, Request, Take, emit, emit_lent, greeting, parse},
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::{
    io::{IoSliceMut, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

/// A guest that says what it likes.
pub(super) struct Liar {
    stream: UnixStream,
    frames: Frames,
    descriptors: Vec<OwnedFd>,
    calls: u32,
}

impl Liar {
    pub(super) fn join(path: &Path) -> Liar {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(&greeting()).unwrap();
        let mut liar = Liar { stream, frames: Frames::new(2 * SIDE), descriptors: Vec::new(), calls: 0 };
        assert!(matches!(liar.told(), Told::Welcome { .. }));
        liar
    }

    /// The next thing that it is told.
    pub(super) fn told(&mut self) -> Told {
        loop {
            if let Some(frame) = self.frames.next_frame().unwrap() {
                return parse(&frame, frame.len()).unwrap().0;
            }
            let mut chunk = [0; 4096];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let n = recvmsg(&self.stream, &mut [IoSliceMut::new(&mut chunk)], &mut ancillary, RecvFlags::empty());
            self.frames.push(&chunk[..n.unwrap().bytes]);
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(came) = message {
                    self.descriptors.extend(came);
                }
            }
        }
    }

    /// Any bytes.
    fn say(&mut self, bytes: &[u8]) {
        // One that was ended already hears nothing.
        let _ = self.stream.write_all(bytes);
    }

    pub(super) fn call(&mut self, request: Request, lent: Option<Place>) {
        self.calls += 1;
        let call = Call { number: self.calls, request };
        let frame = lent.map_or_else(|| emit(&call, b""), |place| emit_lent(&call, place));
        self.stream.write_all(&frame.unwrap()).unwrap();
    }

    pub(super) fn done(&mut self, request: Request, lent: Option<Place>) -> Told {
        self.call(request, lent);
        loop {
            let told = self.told();
            if matches!(told, Told::Done { .. } | Told::Refused { .. } | Told::Bye { .. }) {
                return told;
            }
        }
    }

    /// Its side of the shared memory.
    pub(super) fn share(&mut self) -> Region {
        assert!(matches!(self.done(Request::Arena, None), Told::Done { done: Done::Arena, .. }));
        Region::open(self.descriptors[0].as_fd(), Side::Up, SIDE).unwrap()
    }

    pub(super) fn bye(&mut self) -> String {
        loop {
            if let Told::Bye { why } = self.told() {
                return why;
            }
        }
    }
}

/// A message for nobody's answer.
pub(super) fn send(name: &str) -> Request {
    Request::Send(Envelope {
        to: to(name),
        from: PortId::NODE,
        priority: messenger::Priority::Normal,
        wants: Wants::Nothing,
        datagram: false,
        capacity: None,
        deadline_ms: None,
        opcode: 0,
        tag: 0,
        origin: Origin::default(),
    })
}

/// A guest that goes on whatever others do.
fn goes_on(guest: &Guest, port: PortId, tag: u32) {
    guest.send(&to("p"), &tagged(tag)).unwrap();
    assert_eq!(guest.receive(port, Some(SOON)).unwrap().unwrap().tag(), tag);
}

/// After a good greeting, bytes that are anything: their guest is ended or waits for the rest of a frame, and others go on.
#[test]
fn random_bytes_end_their_guest_only() {
    let mut house = House::new();
    let liars = house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec::named("p")).unwrap();
        let mut seed = 7u64;
        let mut byte = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as u8
        };
        let liars: Vec<Liar> = (0..50)
            .map(|n| {
                let mut liar = Liar::join(&path);
                let noise: Vec<u8> = (0..300).map(|_| byte()).collect();
                // Of a length that may be, so that it is looked at.
                let frame = if n % 2 == 0 { [&300u32.to_le_bytes()[..], &noise].concat() } else { noise };
                liar.say(&frame);
                goes_on(&guest, port, n);
                liar
            })
            .collect();
        liars
    });
    assert!(house.count("guests-malformed") >= 25, "{}", house.count("guests-malformed"));
    drop(liars);
}

/// Text that is no UTF-8 is no value, wherever it stands: as a port's name, in a pattern, as a node.
#[test]
fn a_name_that_is_no_text_ends_its_guest() {
    let mut house = House::new();
    house.serve(|path| {
        let on = To::On { node: "?????".into(), name: "p".into() };
        let Request::Send(envelope) = send("p") else { panic!() };
        for request in [
            Request::Open(PortSpec::named("?????")),
            Request::Attach { name: "?????".into() },
            Request::Watch { pattern: "?????".into() },
            Request::Send(Envelope { to: on, ..envelope }),
        ] {
            let mut liar = Liar::join(&path);
            let frame = emit(&Call { number: 1, request }, b"").unwrap();
            liar.say(&frame.iter().map(|byte| if *byte == b'?' { 0xff } else { *byte }).collect::<Vec<u8>>());
            assert_eq!(liar.bye(), "a frame is malformed");
        }
    });
    assert_eq!(house.count("guests-malformed"), 4);
}

/// A guest that asks for more than it reads is ended, and others go on meanwhile.
#[test]
fn a_guest_that_never_reads_is_ended() {
    let mut house = House::new();
    let liar = house.serve(|path| {
        let guest = Guest::join_at(&path).unwrap();
        let port = guest.open(&PortSpec::named("p")).unwrap();
        let mut liar = Liar::join(&path);
        let spec = PortSpec { room: Some(64 << 20), ..PortSpec::named("deaf") };
        let Told::Done { done: Done::Port(deaf), .. } = liar.done(Request::Open(spec), None) else { panic!() };
        for n in 0..40u8 {
            guest.send(&to("deaf"), &Message::new(vec![n; 1 << 20])).unwrap();
        }
        for n in 0..40 {
            let request = Request::Receive { port: deaf, take: Take::any() };
            liar.say(&emit(&Call { number: 100 + n, request }, b"").unwrap());
            goes_on(&guest, port, n);
        }
        liar
    });
    assert_eq!((house.count("guests-slow"), house.count("guests-malformed")), (1, 0));
    drop(liar);
}
