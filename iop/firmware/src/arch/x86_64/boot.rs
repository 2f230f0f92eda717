//! From the firmware's 32-bit entry (PVH) to 64-bit mode, with the first 4 GiB mapped as they are.

use core::arch::global_asm;

global_asm!(
    r#"
    // The note by which a PVH loader finds the entry: name, type 18 (a 32-bit physical entry), address.
    .section .note.pvh, "a", @note
    .align 4
    .long 4
    .long 8
    .long 18
    .asciz "Xen"
    .quad _start

    .section .text.start, "ax", @progbits
    .global _start
    .code32
_start:
    cld
    cli
    movl $stack_top, %esp
    movl $pml4, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000001, %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $start64

    .code64
start64:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq $stack_top, %rsp
    xorl %ebp, %ebp
    call enter_rust
    ud2

    .section .rodata
    .align 8
gdt:
    .quad 0
    .quad 0x00af9a000000ffff
    .quad 0x00cf92000000ffff
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long gdt

    // The first 4 GiB as they are: one entry of the top table, four of the next, 2048 pages of 2 MiB.
    .data
    .align 4096
pml4:
    .quad pdpt + 3
    .skip 4088
pdpt:
    .quad pages + 3, pages + 0x1003, pages + 0x2003, pages + 0x3003
    .skip 4064
pages:
    .set page, 0x83
    .rept 2048
    .quad page
    .set page, page + 0x200000
    .endr

    .bss
    .align 16
stack:
    .skip 128 * 1024
stack_top:
    .text
"#,
    options(att_syntax)
);

/// Where the assembly goes on.
#[unsafe(no_mangle)]
extern "C" fn enter_rust() -> ! {
    crate::run()
}
