//! Command lines, documents, events and identifiers.

use super::{cluster, daemon, good, got, names, nothing, place};
use crate::messages::{received, receiver};
use crate::topology::mesh;
use messenger::{Code, Status};
use messenger_vios::{
    Class, Event, Origin, Originator, Request, Vios, What, opcode,
    xml::{Exception, Object, VioRequest, VioResponse},
};
use minet_tests::{Net, Result, SOON, eventually};
use std::{collections::HashSet, time::Duration};

/// A person at a node sends to a node by its name: through the protocol and through the command.
///
/// PROTOCOL 14.1.
/// Rows: VI-45.
#[test]
fn a_command_line_sends_to_a_node() -> Result<()> {
    let net = Net::new()?;
    let (nodes, mut all) = cluster(&net, 3)?;
    let mut cli = Vios::caller(&place(&nodes[0]), "shell", &[]).unwrap();
    let mut request = Request::directed(1, names(&["b"]), "typed").by(Originator::Cli);
    good(&mut cli, &mut request);
    let came = got(&mut all[1]);
    assert_eq!((came.packet.header.origin, &came.packet.sub.originator), (Origin::Cli, &Originator::Cli));
    assert_eq!(came.head().origin.agent, messenger::Agent::CommandLine);
    assert!(nothing(&mut all[2]));
    let process = receiver(&nodes[1], &nodes[0], "box", &["--count", "1"])?;
    assert!(
        crate::messages::minet(&nodes[0], &["send", "--to", "box", "--on", "b", "--confirm", "x"]).status.success()
    );
    let (lines, good) = received(process)?;
    assert!(good && lines[0]["origin"] == "command line", "{lines:?}");
    Ok(())
}

fn create(key: &str) -> VioRequest {
    let properties = vec![("slot".to_owned(), "7".to_owned())];
    VioRequest {
        action: "create".into(),
        object: Object { class: "adapter".into(), key: key.into(), version: None, properties },
    }
}

/// Sends a document to `b` and gives the answer's, whose daemon makes adapters and nothing else.
fn ask(a: &mut Vios, b: &mut Vios, document: &VioRequest) -> VioResponse {
    let mut request = Request::document(document).unwrap().answered(SOON);
    request.sub.broadcast = false;
    request.to = Request::directed(1, names(&["b"]), "").to;
    good(a, &mut request);
    let came = got(b);
    b.serve(&came, |request| match &*request.object.class {
        "adapter" => Ok(vec![Object { version: Some(4), ..request.object.clone() }]),
        _ => Err(Exception { status: Status::with(Code::Failed, 2), text: "no such class".into() }),
    })
    .unwrap();
    VioResponse::parse(&a.response(&mut request, Some(SOON)).unwrap().unwrap().packet.payload).unwrap()
}

/// A document in, a document out; whoever registered for a class hears of what was made or failed, with key and version and
/// nothing more. Any node can be asked for all.
///
/// PROTOCOL 14.8, 14.9.
/// Rows: VI-46, VI-47, VI-48, VI-54.
#[test]
fn documents_are_answered_and_followed_by_events() -> Result<()> {
    let net = Net::new()?;
    let nodes = mesh(&net, 4)?;
    let mut a = daemon(&nodes[0], &nodes[0], &[Class::Lifecycle])?;
    let mut b = daemon(&nodes[1], &nodes[0], &[])?;
    let mut both = Vios::caller(&place(&nodes[2]), "both", &[Class::Lifecycle, Class::Alert]).unwrap();
    let mut alerts = Vios::caller(&place(&nodes[3]), "alerts", &[Class::Alert]).unwrap();
    for (name, owner) in [("vios/both", "c"), ("vios/alerts", "d"), ("vios", "a")] {
        crate::messages::knows(&nodes[1], name, owner)?;
    }
    let made = ask(&mut a, &mut b, &create("vhost0"));
    assert_eq!(made.0.as_ref().unwrap()[0].version, Some(4));
    let lifecycle = Event { class: Class::Lifecycle, key: "adapter/vhost0".into(), version: 4 };
    for vios in [&mut a, &mut both] {
        let came = got(vios);
        assert_eq!((&came.what, &*came.node_name), (&What::Event(lifecycle.clone()), "b"));
        assert_eq!(came.packet.payload.len(), 9 + lifecycle.key.len(), "no data");
    }
    let wrong =
        VioRequest { object: Object { class: "rocket".into(), key: "1".into(), ..Object::default() }, ..create("") };
    let failed = ask(&mut a, &mut b, &wrong);
    assert_eq!(failed.status(), Status::with(Code::Failed, 2));
    let alert = Event { class: Class::Alert, key: "rocket/1".into(), version: 0 };
    for vios in [&mut both, &mut alerts] {
        assert_eq!(got(vios).what, What::Event(alert.clone()));
    }
    // All that b told is there by now: a has no alert, and the others had no lifecycle event.
    assert!(nothing(&mut a) && nothing(&mut both) && nothing(&mut alerts));
    let all = VioRequest { action: "list".into(), object: Object { class: "node".into(), ..Object::default() } };
    let rows = ask(&mut a, &mut b, &all).0.unwrap();
    let keys: Vec<&str> = rows.iter().map(|object| &*object.key).collect();
    assert_eq!(keys, ["b", "a", "c", "d"]);
    let address = ("address".to_owned(), nodes[3].config().ipv4());
    assert!(rows[3].properties.contains(&address), "{:?}", rows[3]);
    // What is no document is answered as such.
    let mut noise = Request::directed(opcode::XML, names(&["b"]), "<!DOCTYPE x>").answered(SOON);
    good(&mut a, &mut noise);
    let came = got(&mut b);
    b.serve(&came, |_| panic!("not a document")).unwrap();
    let answer = a.response(&mut noise, Some(SOON)).unwrap().unwrap();
    assert_eq!(answer.status, Status::new(Code::Invalid));
    assert!(VioResponse::parse(&answer.packet.payload).unwrap().0.is_err());
    Ok(())
}

/// Four nodes, ten thousand each, and ten thousand more of one that began anew.
///
/// PROTOCOL 12.13.
/// Rows: VI-04, VI-55.
#[test]
fn identifiers_are_unique_in_the_cluster() -> Result<()> {
    let net = Net::new()?;
    let mut nodes = mesh(&net, 4)?;
    let mut all = HashSet::new();
    for node in &nodes {
        // Two processes of a node, in turns.
        let pair = ["x", "y"].map(|name| Vios::caller(&place(node), name, &[]).unwrap());
        for round in 0..100 {
            all.extend(pair[round % 2].unique_ids(100).unwrap());
        }
    }
    assert_eq!(all.len(), 40_000);
    nodes[0].kill();
    nodes[0].relaunch()?;
    nodes[0].wait_ready()?;
    let again = eventually(SOON, "a guest", || Ok(Vios::caller(&place(&nodes[0]), "x", &[]).ok()))?;
    all.extend(again.unique_ids(10_000).unwrap());
    assert_eq!(all.len(), 50_000);
    assert!(again.guest().receive(messenger::PortId::NODE, Some(Duration::ZERO)).is_err());
    Ok(())
}
