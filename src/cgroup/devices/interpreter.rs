//! An interpreter of the few eBPF instructions that `program.rs` uses, for its tests: what the kernel would answer.
#![forbid(unsafe_code)]

use crate::sys::bpf::Instruction;

/// Runs a program on a context; whether it allows.
pub(super) fn run(program: &[Instruction], access: u32, major: u32, minor: u32) -> bool {
    let mut registers = [0_u32; 11];
    let mut at = 0_usize;
    loop {
        let instruction = program[at];
        let to = usize::from(instruction.registers & 15);
        let from = usize::from(instruction.registers >> 4);
        let value = instruction.immediate.cast_unsigned();
        at += 1;
        let mut jump = |taken: bool| {
            if taken {
                at += usize::try_from(instruction.offset).unwrap();
            }
        };
        match instruction.code {
            0x61 => {
                assert_eq!(from, 1, "only the context is read");
                registers[to] = [access, major, minor][usize::try_from(instruction.offset).unwrap() / 4];
            }
            0xb4 => registers[to] = value,
            0xbc => registers[to] = registers[from],
            0x54 => registers[to] &= value,
            0x74 => registers[to] >>= value,
            0x16 => jump(registers[to] == value),
            0x56 => jump(registers[to] != value),
            0x95 => return registers[0] == 1,
            other => panic!("instruction {other:#x}"),
        }
    }
}
