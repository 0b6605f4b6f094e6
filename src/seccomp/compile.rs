//! From the profile to classic BPF (bpf(4), Documentation/userspace-api/seccomp_filter.rst). Pure.
//!
//! For each architecture the line of all numbers is cut where decisions change, and a binary search finds the stretch:
//! 400 names in an allow-list are some 50 stretches, six comparisons deep. Stretches that depend upon arguments end in
//! a chain of comparisons. Jumps of BPF go forward only, so the program is built from its end.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::profile::{ARM_PRIVATE, Action, Architecture, Compare, Condition, KILL_THREAD, Profile, enosys};
use crate::wire::Instruction;

/// The kernel takes no longer ones (linux/bpf_common.h).
pub(super) const MOST: usize = 4096;

/// `None`: too long for the kernel.
pub(super) fn compile(profile: &Profile) -> Option<Vec<Instruction>> {
    let mut program = Reversed::default();
    // A call of an architecture that the profile does not list ends the thread, as with libseccomp.
    let mut next = program.give(KILL_THREAD);
    for line in lines(profile).iter().rev() {
        let tree = line.tree(&mut program);
        let number = program.load(NUMBER, tree);
        next = program.branch(EQUAL, line.audit, number, next);
    }
    let _start = program.load(ARCHITECTURE, next);
    program.finish()
}

/// The native line first: its calls find their place earliest.
fn lines(profile: &Profile) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for architecture in &profile.architectures {
        let audit = architecture.audit();
        let at = lines.iter().position(|line| line.audit == audit).unwrap_or_else(|| {
            lines.push(Line::new(audit));
            lines.len() - 1
        });
        lines[at].fill(profile, *architecture);
    }
    lines
}

/// All numbers that calls with one `AUDIT_ARCH_*` can have.
struct Line {
    audit: u32,
    /// Where a stretch begins, and which decision holds there. Sorted, the first at 0.
    stretches: Vec<(u32, usize)>,
    decisions: Vec<Decision>,
}

/// What becomes of a call: the first whose conditions hold, else the last word.
#[derive(Debug, PartialEq, Eq)]
struct Decision {
    choices: Vec<(Vec<Test>, Action)>,
    otherwise: Action,
}

impl Line {
    fn new(audit: u32) -> Self {
        let nobody = Decision { choices: Vec::new(), otherwise: KILL_THREAD };
        Self { audit, stretches: vec![(0, 0)], decisions: vec![nobody] }
    }

    /// Writes the decisions for one architecture onto its part of the line.
    fn fill(&mut self, profile: &Profile, architecture: Architecture) {
        let default = self.decision(Vec::new(), profile.default);
        let newer = self.decision(Vec::new(), enosys());
        let newest = profile.newest(architecture).unwrap_or(u32::MAX);
        let of_nobody = |number: u32| {
            let is_old = number <= newest || (architecture == Architecture::Arm && number >= ARM_PRIVATE);
            if is_old { default } else { newer }
        };
        let mut own = vec![(architecture.bit(), default)];
        if architecture == Architecture::Arm {
            own.push((ARM_PRIVATE, default));
        }
        for (number, choices, otherwise) in calls(profile, architecture) {
            let decision = self.decision(choices, otherwise);
            // Ascending: what the call before left to those behind it begins one later.
            own.pop_if(|(start, _)| *start == number);
            own.extend([(number, decision), (number + 1, of_nobody(number + 1))]);
        }
        let end = (architecture == Architecture::X86_64).then_some(Architecture::X32.bit());
        self.replace(architecture.bit(), end, own);
        if architecture == Architecture::X86_64 {
            // Not a call of x32: a tracer's word for "skip this one", and programs try it.
            self.stretches.push((u32::MAX, default));
        }
    }

    /// The index of a decision; equal ones are one.
    fn decision(&mut self, choices: Vec<(Vec<Test>, Action)>, otherwise: Action) -> usize {
        let decision = Decision { choices, otherwise };
        self.decisions.iter().position(|known| *known == decision).unwrap_or_else(|| {
            self.decisions.push(decision);
            self.decisions.len() - 1
        })
    }

    /// Puts `own` in place of what was between `from` and `to`, and joins neighbours that are alike.
    fn replace(&mut self, from: u32, to: Option<u32>, own: Vec<(u32, usize)>) {
        let end = to.map(|to| {
            let held = self.stretches.iter().rev().find(|(start, _)| *start <= to);
            (to, held.map_or(0, |(_, held)| *held))
        });
        let is_kept = |start: u32| start < from || start == u32::MAX || to.is_some_and(|to| start > to);
        self.stretches.retain(|(start, _)| is_kept(*start));
        self.stretches.extend(own);
        self.stretches.extend(end);
        self.stretches.sort_by_key(|(start, _)| *start);
        self.stretches.dedup_by_key(|(_, held)| *held);
    }

    fn tree(&self, program: &mut Reversed) -> Target {
        let mut leaves = HashMap::new();
        self.subtree(&self.stretches, &mut leaves, program)
    }

