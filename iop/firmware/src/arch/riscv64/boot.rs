//! From reset to Rust: a stack, zeroed memory, and a place for exceptions.

use core::arch::global_asm;

global_asm!(
    r#"
    .section .text.start, "ax", @progbits
    .global _start
_start:
    csrw mie, zero
    csrci mstatus, 8
    la t0, trap
    csrw mtvec, t0
    la t0, _bss_start
    la t1, _bss_end
1:
    bgeu t0, t1, 2f
    sd zero, 0(t0)
    addi t0, t0, 8
    j 1b
2:
    la sp, stack_top
    call enter_rust
    unimp

    // Interrupts only wake and are never taken: what comes here is the end.
    .align 4
trap:
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    andi sp, sp, -16
    call exception
    unimp

    .section .bss.stack, "aw", @nobits
    .align 4
stack:
    .skip 128 * 1024
stack_top:
    .text
"#
);

/// Where the assembly goes on.
#[unsafe(no_mangle)]
extern "C" fn enter_rust() -> ! {
    crate::run()
}

/// Tells an exception as a panic.
#[unsafe(no_mangle)]
extern "C" fn exception(cause: u64, at: u64, value: u64) -> ! {
    panic!("exception {cause} at {at:#x}, value {value:#x}")
}
