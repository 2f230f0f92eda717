//! TCP/IP in this process instead of the kernel: a node joins a segment without a TAP, and so without root.
//!
//! The lane has one end of a socket pair where it otherwise has a queue of a TAP; at the other end a thread runs smoltcp
//! ([`iop_node::Inet`], as an I/O processor does) and passes connections on: what this host says to a port of its own goes to a
//! node ([`Forward`]), and what nodes say to a port of the interface goes to this host ([`Expose`]).
//!
//! The interface answers echo requests. It listens only at ports that are exposed, and calls only what is forwarded.

mod connection;
mod frames;
mod gateway;
mod ports;

use crate::{
    Expose, Forward,
    clock::Clock,
    daemon::{Guard, privileges},
};
use arc_swap::ArcSwap;
use frames::Line;
use gateway::Gateway;
use messenger_core::NodeId;
use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

/// Where members of the segment are, by name and by number.
pub(crate) type Directory = BTreeMap<String, Vec<IpAddr>>;

/// What a stack is made from.
pub(crate) struct Parts<'a> {
    pub(crate) node: NodeId,
    pub(crate) addresses: Vec<(IpAddr, u8)>,
    /// Longest Ethernet frame in bytes.
    pub(crate) frame: usize,
    pub(crate) clock: Clock,
    pub(crate) forwards: &'a [Forward],
    pub(crate) exposes: &'a [Expose],
}

/// Why a stack did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserspaceError {
    /// This host's port of a forward cannot be had.
    #[error("cannot listen at {} for the forward {forward}", forward.listen)]
    Listen {
        /// Which.
        forward: Forward,
        /// The system's word.
        source: io::Error,
    },
    /// The system is short of something.
    #[error("cannot start the user-space network stack")]
    System(#[from] io::Error),
}

/// A running stack. Dropping it ends it, with all connections.
pub(crate) struct Userspace {
    directory: Arc<ArcSwap<Directory>>,
    stop: Arc<AtomicBool>,
    waker: Arc<mio::Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Userspace {
    /// Starts one, and gives the end of its frames for a lane. They have virtio-net headers.
    pub(crate) fn start(parts: Parts<'_>) -> Result<(Userspace, OwnedFd), UserspaceError> {
        let (line, ours) = Line::new(parts.frame)?;
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|e| io::Error::other(e.to_string()))?;
        let directory = Arc::new(ArcSwap::default());
        let gateway = Gateway::new(&parts, line, u64::from_le_bytes(seed), directory.clone())?;
        let (stop, waker) = (Arc::new(AtomicBool::new(false)), gateway.waker());
        let told = stop.clone();
        let (is_bare, bare) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("userspace".into()).spawn(move || {
            let _guard = Guard;
            // It reads what every member sends, and needs nothing of the system.
            let dropped = privileges::drop_all();
            let goes_on = dropped.is_ok();
            let _ = is_bare.send(dropped);
            if goes_on {
                gateway.run(&told);
            }
        })?;
        bare.recv().map_err(io::Error::other)??;
        Ok((Userspace { directory, stop, waker, thread: Some(thread) }, ours))
    }

    /// Tells where members are.
    pub(crate) fn set_directory(&self, directory: Directory) {
        if **self.directory.load() != directory {
            self.directory.store(Arc::new(directory));
        }
    }
}

impl Drop for Userspace {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // It fails when the poll set is gone, and with it the thread.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // A panic has ended the process.
            let _ = thread.join();
        }
    }
}
