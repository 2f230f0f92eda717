//! The wire format, byte for byte: `vectors/v1.txt` against what this build reads and writes.
//!
//! Each vector is parsed, compared with the value the table here gives it, and emitted again from that value. Who changes
//! a vector changes the protocol.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what it did not expect")]

use messenger_core::{
    Incarnation, Name, NodeId, PortId, SegmentId,
    wire::{
        Ack, Again, Agent, Announce, Attachment, Entry, Extension, Flags, Header, Heartbeat, Hello, Kind, LaneAck,
        LinkBody, Names, Opt, Options, Priority, Record, Refusal, Scope, Sequence, Slice, SubHeader, WireError,
    },
};
use std::collections::BTreeMap;

/// What a vector means.
#[derive(Debug, PartialEq)]
enum Value {
    /// `PROTOCOL 1.2`, `1.3`: a header and what stands behind it.
    Frame(Header, Vec<u8>),
    /// `PROTOCOL 2.6`.
    Sliced(Header, Slice, Vec<u8>),
    /// `PROTOCOL 1.7`, `1.8`, `1.9`.
    Message(Header, Extension, Option<SubHeader>, Vec<(u8, Vec<u8>)>, Vec<u8>),
    /// `PROTOCOL 7.2`: as `Message`, in a stream.
    Sequenced(Header, Extension, Option<SubHeader>, Sequence, Vec<(u8, Vec<u8>)>, Vec<u8>),
    /// `PROTOCOL 7.6`.
    Ack(Header, Ack),
    /// `PROTOCOL 8.1`.
    Names(Names),
    /// `PROTOCOL 3.1`: a link message with its header.
    Link(Header, LinkBody<'static>),
    /// `PROTOCOL 4.1`.
    Record(Record),
}

fn node(n: u32) -> NodeId {
    NodeId::new(n).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn header(kind: Kind, len: u8, flags: Flags) -> Header {
    Header { len, kind, flags, source: 0x0403_0201, destination: 0x0807_0605, port: 0x0c0b_0a09 }
}

fn link(body: LinkBody<'static>) -> Value {
    Value::Link(header(Kind::Link, 16, Flags::default()), body)
}

fn extension() -> Extension {
    let port = PortId { index: 3, generation: 9 }.to_wire();
    Extension { source_port: port, incarnation: 0x1211, slot: 0x1413, transaction: 0x1c1b_1a19_1817_1615 }
}

fn sub_header() -> SubHeader {
    SubHeader {
        opcode: 0x2221,
        status: 0x2423,
        detail: 0x2827_2625,
        origin: Agent::ThirdParty,
        origin_flags: 0x29,
        targets: 0x2b2a,
        origin_id: 0x2f2e_2d2c,
        deadline_ms: 0x3332_3130,
        tag: 0x3736_3534,
    }
}

fn message(kind: Kind) -> Value {
    let flags = Flags::default().with_priority(Priority::Normal).with_hops(7);
    Value::Message(header(kind, 32, flags), extension(), None, vec![], b"payload".to_vec())
}

fn sequence() -> Sequence {
    Sequence {
        source: Incarnation::new(0x3b3a_3938),
        destination: Incarnation::new(0x3f3e_3d3c),
        epoch: 0x4342_4140,
        floor: 0x4746_4544,
        number: Sequence::FIRST,
        offset: 0,
    }
}

fn ack() -> Ack {
    let whole = LaneAck { lane: 0, next: Sequence::FIRST, ranges: vec![] };
    let gaps = LaneAck { lane: 3, next: 0xffff_fffe, ranges: vec![(0, 0x0100), (0x0200, 0x0304)] };
    let (source, destination) = (Incarnation::new(0x0403_0201), Incarnation::new(0x0807_0605));
    Ack { source, destination, epoch: 0x0c0b_0a09, floor: 0, of: 0x100f_0e0d, lanes: vec![whole, gaps] }
}

fn names() -> Names {
    let entry = |scope, kind: Option<&str>, properties: &[(&str, &str)]| {
        let properties = properties.iter().map(|(k, v)| (name(k), name(v))).collect();
        Some(
            Entry { name: name("io/disk0"), scope, claim: 0x0807_0605_0403_0201, kind: kind.map(name), properties }
                .into(),
        )
    };
    let port = |index| PortId { index, generation: 0x0102 };
    let changes = vec![
        (port(1), entry(Scope::Fabric, Some("disk"), &[("speed", "1000")])),
        (port(2), entry(Scope::Node, None, &[])),
        (port(3), None),
    ];
    Names { all: true, more: false, changes }
}

fn hello() -> Hello {
    Hello {
        versions: (1, 1),
        echo: 0x4443_4241,
        greeting: true,
        incarnation: Incarnation::new(0x4847_4645),
        interval_ms: 500,
        message: 65_600,
        frame: 1_514,
        offloads: 0x3f,
        name: name("node-7"),
        fabric: name("größe"),
    }
}

fn record() -> Record {
    let attachment = |segment: &str, v4: Vec<[u8; 4]>, v6: Vec<[u8; 16]>| Attachment {
        segment: SegmentId::from_name(segment),
        name: name(segment),
        frame: 9_014,
        offloads: 1,
        v4,
        v6,
    };
    let mut address = [0; 16];
    (address[0], address[1], address[15]) = (0xfd, 0x77, 7);
    Record {
        node: node(7),
        incarnation: Incarnation::new(0x5453_5251),
        version: 0x6867_6665_6463_6261,
        name: name("node-7"),
        relay: true,
        leaving: false,
        neighbours: vec![node(1), node(0x0102_0304)],
        messages: vec![],
        attachments: vec![attachment("lan", vec![[10, 77, 0, 7]], vec![address]), attachment("san", vec![], vec![])],
    }
}

/// What every vector stands for.
fn meanings() -> BTreeMap<&'static str, Value> {
    let plain = Flags::default().with_priority(Priority::Normal).with_hops(7);
    let run = plain.with(Flags::FIRST).with(Flags::MORE).with(Flags::OFFLOAD);
    let slice = plain.with(Flags::SLICE).with(Flags::MORE);
    let sub = plain.with(Flags::SUBHEADER);
    let full = sub.with(Flags::OPTIONS);
    let options = vec![(2, b"disk0".to_vec()), (99, vec![])];
    let beat = Heartbeat {
        answer: true,
        sent: 0x0807_0605_0403_0201,
        echo: 0x1817_1615_1413_1211,
        held: 0x2827_2625_2423_2221,
        digest: 0x3837_3635_3433_3231,
    };
    let announce = Announce { node: node(7), version: 0x0807_0605_0403_0201, offset: 8, total: 12, bytes: b"part" };
    BTreeMap::from([
        ("frame-plain", Value::Frame(Header::frame(node(1), node(2), 0x1234_5678), b"frame".to_vec())),
        ("frame-empty", Value::Frame(Header::frame(node(1), node(2), 0x1234_5678), vec![])),
        ("frame-run", Value::Frame(header(Kind::Frame, 16, run), b"frame".to_vec())),
        (
            "frame-urgent",
            Value::Frame(header(Kind::Frame, 16, Flags::default().with_priority(Priority::Urgent)), vec![]),
        ),
        ("frame-unknown-flags", Value::Frame(header(Kind::Frame, 16, Flags(0xf802)), vec![])),
        (
            "frame-every",
            Value::Frame(Header { destination: NodeId::EVERY, ..header(Kind::Frame, 16, plain) }, b"all".to_vec()),
        ),
        ("kind-unknown", Value::Frame(header(Kind::Other(0x77), 16, plain), b"later".to_vec())),
        (
            "frame-slice",
            Value::Sliced(
                header(Kind::Frame, 24, slice),
                Slice { run: 0x0102, part: 3, total: 65_560 },
                b"sliced".to_vec(),
            ),
        ),
        ("message-plain", message(Kind::Message)),
        ("message-empty", Value::Message(header(Kind::Message, 32, plain), extension(), None, vec![], vec![])),
        ("receipt-plain", message(Kind::Receipt)),
        ("response-plain", message(Kind::Response)),
        (
            "message-sub-header",
            Value::Message(header(Kind::Message, 56, sub), extension(), Some(sub_header()), vec![], b"asked".to_vec()),
        ),
        (
            "message-options",
            Value::Message(
                header(Kind::Message, 48, plain.with(Flags::OPTIONS)),
                extension(),
                None,
                options.clone(),
                b"named".to_vec(),
            ),
        ),
        (
            "response-all",
            Value::Message(header(Kind::Response, 72, full), extension(), Some(sub_header()), options, b"all".to_vec()),
        ),
        ("link-hello", link(LinkBody::Hello(hello()))),
        ("link-hello-last", link(LinkBody::Hello(Hello { greeting: false, ..hello() }))),
        ("link-heartbeat", link(LinkBody::Heartbeat(beat))),
        ("link-bye", link(LinkBody::Bye)),
        ("link-refuse", link(LinkBody::Refuse { why: Refusal::DuplicateNode, versions: (1, 2) })),
        ("link-announce", link(LinkBody::Announce(announce))),
        ("link-quiesce", link(LinkBody::Quiesce)),
        ("link-enable", link(LinkBody::Enable)),
        ("link-seek", link(LinkBody::Seek { fabric: name("default") })),
        ("link-unknown", link(LinkBody::Other(200))),
        ("record", Value::Record(record())),
        (
            "message-sequenced",
            Value::Sequenced(
                header(Kind::Message, 56, plain.with(Flags::SEQUENCED).with(Flags::RECEIPT)),
                extension(),
                None,
                sequence(),
                vec![],
                b"once".to_vec(),
            ),
        ),
        (
            "message-part",
            Value::Sequenced(
                header(Kind::Message, 56, plain.with(Flags::SEQUENCED).with(Flags::RESPONSE).with(Flags::MORE)),
                extension(),
                None,
                Sequence { number: 0x0000_0010, offset: 0x0410, ..sequence() },
                vec![],
                b"middle".to_vec(),
            ),
        ),
        (
            "message-again",
            Value::Sequenced(
                header(Kind::Message, 96, full.with(Flags::SEQUENCED).with(Flags::RECEIPT)),
                extension(),
                Some(sub_header()),
                sequence(),
                vec![(Again::CODE, Again { transaction: 0x0807_0605_0403_0201, slot: 0x0a09 }.to_bytes().to_vec())],
                b"again".to_vec(),
            ),
        ),
        (
            "receipt-sequenced",
            Value::Sequenced(
                header(Kind::Receipt, 56, Flags::default().with_hops(7).with(Flags::SEQUENCED)),
                extension(),
                None,
                sequence(),
                vec![],
                vec![],
            ),
        ),
        ("ack", Value::Ack(Header { port: 0, ..header(Kind::Ack, 16, Flags::default().with_hops(7)) }, ack())),
        ("names", Value::Names(names())),
        ("record-messages", Value::Record(Record { messages: vec![1_472, 0x7473_7271], ..record() })),
    ])
}

fn parse(name: &str, bytes: &'static [u8]) -> Value {
    if name.starts_with("record") {
        return Value::Record(Record::parse(bytes).unwrap());
    }
    if name == "names" {
        return Value::Names(Names::parse(bytes).unwrap());
    }
    let header = Header::parse(bytes).unwrap();
    let body = header.body(bytes).unwrap();
    match header.kind {
        Kind::Link => Value::Link(header, LinkBody::parse(body).unwrap()),
        Kind::Frame if header.flags.has(Flags::SLICE) => {
            Value::Sliced(header, Slice::parse(bytes).unwrap(), body.to_vec())
        }
        Kind::Frame | Kind::Other(_) => Value::Frame(header, body.to_vec()),
        Kind::Ack => Value::Ack(header, Ack::parse(body).unwrap()),
        Kind::Message | Kind::Receipt | Kind::Response => {
            let sub = header.flags.has(Flags::SUBHEADER).then(|| SubHeader::parse(bytes).unwrap());
            let options = Options::parse(&header, bytes).unwrap().map(|o| o.unwrap());
            let options = options.map(|o| (o.code, o.value.to_vec())).collect();
            let (extension, body) = (Extension::parse(bytes).unwrap(), body.to_vec());
            if header.flags.has(Flags::SEQUENCED) {
                let sequence = Sequence::parse(&header, bytes).unwrap();
                return Value::Sequenced(header, extension, sub, sequence, options, body);
            }
            Value::Message(header, extension, sub, options, body)
        }
    }
}

/// Writes a value over bytes that were something else before.
fn emit(value: &Value) -> Vec<u8> {
    let begin = |header: &Header| {
        let mut out = vec![0xa5; usize::from(header.len)];
        header.emit(&mut out).unwrap();
        out
    };
    match value {
        Value::Frame(header, payload) => [begin(header), payload.clone()].concat(),
        Value::Sliced(header, slice, payload) => {
            let mut out = begin(header);
            slice.emit(&mut out).unwrap();
            [out, payload.clone()].concat()
        }
        Value::Message(header, extension, sub, options, payload) => {
            let mut out = begin(header);
            extension.emit(&mut out).unwrap();
            if let Some(sub) = sub {
                sub.emit(&mut out).unwrap();
            }
            out.truncate(Header::LEN + Extension::LEN + if sub.is_some() { SubHeader::LEN } else { 0 });
            for (code, value) in options {
                assert!(Options::emit(&mut out, Opt { code: *code, value }));
            }
            out.resize(usize::from(header.len), 0);
            [out, payload.clone()].concat()
        }
        Value::Sequenced(header, extension, sub, sequence, options, payload) => {
            let mut out = begin(header);
            extension.emit(&mut out).unwrap();
            if let Some(sub) = sub {
                sub.emit(&mut out).unwrap();
            }
            sequence.emit(header.flags, &mut out).unwrap();
            out.truncate(Sequence::at(header.flags) + Sequence::LEN);
            for (code, value) in options {
                assert!(Options::emit(&mut out, Opt { code: *code, value }));
            }
            out.resize(usize::from(header.len), 0);
            [out, payload.clone()].concat()
        }
        Value::Ack(header, ack) => {
            let mut out = begin(header);
            ack.emit(&mut out);
            out
        }
        Value::Names(names) => {
            let mut out = Vec::new();
            names.emit(&mut out);
            out
        }
        Value::Link(header, body) => {
            let mut out = begin(header);
            body.emit(&mut out);
            out
        }
        Value::Record(record) => {
            let mut out = Vec::new();
            record.emit(&mut out);
            out
        }
    }
}

fn vectors() -> BTreeMap<&'static str, &'static [u8]> {
    let lines = include_str!("../vectors/v1.txt").lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let (name, hex) = line.split_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
            let digits: Vec<u8> = hex.chars().filter(|c| *c != ' ').map(|c| c.to_digit(16).unwrap() as u8).collect();
            let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
            (name, &*bytes.leak())
        })
        .collect()
}

