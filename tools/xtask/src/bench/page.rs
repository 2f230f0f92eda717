//! The table, on the screen and in BENCH.md.

use super::{
    FLOORS,
    figures::{Figures, Metric, Way},
};
use minet_tests::{Error, Result, run};
use std::{fs, io, path::Path, process::Command};

const BEGIN: &str = "<!-- cargo xtask bench: begin -->";
const END: &str = "<!-- cargo xtask bench: end -->";

/// The page where there is none.
const EMPTY: &str = "# Measured\n\nEach cell: the median of three rounds, and in brackets the ratio to veth of the same \
                     round. The lines between the markers are written by `cargo xtask bench`.\n";

/// A Markdown table of everything.
pub fn table(figures: &Figures) -> String {
    let mut text = format!("| |{}\n", Metric::ALL.map(|metric| format!(" {} |", metric.name())).concat());
    text += &format!("| --- |{}\n", Metric::ALL.map(|_| " ---: |").concat());
    for way in Way::ALL {
        let cell = |metric| match (figures.value(way, metric), figures.ratio(way, metric)) {
            (None, _) => " – |".to_owned(),
            (Some(value), Some(ratio)) if way != Way::Veth => format!(" {value:.2} ({ratio:.2}) |"),
            (Some(value), _) => format!(" {value:.2} |"),
        };
        text += &format!("| {} |{}\n", way.name(), Metric::ALL.map(cell).concat());
    }
    for floor in FLOORS {
        let Some(ratio) = figures.ratio(floor.way, floor.metric) else { continue };
        let verdict = if ratio >= floor.ratio { "held" } else { "missed" };
        text += &format!(
            "\n{}, {}: {ratio:.2} of veth, floor {:.2}, {verdict}.\n",
            floor.way.name(),
            floor.metric.name(),
            floor.ratio
        );
    }
    text
}

/// What else the machine did lately: `/proc/loadavg`.
pub fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default()
}

/// Puts the table between the markers of BENCH.md.
pub fn write(root: &Path, load: &str, table: &str) -> Result<()> {
    let path = root.join("BENCH.md");
    let page = match fs::read_to_string(&path) {
        Ok(page) => page,
        Err(error) if error.kind() == io::ErrorKind::NotFound => EMPTY.to_owned(),
        Err(error) => return Err(Error::io(format!("read {}", path.display()))(error)),
    };
    let section = format!("{BEGIN}\n{}\n\n{table}{END}", circumstances(root, load));
    fs::write(&path, replaced(&page, &section)).map_err(Error::io(format!("write {}", path.display())))
}

/// The page with its marked section replaced, or with one at its end.
fn replaced(page: &str, section: &str) -> String {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    match parts {
        Some((before, after)) => format!("{before}{section}{after}"),
        None => format!("{}\n\n{section}\n", page.trim_end()),
    }
}

/// When and where, as far as the machine tells.
fn circumstances(root: &Path, load: &str) -> String {
    let said = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).current_dir(root);
        run(command).map_or_else(|_| "?".to_owned(), |said| said.stdout.trim().to_owned())
    };
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("?");
    format!(
        "{}, commit {}, {} × {model}, Linux {}, {}, {}, load average before {}.",
        said("date", &["-u", "+%Y-%m-%d"]),
        said("git", &["rev-parse", "--short", "HEAD"]),
        said("nproc", &[]),
        said("uname", &["-r"]),
        said("rustc", &["--version"]),
        said("iperf3", &["--version"]).lines().next().unwrap_or("?"),
        load.split(' ').next().unwrap_or("?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marked_section_is_replaced() {
        let first = replaced("# Page\n", &format!("{BEGIN}\none\n{END}"));
        assert_eq!(first, format!("# Page\n\n{BEGIN}\none\n{END}\n"));
        let page = format!("{first}\nMore words.\n");
        let second = replaced(&page, &format!("{BEGIN}\ntwo\n{END}"));
        assert_eq!(second, format!("# Page\n\n{BEGIN}\ntwo\n{END}\n\nMore words.\n"));
    }

    #[test]
    fn the_table_has_ratios_and_floors() {
        let mut figures = Figures::new();
        figures.add(Way::Veth, Metric::Tcp, 20.0);
        figures.add(Way::Shm, Metric::Tcp, 12.0);
        let text = table(&figures);
        assert!(text.contains("| veth | 20.00 |") && text.contains("| shared memory | 12.00 (0.60) |"), "{text}");
        assert!(text.contains("0.60 of veth, floor 0.45, held."), "{text}");
    }
}
