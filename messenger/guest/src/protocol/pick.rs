//! Who is meant by a text that names a node.

use messenger_core::NodeId;

/// The node that a text means: a name goes before a number.
pub fn pick<'a>(members: impl IntoIterator<Item = (&'a str, NodeId)>, text: &str) -> Option<NodeId> {
    let number = text.parse::<u32>().ok();
    let mut numbered = None;
    for (name, node) in members {
        if name == text {
            return Some(node);
        }
        if Some(node.get()) == number {
            numbered = Some(node);
        }
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node may be called like the number of another one.
    #[test]
    fn a_name_goes_before_a_number() {
        let node = |n| NodeId::new(n).unwrap();
        let all = [("a", node(7)), ("7", node(8)), ("9", node(9))];
        let found = ["a", "7", "8", "9", "07", "b", ""].map(|text| pick(all, text).map(NodeId::get));
        assert_eq!(found, [Some(7), Some(8), Some(8), Some(9), Some(7), None, None]);
    }
}
