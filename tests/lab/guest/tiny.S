/*
 * A guest of its own kind: 64 KiB of ROM instead of firmware and operating system.
 *
 * It says twice a second on COM1 that it lives, in the words of the Linux guest (linux-init):
 *
 *     hb boot=5f3a90c1 up=12.5 n=25
 *
 * where boot is a number picked at power-on, and sleeps in between, so that dozens of them cost
 * next to nothing. It obeys the ACPI power button. It needs the "pc" machine (PIIX4), no disk,
 * and 2 MiB of memory.
 *
 * The processor starts in real mode at f000:fff0. There is no BIOS: what we use we set up.
 */
        .code16
        .text
        .globl _start

        .set    COM1,           0x3f8
        .set    PM_BASE,        0x600           /* where we put the ACPI registers */
        .set    PM_STATUS,      PM_BASE
        .set    PM_ENABLE,      PM_BASE + 2
        .set    PM_CONTROL,     PM_BASE + 4
        .set    POWER_BUTTON,   0x0100          /* in PM_STATUS and PM_ENABLE */
        .set    SOFT_OFF,       0x2000          /* SLP_EN with type 0 */

        /* Variables, in the first 64 KiB of memory, above the interrupt table. */
        .set    boot_id,        0x500
        .set    beats,          0x504

_start:
        cli
        cld
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7000, %sp
        movl    $0, beats

        /* Every interrupt does nothing but wake us, see `tick`. */
        xorw    %di, %di
        movw    $256, %cx
1:      movw    $tick, %ax
        stosw
        movw    $0xf000, %ax
        stosw
        loop    1b

        /* Without a BIOS nobody tells the local APIC to let the old interrupt controllers through:
           switch it off (IA32_APIC_BASE, bit 11). KVM then does; QEMU's own emulation needs a CPU
           without APIC from the start, see mkguest. */
        movl    $0x1b, %ecx
        rdmsr
        andl    $~0x800, %eax
        wrmsr

        /* Interrupt controllers: vectors 0x08 and 0x70, only the clock (IRQ 8) gets through. */
        movb    $0x11, %al
        outb    %al, $0x20
        outb    %al, $0xa0
        movb    $0x08, %al
        outb    %al, $0x21
        movb    $0x70, %al
        outb    %al, $0xa1
        movb    $0x04, %al
        outb    %al, $0x21
        movb    $0x02, %al
        outb    %al, $0xa1
        movb    $0x01, %al
        outb    %al, $0x21
        outb    %al, $0xa1
        movb    $0xfb, %al
        outb    %al, $0x21
        movb    $0xfe, %al
        outb    %al, $0xa1

        /* The clock ticks twice a second (its slowest rate). */
        movw    $0x2f0a, %ax
        call    rtc_write
        movw    $0x420b, %ax
        call    rtc_write

        /* PIIX4 power management, PCI device 0:1.3: registers at PM_BASE, switched on. */
        movl    $0x80000b40, %eax
        movl    $PM_BASE + 1, %ebx
        call    pci_write
        movl    $0x80000b80, %eax
        movl    $1, %ebx
        call    pci_write
        movw    $PM_ENABLE, %dx
        movw    $POWER_BUTTON, %ax
        outw    %ax, %dx

        /* The boot's number: the time of day, stirred with the processor's counter. */
        xorl    %ebx, %ebx
        xorw    %si, %si
1:      movw    %si, %ax                        /* registers 0, 2, 4, 6, 8: second ... month */
        call    rtc_read
        roll    $7, %ebx
        xorb    %al, %bl
        addw    $2, %si
        cmpw    $10, %si
        jne     1b
        rdtsc
        imull   $0x9e3779b1, %eax, %eax         /* spread the low bits, which vary most */
        xorl    %eax, %ebx
        movl    %ebx, boot_id
        .ifdef  FULL
        call    fill
        .endif

beat:
        movw    $text_boot, %si
        call    put_text
        movl    boot_id, %eax
        call    put_hex
        movw    $text_up, %si
        call    put_text
        movl    beats, %eax
        shrl    $1, %eax
        call    put_number
        movw    $text_whole, %si
        testb   $1, beats
        jz      1f
        movw    $text_half, %si