/// Records and tellings of names are what messages carry, and have no header themselves.
fn is_message(vector: &str) -> bool {
    !vector.starts_with("record") && vector != "names"
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// That arbitrary bytes are read without harm is shown by the property tests beside each format and by the fuzz targets `wire`
/// and `exchange`. That a machine with the other byte order reads and writes the same is shown by `cargo xtask sanitize`.
///
/// PROTOCOL 1.2, 1.3, 1.7, 1.8, 1.9, 2.6, 3.1, 3.3, 3.6, 3.7, 4.1, 4.3, 7.2, 7.6, 8.1.
#[test]
fn every_vector_is_read_and_written_byte_for_byte() {
    let (vectors, meanings) = (vectors(), meanings());
    for (name, value) in &meanings {
        let Some(bytes) = vectors.get(name) else { panic!("no vector: {name} {}", hex(&emit(value))) };
        assert_eq!(hex(&emit(value)), hex(bytes), "{name}");
        assert_eq!(&parse(name, bytes), value, "{name}");
    }
    let unknown: Vec<_> = vectors.keys().filter(|n| !meanings.contains_key(*n)).collect();
    assert!(unknown.is_empty(), "vectors without a meaning: {unknown:?}");
}

/// Every number on the wire stands with its least byte first, whatever machine this is; each message begins with the
/// version, and another is refused as such. (That the code nowhere uses the machine's own order is checked
/// by `no_code_asks_for_the_processor`.)
///
/// Rows: MA-08.
#[test]
fn the_byte_order_is_little_endian() {
    let (vectors, at) = (vectors(), |bytes: &[u8], range: core::ops::Range<usize>| bytes[range].to_vec());
    let message = vectors["message-sub-header"];
    // Source, destination, port, extension and sub-header count up in memory order.
    assert_eq!(at(message, 4..16), (1..=12).collect::<Vec<u8>>());
    assert_eq!(at(message, 20..32), (0x11..=0x1c).collect::<Vec<u8>>());
    assert_eq!(at(message, 32..40), (0x21..=0x28).collect::<Vec<u8>>());
    assert_eq!(at(message, 41..56), (0x29..=0x37).collect::<Vec<u8>>());
    // So do a part's place in its stream and, in a telling of names, their number and the first claim.
    assert_eq!(at(vectors["message-sequenced"], 32..48), (0x38..=0x47).collect::<Vec<u8>>());
    assert_eq!(at(vectors["names"], 1..5), [3, 0, 0, 0]);
    assert_eq!(at(vectors["names"], 10..18), (1..=8).collect::<Vec<u8>>());
    for (name, bytes) in vectors.into_iter().filter(|(name, _)| is_message(name)) {
        assert_eq!(bytes[0] >> 4, 1, "{name}");
        let other = [&[0x20 | bytes[0] & 15], &bytes[1..]].concat();
        assert_eq!(Header::parse(&other), Err(WireError::Version(2)), "{name}");
    }
}

/// `PROTOCOL 1.2`, `1.7`: a frame's header has 16 bytes, a plain message's 32, and neither needs a payload.
///
/// Rows: MA-17.
#[test]
fn headers_are_small_and_a_payload_may_be_empty() {
    let vectors = vectors();
    let payload = |name: &str| {
        let header = Header::parse(vectors[name]).unwrap();
        (usize::from(header.len), header.body(vectors[name]).unwrap().len())
    };
    assert_eq!(payload("frame-plain"), (16, 5));
    assert_eq!(payload("frame-empty"), (16, 0));
    assert_eq!(payload("message-plain"), (32, 7));
    assert_eq!(payload("message-empty"), (32, 0));
}

/// `PROTOCOL 1.5`: no vector can be shortened into its header unnoticed.
#[test]
fn every_truncation_of_a_header_is_an_answer() {
    for (name, bytes) in vectors().into_iter().filter(|(name, _)| is_message(name)) {
        let len = usize::from(Header::parse(bytes).unwrap().len);
        for n in 0..len {
            let read = Header::parse(&bytes[..n]).and_then(|h| h.body(&bytes[..n]).map(<[u8]>::len));
            assert!(read.is_err(), "{name}: {n} of {len} bytes");
        }
    }
}
