//! `dnsmasq` as DHCP server on one node, `busybox udhcpc` as client on another.

use crate::{Error, Net, Netns, Process, Result, SOON, eventually};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

/// What the client does with a lease: adds the address, and writes it down.
const SCRIPT: &str = "#!/bin/sh\n\
    [ \"$1\" = bound ] || exit 0\n\
    ip address add \"$ip/${mask:-16}\" dev \"$interface\" && echo \"$ip\" > \"$(dirname \"$0\")/lease\"\n";

/// A running server.
pub struct DhcpServer {
    _process: Process,
    dir: PathBuf,
}

impl DhcpServer {
    /// Serves `first` to `last` on an interface of the namespace and waits until it listens.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(net: &Net, space: &Netns, interface: &str, first: &str, last: &str) -> Result<Self> {
        Self::serve(net, space, interface, (first, last), &[])
    }

    /// As [`DhcpServer::start`], and advertises itself as router of an IPv6 prefix (`fd77::`, 64 bits), of which the interface
    /// has an address: hosts make their own from it.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_with_prefix(
        net: &Net,
        space: &Netns,
        interface: &str,
        (first, last): (&str, &str),
        prefix: &str,
    ) -> Result<Self> {
        let advertised = format!("--dhcp-range={prefix},ra-only");
        Self::serve(net, space, interface, (first, last), &["--enable-ra", &advertised])
    }

    fn serve(net: &Net, space: &Netns, interface: &str, (first, last): (&str, &str), besides: &[&str]) -> Result<Self> {
        let dir = net.subdir("dhcp")?;
        let leases = format!("--dhcp-leasefile={}", dir.join("leases").display());
        let (on, range) = (format!("--interface={interface}"), format!("--dhcp-range={first},{last},255.255.0.0,2m"));
        let fixed = ["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--bind-interfaces", "--no-ping"];
        let more = ["--dhcp-authoritative", "--pid-file=", "--user=root", "--log-facility=-", &on, &range, &leases];
        let mut process = space.spawn("dnsmasq", &[fixed.as_slice(), &more, besides].concat())?;
        eventually(SOON, "dnsmasq listening", || {
            if !process.is_running() {
                return Err(Error::unexpected(format!("dnsmasq ended: {}", process.output()?.stderr)));
            }
            let said = space.run("ss", &["-Hlun", "sport = :67"])?.stdout;
            Ok((!said.trim().is_empty()).then_some(()))
        })?;
        Ok(Self { _process: process, dir })
    }

    /// Asks for an address on an interface of another namespace, adds it there and gives it.
    ///
    /// # Errors
    /// There is no lease within ten tries.
    pub fn lease(&self, client: &Netns, interface: &str) -> Result<String> {
        let (script, lease) = (self.dir.join("script"), self.dir.join("lease"));
        let what = || format!("write {}", script.display());
        fs::write(&script, SCRIPT).map_err(Error::io(what()))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).map_err(Error::io(what()))?;
        let script = script.display().to_string();
        // In the foreground, quit with the lease, give up without one.
        client.run("busybox", &["udhcpc", "-f", "-q", "-n", "-t", "10", "-T", "1", "-i", interface, "-s", &script])?;
        let address = fs::read_to_string(&lease).map_err(Error::io(format!("read {}", lease.display())))?;
        Ok(address.trim().to_owned())
    }
}
