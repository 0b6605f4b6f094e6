//! Classic BPF, executed as the kernel would: for tests. Anything that the kernel would not load is a panic.
#![forbid(unsafe_code)]

use crate::wire::Instruction;

/// `struct seccomp_data`, without the instruction pointer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data {
    pub(super) number: u32,
    pub(super) architecture: u32,
    pub(super) arguments: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.number,
            4 => self.architecture,
            16..64 if offset.is_multiple_of(4) => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
            other => panic!("load of {other}"),
        }
    }
}

/// What the program answers.
pub(super) fn run(program: &[Instruction], data: &Data) -> u32 {
    let (mut at, mut a, mut steps) = (0_usize, 0_u32, 0);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        steps += 1;
        assert!(steps <= program.len());
        let mut jump = |met: bool| at += usize::from(if met { jt } else { jf });
        match code {
            0x20 => a = data.word(k),
            0x54 => a &= k,
            0x05 => at += k as usize,
            0x15 => jump(a == k),
            0x25 => jump(a > k),
            0x35 => jump(a >= k),
            0x45 => jump(a & k != 0),
            0x06 => return k,
            other => panic!("instruction {other:#x}"),
        }
    }
}
