//! What an application says of whom it means, and of what it opens.

use messenger::{Choice, Life, NodeId, Path, PathSpec, PortId, PortSpec, To};

/// Compiles only while every way to mean somebody, and everything that ports and paths are made from, is a name, a number of the fabric
/// or a rule: no socket, bus or carrier of any kind.
///
/// Rows: MA-06.
#[test]
fn nobody_is_meant_by_the_address_of_a_carrier() {
    fn parts(to: To) -> (Vec<String>, Option<(NodeId, PortId)>, Option<Path>) {
        match to {
            To::Name(name) | To::Pattern(name) | To::Everywhere(name) => (vec![name], None, None),
            To::On { node, name } => (vec![node, name], None, None),
            To::Nodes { nodes, name } => ([nodes, vec![name]].concat(), None, None),
            To::Path(path) => (Vec::new(), None, Some(path)),
            To::Port(node, port) => (Vec::new(), Some((node, port)), None),
        }
    }
    let PathSpec { from, to, choice, hunt, announced } =
        PathSpec { from: PortId::NODE, to: To::Name("a".into()), choice: Choice::First, hunt: true, announced: false };
    let _: (PortId, Choice, bool, bool) = (from, choice, hunt, announced);
    assert_eq!(parts(to), (vec!["a".to_owned()], None, None));
    let PortSpec { name, fabric_wide, kind, properties, room, life } = PortSpec::named("b");
    let _: (bool, Option<String>, Option<u32>, Life) = (fabric_wide, kind, room, life);
    let _: Vec<(String, String)> = properties;
    assert_eq!(name.as_deref(), Some("b"));
}
