//! Interrupts: what wakes the processor, and what says that the image is broken.
//!
//! An interrupt does nothing but wake: whoever slept looks for work. An exception is the end and is told as a panic.

use super::clock::Clock;
use crate::sys::Window;
use core::{
    arch::{asm, global_asm},
    cell::UnsafeCell,
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
    .macro EXCEPTION number, has_code
    .align 16
    .if \has_code == 0
    pushq $0
    .endif
    pushq $\number
    jmp exception_common
    .endm

    .text
    .align 16
exceptions:
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7
    EXCEPTION \number, 0
    .endr
    EXCEPTION 8, 1
    EXCEPTION 9, 0
    .irp number, 10, 11, 12, 13, 14
    EXCEPTION \number, 1
    .endr
    .irp number, 15, 16
    EXCEPTION \number, 0
    .endr
    EXCEPTION 17, 1
    .irp number, 18, 19, 20
    EXCEPTION \number, 0
    .endr
    EXCEPTION 21, 1
    .irp number, 22, 23, 24, 25, 26, 27, 28
    EXCEPTION \number, 0
    .endr
    .irp number, 29, 30
    EXCEPTION \number, 1
    .endr
    EXCEPTION 31, 0

exception_common:
    popq %rdi
    popq %rsi
    popq %rdx
    movq %cr2, %rcx
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

#[unsafe(no_mangle)]
extern "C" fn exception(number: u64, code: u64, at: u64, address: u64) -> ! {
    panic!("exception {number} (code {code:#x}) at {at:#x}, address {address:#x}")
}

#[repr(C, align(16))]
struct Table(UnsafeCell<[[u64; 2]; 256]>);

// SAFETY: written by `start` alone, before interrupts are on and on the only processor.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([[0; 2]; 256]));

/// The processor's own interrupt controller and timer.
pub struct Interrupts {
    registers: Window,
    /// Ticks of the timer in 10 ms.
    rate: u32,
}

impl Interrupts {
    /// Sets all up, and measures the clocks.
    pub(super) fn start() -> (Interrupts, Clock) {
        let (first, waking, nothing) = (&raw const exceptions, &raw const wake, &raw const ignore);
        for vector in 0..256 {
            let handler = match vector {
                0..32 => first as u64 + 16 * vector as u64,
                v if v == usize::from(DOORBELL) || v == usize::from(TIMER) => waking as u64,
                _ => nothing as u64,
            };
            // Present, interrupt gate, code segment 8.
            let low = handler & 0xffff | 8 << 16 | 0x8e00 << 32 | (handler >> 16 & 0xffff) << 48;
            // SAFETY: the index is below 256, nobody else looks at the table yet.
            unsafe { (*TABLE.0.get())[vector] = [low, handler >> 32] };
        }
        #[repr(C, packed)]
        struct Pointer(u16, u64);
        let pointer = Pointer(size_of::<Table>() as u16 - 1, TABLE.0.get() as u64);
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
        let (clock, rate) = Clock::measure(|| u32::MAX - registers.read(TIMER_NOW));
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

/// Stops for ever.
pub fn halt() -> ! {
    loop {
        // SAFETY: nothing is touched.
        unsafe { asm!("cli; hlt", options(nomem, nostack)) };
    }
}
