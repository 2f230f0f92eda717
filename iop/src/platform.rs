//! The hot-swap side of a host, as the manager sees it: slots where processors are put in and taken out.

/// What happened at a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HotSwap<D> {
    /// A processor was put in.
    Inserted(D),
    /// Somebody wants to take one out, by its name: it is to be released in order.
    Wanted(String),
}

/// A host's slots. The manager asks for what happened, in order, and says what it released.
pub trait Platform {
    /// What is known of a processor that is put in.
    type Device;

    /// What happened next; never waits.
    fn poll(&mut self) -> Option<HotSwap<Self::Device>>;

    /// One that was to be taken out may be: nothing of it is under way any more.
    fn released(&mut self, name: &str);
}
