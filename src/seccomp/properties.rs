//! The compiler against what profiles mean: random ones, random calls, the program executed by an interpreter and the
//! profile read by a second, slower eye. And against libseccomp, where that is on the machine.
#![forbid(unsafe_code)]

use proptest::prelude::*;

use super::compile::compile;
use super::interpreter::{Data, run};
use super::profile::{
    ALLOW, Action, Architecture, Call, Compare, Condition, ERRNO, KILL_PROCESS, KILL_THREAD, LOG, Profile,
    Rule, TRACE, TRAP, X32_BIT,
};
use crate::sys::libseccomp::{Argument, Library};
use crate::wire::Instruction;

/// Calls with a number everywhere, in some places, through the multiplexers, new, old, ARM's own, and none.
const NAMES: [&str; 24] = [
    "read",
    "write",
    "open",
    "clone",
    "socket",
    "accept",
    "semop",
    "shmat",
    "personality",
    "execve",
    "ioctl",
    "waitpid",
    "mmap2",
    "set_tls",
    "cacheflush",
    "breakpoint",
    "openat2",
    "file_setattr",
    "send",
    "recv",
    "ptrace",
    "semtimedop",
    "clone3",
    "no_such_call",
];

const ARCHITECTURES: [Architecture; 5] =
    [Architecture::X86_64, Architecture::X86, Architecture::X32, Architecture::Aarch64, Architecture::Arm];

fn actions() -> impl Strategy<Value = Action> {
    prop::sample::select(vec![
        ALLOW,
        LOG,
        KILL_THREAD,
        KILL_PROCESS,
        TRAP,
        ERRNO | 1,
        ERRNO | 38,
        ERRNO,
        TRACE | 7,
    ])
}

/// Values near each other, and near where halves meet.
fn values() -> impl Strategy<Value = u64> {
    let around = prop::sample::select(vec![
        0_u64,
        2,
        40,
        0x7fff_ffff,
        0xffff_ffff,
        0x1_0000_0000,
        0x2_0000_0005,
        u64::MAX,
    ]);
    (around, 0..3_u64).prop_map(|(value, more)| value.wrapping_add(more).wrapping_sub(1))
}

fn conditions() -> impl Strategy<Value = Condition> {
    let compare = prop_oneof![
        Just(Compare::NotEqual),
        Just(Compare::Less),
        Just(Compare::LessOrEqual),
        Just(Compare::Equal),
        Just(Compare::GreaterOrEqual),
        Just(Compare::Greater),
        values().prop_map(Compare::Masked),
    ];
    // Few arguments, so that conditions meet.
    (0..3_u32, compare, values()).prop_map(|(index, compare, value)| Condition { index, compare, value })
}

fn rules() -> impl Strategy<Value = Rule> {
    let names = prop::collection::vec(prop::sample::select(NAMES.to_vec()), 1..4);
    let alternatives = prop::collection::vec(prop::collection::vec(conditions(), 1..4), 0..3);
    (names, alternatives, actions()).prop_map(|(names, alternatives, action)| Rule {
        calls: names.into_iter().filter_map(Call::new).collect(),
        alternatives,
        action,
    })
}

fn profiles() -> impl Strategy<Value = Profile> {
    let architectures = prop::sample::subsequence(ARCHITECTURES.to_vec(), 1..5);
    (actions(), architectures, prop::collection::vec(rules(), 0..12))
        .prop_map(|(default, architectures, rules)| Profile { default, architectures, rules })
}

