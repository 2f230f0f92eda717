//! Throughput and latency beside peers, as a picture.

use super::figures::{Figures, Metric, Way};
use std::fmt::Write;

/// The picture's measures.
const WIDTH: f64 = 960.0;
const LABEL: f64 = 230.0;
const BAR: f64 = 18.0;
const STEP: f64 = 24.0;
const TOP: f64 = 58.0;
const GAP: f64 = 90.0;

/// Bars of one metric.
struct Panel {
    metric: Metric,
    title: &'static str,
}

const PANELS: [Panel; 2] = [
    Panel { metric: Metric::Tcp, title: "one TCP stream, Gbit/s: longer is better" },
    Panel { metric: Metric::Flood, title: "back-to-back round trip, µs: shorter is better" },
];

/// Two panels side by side, a bar a way.
pub fn svg(figures: &Figures, ways: &[Way]) -> String {
    let height = TOP + STEP * ways.len() as f64 + 20.0;
    let room = (WIDTH - LABEL - GAP * PANELS.len() as f64) / PANELS.len() as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let mut put = |line: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    };
    for (place, way) in ways.iter().enumerate() {
        let weight = if is_ours(*way) { "bold" } else { "normal" };
        put(format_args!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-weight=\"{weight}\">{}</text>",
            LABEL - 10.0,
            line(place),
            escaped(way.name())
        ));
    }
    for (panel, left) in PANELS.iter().zip((0..).map(|number| LABEL + f64::from(number) * (room + GAP))) {
        put(format_args!("<text x=\"{left}\" y=\"30\" font-weight=\"bold\">{}</text>", escaped(panel.title)));
        let longest = ways.iter().filter_map(|way| figures.value(*way, panel.metric)).fold(1e-9, f64::max);
        for (place, way) in ways.iter().enumerate() {
            let Some(value) = figures.value(*way, panel.metric) else { continue };
            let (length, top) = ((room * value / longest).max(1.0), line(place) - BAR + 5.0);
            put(format_args!(
                "<rect x=\"{left}\" y=\"{top}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{}\"/>",
                colour(*way)
            ));
            put(format_args!("<text x=\"{:.1}\" y=\"{}\">{value:.1}</text>", left + length + 6.0, line(place)));
        }
    }
    text + "</svg>\n"
}

fn line(place: usize) -> f64 {
    TOP + STEP * place as f64 + 9.0
}

fn is_ours(way: Way) -> bool {
    !matches!(way, Way::Veth | Way::Prototype(_) | Way::Peer(_))
}

fn colour(way: Way) -> &'static str {
    match way {
        Way::Veth => "#555555",
        Way::Prototype(_) => "#9a9a9a",
        Way::Peer(_) => "#c8a165",
        _ => "#1f6fb4",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_has_a_name_and_a_bar_for_each_figure() {
        let mut figures = Figures::default();
        let ways = [Way::Veth, Way::Shm, Way::Peer("a < b")];
        for way in ways {
            figures.add(1, way, Metric::Tcp, 4.0);
        }
        figures.add(1, Way::Shm, Metric::Flood, 12.0);
        let picture = svg(&figures, &ways);
        assert_eq!(picture.matches("<rect x=").count(), 4, "{picture}");
        assert!(picture.contains(">a &lt; b</text>") && picture.ends_with("</svg>\n"), "{picture}");
    }
}
