//! What a lane counts, and why frames are dropped.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a frame was not carried.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All of them, in the order of their counters.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// Its name, as commands and programs print it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Reason::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// A header that ends early or says what cannot be.
    Malformed = "malformed",
    /// For a segment this node is not on.
    WrongSegment = "wrong-segment",
    /// The node it says it comes from is no member of the segment.
    UnknownSource = "unknown-source",
    /// The node it says it comes from is linked to us directly, and another one sent this.
    ForgedSource = "forged-source",
    /// The source MAC is not one that node may use.
    SourceGuard = "source-guard",
    /// A frame of ours came back to us.
    Echo = "echo",
    /// It came from a side where its sender is not: a bridge loop, or a station that flaps.
    Loop = "loop",
    /// The destination is a node that is no member.
    UnknownNode = "unknown-node",
    /// The destination is a station nobody knows.
    UnknownStation = "unknown-station",
    /// The destination is a member that cannot be reached now.
    NoPath = "no-path",
    /// The destination is on the side it came from.
    SameSide = "same-side",
    /// It came to us and is for another.
    NotForUs = "not-for-us",
    /// It was relayed as often as it may be.
    HopLimit = "hop-limit",
    /// More broadcasts than one source may send.
    BroadcastLimit = "broadcast-limit",
    /// Too long for the path or the receiver, and cannot be cut.
    TooLong = "too-long",
    /// Offloads that the interface it is for cannot take.
    Offload = "offload",
    /// A slice that fits no frame, or a frame of which slices are missing.
    Slices = "slices",
    /// The carrier had no room for it in time.
    CarrierFull = "carrier-full",
    /// The interface did not take it.
    Interface = "interface",
}

impl Reason {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Counts of one lane on one segment since it began. Packets and bytes count as on a NIC: a super-frame is one
        /// packet, bytes are those of Ethernet frames without virtio-net header.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
            drops: [u64; Reason::COUNT],
        }

        impl Counters {
            /// Adds another lane's.
            pub fn add(&mut self, other: &Counters) {
                $(self.$name = self.$name.wrapping_add(other.$name);)*
                for (mine, theirs) in self.drops.iter_mut().zip(other.drops) {
                    *mine = mine.wrapping_add(theirs);
                }
            }

            /// Each count but the drops with its name, in a fixed order.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$(($text, self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Frames written to our interface: the kernel's `rx_packets`.
    rx_packets = "rx-packets",
    /// Bytes of these.
    rx_bytes = "rx-bytes",
    /// Frames read from our interface: the kernel's `tx_packets`.
    tx_packets = "tx-packets",
    /// Bytes of these.
    tx_bytes = "tx-bytes",
    /// Frames passed on from one peer to another.
    relayed = "relayed",
    /// Frames sent to every member.
    flooded = "flooded",
    /// Frames read into the right ring before their destination was known.
    guess_right = "guess-right",
    /// Frames read into a wrong one, and copied.
    guess_wrong = "guess-wrong",
    /// Super-frames read from our interface.
    super_frames = "super-frames",
    /// Frames cut into runs.
    cut = "cut",
    /// Parts of these runs.
    cut_parts = "cut-parts",
    /// Runs merged back.
    merged = "merged",
    /// Parts of these runs.
    merged_parts = "merged-parts",
    /// Of these, those that were as foretold and so not parsed.
    foretold = "foretold",
    /// Frames that waited for room in the carrier, and all behind them.
    held_up = "held-up",
    /// Frames sent in slices.
    sliced = "sliced",
    /// Frames put together from slices.
    reassembled = "reassembled",
    /// ARP requests answered here.
    arp_answers = "arp-answers",
    /// Neighbour solicitations answered here.
    nd_answers = "nd-answers",
    /// Packet-too-big messages made here.
    icmp_answers = "icmp-answers",
}

impl Counters {
    /// Counts a frame dropped.
    pub fn drop(&mut self, reason: Reason) {
        if let Some(n) = self.drops.get_mut(reason as usize) {
            *n += 1;
        }
    }

    /// How many were dropped for that reason.
    pub fn dropped(&self, reason: Reason) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or(0)
    }

    /// Each reason with its count.
    pub fn drops(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.iter().copied().zip(self.drops)
    }

    /// All drops together.
    pub fn dropped_total(&self) -> u64 {
        self.drops.iter().sum()
    }

    /// Counts a frame that was written to our interface; `len` without virtio-net header.
    pub fn wrote(&mut self, len: usize) {
        self.rx_packets += 1;
        self.rx_bytes += len as u64;
    }

    /// Counts a frame that was read from our interface; `len` without virtio-net header. [`crate::Switch::outbound`]
    /// does it for every frame shown to it.
    pub fn read(&mut self, len: usize) {
        self.tx_packets += 1;
        self.tx_bytes += len as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place_and_name() {
        let mut counters = Counters::default();
        for (i, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, i);
            for _ in 0..=i {
                counters.drop(*reason);
            }
        }
        for (i, (reason, n)) in counters.drops().enumerate() {
            assert_eq!(n, i as u64 + 1);
            assert_eq!(Reason::ALL.iter().filter(|r| r.name() == reason.name()).count(), 1);
        }
        assert_eq!(counters.dropped_total(), (1..=Reason::COUNT as u64).sum());
    }

    #[test]
    fn lanes_add_up() {
        let (mut a, mut b) = (Counters::default(), Counters::default());
        a.wrote(60);
        b.wrote(40);
        b.read(5);
        b.drop(Reason::Loop);
        a.add(&b);
        assert_eq!((a.rx_packets, a.rx_bytes, a.tx_packets, a.tx_bytes, a.dropped(Reason::Loop)), (2, 100, 1, 5, 1));
        assert_eq!(a.iter().find(|(name, _)| *name == "rx-bytes"), Some(("rx-bytes", 100)));
    }
}
