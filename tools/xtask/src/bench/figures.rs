//! What was measured: values by way and metric, one a round.

use serde_json::{Value, json};

/// A way for frames between two namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The kernel's own pair, what the others are compared with.
    Veth,
    /// MINET over shared memory, MTU 1500.
    Shm,
    /// MINET over UDP in clear text through a veth pair, MTU 1500.
    Udp,
    /// The same, sealed with AES-GCM.
    Sealed,
    /// The same, sealed with ChaCha20-Poly1305.
    SealedChaCha,
    /// MINET over shared memory, MTU 65000.
    ShmLarge,
    /// MINET over UDP through a veth pair that segments no datagrams, as an ordinary network card.
    UdpSoft,
    /// MINET over raw Ethernet in clear text, the underlay's MTU 1500.
    Ether,
    /// The same, the underlay's MTU 9000.
    EtherJumbo,
    /// A bare prototype of a data path.
    Prototype(&'static str),
    /// What a user would pick instead.
    Peer(&'static str),
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// One TCP stream, Gbit/s.
    Tcp,
    /// Four TCP streams, Gbit/s.
    Tcp4,
    /// One TCP stream in each direction at once, the sum, Gbit/s.
    Both,
    /// 64-byte datagrams at the highest rate that loses under 1 %, thousands a second.
    Small,
    /// Sparse round trip, median, µs.
    Sparse,
    /// Sparse round trip beside a TCP stream the same way, 99th percentile, µs: what waits in queues.
    Loaded,
    /// Back-to-back round trip, mean, µs.
    Flood,
    /// Round trip of a UDP datagram between programs on two cores, median, µs.
    Socket,
    /// Processor time of the daemons for a gigabyte of the TCP stream, s.
    Cost,
}

impl Way {
    /// For a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Shm => "shared memory",
            Self::Udp => "UDP, clear text",
            Self::Sealed => "UDP, sealed",
            Self::SealedChaCha => "UDP, sealed with ChaCha20",
            Self::ShmLarge => "shared memory, MTU 65000",
            Self::UdpSoft => "UDP, link without segmentation",
            Self::Ether => "raw Ethernet",
            Self::EtherJumbo => "raw Ethernet, underlay MTU 9000",
            Self::Prototype(name) | Self::Peer(name) => name,
        }
    }
}

impl Metric {
    /// In the order they are measured.
    pub const ALL: [Self; 9] = [
        Self::Tcp,
        Self::Tcp4,
        Self::Both,
        Self::Small,
        Self::Sparse,
        Self::Loaded,
        Self::Flood,
        Self::Socket,
        Self::Cost,
    ];

    /// For a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP Gbit/s",
            Self::Tcp4 => "TCP ×4 Gbit/s",
            Self::Both => "TCP both ways Gbit/s",
            Self::Small => "64 B UDP k/s",
            Self::Sparse => "ping p50 µs",
            Self::Loaded => "ping beside a stream p99 µs",
            Self::Flood => "flood ping µs",
            Self::Socket => "sockperf p50 µs",
            Self::Cost => "daemons s/GB",
        }
    }
}

/// A value of a round.
struct Figure {
    round: usize,
    way: Way,
    metric: Metric,
    value: f64,
}

/// All values of a run.
#[derive(Default)]
pub struct Figures {
    all: Vec<Figure>,
}

impl Figures {
    /// One more value.
    pub fn add(&mut self, round: usize, way: Way, metric: Metric, value: f64) {
        self.all.push(Figure { round, way, metric, value });
    }

    /// The median of the rounds.
    pub fn value(&self, way: Way, metric: Metric) -> Option<f64> {
        median(self.of(way, metric).map(|figure| figure.value).collect())
    }

    /// The median of the rounds' ratios to veth.
    pub fn ratio(&self, way: Way, metric: Metric) -> Option<f64> {
        self.quotient((way, metric), (Way::Veth, metric))
    }

    /// The median of the rounds' quotients of two figures; rounds that lack one do not count.
    pub fn quotient(&self, over: (Way, Metric), under: (Way, Metric)) -> Option<f64> {
        let pair = |figure: &Figure| {
            let base = self.of(under.0, under.1).find(|base| base.round == figure.round)?;
            Some(figure.value / base.value)
        };
        median(self.of(over.0, over.1).filter_map(pair).collect())
    }

    /// The ways that have a value, in the order they came.
    pub fn ways(&self) -> Vec<Way> {
        let mut ways = Vec::new();
        for figure in &self.all {
            if !ways.contains(&figure.way) {
                ways.push(figure.way);
            }
        }
        ways
    }

    /// Every value, for a program.
    pub fn json(&self) -> Value {
        let rows = self.ways().into_iter().flat_map(|way| Metric::ALL.map(|metric| (way, metric)));
        let row = |(way, metric): (Way, Metric)| {
            let rounds: Vec<f64> = self.of(way, metric).map(|figure| figure.value).collect();
            (!rounds.is_empty()).then(|| {
                let (median, veth) = (self.value(way, metric), self.ratio(way, metric));
                json!({"way": way.name(), "metric": metric.name(), "rounds": rounds, "median": median, "of_veth": veth})
            })
        };
        rows.filter_map(row).collect()
    }

    fn of(&self, way: Way, metric: Metric) -> impl Iterator<Item = &Figure> {
        self.all.iter().filter(move |figure| (figure.way, figure.metric) == (way, metric))
    }
}

/// The middle one; the mean of the two in the middle of an even number.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let high = *values.get(values.len() / 2)?;
    let low = *values.get(values.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut figures = Figures::default();
        for (round, (veth, shm)) in [(10.0, 5.0), (20.0, 12.0), (5.0, 3.5)].into_iter().enumerate() {
            figures.add(round, Way::Veth, Metric::Tcp, veth);
            figures.add(round, Way::Shm, Metric::Tcp, shm);
        }
        figures.add(3, Way::Shm, Metric::Tcp, 100.0);
        assert_eq!(figures.value(Way::Veth, Metric::Tcp), Some(10.0));
        assert_eq!(figures.ratio(Way::Shm, Metric::Tcp), Some(0.6));
        assert_eq!(figures.ratio(Way::Udp, Metric::Tcp), None);
        assert_eq!(figures.ways(), [Way::Veth, Way::Shm]);
        assert_eq!(figures.json()[1]["of_veth"], 0.6);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
