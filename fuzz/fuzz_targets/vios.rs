//! Packets, events and documents of VIOS: any bytes are one or an error, and what is one survives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use messenger_vios::{
    Event, Packet,
    xml::{VioRequest, VioResponse},
};

fuzz_target!(|bytes: &[u8]| {
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
});
