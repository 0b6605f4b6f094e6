//! Rules as the program that cgroup v2 runs at every open and mknod of a device (`BPF_PROG_TYPE_CGROUP_DEVICE`). Pure.
//!
//! Access is judged letter by letter: the last rule that matches decides about each, and all must be allowed. The
//! program walks from the last rule to the first, and forgets the letters that a rule has allowed.
#![forbid(unsafe_code)]

use super::rules::{ALL, Class, Nodes, Rule};
use crate::sys::bpf::Instruction;

// Registers: what is returned; the context; what is left to be allowed, type, major, minor; a copy.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const ACCESS: u8 = 2;
const CLASS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const COPY: u8 = 6;

// linux/bpf.h, linux/bpf_common.h.
const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_W | BPF_MEM
const MOVE: u8 = 0xb4; // BPF_ALU | BPF_MOV | BPF_K
const MOVE_REGISTER: u8 = 0xbc; // BPF_ALU | BPF_MOV | BPF_X
const AND: u8 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const SHIFT_RIGHT: u8 = 0x74; // BPF_ALU | BPF_RSH | BPF_K
const JUMP_IF_EQUAL: u8 = 0x16; // BPF_JMP32 | BPF_JEQ | BPF_K
const JUMP_UNLESS_EQUAL: u8 = 0x56; // BPF_JMP32 | BPF_JNE | BPF_K
const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT

/// The program; `None` where everything is allowed.
pub(crate) fn compile(rules: &[Rule]) -> Option<Vec<Instruction>> {
    let mut program = vec![
        // struct bpf_cgroup_dev_ctx { access << 16 | type, major, minor }
        Instruction { code: LOAD_WORD, registers: ACCESS | CONTEXT << 4, offset: 0, immediate: 0 },
        Instruction { code: MOVE_REGISTER, registers: CLASS | ACCESS << 4, offset: 0, immediate: 0 },
        number(AND, CLASS, 0xffff),
        number(SHIFT_RIGHT, ACCESS, 16),
        Instruction { code: LOAD_WORD, registers: MAJOR | CONTEXT << 4, offset: 4, immediate: 0 },
        Instruction { code: LOAD_WORD, registers: MINOR | CONTEXT << 4, offset: 8, immediate: 0 },
    ];
    let mut allow_by_default = false;
    let mut denies = false;
    for rule in rules.iter().rev() {
        match *rule {
            Rule::Everything { allow } => {
                allow_by_default = allow;
                break;
            }
            Rule::Some { allow, nodes, access } => {
                denies |= !allow;
                program.extend(block(allow, nodes, access));
            }
        }
    }
    program.extend(answer(allow_by_default));
    (denies || !allow_by_default).then_some(program)
}

/// A program that allows everything, for a cgroup that has another.
pub(crate) fn everything() -> Vec<Instruction> {
    answer(true).to_vec()
}

/// One rule: falls through to the next where it does not decide.
fn block(allow: bool, nodes: Nodes, access: u8) -> Vec<Instruction> {
    let access = i32::from(access);
    let mut verdict = Vec::new();
    match (allow, access == i32::from(ALL)) {
        (_, true) => verdict.extend(answer(allow)),
        (true, false) => {
            verdict.push(number(AND, ACCESS, !access));
            verdict.push(skip(JUMP_UNLESS_EQUAL, ACCESS, 0, 2));
            verdict.extend(answer(true));
        }
        (false, false) => {
            verdict.push(Instruction {
                code: MOVE_REGISTER,
                registers: COPY | ACCESS << 4,
                offset: 0,
                immediate: 0,
            });
            verdict.push(number(AND, COPY, access));
            verdict.push(skip(JUMP_IF_EQUAL, COPY, 0, 2));
            verdict.extend(answer(false));
        }
    }
    let class = match nodes.class {
        Class::Block => 1,
        Class::Char => 2,
    };
    let wanted = [(CLASS, Some(class)), (MAJOR, nodes.major), (MINOR, nodes.minor)];
    let wanted: Vec<(u8, u32)> =
        wanted.into_iter().filter_map(|(register, n)| Some((register, n?))).collect();
    let mut block = Vec::new();
    for (index, (register, value)) in wanted.iter().enumerate() {
        let over = wanted.len() - index - 1 + verdict.len();
        block.push(skip(JUMP_UNLESS_EQUAL, *register, value.cast_signed(), over));
    }
    block.extend(verdict);
    block
}

fn answer(allow: bool) -> [Instruction; 2] {
    [
        number(MOVE, RESULT, i32::from(allow)),
        Instruction { code: EXIT, registers: 0, offset: 0, immediate: 0 },
    ]
}

const fn number(code: u8, register: u8, immediate: i32) -> Instruction {
    Instruction { code, registers: register, offset: 0, immediate }
}

/// A block has less than a dozen instructions.
fn skip(code: u8, register: u8, immediate: i32, over: usize) -> Instruction {
    Instruction { code, registers: register, offset: i16::try_from(over).unwrap_or_default(), immediate }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::interpreter::run;
    use super::super::rules::{MKNOD, READ, WRITE, rules};
    use super::*;

    fn matches(nodes: Nodes, class: Class, major: u32, minor: u32) -> bool {
        nodes.class == class
            && nodes.major.is_none_or(|wanted| wanted == major)
            && nodes.minor.is_none_or(|wanted| wanted == minor)
    }

    /// What the rules mean, said once more: each letter by the last rule that has a word on it.
    fn allowed(rules: &[Rule], class: Class, major: u32, minor: u32, access: u8) -> bool {
        let letter = |bit: u8| {
            let word = rules.iter().rev().find_map(|rule| match *rule {
                Rule::Everything { allow } => Some(allow),
                Rule::Some { allow, nodes, access } => {
                    (access & bit != 0 && matches(nodes, class, major, minor)).then_some(allow)
                }
            });
            word.unwrap_or(false)
        };
        [MKNOD, READ, WRITE].into_iter().filter(|bit| access & bit != 0).all(letter)
    }

    fn class() -> impl Strategy<Value = Class> {
        prop_oneof![Just(Class::Block), Just(Class::Char)]
    }

    fn rule() -> impl Strategy<Value = Rule> {
        let number = || prop_oneof![Just(None), (0_u32..3).prop_map(Some), Just(Some(u32::MAX))];
        let some = (any::<bool>(), class(), number(), number(), 1_u8..8).prop_map(
            |(allow, class, major, minor, access)| Rule::Some {
                allow,
                nodes: Nodes { class, major, minor },
                access,
            },
        );
        prop_oneof![1 => any::<bool>().prop_map(|allow| Rule::Everything { allow }), 9 => some]
    }

    proptest! {
        #[test]
        fn the_program_means_what_the_rules_mean(
            rules in prop::collection::vec(rule(), 0..12),
            class in class(),
            major in 0_u32..3,
            minor in prop_oneof![0_u32..3, Just(u32::MAX)],
            access in 1_u8..8,
        ) {
            let answer = match compile(&rules) {
                Some(program) => run(&program, u32::from(access) << 16 | class as u32, major, minor),
                None => true,
            };
            prop_assert_eq!(answer, allowed(&rules, class, major, minor, access));
        }
    }

    #[test]
    fn no_program_is_needed_where_everything_is_allowed() {
        let all: Vec<_> = serde_json::from_str(r#"[{"allow":true}]"#).unwrap();
        assert_eq!(compile(&rules(&all).unwrap()), None);
        assert!(compile(&rules(&[]).unwrap()).is_some());
    }
}
