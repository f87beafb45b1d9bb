//! Puts a search before a filter, so that for each call it is found in few steps whether its arguments matter at all.
//!
//! A filter of `seccompiler` compares a call with one of its list after the other. When the kernel takes a filter it tries
//! every call that there is, to know those that it need not ask about again (`seccomp_cache_prepare` in kernel/seccomp.c),
//! and compiles it: with a hundred calls that is most of what the whole jail costs. The search takes eight steps for a
//! call, and only those whose arguments matter get to the filter behind it.

use libc::{
    BPF_ABS, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW, SECCOMP_RET_DATA, SECCOMP_RET_ERRNO,
    SECCOMP_RET_KILL_PROCESS, c_int, c_long,
};
use seccompiler::{BpfProgram, sock_filter};
use std::collections::BTreeMap;
use std::io;

/// The instructions with which a program of `seccompiler` begins: is this call one of this machine's architecture?
const ARCHITECTURE: usize = 3;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Allow,
    /// It gets this error.
    Refuse(c_int),
    /// The filter behind the search says it.
    Ask,
}

/// Where a step leads to.
#[derive(Clone, Copy)]
enum Next {
    Step(usize),
    Answer(Answer),
}

/// Is the number at least this one? Where to go then, and else.
struct Step {
    number: u32,
    yes: Next,
    no: Next,
}

/// `program` with a search before it, for calls that are not all to get the answer `others`.
pub(crate) fn before(
    mut program: BpfProgram,
    calls: &BTreeMap<c_long, Answer>,
    others: Answer,
) -> io::Result<BpfProgram> {
    let refused = program.get(ARCHITECTURE - 1);
    if refused.is_none_or(|end| (end.code, end.k) != (code(BPF_RET | BPF_K), SECCOMP_RET_KILL_PROCESS)) {
        return Err(io::Error::other("the program does not begin with a look at the architecture"));
    }
    program.splice(ARCHITECTURE..ARCHITECTURE, search(calls, others)?);
    Ok(program)
}

/// The instructions of the search. Those that come next are reached by the calls to ask about.
fn search(calls: &BTreeMap<c_long, Answer>, others: Answer) -> io::Result<BpfProgram> {
    /// Of `struct seccomp_data`: the number of the call.
    const NUMBER: u32 = 0;
    let mut steps = Vec::new();
    add(&mut steps, &changes(calls, others)?);
    let mut answers: Vec<Answer> = Vec::new();
    for step in &steps {
        for next in [step.yes, step.no] {
            if let Next::Answer(answer) = next
                && answer != Answer::Ask
                && !answers.contains(&answer)
            {
                answers.push(answer);
            }
        }
    }
    let mut program = vec![instruction(BPF_LD | BPF_W | BPF_ABS, NUMBER)];
    for (index, step) in steps.iter().enumerate() {
        let leap = |next| {
            let to = match next {
                Next::Step(step) => step,
                // After the answers comes what says the others.
                Next::Answer(answer) => {
                    steps.len() + answers.iter().position(|known| *known == answer).unwrap_or(answers.len())
                }
            };
            u8::try_from(to - index - 1).map_err(|error| io::Error::other(format!("too many calls: {error}")))
        };
        let jump = instruction(BPF_JMP | BPF_JGE | BPF_K, step.number);
        program.push(sock_filter { jt: leap(step.yes)?, jf: leap(step.no)?, ..jump });
    }
    program.extend(answers.into_iter().map(|answer| match answer {
        Answer::Refuse(error) => {
            instruction(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error.unsigned_abs() & SECCOMP_RET_DATA))
        }
        Answer::Allow | Answer::Ask => instruction(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }));
    Ok(program)
}

