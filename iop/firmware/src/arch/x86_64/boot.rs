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
    // One entry of the top table, four of the next, 2048 pages of 2 MiB.
    movl $pdpt + 3, pml4
    movl $pages + 3, %eax
    movl $pdpt, %edi
    movl $4, %ecx
1:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    loop 1b
    movl $0x83, %eax
    movl $pages, %edi
    movl $2048, %ecx
2:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 2b
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

    .bss
    .align 4096
pml4:
    .skip 4096
pdpt:
    .skip 4096
pages:
    .skip 4 * 4096
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