    fn subtree(
        &self,
        stretches: &[(u32, usize)],
        leaves: &mut HashMap<usize, Target>,
        program: &mut Reversed,
    ) -> Target {
        let middle = stretches.len() / 2;
        if middle == 0 {
            let decision = &self.decisions[stretches[0].1];
            if decision.choices.is_empty() {
                return program.give(decision.otherwise);
            }
            return *leaves.entry(stretches[0].1).or_insert_with(|| decision.emit(program));
        }
        let upper = self.subtree(&stretches[middle..], leaves, program);
        let lower = self.subtree(&stretches[..middle], leaves, program);
        program.branch(GREATER_OR_EQUAL, stretches[middle].0, upper, lower)
    }
}

impl Decision {
    fn emit(&self, program: &mut Reversed) -> Target {
        let mut next = program.give(self.otherwise);
        for (conditions, action) in self.choices.iter().rev() {
            let mut met = program.give(*action);
            for test in conditions.iter().rev() {
                met = program.compare(*test, met, next);
            }
            next = met;
        }
        next
    }
}

/// A condition, and whether the argument has 32 bits only.
type Test = (Condition, bool);

/// A call's number, its conditional rules in order, and what holds when none of them does.
type Call = (u32, Vec<(Vec<Test>, Action)>, Action);

/// The calls that an architecture knows and the profile names, ascending.
fn calls(profile: &Profile, architecture: Architecture) -> Vec<Call> {
    let mut named: Vec<(u32, Option<Vec<Test>>, Action)> = Vec::new();
    for rule in &profile.rules {
        for call in &rule.calls {
            let direct = call.number(architecture).map(|number| (number, None));
            let through = multiplexed(architecture, &call.name).map(|(number, which)| (number, Some(which)));
            for (number, which) in direct.into_iter().chain(through) {
                let all = alternatives(&rule.alternatives, which, architecture.is_narrow());
                named.extend(all.into_iter().map(|tests| (number, tests, rule.action)));
            }
        }
    }
    // Stable: rules of one call stay in their order.
    named.sort_by_key(|(number, ..)| *number);
    let mut calls: Vec<Call> = Vec::new();
    for group in named.chunk_by_mut(|(a, ..), (b, ..)| a == b) {
        let number = group[0].0;
        if let Some((_, _, action)) = group.iter().find(|(_, tests, _)| tests.is_none()) {
            calls.push((number, Vec::new(), *action));
            continue;
        }
        let choices = group.iter_mut().filter_map(|(_, tests, action)| Some((tests.take()?, *action)));
        calls.push((number, choices.collect(), profile.default));
    }
    calls
}

/// The alternatives of a rule, `None` for "always"; of a call that comes through a multiplexer, with its subcall as the
/// first argument.
fn alternatives(of_rule: &[Vec<Condition>], which: Option<u32>, narrow: bool) -> Vec<Option<Vec<Test>>> {
    let subcall =
        which.map(|which| (Condition { index: 0, compare: Compare::Equal, value: u64::from(which) }, narrow));
    if of_rule.is_empty() {
        return vec![subcall.map(|subcall| vec![subcall])];
    }
    let with_subcall = |conditions: &Vec<Condition>| {
        let others = conditions.iter().filter(|one| subcall.is_none() || one.index != 0);
        Some(subcall.into_iter().chain(others.map(|one| (*one, narrow))).collect())
    };
    of_rule.iter().map(with_subcall).collect()
}

/// The old 32-bit x86 way: one call for all of sockets, one for all of System V ipc, with the subcall as its first
/// argument. The arguments proper are in memory, which no filter sees: conditions upon the first are dropped.
fn multiplexed(architecture: Architecture, name: &str) -> Option<(u32, u32)> {
    /// linux/net.h, from 1.
    const SOCKET: [&str; 20] = [
        "socket",
        "bind",
        "connect",
        "listen",
        "accept",
        "getsockname",
        "getpeername",
        "socketpair",
        "send",
        "recv",
        "sendto",
        "recvfrom",
        "shutdown",
        "setsockopt",
        "getsockopt",
        "sendmsg",
        "recvmsg",
        "accept4",
        "recvmmsg",
        "sendmmsg",
    ];
    /// linux/ipc.h.
    const IPC: [(&str, u32); 12] = [
        ("semop", 1),
        ("semget", 2),
        ("semctl", 3),
        ("semtimedop", 4),
        ("msgsnd", 11),
        ("msgrcv", 12),
        ("msgget", 13),
        ("msgctl", 14),
        ("shmat", 21),
        ("shmdt", 22),
        ("shmget", 23),
        ("shmctl", 24),
    ];
    if architecture != Architecture::X86 {
        return None;
    }
    let socket = (1..).zip(SOCKET).find(|(_, one)| *one == name).map(|(which, _)| (102, which));
    socket.or_else(|| IPC.iter().find(|(one, _)| *one == name).map(|(_, which)| (117, *which)))
}

// ---- the assembler -------------------------------------------------------------------------------------------------

