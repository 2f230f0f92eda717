//! Finding a device on PCI, and where its windows lie. Where the machine's own firmware has not placed them, that is done here.

use crate::{
    arch::{
        WINDOWS,
        config_space::{read, write},
    },
    sys::Window,
};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that were given to windows, where nobody else places them.
static PLACED: AtomicUsize = AtomicUsize::new(0);

/// A function of a device.
#[derive(Clone, Copy)]
pub struct Function {
    bus: u8,
    device: u8,
}

const COMMAND: u8 = 0x04;
const HEADER: u8 = 0x0c;
const BARS: u8 = 0x10;
const CAPABILITIES: u8 = 0x34;
/// Memory windows answer, and the device may write messages.
const MEMORY_AND_MASTER: u32 = 0b110;

/// Every function 0 with this vendor and device number. Buses behind bridges are looked at too.
pub fn find(vendor: u16, device: u16) -> impl Iterator<Item = Function> {
    let wanted = u32::from(device) << 16 | u32::from(vendor);
    let all = (0..=u8::MAX).flat_map(|bus| (0..32).map(move |device| Function { bus, device }));
    all.filter(move |f| f.read(0) == wanted)
}

impl Function {
    /// A configuration register.
    pub fn read(&self, register: u8) -> u32 {
        read(self.bus, self.device, 0, register)
    }

    /// Sets one.
    pub fn write(&self, register: u8, value: u32) {
        write(self.bus, self.device, 0, register, value);
    }

    /// Lets it answer and interrupt.
    pub fn enable(&self) {
        self.write(COMMAND, self.read(COMMAND) & 0xffff | MEMORY_AND_MASTER);
    }

    /// A memory window; to be asked before [`Function::enable`], since its size is found by moving it.
    pub fn window(&self, bar: u8) -> Option<Window> {
        let register = BARS + 4 * bar;
        if bar > 5 || self.read(HEADER) >> 16 & 0x7f != 0 {
            return None;
        }
        let mut low = self.read(register);
        let wide = low >> 1 & 3 == 2;
        let high = if wide { self.read(register + 4) } else { 0 };
        if low & 1 != 0 || high != 0 {
            return None;
        }
        let command = self.read(COMMAND) & 0xffff;
        self.write(COMMAND, command & !MEMORY_AND_MASTER);
        self.write(register, u32::MAX);
        let len = !(self.read(register) & !0xf) as usize + 1;
        if let Some(all) = WINDOWS.filter(|_| low & !0xf == 0) {
            low |= place(&all, len)? as u32;
        }
        self.write(register, low);
        self.write(COMMAND, command);
        Window::device((low & !0xf) as usize, len)
    }

    /// Where a capability of this kind stands.
    pub fn capability(&self, kind: u8) -> Option<u8> {
        let mut at = self.read(CAPABILITIES) as u8 & 0xfc;
        // A chain has no more links than the space has places.
        for _ in 0..48 {
            if at < 0x40 {
                return None;
            }
            let header = self.read(at);
            if header as u8 == kind {
                return Some(at);
            }
            at = (header >> 8) as u8 & 0xfc;
        }
        None
    }
}

/// A place for a window of so many bytes, a power of two; it stays its.
fn place(all: &core::ops::Range<usize>, len: usize) -> Option<usize> {
    let at = (all.start + PLACED.load(Ordering::Relaxed)).next_multiple_of(len);
    let end = at.checked_add(len).filter(|end| *end <= all.end)?;
    PLACED.store(end - all.start, Ordering::Relaxed);
    Some(at)
}
