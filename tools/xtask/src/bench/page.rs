//! Tables on the screen, and in BENCH.md between markers.

use super::{
    figures::{Figures, Metric, Way},
    floors::Floor,
};
use minet_tests::{Error, Result, processor_times, run};
use std::{fs, io, path::Path, process::Command};

/// The page where there is none.
const EMPTY: &str = "# Measured\n\nEach cell: the median of the rounds, and in brackets the ratio to veth of the same \
                     round. The lines between the markers are written by the commands they name.\n";

/// A Markdown table of these ways.
pub fn table(figures: &Figures, ways: &[Way], metrics: &[Metric]) -> String {
    let heads: String = metrics.iter().map(|metric| format!(" {} |", metric.name())).collect();
    let mut text = format!("| |{heads}\n| --- |{}\n", " ---: |".repeat(metrics.len()));
    for way in ways {
        let cell = |metric: &Metric| match (figures.value(*way, *metric), figures.ratio(*way, *metric)) {
            (None, _) => " – |".to_owned(),
            (Some(value), Some(ratio)) if *way != Way::Veth => format!(" {value:.2} ({ratio:.2}) |"),
            (Some(value), _) => format!(" {value:.2} |"),
        };
        text += &format!("| {} |{}\n", way.name(), metrics.iter().map(cell).collect::<String>());
    }
    text
}

/// A Markdown table of floors.
pub fn floors(figures: &Figures, floors: &[&Floor]) -> String {
    let rows: String = floors.iter().map(|floor| floor.row(figures)).collect();
    format!("| floor | reached | |\n| --- | ---: | --- |\n{rows}")
}

/// Puts text between the markers of `task` in BENCH.md, or at its end where there are none.
pub fn write(root: &Path, task: &str, text: &str) -> Result<()> {
    let path = root.join("BENCH.md");
    let page = match fs::read_to_string(&path) {
        Ok(page) => page,
        Err(error) if error.kind() == io::ErrorKind::NotFound => EMPTY.to_owned(),
        Err(error) => return Err(Error::io(format!("read {}", path.display()))(error)),
    };
    fs::write(&path, replaced(&page, task, text)).map_err(Error::io(format!("write {}", path.display())))
}

/// The page with its marked section replaced, or with one at its end.
fn replaced(page: &str, task: &str, text: &str) -> String {
    let [begin, end] = ["begin", "end"].map(|word| format!("<!-- {task}: {word} -->"));
    let section = format!("{begin}\n{}\n{end}", text.trim_end());
    let parts = page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    match parts {
        Some((before, after)) => format!("{before}{section}{after}"),
        None => format!("{}\n\n{section}\n", page.trim_end()),
    }
}

/// What the machine did besides, from its making until it is told.
pub struct Bystander {
    load: String,
    before: Vec<f64>,
}

impl Bystander {
    /// Begins to watch.
    pub fn new() -> Self {
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self { load: load.split(' ').next().unwrap_or("?").to_owned(), before: processor_times() }
    }

    /// When and where, as far as the machine tells.
    pub fn circumstances(&self, root: &Path) -> String {
        let said = |program: &str, args: &[&str]| {
            let mut command = Command::new(program);
            command.args(args).current_dir(root);
            run(command).map_or_else(|_| "?".to_owned(), |said| said.stdout.trim().to_owned())
        };
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("?");
        format!(
            "{}, commit {}, {} × {model}, Linux {}, {}, {}, load average before {}, {:.0} % of the processors' time \
             taken by the host.",
            said("date", &["-u", "+%Y-%m-%d"]),
            said("git", &["rev-parse", "--short", "HEAD"]),
            said("nproc", &[]),
            said("uname", &["-r"]),
            said("rustc", &["--version"]),
            said("iperf3", &["--version"]).lines().next().unwrap_or("?"),
            self.load,
            self.stolen(),
        )
    }

    /// The part of all processor time that the host took for somebody else, in percent.
    pub fn stolen(&self) -> f64 {
        let spent: Vec<f64> = processor_times().iter().zip(&self.before).map(|(now, then)| now - then).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are counted in user already.
        let all: f64 = spent.iter().sum();
        spent.get(7).map_or(0.0, |steal| 100.0 * steal / all.max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::floors::FLOORS;

    #[test]
    fn the_marked_section_is_replaced() {
        let (begin, end) = ("<!-- task: begin -->", "<!-- task: end -->");
        let first = replaced("# Page\n", "task", "one\n");
        assert_eq!(first, format!("# Page\n\n{begin}\none\n{end}\n"));
        let page = format!("{first}\nMore words.\n");
        let second = replaced(&page, "task", "two");
        assert_eq!(second, format!("# Page\n\n{begin}\ntwo\n{end}\n\nMore words.\n"));
        assert!(replaced(&second, "task --more", "three").contains("two"), "another section stands beside it");
    }

    #[test]
    fn the_table_has_ratios_and_floors() {
        let mut figures = Figures::default();
        figures.add(1, Way::Veth, Metric::Tcp, 20.0);
        figures.add(1, Way::Shm, Metric::Tcp, 12.0);
        let text = table(&figures, &[Way::Veth, Way::Shm], &[Metric::Tcp, Metric::Flood]);
        assert!(text.contains("| veth | 20.00 | – |") && text.contains("| shared memory | 12.00 (0.60) |"), "{text}");
        let text = floors(&figures, &[&FLOORS[0]]);
        assert!(text.contains("≥ 0.45 × veth | 0.60 | held |"), "{text}");
    }
}