/// `BPF_LD | BPF_W | BPF_ABS` of `struct seccomp_data`.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const EQUAL: u16 = 0x15;
const GREATER: u16 = 0x25;
const GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// Offsets of an argument's halves; the architectures that we know are little-endian.
const fn halves(index: u32) -> (u32, u32) {
    (16 + 8 * index, 20 + 8 * index)
}

/// An instruction by its distance from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target(usize);

/// A program that grows from its end to its beginning.
#[derive(Default)]
struct Reversed {
    code: Vec<Instruction>,
    given: HashMap<Action, Target>,
}

impl Reversed {
    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Target {
        self.code.push(Instruction { code, jt, jf, k });
        Target(self.code.len())
    }

    /// What a jump from the next instruction must skip.
    fn distance(&self, to: Target) -> usize {
        self.code.len() - to.0
    }

    /// Ends with `action`: an end that is not far, or a new one.
    fn give(&mut self, action: Action) -> Target {
        const NEAR: usize = 128;
        if let Some(target) = self.given.get(&action).copied().filter(|target| self.distance(*target) < NEAR)
        {
            return target;
        }
        let target = self.push(RETURN, 0, 0, action);
        self.given.insert(action, target);
        target
    }

    /// The same place where a conditional jump reaches it: one has eight bits.
    fn near(&mut self, to: Target, most: usize) -> Target {
        let distance = self.distance(to);
        if distance <= most {
            return to;
        }
        match self.code[to.0 - 1] {
            end if end.code == RETURN => self.push(RETURN, 0, 0, end.k),
            _ => self.push(JUMP, 0, 0, u32::try_from(distance).unwrap_or(u32::MAX)),
        }
    }

    fn branch(&mut self, code: u16, k: u32, met: Target, not: Target) -> Target {
        if met == not {
            return met;
        }
        // One less for the first: making the second near may add an instruction between.
        let not = self.near(not, 254);
        let met = self.near(met, 255);
        let jump = |distance: usize| u8::try_from(distance).unwrap_or(u8::MAX);
        let (jt, jf) = (jump(self.distance(met)), jump(self.distance(not)));
        self.push(code, jt, jf, k)
    }

    /// Loads, and goes on at `next`.
    fn load(&mut self, offset: u32, next: Target) -> Target {
        self.goes_on_at(next);
        self.push(LOAD, 0, 0, offset)
    }

    /// What is not a jump can only go on at the instruction behind it.
    fn goes_on_at(&mut self, next: Target) {
        let distance = self.distance(next);
        if distance > 0 {
            self.push(JUMP, 0, 0, u32::try_from(distance).unwrap_or(u32::MAX));
        }
    }

    /// One argument against its value: 64 bits in two halves, the upper one first; of 32 bits the lower alone.
    fn compare(&mut self, (condition, narrow): Test, met: Target, not: Target) -> Target {
        let seen = if narrow { u64::from(u32::MAX) } else { u64::MAX };
        let Condition { index, compare, value } = condition;
        let value = value & seen;
        match compare {
            Compare::Equal => self.equal(index, seen, value, met, not),
            Compare::NotEqual => self.equal(index, seen, value, not, met),
            // A bit beside the mask can never be there.
            Compare::Masked(mask) if value & !mask != 0 => not,
            Compare::Masked(mask) => self.equal(index, mask & seen, value, met, not),
            Compare::GreaterOrEqual => self.above(GREATER_OR_EQUAL, index, value, narrow, [met, not]),
            Compare::Greater => self.above(GREATER, index, value, narrow, [met, not]),
            Compare::Less => self.above(GREATER_OR_EQUAL, index, value, narrow, [not, met]),
            Compare::LessOrEqual => self.above(GREATER, index, value, narrow, [not, met]),
        }
    }

    fn equal(&mut self, index: u32, mask: u64, value: u64, met: Target, not: Target) -> Target {
        let (low, high) = halves(index);
        let lower = self.half(low, mask as u32, value as u32, met, not);
        self.half(high, (mask >> 32) as u32, (value >> 32) as u32, lower, not)
    }

    /// One half of a comparison for equality.
    fn half(&mut self, offset: u32, mask: u32, value: u32, met: Target, not: Target) -> Target {
        if mask == 0 {
            return met;
        }
        let test = self.branch(EQUAL, value, met, not);
        if mask == u32::MAX {
            return self.load(offset, test);
        }
        self.goes_on_at(test);
        let masked = self.push(AND, 0, 0, mask);
        self.load(offset, masked)
    }

    fn above(&mut self, code: u16, index: u32, value: u64, narrow: bool, [met, not]: [Target; 2]) -> Target {
        let (low, high) = halves(index);
        let test = self.branch(code, value as u32, met, not);
        let lower = self.load(low, test);
        if narrow {
            return lower;
        }
        let value_high = (value >> 32) as u32;
        let same = self.branch(EQUAL, value_high, lower, not);
        let upper = self.branch(GREATER, value_high, met, same);
        self.load(high, upper)
    }

    fn finish(mut self) -> Option<Vec<Instruction>> {
        self.code.reverse();
        (self.code.len() <= MOST).then_some(self.code)
    }
}
