//! Interrupts: what wakes the processor, and what says that the image is broken.
//!
//! An interrupt does nothing but wake: whoever slept looks for work. An exception is the end and is told as a panic.

use crate::{clock::Clock, sys::Window, timer::EventTimer};
use alloc::boxed::Box;
use core::{
    arch::{asm, global_asm},
    array,
    time::Duration,
};

/// The vector of the doorbell.
pub const DOORBELL: u8 = 0x40;
const TIMER: u8 = 0x41;
const SPURIOUS: u8 = 0xff;
/// Where a message-signalled interrupt is written to.
pub const MESSAGE_ADDRESS: u32 = 0xfee0_0000;

const LAPIC: usize = 0xfee0_0000;
const END: usize = 0xb0;
const SPURIOUS_VECTOR: usize = 0xf0;
const TIMER_VECTOR: usize = 0x320;
const TIMER_FIRST: usize = 0x380;
const TIMER_NOW: usize = 0x390;
const TIMER_DIVIDE: usize = 0x3e0;

global_asm!(
    r#"
    .text
    // One call for each exception: what it leaves on the stack says which it was.
    .align 16
exceptions:
    .rept 32
    .align 16
    call exception_common
    .endr

    .align 16
exception_common:
    popq %rdi
    movq %rsp, %rsi
    movq %cr2, %rdx
    andq $-16, %rsp
    call exception
    ud2

    .align 16
wake:
    pushq %rax
    movl $0xfee000b0, %eax
    movl $0, (%rax)
    popq %rax
    iretq

    .align 16
ignore:
    iretq
"#,
    options(att_syntax)
);

unsafe extern "C" {
    static exceptions: u8;
    static wake: u8;
    static ignore: u8;
}

/// Bytes from one exception's call to the next.
const CALL: u64 = 16;
/// The exceptions with which the processor gives a code, a bit for each.
const WITH_CODE: u64 = 1 << 8 | 0b1_1111 << 10 | 1 << 17 | 1 << 21 | 0b11 << 29;

/// Tells an exception as a panic. `frame` is what the processor left: a code, if it gives one, and where it was.
#[unsafe(no_mangle)]
extern "C" fn exception(call: u64, frame: *const [u64; 2], address: u64) -> ! {
    let number = (call - &raw const exceptions as u64) / CALL;
    // SAFETY: the processor leaves five words or six on the stack, which is mapped and aligned to words.
    let [first, second] = unsafe { frame.read() };
    let (code, at) = if WITH_CODE >> number & 1 == 1 { (first, second) } else { (0, first) };
    panic!("exception {number} (code {code:#x}) at {at:#x}, address {address:#x}")
}

/// The processor's own interrupt controller and timer.
pub struct Interrupts {
    registers: Window,
    /// Ticks of the timer in 10 ms.
    rate: u32,
}

impl Interrupts {
    /// Sets all up, and measures the clocks. Needs the heap.
    pub(super) fn start() -> (Interrupts, Clock) {
        let (first, waking, nothing) = (&raw const exceptions, &raw const wake, &raw const ignore);
        // It lasts for ever.
        let table: &[[u64; 2]; 256] = Box::leak(Box::new(array::from_fn(|vector| match vector {
            0..32 => gate(first as u64 + CALL * vector as u64),
            v if v == usize::from(DOORBELL) || v == usize::from(TIMER) => gate(waking as u64),
            _ => gate(nothing as u64),
        })));
        #[repr(C, packed)]
        struct Pointer(u16, u64);
        let pointer = Pointer(size_of_val(table) as u16 - 1, table.as_ptr() as u64);
        // SAFETY: the table is complete and lasts for ever.
        unsafe { asm!("lidt [{}]", in(reg) &raw const pointer, options(readonly, nostack, preserves_flags)) };
        // The old controllers are silent.
        super::port::write8(0x21, 0xff);
        super::port::write8(0xa1, 0xff);
        let registers = Window::device(LAPIC, 4096).unwrap_or(Window::EMPTY);
        registers.write(SPURIOUS_VECTOR, 0x100 | u32::from(SPURIOUS));
        registers.write(TIMER_DIVIDE, 0b0011);
        registers.write(TIMER_VECTOR, 1 << 16);
        registers.write(TIMER_FIRST, u32::MAX);
        let timer = EventTimer::start();
        let (clock, rate) = Clock::measure(timer.period, || timer.now(), || u32::MAX - registers.read(TIMER_NOW));
        registers.write(TIMER_FIRST, 0);
        registers.write(END, 0);
        registers.write(TIMER_VECTOR, u32::from(TIMER));
        (Interrupts { registers, rate: rate.max(1) }, clock)
    }

    /// Sleeps until an interrupt comes, or for so long. Nothing is missed between `idle` saying so and the sleep.
    pub fn sleep_if(&self, most: Duration, idle: impl FnOnce() -> bool) {
        let ticks = most.as_nanos() * u128::from(self.rate) / 10_000_000;
        // SAFETY: no memory is touched; interrupts only wake.
        unsafe { asm!("cli", options(nomem, nostack)) };
        if !most.is_zero() && idle() {
            self.registers.write(TIMER_FIRST, u32::try_from(ticks).unwrap_or(u32::MAX).max(1));
            // SAFETY: interrupts are let in with the instruction after `sti`, so that none is missed before `hlt`.
            unsafe { asm!("sti; hlt; cli", options(nomem, nostack)) };
            self.registers.write(TIMER_FIRST, 0);
        }
        // SAFETY: as above.
        unsafe { asm!("sti", options(nomem, nostack)) };
    }
}

/// The table's entry for a handler: present, interrupt gate, code segment 8.
fn gate(handler: u64) -> [u64; 2] {
    [handler & 0xffff | 8 << 16 | 0x8e00 << 32 | (handler >> 16 & 0xffff) << 48, handler >> 32]
}

/// Stops for ever.
pub fn halt() -> ! {
    loop {
        // SAFETY: nothing is touched.
        unsafe { asm!("cli; hlt", options(nomem, nostack)) };
    }
}