/// From which number on calls get which answer.
fn changes(calls: &BTreeMap<c_long, Answer>, others: Answer) -> io::Result<Vec<(u32, Answer)>> {
    let mut changes = vec![(0, others)];
    for (call, answer) in calls {
        let number = u32::try_from(*call).map_err(io::Error::other)?;
        // What the call before it has ended where this one begins.
        changes.pop_if(|(from, _)| *from == number);
        if changes.last().is_none_or(|(_, before)| before != answer) {
            changes.push((number, *answer));
        }
        changes.push((number + 1, others));
    }
    Ok(changes)
}

fn add(steps: &mut Vec<Step>, changes: &[(u32, Answer)]) -> Next {
    let (below, above) = changes.split_at(changes.len() / 2);
    match (below, above) {
        (below @ [_, ..], above @ [(number, _), ..]) => {
            let this = steps.len();
            steps.push(Step { number: *number, yes: Next::Step(this), no: Next::Step(this) });
            let (no, yes) = (add(steps, below), add(steps, above));
            (steps[this].no, steps[this].yes) = (no, yes);
            Next::Step(this)
        }
        (_, [(_, answer)]) => Next::Answer(*answer),
        _ => Next::Answer(Answer::Ask),
    }
}

fn instruction(bits: u32, k: u32) -> sock_filter {
    sock_filter { code: code(bits), jt: 0, jf: 0, k }
}

#[expect(clippy::cast_possible_truncation, reason = "the codes of instructions have eight bits")]
fn code(bits: u32) -> u16 {
    bits as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPERM: Answer = Answer::Refuse(libc::EPERM);

    /// What a program answers by itself.
    fn answer(program: &[sock_filter], number: u32) -> Answer {
        let mut at = 1;
        while let Some(step) = program.get(at) {
            if step.code == code(BPF_RET | BPF_K) {
                return match step.k {
                    SECCOMP_RET_ALLOW => Answer::Allow,
                    error => Answer::Refuse((error & SECCOMP_RET_DATA).cast_signed()),
                };
            }
            at += 1 + usize::from(if number >= step.k { step.jt } else { step.jf });
        }
        assert_eq!(at, program.len(), "it leads to the instruction that comes next");
        Answer::Ask
    }

    fn check(calls: impl IntoIterator<Item = (c_long, Answer)>) {
        let calls = BTreeMap::from_iter(calls);
        let program = search(&calls, EPERM).unwrap();
        for number in (0..600).chain([0x4000_0000, u32::MAX]) {
            let expected = calls.get(&number.into()).copied().unwrap_or(EPERM);
            assert_eq!(answer(&program, number), expected, "{number} of {calls:?}");
        }
    }

    #[test]
    fn each_call_gets_its_answer() {
        let unknown = Answer::Refuse(libc::ENOSYS);
        check([(0, Answer::Allow)]);
        check([(0, Answer::Ask)]);
        check([(7, Answer::Allow), (8, Answer::Allow), (9, Answer::Ask), (10, Answer::Allow), (12, Answer::Allow)]);
        check([(3, unknown), (4, EPERM), (5, Answer::Ask), (435, unknown)]);
        check((0..200).map(|call| (call, Answer::Allow)));
        let answers = [Answer::Allow, Answer::Ask, unknown];
        check((0..60).map(|call| (call * 3, answers[usize::try_from(call).unwrap() % 3])));
    }

    #[test]
    fn too_many_calls_are_an_error() {
        let calls = (0..400).map(|call| (call * 2, Answer::Allow)).collect();
        search(&calls, EPERM).unwrap_err();
    }

    #[test]
    fn a_search_is_put_behind_the_look_at_the_architecture_alone() {
        let load = || instruction(BPF_LD | BPF_W | BPF_ABS, 4);
        let calls = BTreeMap::from([(1, Answer::Allow)]);
        assert!(before(Vec::new(), &calls, EPERM).is_err());
        assert!(before(vec![load(), load(), load()], &calls, EPERM).is_err());
        let end = instruction(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
        let program = before(vec![load(), load(), end, load()], &calls, EPERM).unwrap();
        assert_eq!(answer(&program[3..program.len() - 1], 1), Answer::Allow);
    }
}
