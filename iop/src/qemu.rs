//! A virtual machine of QEMU as what a processor runs on: its command line.

use crate::image::Arch;
use std::{os::fd::RawFd, path::Path};

/// The program for a processor, looked for in the usual places, and Debian's package with it.
pub const fn program(arch: Arch) -> (&'static str, &'static str) {
    match arch {
        Arch::X86_64 => ("qemu-system-x86_64", "qemu-system-x86"),
        Arch::Riscv64 => ("qemu-system-riscv64", "qemu-system-misc"),
    }
}

/// Memory of the machine in MiB. The image uses no more than 14.
const MEMORY_MIB: u32 = 16;

/// The board's socket is its standard input; that of the memory shared with others has the number `bus`.
pub(crate) fn arguments(arch: Arch, name: &str, image: &Path, bus: Option<RawFd>) -> Vec<String> {
    // What is behind a comma would be another option.
    let plain = |text: &str| text.replace(',', ",,");
    let memory = MEMORY_MIB.to_string();
    let image = image.display().to_string();
    let name = format!("minet-iop-{}", plain(name));
    let bus = bus.map(|fd| format!("socket,id=bus,fd={fd}"));
    let bus = bus.as_deref().map(|bus| ["-chardev", bus, "-device", "ivshmem-doorbell,vectors=1,chardev=bus"]);
    [
        &["-name", &name, "-accel", "tcg", "-m", &memory, "-smp", "1"][..],
        match arch {
            Arch::X86_64 => &["-machine", "q35"][..],
            // Its own interrupt file is what a message can be written to.
            Arch::Riscv64 => &["-machine", "virt,aia=aplic-imsic", "-bios", "none"],
        },
        &["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-kernel", &image],
        &["-chardev", "file,id=console,path=/dev/fd/1", "-serial", "chardev:console"],
        &["-chardev", "socket,id=board,fd=0", "-device", "ivshmem-doorbell,vectors=2,chardev=board"],
        bus.as_ref().map_or(&[], |bus| &bus[..]),
    ]
    .concat()
    .into_iter()
    .map(Into::into)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_options() {
        let arguments = arguments(Arch::X86_64, "a,debug-threads=on", Path::new("/x/image"), Some(7));
        assert!(arguments.contains(&"socket,id=bus,fd=7".to_owned()));
        assert!(arguments.contains(&"minet-iop-a,,debug-threads=on".to_owned()));
        assert!(arguments.contains(&"/x/image".to_owned()));
    }
}
