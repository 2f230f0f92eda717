//! Every format of the wire: what is read is written back as it was.
use messenger_core::wire::{Extension, Flags, Header, LinkBody, Opt, Options, Record, Slice, SubHeader};

pub fn run(input: &[u8]) {
    if let Ok(header) = Header::parse(input) {
        let mut out = input.to_vec();
        assert_eq!(header.emit(&mut out), Ok(()));
        let body = header.body(input).unwrap_or_default();
        if let Ok(extension) = Extension::parse(input) {
            assert_eq!(extension.emit(&mut out), Ok(()));
        }
        if let Ok(sub) = SubHeader::parse(input) {
            assert_eq!(sub.emit(&mut out), Ok(()));
        }
        assert_eq!(out, input);
        if let Ok(slice) = Slice::parse(input) {
            assert_eq!(slice.emit(&mut out), Ok(()));
        }
        assert_eq!(out, input);
        options(&header, input);
        link_body(body);
    }
    link_body(input);
    if let Ok(record) = Record::parse(input) {
        let mut out = Vec::new();
        record.emit(&mut out);
        assert_eq!(Record::parse(&out), Ok(record), "what is read is what is written");
    }
}

fn link_body(bytes: &[u8]) {
    if let Ok(body) = LinkBody::parse(bytes) {
        let mut out = Vec::new();
        body.emit(&mut out);
        assert_eq!(LinkBody::parse(&out), Ok(body));
        assert!(out.len() <= bytes.len());
    }
}

fn options(header: &Header, message: &[u8]) {
    let Ok(options) = Options::parse(header, message) else { return };
    let mut out = Vec::new();
    for option in options.map_while(Result::ok) {
        let Opt { code, value } = option;
        assert!(code != 0 && Options::emit(&mut out, Opt { code, value }));
    }
    let start = 32 + if header.flags.has(Flags::SUBHEADER) { SubHeader::LEN } else { 0 };
    assert!(message[start.min(message.len())..].starts_with(&out));
}