fn calls() -> impl Strategy<Value = Data> {
    let named = (prop::sample::select(NAMES.to_vec()), prop::sample::select(ARCHITECTURES.to_vec()))
        .prop_map(|(name, architecture)| {
            let number = Call::new(name).and_then(|call| call.number(architecture));
            (number.unwrap_or(102), architecture.audit())
        });
    let numbers = prop_oneof![
        0..600_u32,
        Just(u32::MAX),
        Just(X32_BIT - 1),
        X32_BIT..X32_BIT + 600,
        0xe_fff0..0xf_0010_u32,
        any::<u32>(),
        Just(102),
        Just(117),
    ];
    let audits = prop::sample::select(
        ARCHITECTURES.map(Architecture::audit).into_iter().chain([8]).collect::<Vec<_>>(),
    );
    let arguments = prop::array::uniform6(prop_oneof![values(), 0..26_u64]);
    (prop_oneof![named, (numbers, audits)], arguments).prop_map(|((number, architecture), arguments)| Data {
        number,
        architecture,
        arguments,
    })
}

// ---- the second eye ------------------------------------------------------------------------------------------------

/// From the specification's words, one call at a time, without any order or table.
fn meaning(profile: &Profile, data: &Data) -> Action {
    let of_line = |one: &&Architecture| one.audit() == data.architecture;
    let listed: Vec<_> = profile.architectures.iter().filter(of_line).collect();
    let is_x32 = data.architecture == 0xc000_003e && data.number >= X32_BIT && data.number != u32::MAX;
    let wanted = listed.iter().find(|one| ***one == Architecture::X32 || !is_x32);
    let wanted = if is_x32 { listed.iter().find(|one| ***one == Architecture::X32) } else { wanted };
    let Some(architecture) = wanted.map(|one| **one) else { return KILL_THREAD };
    if data.architecture == 0xc000_003e && (architecture == Architecture::X32) != is_x32 {
        // The number is x86_64's; is that listed?
        if !listed.contains(&&Architecture::X86_64) {
            return if data.number == u32::MAX { of_x32(profile, data) } else { KILL_THREAD };
        }
        return of(profile, Architecture::X86_64, data);
    }
    of(profile, architecture, data)
}

/// Without x86_64 nobody knows that -1 is no call.
fn of_x32(profile: &Profile, data: &Data) -> Action {
    of(profile, Architecture::X32, data)
}

fn of(profile: &Profile, architecture: Architecture, data: &Data) -> Action {
    let mut last = None;
    let mut first = None;
    for rule in &profile.rules {
        for call in &rule.calls {
            let number = call.number(architecture);
            let direct = number == Some(data.number);
            let through = architecture == Architecture::X86
                && subcall(&call.name) == Some((data.number, data.arguments[0] as u32));
            if direct && rule.alternatives.is_empty() {
                return first_always(profile, architecture, data);
            }
            let holds = |skip_first: bool| {
                rule.alternatives.iter().any(|all| {
                    all.iter()
                        .filter(|one| !skip_first || one.index != 0)
                        .all(|one| met(one, architecture, data))
                })
            };
            if first.is_none()
                && ((direct && holds(false)) || (through && (rule.alternatives.is_empty() || holds(true))))
            {
                first = Some(rule.action);
            }
            last = last.max(number.filter(|number| architecture != Architecture::Arm || *number < 0xf_0000));
        }
    }
    let named = profile.rules.iter().flat_map(|rule| &rule.calls).any(|call| {
        call.number(architecture) == Some(data.number)
            || (architecture == Architecture::X86
                && subcall(&call.name).is_some_and(|(number, _)| number == data.number))
    });
    let refusing = [KILL_THREAD, KILL_PROCESS, TRAP, ERRNO].contains(&(profile.default & 0xffff_0000));
    let is_private = architecture == Architecture::Arm && data.number >= 0xf_0000;
    let is_no_call = data.architecture == 0xc000_003e
        && data.number == u32::MAX
        && profile.architectures.contains(&Architecture::X86_64);
    let is_newer = last.is_some_and(|last| data.number > last) && !is_private && !is_no_call;
    first.unwrap_or(if refusing && is_newer && !named { ERRNO | 38 } else { profile.default })
}

