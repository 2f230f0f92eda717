//! Packets, events and documents of VIOS: any bytes are one or an error, and what is one survives.

use messenger_vios::{
    Event, Packet,
    xml::{VioRequest, VioResponse},
};

pub fn run(bytes: &[u8]) {
    if let Ok(packet) = Packet::parse(bytes) {
        assert_eq!(Packet::parse(&packet.emit().unwrap()), Ok(packet));
    }
    if let Ok(event) = Event::parse(bytes) {
        assert_eq!(event.emit().unwrap(), bytes);
    }
    let _ = VioResponse::parse(bytes);
    if let Ok(request) = VioRequest::parse(bytes)
        && let Ok(text) = request.to_xml()
    {
        assert_eq!(VioRequest::parse(text.as_bytes()), Ok(request));
    }
}
