//! Which messages a receive takes.

use serde::{Deserialize, Serialize};

/// Which messages of a port are wanted, and how they are taken.
///
/// ```
/// use messenger::Take;
/// assert!(Take::any().wants(7) && Take::tagged(7).wants(7) && !Take::tagged(7).wants(8));
/// // Tags whose highest bit is set, whatever the others are.
/// assert!(Take::masked(1 << 31, 1 << 31).held().wants(1 << 31 | 5));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    /// What the tag must be, where the mask has ones.
    pub tag: u32,
    /// The bits of the tag that count.
    pub mask: u32,
    /// The message's room in its port stays taken until [`crate::Guest::release`].
    pub held: bool,
}

impl Take {
    /// Any message.
    pub const fn any() -> Take {
        Take { tag: 0, mask: 0, held: false }
    }

    /// A message with this tag.
    pub const fn tagged(tag: u32) -> Take {
        Take::masked(tag, u32::MAX)
    }

    /// A message whose tag has the bits of `tag` where `mask` has ones.
    pub const fn masked(tag: u32, mask: u32) -> Take {
        Take { tag, mask, held: false }
    }

    /// The same, held.
    pub const fn held(self) -> Take {
        Take { held: true, ..self }
    }

    /// Whether a tag is wanted.
    pub const fn wants(self, tag: u32) -> bool {
        (tag ^ self.tag) & self.mask == 0
    }
}