fn first_always(profile: &Profile, architecture: Architecture, data: &Data) -> Action {
    let is_named =
        |rule: &&Rule| rule.calls.iter().any(|call| call.number(architecture) == Some(data.number));
    let always = profile.rules.iter().filter(is_named).find(|rule| rule.alternatives.is_empty());
    always.unwrap().action
}

fn met(condition: &Condition, architecture: Architecture, data: &Data) -> bool {
    let narrow = matches!(architecture, Architecture::X86 | Architecture::X32 | Architecture::Arm);
    let cut = |value: u64| if narrow { value & 0xffff_ffff } else { value };
    let (argument, value) = (cut(data.arguments[condition.index as usize]), cut(condition.value));
    match condition.compare {
        Compare::NotEqual => argument != value,
        Compare::Less => argument < value,
        Compare::LessOrEqual => argument <= value,
        Compare::Equal => argument == value,
        Compare::GreaterOrEqual => argument >= value,
        Compare::Greater => argument > value,
        Compare::Masked(mask) => argument & mask == value,
    }
}

fn subcall(name: &str) -> Option<(u32, u32)> {
    Some(match name {
        "socket" => (102, 1),
        "accept" => (102, 5),
        "send" => (102, 9),
        "recv" => (102, 10),
        "semop" => (117, 1),
        "semtimedop" => (117, 4),
        "shmat" => (117, 21),
        _ => return None,
    })
}

// ---- the properties ------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_program_decides_as_its_profile_says(profile in profiles(), calls in prop::collection::vec(calls(), 60)) {
        let program = compile(&profile).unwrap();
        for call in &calls {
            prop_assert_eq!(run(&program, call), meaning(&profile, call), "{:?}", call);
        }
    }

    #[test]
    fn what_is_said_of_a_native_call_is_what_happens(profile in profiles(), calls in prop::collection::vec(calls(), 20)) {
        let native = Architecture::NATIVE;
        let profile = Profile { architectures: vec![native], ..profile };
        let program = compile(&profile).unwrap();
        for name in NAMES {
            let Some(number) = Call::new(name).and_then(|call| call.number(native)) else { continue };
            let Some(said) = profile.decides(name) else { continue };
            for call in &calls {
                let call = Data { number, architecture: native.audit(), ..*call };
                prop_assert_eq!(run(&program, &call), said, "{}", name);
            }
        }
    }

    #[test]
    fn libseccomp_makes_the_same_of_it(profile in undisputed(), calls in prop::collection::vec(calls(), 80)) {
        let Some(library) = Library::open().filter(|_| cfg!(target_arch = "x86_64")) else {
            eprintln!("skipped libseccomp_makes_the_same_of_it: no libseccomp.so.2 for x86_64");
            return Ok(());
        };
        let (ours, theirs) = (compile(&profile).unwrap(), of_library(&library, &profile));
        let native = Architecture::X86_64;
        for call in &calls {
            let mut call = *call;
            if call.architecture != native.audit() || call.number >= X32_BIT {
                // The kernel gives no more of 32-bit arguments; libseccomp looks at the rest here and there.
                call.arguments = call.arguments.map(|argument| argument & 0xffff_ffff);
            }
            let (ours, theirs) = (run(&ours, &call), run(&theirs, &call));
            // ENOSYS for what is newer than the profile is not libseccomp's.
            if ours != ERRNO | 38 {
                prop_assert_eq!(ours, theirs, "{:?}", call);
            }
        }
    }
}

