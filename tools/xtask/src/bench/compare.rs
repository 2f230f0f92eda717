//! Ours beside peers, in words: a table and how many times as fast.

use super::{
    figures::{Figures, Metric, Way},
    page,
};

/// The metrics of this table.
const METRICS: [Metric; 4] = [Metric::Tcp, Metric::Flood, Metric::Sparse, Metric::Cost];

/// A table of everything beside the peers, one of ratios, and who is missing.
pub fn text(figures: &Figures, ways: &[Way], missing: &[(&str, String)]) -> String {
    let mut text = page::table(figures, ways, &METRICS);
    text += "\nOurs divided by theirs, in the same round: TCP (more is better), flood ping, ping (less is better).\n\n";
    text += "| beside | shared memory | UDP, clear text |\n| --- | ---: | ---: |\n";
    for peer in ways.iter().filter(|way| matches!(way, Way::Peer(_))) {
        let cell = |own: Way| {
            let ratio = |metric| figures.quotient((own, metric), (*peer, metric));
            let words = [Metric::Tcp, Metric::Flood, Metric::Sparse].map(|metric| short(ratio(metric)));
            words.join(", ")
        };
        text += &format!("| {} | {} | {} |\n", peer.name(), cell(Way::Shm), cell(Way::Udp));
    }
    for (name, reason) in missing {
        text += &format!("\n{name} is not measured: {reason}.\n");
    }
    text
}

/// Two digits that say something.
fn short(ratio: Option<f64>) -> String {
    match ratio {
        None => "–".to_owned(),
        Some(ratio) if ratio >= 10.0 => format!("{ratio:.0} ×"),
        Some(ratio) => format!("{ratio:.2} ×"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_divided_by_theirs() {
        let mut figures = Figures::default();
        let peer = Way::Peer("vde");
        figures.add(1, Way::Shm, Metric::Tcp, 15.0);
        figures.add(1, peer, Metric::Tcp, 1.0);
        figures.add(1, Way::Shm, Metric::Flood, 12.0);
        figures.add(1, peer, Metric::Flood, 48.0);
        let text = text(&figures, &[Way::Shm, peer], &[("boringtun", "it is not there".to_owned())]);
        assert!(text.contains("| vde | 15 ×, 0.25 ×, – | –, –, – |"), "{text}");
        assert!(text.contains("boringtun is not measured: it is not there."), "{text}");
    }
}
