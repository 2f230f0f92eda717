use super::*;
use messenger::NodeId;
use proptest::prelude::*;

fn adapter() -> Object {
    let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Object {
        class: "adapter".into(),
        key: "vhost0".into(),
        version: Some(3),
        properties: vec![property("slot", "7"), property("note", "a <b> & \"c\"\n")],
    }
}

/// The documents of the folder `vectors`, byte for byte, both ways: a request, a response that is good, one that failed.
///
/// PROTOCOL 14.9.
/// Rows: VI-46.
#[test]
fn documents_are_as_recorded() {
    let request = VioRequest { action: "create".into(), object: Object { version: None, ..adapter() } };
    let golden = include_str!("../../vectors/request.xml");
    assert_eq!((VioRequest::parse(golden.as_bytes()), request.to_xml()), (Ok(request), Ok(golden.to_owned())));
    let member = Member {
        node: NodeId::new(2).unwrap(),
        node_name: "b".into(),
        addresses: vec!["10.77.0.2".parse().unwrap(), "fd4d::2".parse().unwrap()],
        up: true,
    };
    let mut objects = nodes(&[member]);
    objects.push(adapter());
    let good = VioResponse(Ok(objects));
    let golden = include_str!("../../vectors/response-good.xml");
    assert_eq!((VioResponse::parse(golden.as_bytes()), good.to_xml()), (Ok(good), Ok(golden.to_owned())));
    let status = Status { code: Code::Failed, detail: 5 };
    let failed = VioResponse(Err(Exception { status, text: "no slot <7>".into() }));
    let golden = include_str!("../../vectors/response-failed.xml");
    assert_eq!((VioResponse::parse(golden.as_bytes()), failed.to_xml()), (Ok(failed), Ok(golden.to_owned())));
}

/// Entities, document types, depth, size, other encodings and other documents are refused before they cost anything.
///
/// PROTOCOL 14.9.
#[test]
fn hostile_documents_are_refused() {
    let parse = |text: &str| VioRequest::parse(text.as_bytes()).unwrap_err();
    let bomb =
        "<!DOCTYPE a [<!ENTITY b \"bbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;\">]><vioRequest version=\"1\">&c;</vioRequest>";
    assert!(matches!(parse(bomb), XmlError::Syntax(roxmltree::Error::DtdDetected)));
    let file = "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><vioRequest version=\"1\">&b;</vioRequest>";
    assert!(matches!(parse(file), XmlError::Syntax(roxmltree::Error::DtdDetected)));
    assert!(matches!(parse("<vioRequest version=\"1\">&b;</vioRequest>"), XmlError::Syntax(_)));
    assert_eq!(parse(&"<a>".repeat(100_000)), XmlError::TooDeep);
    assert_eq!(parse(&"<a ".repeat(100_000)), XmlError::TooDeep);
    assert_eq!(parse(&" ".repeat(MOST + 1)), XmlError::TooLong(MOST + 1));
    let wide = format!("<vioRequest version=\"1\">{}</vioRequest>", "<b/>".repeat(70_000));
    assert!(matches!(parse(&wide), XmlError::Syntax(roxmltree::Error::NodesLimitReached)));
    assert_eq!(VioRequest::parse(b"\xff\xfe<\0"), Err(XmlError::Text));
    assert_eq!(parse("<vioResponse version=\"1\"/>"), XmlError::Root("vioResponse".into()));
    assert_eq!(parse("<vioRequest version=\"2\"/>"), XmlError::Version("2".into()));
    assert_eq!(parse("<vioRequest version=\"1\" action=\"x\"/>"), XmlError::Missing("object"));
    assert_eq!(parse("<vioRequest version=\"1\"><object class=\"c\"/></vioRequest>"), XmlError::Missing("action"));
    let answer = VioResponse::parse(b"<vioResponse version=\"1\" status=\"x\"/>");
    assert_eq!(answer, Err(XmlError::Missing("status")));
    let control = VioRequest { action: "a\0".into(), object: adapter() };
    assert_eq!(control.to_xml(), Err(XmlError::Character('\0')));
}

proptest! {
    #[test]
    fn any_text_is_a_document_or_an_error(text in "[<>/a-z\"= !&;?\\[\\]]{0,200}") {
        let _ = VioRequest::parse(text.as_bytes());
        let _ = VioResponse::parse(text.as_bytes());
    }

    #[test]
    fn what_is_written_is_read_again(action in "[a-z]{1,9}", class in "[a-z]{1,9}", key in "[ -~é\n\t]{0,20}",
        version in any::<Option<u64>>(), properties in prop::collection::vec(("[a-z]{1,9}", "[ -~é\n]{0,20}"), 0..5)) {
        let request = VioRequest { action, object: Object { class, key, version, properties } };
        let text = request.to_xml().unwrap();
        prop_assert_eq!(VioRequest::parse(text.as_bytes()), Ok(request));
    }
}