/// Profiles whose rules do not contradict each other: each call once.
fn undisputed() -> impl Strategy<Value = Profile> {
    let action = prop::sample::select(vec![ALLOW, LOG, TRAP, ERRNO | 1, ERRNO | 5, TRACE | 7]);
    let condition = conditions().prop_map(|one| match one.compare {
        // A bit beside the mask: here it can never be there, libseccomp does not look at it.
        Compare::Masked(mask) => Condition { value: one.value & mask, ..one },
        _ => one,
    });
    // Each argument at most once in an alternative: libseccomp takes no more.
    let all = prop::collection::vec(condition, 0..3).prop_map(|mut all| {
        all.sort_by_key(|one| one.index);
        all.dedup_by_key(|one| one.index);
        all
    });
    // libseccomp 2.5 does not know the newest, and has a way of its own with calls that lack a number on one of the
    // architectures.
    let is_everywhere = |name: &&str| {
        let number = |one| Call::new(name).and_then(|call| call.number(one));
        [Architecture::X86_64, Architecture::X86, Architecture::X32]
            .into_iter()
            .all(|one| number(one).is_some())
    };
    let names: Vec<_> =
        NAMES.iter().copied().filter(is_everywhere).filter(|name| *name != "file_setattr").collect();
    let rule = (prop::sample::select(names), all, action);
    let architectures = prop::sample::subsequence(vec![Architecture::X86, Architecture::X32], 0..=2);
    let default = prop::sample::select(vec![ERRNO | 2, ERRNO | 38, KILL_PROCESS]);
    (default, architectures, prop::collection::vec(rule, 0..12)).prop_map(|(default, more, rules)| {
        let mut seen = Vec::new();
        let rules = rules.into_iter().filter(|(name, ..)| {
            let is_new = !seen.contains(name);
            seen.push(*name);
            is_new
        });
        let rules = rules.filter_map(|(name, all, action)| {
            // With conditions it also changes those of the direct number.
            let bare = all.is_empty() || subcall(name).is_some();
            let alternatives = if bare { Vec::new() } else { vec![all] };
            Some(Rule { calls: vec![Call::new(name)?], alternatives, action })
        });
        let architectures = std::iter::once(Architecture::X86_64).chain(more).collect();
        Profile { default, architectures, rules: rules.collect() }
    })
}

fn of_library(library: &Library, profile: &Profile) -> Vec<Instruction> {
    let tokens: Vec<u32> = profile.architectures.iter().map(|one| token(*one)).collect();
    let argument = |one: &Condition| {
        let (operator, values) = match one.compare {
            Compare::NotEqual => (1, [one.value, 0]),
            Compare::Less => (2, [one.value, 0]),
            Compare::LessOrEqual => (3, [one.value, 0]),
            Compare::Equal => (4, [one.value, 0]),
            Compare::GreaterOrEqual => (5, [one.value, 0]),
            Compare::Greater => (6, [one.value, 0]),
            Compare::Masked(mask) => (7, [mask, one.value]),
        };
        Argument { index: one.index, operator, values }
    };
    let rules: Vec<_> = profile
        .rules
        .iter()
        .map(|rule| {
            let conditions = rule.alternatives.first().map(|all| all.iter().map(argument).collect());
            (rule.action, rule.calls[0].name.as_str(), conditions.unwrap_or_default())
        })
        .collect();
    let program = library.compile(profile.default, &tokens, &rules).unwrap();
    program.into_iter().map(Instruction::from).collect()
}

/// `SCMP_ARCH_*`.
fn token(architecture: Architecture) -> u32 {
    if architecture == Architecture::X32 { 0x4000_003e } else { architecture.audit() }
}

#[test]
fn numbers_are_those_of_libseccomp() {
    let Some(library) = Library::open() else {
        eprintln!("skipped numbers_are_those_of_libseccomp: no libseccomp.so.2");
        return;
    };
    for architecture in ARCHITECTURES {
        let mut compared = 0;
        for name in super::numbers::names() {
            let theirs = library.number(token(architecture), name);
            let ours = Call::new(name).unwrap().number(architecture);
            // It knows fewer of the newest, and gives pseudo numbers to what is elsewhere.
            if let Ok(theirs) = u32::try_from(theirs) {
                assert_eq!(ours, Some(theirs), "{architecture:?} {name}");
                compared += 1;
            }
        }
        assert!(compared > 250, "{architecture:?}: {compared}");
    }
}
