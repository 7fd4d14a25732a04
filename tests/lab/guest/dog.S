/*
 * The last thing that a guest does for its watchdog (ib700, which Debian's cloud kernel has no
 * driver for): it is set to two seconds, and nobody ever feeds it.
 *
 * Port 0x443 takes the time, counted down from 30 s in steps of 2 s.
 */
        .globl _start
        .text

        .set    SYS_ioperm,     173
        .set    SYS_exit,       60
        .set    IB700_ENABLE,   0x443
        .set    TWO_SECONDS,    14

_start:
        movl    $SYS_ioperm, %eax
        movl    $IB700_ENABLE, %edi
        movl    $1, %esi
        movl    $1, %edx
        syscall
        movl    %eax, %edi
        testl   %eax, %eax
        jnz     1f
        movb    $TWO_SECONDS, %al
        movw    $IB700_ENABLE, %dx
        outb    %al, %dx
1:      movl    $SYS_exit, %eax
        syscall
