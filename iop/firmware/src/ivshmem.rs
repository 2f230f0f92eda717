//! The devices through which memory is shared (ivshmem), with the host and with others: the memory, and where there is one,
//! the doorbell.

use crate::{
    arch::{DOORBELL, MESSAGE_ADDRESS},
    pci,
    sys::Window,
};

const VENDOR: u16 = 0x1af4;
const DEVICE: u16 = 0x1110;
/// Message-signalled interrupts with a table.
const MSIX: u8 = 0x11;
const MSIX_ON: u32 = 1 << 31;
const RING: usize = 12;

/// One device.
pub struct Ivshmem {
    registers: Window,
    /// What is shared.
    pub memory: Window,
    /// Whether others can be rung and ring us.
    pub doorbell: bool,
}

impl Ivshmem {
    /// Finds all and sets them up, but those whose windows are not where they can be used.
    pub fn all() -> impl Iterator<Item = Ivshmem> {
        pci::find(VENDOR, DEVICE).filter_map(Ivshmem::start)
    }

    fn start(function: pci::Function) -> Option<Ivshmem> {
        let (registers, memory) = (function.window(0)?, function.window(2)?);
        let capability = function.capability(MSIX);
        let table = capability.and_then(|at| {
            let place = function.read(at + 4);
            function.window(place as u8 & 7)?.part((place & !7) as usize, 16)
        });
        function.enable();
        let doorbell = match (capability, table) {
            (Some(at), Some(entry)) => {
                for (offset, value) in [(0, MESSAGE_ADDRESS), (4, 0), (8, u32::from(DOORBELL)), (12, 0)] {
                    entry.write(offset, value);
                }
                function.write(at, function.read(at) & 0xffff | MSIX_ON);
                true
            }
            _ => false,
        };
        Some(Ivshmem { registers, memory, doorbell })
    }

    /// Rings a bell of another party on the memory.
    pub fn ring(&self, party: u16, bell: u16) {
        if self.doorbell {
            self.registers.write(RING, u32::from(party) << 16 | u32::from(bell));
        }
    }
}
