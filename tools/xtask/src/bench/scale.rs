//! `cargo xtask scale`: what many nodes on one host cost, while all are idle and while two of them are busy.

use super::page::{self, Bystander};
use crate::{packages, workspace::Workspace};
use minet_tests::{
    Config, Error, Iperf, Net, Node, Result, clean_leftovers, exact_processor_seconds, proportional_kib,
};
use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// The marked section of BENCH.md.
const TASK: &str = "cargo xtask scale";

/// How long all are idle, and how long two are busy, in seconds.
const IDLE: Duration = Duration::from_secs(10);
const BUSY: u32 = 2;

/// The promise: so many nodes, each so much of a core when idle, in percent.
const JUDGED: u32 = 5;
const MOST: f64 = 0.1;

/// Every node knows every other after so long.
const JOIN: Duration = Duration::from_secs(90);

/// Options of `cargo xtask scale`.
#[derive(clap::Args)]
pub struct Args {
    /// How many nodes, one fabric after the other
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [2, 5, 8, 32])]
    nodes: Vec<u32>,
    /// Write BENCH.md
    #[arg(long)]
    write: bool,
}

/// What one fabric cost.
struct Row {
    nodes: u32,
    /// Of a core, in percent: a node on average, and the one with the most.
    idle: f64,
    idle_most: f64,
    /// All of them while idle, in KiB, what is shared counted once.
    memory: u64,
    gbits: f64,
    /// Of the busy two, in seconds a gigabyte.
    busy: f64,
    /// Of a core, in percent: one of the others on average while two are busy.
    others: f64,
}

/// Runs it; whether the idle nodes cost no more than they may.
pub fn run(args: &Args, workspace: &Workspace) -> Result<bool> {
    packages::ensure(packages::NETWORK)?;
    clean_leftovers()?;
    let minet = workspace.build_minet(true)?;
    let bystander = Bystander::new();
    let mut rows = Vec::new();
    for nodes in args.nodes.iter().copied().filter(|nodes| *nodes > 1) {
        eprintln!("{nodes} nodes");
        rows.push(measure(&minet, nodes)?);
    }
    let text = table(&rows);
    print!("{text}");
    if args.write {
        page::write(&workspace.root, TASK, &format!("{}\n\n{text}", bystander.circumstances(&workspace.root)))?;
    }
    Ok(rows.iter().all(is_good))
}

fn is_good(row: &Row) -> bool {
    row.nodes != JUDGED || row.idle_most <= MOST
}

/// All on one host: shared memory between any two.
fn measure(minet: &Path, count: u32) -> Result<Row> {
    let net = Net::with_binary(minet.to_owned())?;
    let start = |id: u32| {
        let name = format!("n{id}");
        Node::start(&net, &net.space(&name)?, Config::new(&name, id))
    };
    let nodes = (1..=count).map(start).collect::<Result<Vec<Node>>>()?;
    nodes.iter().try_for_each(|node| node.wait_members(count as usize, JOIN))?;

    let (before, begun) = (spent(&nodes)?, Instant::now());
    // Nothing is waited for: to be idle for a while is what is measured.
    thread::sleep(IDLE);
    let idle = percent(&before, &spent(&nodes)?, begun.elapsed());
    let memory = nodes.iter().map(|node| proportional_kib(node.pid())).sum::<Result<u64>>()?;

    let [left, right, others @ ..] = nodes.as_slice() else { return Err(Error::unexpected("fewer than two nodes")) };
    let (before, begun) = (spent(&nodes)?, Instant::now());
    let report = Iperf::new(right.space(), &right.config().ipv4(), BUSY).with(&["-O", "1"]).run(left.space())?;
    let after = spent(&nodes)?;
    let busy: f64 = after.iter().zip(&before).take(2).map(|(now, then)| now - then).sum();
    let rest = percent(before.get(2..).unwrap_or(&[]), after.get(2..).unwrap_or(&[]), begun.elapsed());
    Ok(Row {
        nodes: count,
        idle: mean(&idle),
        idle_most: idle.iter().copied().fold(0.0, f64::max),
        memory,
        gbits: report.gbits,
        busy: busy / (report.gbits * f64::from(BUSY + 1) / 8.0),
        others: if others.is_empty() { 0.0 } else { mean(&rest) },
    })
}

fn spent(nodes: &[Node]) -> Result<Vec<f64>> {
    nodes.iter().map(|node| exact_processor_seconds(node.pid())).collect()
}

/// Of a core, by node.
fn percent(before: &[f64], after: &[f64], passed: Duration) -> Vec<f64> {
    after.iter().zip(before).map(|(now, then)| 100.0 * (now - then) / passed.as_secs_f64()).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / (values.len().max(1)) as f64
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| nodes | idle, % of a core a node | the most | memory MiB a node | all MiB | one pair TCP Gbit/s | the pair \
         s/GB | others meanwhile, % of a core a node |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for row in rows {
        let all = row.memory as f64 / 1024.0;
        text += &format!(
            "| {} | {:.3} | {:.3} | {:.1} | {all:.1} | {:.2} | {:.2} | {:.2} |\n",
            row.nodes,
            row.idle,
            row.idle_most,
            all / f64::from(row.nodes),
            row.gbits,
            row.busy,
            row.others
        );
    }
    if let Some(kib) = a_peer(rows) {
        text += &format!(
            "\nA further peer on the same host costs a node {kib:.0} KiB while idle; the pages of a ring are \
             taken when they are first used.\n"
        );
    }
    for row in rows.iter().filter(|row| row.nodes == JUDGED) {
        let verdict = if is_good(row) { "held" } else { "**missed**" };
        text += &format!(
            "\nIdle with {JUDGED} nodes: {:.3} % of a core at most, bound {MOST} %, {verdict}.\n",
            row.idle_most
        );
    }
    text
}

/// Memory of a node for each peer, in KiB: from the smallest fabric to the largest.
fn a_peer(rows: &[Row]) -> Option<f64> {
    let (first, last) = (rows.first()?, rows.last()?);
    let a_node = |row: &Row| row.memory as f64 / f64::from(row.nodes);
    let peers = f64::from(last.nodes) - f64::from(first.nodes);
    (peers > 0.0).then(|| (a_node(last) - a_node(first)) / peers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(nodes: u32, idle_most: f64, memory: u64) -> Row {
        Row { nodes, idle: 0.02, idle_most, memory, gbits: 10.0, busy: 0.7, others: 0.1 }
    }

    #[test]
    fn a_peer_costs_what_a_larger_fabric_costs_more() {
        let rows = [row(2, 0.03, 2 * 3000), row(12, 0.03, 12 * 4000)];
        assert_eq!(a_peer(&rows), Some(100.0));
        assert_eq!(a_peer(&rows[..1]), None);
        assert!(table(&rows).contains("costs a node 100 KiB"), "{}", table(&rows));
    }

    #[test]
    fn only_five_nodes_are_judged() {
        assert!(is_good(&row(32, 0.5, 1)) && is_good(&row(5, 0.1, 1)) && !is_good(&row(5, 0.11, 1)));
        assert!(table(&[row(5, 0.2, 1)]).contains("**missed**"));
    }
}
