use super::*;
use crate::{UniqueId, opcode};
use messenger::{Code, NodeId, Status};
use proptest::prelude::*;

/// The packets of `vectors/v1.txt`, in order: a broadcast with everything wanted, a directed request of a caller, its
/// response.
fn recorded() -> Vec<Packet> {
    let transaction = UniqueId { node: 0x0403_0201, life: 0x0807_0605, number: 0x1817_1615_1413_1211 };
    let request = Packet {
        header: Header { transaction, status: Status::GOOD, origin: Origin::Cli, receipt: true },
        sub: SubHeader {
            opcode: 0x0102,
            broadcast: true,
            response: true,
            originator: Originator::Cli,
            targets: vec![],
            receipts: 1,
            receipts_len: 5,
        },
        payload: b"payload".to_vec(),
    };
    let directed = Packet {
        header: Header { origin: Origin::Api, receipt: false, ..request.header },
        sub: SubHeader {
            broadcast: false,
            originator: Originator::ThirdParty("caller".into()),
            targets: vec![NodeId::new(2).unwrap(), NodeId::new(0x0403_0201).unwrap()],
            receipts: 0,
            receipts_len: 0,
            ..request.sub.clone()
        },
        payload: vec![],
    };
    let response = Packet {
        header: Header { status: Status { code: Code::Failed, detail: 0x0a0b_0c0d }, ..directed.header },
        sub: SubHeader {
            opcode: opcode::response(0x0102),
            response: false,
            targets: vec![transaction.node_id().unwrap()],
            ..directed.sub.clone()
        },
        payload: b"because".to_vec(),
    };
    vec![request, directed, response]
}

fn vectors() -> Vec<Vec<u8>> {
    let lines = include_str!("../../vectors/v1.txt").lines().filter(|line| !line.starts_with('#'));
    let byte = |hex: &[u8]| u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap();
    let digits = |line: &str| line.split(' ').skip(1).collect::<String>().into_bytes();
    lines.map(|line| digits(line).chunks(2).map(byte).collect()).collect()
}

/// `PROTOCOL 13.2`, `13.3`: header, sub-header and payload, byte for byte, both ways.
///
/// Rows: VI-03, VI-05, VI-06, VI-08, VI-09, VI-11, VI-12, VI-13, VI-37.
#[test]
fn packets_are_as_recorded() {
    let (vectors, packets) = (vectors(), recorded());
    assert_eq!(vectors.len(), packets.len());
    for (bytes, packet) in vectors.iter().zip(&packets) {
        let hex: String = packet.emit().unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(&packet.emit().unwrap(), bytes, "{hex}");
        assert_eq!(Packet::parse(bytes).as_ref(), Ok(packet));
    }
    let [request, directed, response] = &packets[..] else { panic!() };
    assert_eq!((request.sub.kind(), response.sub.kind()), (Kind::Request, Kind::Response));
    assert_ne!(directed.sub.opcode, response.sub.opcode);
    assert_eq!(directed.header.transaction, response.header.transaction);
}

/// `PROTOCOL 13.4`: every field that means nothing is told by its name; nothing of the packet is used.
///
/// Rows: VI-17.
#[test]
fn what_is_no_packet_is_told() {
    let good = recorded()[1].emit().unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Packet::parse(&bytes).unwrap_err()
    };
    assert_eq!(with(0, b'X'), PacketError::Magic);
    assert_eq!(with(4, 2), PacketError::Version(2));
    assert_eq!(with(6, 0), PacketError::Field("origin"));
    assert_eq!(with(34, 3), PacketError::Field("targets"), "for all, and for some");
    assert_eq!(with(36, 2), PacketError::Field("originator"));
    assert_eq!(with(36, 0), PacketError::Field("originator"), "a daemon has no name");
    assert_eq!(with(33, 0x80), PacketError::Field("opcode"), "a response that wants one");
    assert_eq!(with(52, 1), PacketError::Length(1));
    for length in 0..good.len() {
        assert!(Packet::parse(&good[..length]).is_err(), "{length}");
    }
    let mut packet = recorded().remove(1);
    packet.sub.targets.clear();
    assert_eq!(packet.emit(), Err(PacketError::Field("targets")), "for nobody");
    packet.sub.targets = vec![NodeId::new(1).unwrap(); TARGETS_MOST + 1];
    assert_eq!(packet.emit(), Err(PacketError::Field("targets")));
    packet.sub.targets.truncate(1);
    for name in ["", "a b", "a\0", &"n".repeat(NAME_MOST + 1)] {
        packet.sub.originator = Originator::ThirdParty(name.into());
        assert_eq!(packet.emit(), Err(PacketError::Field("originator")));
    }
    packet.sub.originator = Originator::Daemon;
    packet.payload = vec![0; PAYLOAD_MOST + 1];
    assert_eq!(packet.emit(), Err(PacketError::Length(PAYLOAD_MOST as u32 + 1)));
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let header = (any::<(u32, u32, u64, u16, u32)>(), any::<(bool, bool)>());
    let originator =
        prop_oneof![Just(Originator::Daemon), Just(Originator::Cli), "[a-zäß/]{1,20}".prop_map(Originator::ThirdParty)];
    let targets = prop::collection::vec(1u32..u32::MAX, 0..9);
    let sub = (0u16..opcode::RESPONSE, any::<bool>(), originator, targets, any::<(u64, u32)>());
    (header, sub, prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(header, sub, payload)| {
        let ((node, life, number, code, detail), (cli, receipt)) = header;
        let (opcode, response, originator, targets, (receipts, receipts_len)) = sub;
        let targets: Vec<NodeId> = targets.into_iter().filter_map(NodeId::new).collect();
        Packet {
            header: Header {
                transaction: UniqueId { node, life, number },
                status: Status { code: Code::from_number(code), detail },
                origin: if cli { Origin::Cli } else { Origin::Api },
                receipt,
            },
            sub: SubHeader {
                opcode,
                broadcast: targets.is_empty(),
                response,
                originator,
                targets,
                receipts,
                receipts_len,
            },
            payload,
        }
    })
}

proptest! {
    #[test]
    fn packets_survive(packet in any_packet()) {
        prop_assert_eq!(Packet::parse(&packet.emit().unwrap()), Ok(packet));
    }

    /// What is read is what was meant: of altered bytes, too, a packet comes out that can be written and read again.
    #[test]
    fn any_bytes_are_a_packet_or_an_error(packet in any_packet(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Packet::parse(&noise);
        let mut bytes = packet.emit().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(packet) = Packet::parse(&bytes) {
            prop_assert_eq!(Packet::parse(&packet.emit().unwrap()), Ok(packet));
        }
    }
}
