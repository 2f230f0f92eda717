//! What was measured: values by way and metric, one a round.

/// A way for frames between two namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The kernel's own pair, what the others are compared with.
    Veth,
    /// MINET over shared memory, MTU 1500.
    Shm,
    /// MINET over UDP in clear text through the veth pair, MTU 1500.
    Udp,
    /// MINET over shared memory, MTU 65000.
    ShmLarge,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// One TCP stream, Gbit/s.
    Tcp,
    /// Four TCP streams, Gbit/s.
    Tcp4,
    /// 64-byte datagrams received, thousands a second, sent as fast as it goes.
    Small,
    /// Sparse round trip, median, µs.
    Sparse,
    /// Back-to-back round trip, mean, µs.
    Flood,
    /// Processor time of both daemons for a gigabyte of the TCP stream, s.
    Cost,
}

impl Way {
    /// In the order they take turns.
    pub const ALL: [Self; 4] = [Self::Veth, Self::Shm, Self::Udp, Self::ShmLarge];

    /// For a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Shm => "shared memory",
            Self::Udp => "UDP, clear text",
            Self::ShmLarge => "shared memory, MTU 65000",
        }
    }
}

impl Metric {
    /// In the order they are measured.
    pub const ALL: [Self; 6] = [Self::Tcp, Self::Tcp4, Self::Small, Self::Sparse, Self::Flood, Self::Cost];

    /// For a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP Gbit/s",
            Self::Tcp4 => "TCP ×4 Gbit/s",
            Self::Small => "64 B UDP k/s",
            Self::Sparse => "ping p50 µs",
            Self::Flood => "flood ping µs",
            Self::Cost => "daemons s/GB",
        }
    }
}

/// All values of a run.
pub struct Figures {
    values: Vec<(Way, Metric, f64)>,
}

impl Figures {
    /// None yet.
    pub fn new() -> Self {
        Self { values: Vec::new() }
    }

    /// One more round's value.
    pub fn add(&mut self, way: Way, metric: Metric, value: f64) {
        self.values.push((way, metric, value));
    }

    /// The median of the rounds.
    pub fn value(&self, way: Way, metric: Metric) -> Option<f64> {
        median(self.rounds(way, metric).collect())
    }

    /// The median of the rounds' ratios to veth.
    pub fn ratio(&self, way: Way, metric: Metric) -> Option<f64> {
        let pairs = self.rounds(way, metric).zip(self.rounds(Way::Veth, metric));
        median(pairs.map(|(ours, veth)| ours / veth).collect())
    }

    fn rounds(&self, way: Way, metric: Metric) -> impl Iterator<Item = f64> {
        self.values.iter().filter(move |value| (value.0, value.1) == (way, metric)).map(|value| value.2)
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut figures = Figures::new();
        for (veth, shm) in [(10.0, 5.0), (20.0, 12.0), (5.0, 3.5)] {
            figures.add(Way::Veth, Metric::Tcp, veth);
            figures.add(Way::Shm, Metric::Tcp, shm);
        }
        assert_eq!(figures.value(Way::Veth, Metric::Tcp), Some(10.0));
        assert_eq!(figures.ratio(Way::Shm, Metric::Tcp), Some(0.6));
        assert_eq!(figures.ratio(Way::Udp, Metric::Tcp), None);
    }
}
