//! What must be reached.

use super::figures::{Figures, Metric, Way};
use serde_json::{Value, json};

/// What a figure is compared with.
#[derive(Clone, Copy)]
enum Against {
    /// The same figure of veth, in the same round.
    Veth,
    /// Another figure of the same way, in the same round.
    Own(Metric),
    /// Nothing: it counts as it is.
    Nothing,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// One of the promises.
pub struct Floor {
    way: Way,
    metric: Metric,
    against: Against,
    bound: Bound,
}

use Against::{Nothing, Own, Veth};
use Bound::{AtLeast, AtMost};

const fn floor(way: Way, metric: Metric, against: Against, bound: Bound) -> Floor {
    Floor { way, metric, against, bound }
}

/// All of them. The first two are those of the first version.
pub const FLOORS: [Floor; 19] = [
    floor(Way::Shm, Metric::Tcp, Veth, AtLeast(0.45)),
    floor(Way::Udp, Metric::Tcp, Veth, AtLeast(0.30)),
    floor(Way::Shm, Metric::Tcp, Veth, AtLeast(0.75)),
    floor(Way::ShmLarge, Metric::Tcp, Veth, AtLeast(1.05)),
    floor(Way::Shm, Metric::Tcp4, Veth, AtLeast(0.38)),
    floor(Way::Udp, Metric::Tcp, Veth, AtLeast(0.60)),
    floor(Way::Sealed, Metric::Tcp, Veth, AtLeast(0.47)),
    floor(Way::SealedChaCha, Metric::Tcp, Veth, AtLeast(0.28)),
    floor(Way::UdpSoft, Metric::Tcp, Veth, AtLeast(0.33)),
    floor(Way::Ether, Metric::Tcp, Veth, AtLeast(0.28)),
    floor(Way::EtherJumbo, Metric::Tcp, Veth, AtLeast(0.47)),
    floor(Way::Shm, Metric::Flood, Nothing, AtMost(12.0)),
    floor(Way::Shm, Metric::Sparse, Nothing, AtMost(45.0)),
    floor(Way::Udp, Metric::Sparse, Nothing, AtMost(55.0)),
    floor(Way::Shm, Metric::Socket, Veth, AtMost(1.3)),
    floor(Way::Shm, Metric::Small, Veth, AtLeast(0.65)),
    floor(Way::Shm, Metric::Both, Own(Metric::Tcp), AtLeast(0.8)),
    floor(Way::ShmLarge, Metric::Both, Own(Metric::Tcp), AtLeast(0.8)),
    floor(Way::Udp, Metric::Both, Own(Metric::Tcp), AtLeast(0.8)),
];

impl Floor {
    /// Whether it is of this way.
    pub fn is_of(&self, way: Way) -> bool {
        self.way == way
    }

    /// What was reached; nothing when it could not be measured.
    pub fn reached(&self, figures: &Figures) -> Option<f64> {
        match self.against {
            Veth => figures.ratio(self.way, self.metric),
            Own(other) => figures.quotient((self.way, self.metric), (self.way, other)),
            Nothing => figures.value(self.way, self.metric),
        }
    }

    /// Whether it held. What could not be measured did not.
    pub fn is_held(&self, figures: &Figures) -> bool {
        self.reached(figures).is_some_and(|value| match self.bound {
            AtLeast(least) => value >= least,
            AtMost(most) => value <= most,
        })
    }

    /// In words: `shared memory, TCP Gbit/s ≥ 0.75 × veth`.
    pub fn name(&self) -> String {
        let bound = match self.bound {
            AtLeast(least) => format!("≥ {least}"),
            AtMost(most) => format!("≤ {most}"),
        };
        let against = match self.against {
            Veth => " × veth".to_owned(),
            Own(other) => format!(" × its own {}", other.name()),
            Nothing => String::new(),
        };
        format!("{}, {} {bound}{against}", self.way.name(), self.metric.name())
    }

    /// A row of a Markdown table: the floor, what was reached, the verdict.
    pub fn row(&self, figures: &Figures) -> String {
        let reached = self.reached(figures).map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2}"));
        let verdict = if self.is_held(figures) { "held" } else { "**missed**" };
        format!("| {} | {reached} | {verdict} |\n", self.name())
    }

    /// For a program.
    pub fn json(&self, figures: &Figures) -> Value {
        json!({"floor": self.name(), "reached": self.reached(figures), "held": self.is_held(figures)})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_are_of_three_kinds_and_two_sides() {
        let mut figures = Figures::default();
        for (way, metric, value) in [
            (Way::Veth, Metric::Tcp, 20.0),
            (Way::Shm, Metric::Tcp, 14.0),
            (Way::Shm, Metric::Both, 12.0),
            (Way::Shm, Metric::Flood, 12.0),
            (Way::Shm, Metric::Sparse, 46.0),
        ] {
            figures.add(1, way, metric, value);
        }
        let held: Vec<String> = FLOORS.iter().filter(|floor| floor.is_held(&figures)).map(Floor::name).collect();
        assert_eq!(
            held,
            [
                "shared memory, TCP Gbit/s ≥ 0.45 × veth",
                "shared memory, flood ping µs ≤ 12",
                "shared memory, TCP both ways Gbit/s ≥ 0.8 × its own TCP Gbit/s"
            ]
        );
        assert!(FLOORS[2].row(&figures).ends_with("| 0.70 | **missed** |\n"), "{}", FLOORS[2].row(&figures));
        assert!(FLOORS[5].row(&figures).contains("not measured"));
    }
}
