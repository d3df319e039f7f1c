//! Which mutants are looked at: a random order from a seed, of which as many are taken as are needed.

use strom_base::Random;

use super::mutant::Mutant;

/// All of them in the order of the draw.
pub(super) fn shuffled(mut mutants: Vec<Mutant>, seed: u64) -> Vec<Mutant> {
    let mut random = Random::new(seed);
    for index in (1..mutants.len()).rev() {
        mutants.swap(index, random.below(index as u64 + 1) as usize);
    }
    mutants
}

/// The next ones, so that as many as wanted are viable in the end; those of one crate follow each other,
/// for each change of the crate costs a build of what is above it.
pub(super) fn next(
    drawn: &[Mutant],
    wanted: usize,
    is_viable: impl Fn(&Mutant) -> Option<bool>,
) -> Vec<&Mutant> {
    let (mut viable, mut taken) = (0, Vec::new());
    for mutant in drawn {
        if viable == wanted {
            break;
        }
        match is_viable(mutant) {
            Some(true) => viable += 1,
            Some(false) => {}
            None => {
                viable += 1;
                taken.push(mutant);
            }
        }
    }
    taken.sort_by(|left, right| left.identity.cmp(&right.identity));
    taken
}

#[cfg(test)]
mod tests {
    use super::super::mutant::Identity;
    use super::*;

    fn mutants(count: usize) -> Vec<Mutant> {
        let mutant = |number: usize| Mutant {
            identity: Identity {
                of: ["base", "raft"][number % 2].to_owned(),
                file: String::new(),
                function: String::new(),
                mutation: String::new(),
                number,
            },
            replacement: String::new(),
            begin: (1, 1),
            end: (1, 1),
        };
        (0..count).map(mutant).collect()
    }

    fn numbers<'a>(mutants: impl IntoIterator<Item = &'a Mutant>) -> Vec<usize> {
        mutants.into_iter().map(|it| it.identity.number).collect()
    }

    #[test]
    fn a_seed_draws_the_same_order_each_time_and_every_mutant_once() {
        let (first, again) = (shuffled(mutants(50), 7), shuffled(mutants(50), 7));
        assert_eq!(numbers(&first), numbers(&again));
        assert_ne!(numbers(&first), numbers(&shuffled(mutants(50), 8)));
        let mut all = numbers(&first);
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn more_are_drawn_for_those_that_do_not_compile_and_none_is_drawn_twice() {
        let drawn = mutants(10);
        assert_eq!(numbers(next(&drawn, 4, |_| None)), [0, 2, 1, 3]);
        // The first one does not compile, the second one is judged already.
        let judged = |it: &Mutant| match it.identity.number {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        };
        assert_eq!(numbers(next(&drawn, 4, judged)), [2, 4, 3]);
        assert!(next(&drawn, 4, |_| Some(true)).is_empty());
        assert_eq!(next(&drawn, 40, |_| None).len(), 10);
    }
}
