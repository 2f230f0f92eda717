//! Nodes in network namespaces, tried with the kernel and real programs. Needs root and a built `minet`.

mod harness;
