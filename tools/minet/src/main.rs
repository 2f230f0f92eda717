//! The command `minet`.

fn main() -> std::process::ExitCode {
    minet_node::cli::main()
}