1:      call    put_text
        movw    $text_count, %si
        call    put_text
        movl    beats, %eax
        call    put_number
        movw    $text_end, %si
        call    put_text
        incl    beats

        movb    $0x0c, %al                      /* reading register C allows the next tick */
        call    rtc_read
        sti
        hlt
        cli
        movw    $PM_STATUS, %dx
        inw     %dx, %ax
        testw   $POWER_BUTTON, %ax
        jz      beat

        movw    $text_off, %si
        call    put_text
        movw    $PM_CONTROL, %dx
        movw    $SOFT_OFF, %ax
        outw    %ax, %dx
1:      hlt
        jmp     1b

        .ifdef  FULL
/* full.rom: memory above the first MiB is written to, a little on each page, so that a migration has
   something to carry. How much there is the clock's memory tells, in KiB. To reach it from real mode
   %es gets a limit of 4 GiB by a short visit to protected mode; not every KVM likes that. */
fill:
        movb    $0x31, %al
        call    rtc_read
        movb    %al, %bh
        movb    $0x30, %al
        call    rtc_read
        movb    %al, %bl
        movzwl  %bx, %ecx
        shrl    $2, %ecx
        lgdtl   %cs:gdt_place
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        jmp     1f
1:      movw    $8, %bx
        movw    %bx, %es
        andb    $0xfe, %al
        movl    %eax, %cr0
        jmp     1f
1:      movl    $0x100000, %edi
2:      movl    %edi, %es:(%edi)
        addl    $4096, %edi
        decl    %ecx
        jnz     2b
        xorw    %ax, %ax
        movw    %ax, %es
        ret

        .balign 8
gdt:
        .quad   0, 0x00cf92000000ffff
gdt_place:
        .word   15
        .long   gdt + 0xf0000
        .endif

/* Interrupt: acknowledge to both controllers. */
tick:
        pushw   %ax
        movb    $0x20, %al
        outb    %al, $0xa0
        outb    %al, $0x20
        popw    %ax
        iret

/* %al = register; returns its value in %al. */
rtc_read:
        outb    %al, $0x70
        inb     $0x71, %al
        ret

/* %al = register, %ah = value. */
rtc_write:
        outb    %al, $0x70
        movb    %ah, %al
        outb    %al, $0x71
        ret

/* %eax = address of the register, %ebx = value. */
pci_write:
        movw    $0xcf8, %dx
        outl    %eax, %dx
        movw    $0xcfc, %dx
        movl    %ebx, %eax
        outl    %eax, %dx
        ret

/* %al = character; waits until the serial port can take it. */
put_char:
        pushw   %ax
        movw    $COM1 + 5, %dx
1:      inb     %dx, %al
        testb   $0x20, %al
        jz      1b
        popw    %ax
        movw    $COM1, %dx
        outb    %al, %dx
        ret

/* %si = text in the ROM, up to a zero. */
put_text:
        movb    %cs:(%si), %al
        incw    %si
        testb   %al, %al
        jz      1f
        call    put_char
        jmp     put_text
1:      ret

/* %eax in eight hexadecimal digits. */
put_hex:
        movw    $8, %cx
1:      roll    $4, %eax
        pushl   %eax
        andb    $0x0f, %al
        addb    $'0', %al
        cmpb    $'9', %al
        jbe     2f
        addb    $'a' - '0' - 10, %al
2:      call    put_char
        popl    %eax
        loop    1b
        ret

/* %eax in decimal. */
put_number:
        movl    $10, %ebx
        xorw    %cx, %cx
1:      xorl    %edx, %edx
        divl    %ebx
        pushw   %dx
        incw    %cx
        testl   %eax, %eax
        jnz     1b
2:      popw    %ax
        addb    $'0', %al
        call    put_char
        loop    2b
        ret

text_boot:      .asciz  "hb boot="
text_up:        .asciz  " up="
text_whole:     .asciz  ".0"
text_half:      .asciz  ".5"
text_count:     .asciz  " n="
text_end:       .asciz  "\r\n"
text_off:       .asciz  "power button: off\r\n"

        .org    0xfff0
        ljmp    $0xf000, $_start
        .org    0xffff
        .byte   0
