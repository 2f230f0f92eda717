//! The command `minet`.

mod args;
mod ask;
mod drain;
mod inspect;
mod iops;
mod keys;
mod message_args;
mod messages;
mod table;
mod trace;
mod values;

pub use args::{Args, Command};

use crate::{Config, Overrides, daemon};
use args::RunArgs;
use clap::{CommandFactory, Parser};
use fabric_seal::KeyFile;
use std::{io::Write, process::ExitCode};

/// Exit status of `minet run --check` for a configuration that cannot be used, as for a command line that cannot be.
const WRONG: u8 = 2;

/// Runs the command line; returns the process's exit code. Errors go to standard error as one line.
pub fn main() -> ExitCode {
    let args = Args::parse();
    match run(args) {
        Ok(code) => code,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "minet: {}", chain(&*e));
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<ExitCode, Box<dyn std::error::Error>> {
    match args.command {
        Command::Run(run) if run.check => Ok(check(&run)?),
        Command::Run(run) => {
            start_log(run.log.as_deref());
            daemon::run(config(&run)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Version { json } => {
            print(&table::version(json))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Completion { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "minet", &mut out);
            messages::write(&out)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { dir } => {
            match dir {
                Some(dir) => clap_mangen::generate_to(Args::command(), &dir)
                    .map_err(|e| format!("cannot write manual pages into {}: {e}", dir.display()))?,
                None => {
                    let mut out = Vec::new();
                    clap_mangen::Man::new(Args::command()).render(&mut out)?;
                    messages::write(&out)?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Status(at) => ask::status(&at),
        Command::Nodes(at) => ask::nodes(&at),
        Command::Links(at) => ask::links(&at),
        Command::Events(at) => ask::events(&at),
        Command::Ports(at) => ask::ports(&at),
        Command::Stats(at) => ask::stats(&at),
        Command::Dump(at) => ask::dump(&at),
        Command::Trace(args) => trace::trace(&args),
        Command::Bcast(args) => messages::send(&args.send()),
        Command::IopProcess { door, .. } => {
            crate::iop_process::run(door.as_deref())?;
            Ok(ExitCode::FAILURE)
        }
        Command::IopLoad { name, store, door } => {
            crate::iop_process::load(&name, &store, door.as_deref())?;
            Ok(ExitCode::FAILURE)
        }
        Command::Iop(iop) => iops::run(&iop.command),
        Command::Ping(ping) => ask::ping(&ping),
        Command::Send(send) => messages::send(&send),
        Command::Call(call) => messages::call(&call),
        Command::Recv(recv) => messages::recv(&recv),
        Command::Watch(watch) => messages::watch(&watch),
        Command::Key(key) => keys::key(&key),
        Command::Invite(invite) => ask::invite(&invite),
        Command::Revoke(revoke) => ask::revoke(&revoke),
        Command::Drain(args) => drain::drain(&args),
        Command::Join(args) => keys::join(&args),
    }
}

/// What the node would be, or what is wrong with its configuration. Files are read, nothing else is done.
fn check(run: &RunArgs) -> std::io::Result<ExitCode> {
    let checked = config(run).map_err(|e| chain(&e)).and_then(|config| {
        // Without its key the node would not start.
        let key = config.trust.as_ref().filter(|_| config.is_sealed()).map(|trust| KeyFile::load(&trust.key));
        key.transpose().map_err(|e| chain(&e)).map(|_| config)
    });
    match checked {
        Ok(config) => {
            print(&table::config(&config))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "minet: {error}");
            Ok(ExitCode::from(WRONG))
        }
    }
}

fn config(run: &RunArgs) -> Result<Config, crate::ConfigError> {
    let over = Overrides {
        name: run.name.clone(),
        id: run.id,
        fabric: run.fabric.clone(),
        run_dir: run.run_dir.clone(),
        interface: run.interface.clone(),
        mtu: run.mtu,
        addresses: run.address.clone(),
        mode: run.mode,
        learn: run.learn,
        no_relay: run.no_relay,
        listen: run.listen,
        peers: run.peer.clone(),
        ethers: run.ether.clone(),
        serials: run.serial.clone(),
        insecure: run.insecure,
        user: run.user.clone(),
        key: run.key.clone(),
        no_shm: run.no_shm,
        queues: run.queues,
        cpus: run.cpus.clone(),
        pcap: run.pcap.clone(),
        userspace: run.stack.map(|stack| stack == args::StackArg::Smoltcp),
        forwards: run.forward.clone(),
        exposes: run.expose.clone(),
        iops: run.iop.clone(),
        iop_processes: run.iop_process.clone(),
        iop_image: run.iop_image.clone(),
    };
    Config::load(run.config.clone(), &over)
}

fn start_log(level: Option<&str>) {
    let env = env_logger::Env::new().filter_or("MINET_LOG", level.unwrap_or("info"));
    env_logger::Builder::from_env(env).format_timestamp_millis().init();
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Prints; a reader that went away is no error.
fn print(text: &str) -> std::io::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
