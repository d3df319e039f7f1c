//! The smallest part of a world that still breaks the same promise.

use super::plan::Plan;
use super::timeline::Telling;
use super::{Failure, WorldId, run};

/// Leaves out faults, clients and batches, one after the other, as long as the world goes on failing
/// in the same way. `None` if it does not fail at all.
#[must_use]
pub fn shrink(id: &WorldId) -> Option<Box<Failure>> {
    let mut smallest = run(id, Telling::Nothing).err()?;
    let shape = shape_of(&smallest.reason);
    let still_fails = |id: &WorldId| {
        run(id, Telling::Nothing).err().filter(|failure| shape_of(&failure.reason) == shape)
    };
    let plan = Plan::of(id).ok()?;
    let (faults, clients) = (plan.faults.len(), plan.clients.len());
    let of_faults = |id: &WorldId, kept| WorldId { faults: Some(kept), ..id.clone() };
    let of_clients = |id: &WorldId, kept| WorldId { clients: Some(kept), ..id.clone() };
    let numbers = |given: &Option<Vec<usize>>, count| match given {
        Some(given) => given.clone(),
        None => (0..count).collect(),
    };
    let kept = numbers(&id.faults, faults);
    smallest = without_each(smallest, kept, of_faults, still_fails);
    // The first client makes the topics, and is there whether it is kept or not.
    let kept = numbers(&id.clients, clients).into_iter().filter(|it| *it > 0).collect();
    smallest = without_each(smallest, kept, of_clients, still_fails);
    let mut batches = 64;
    while batches > 0 {
        let fewer = WorldId { batches: Some(batches), ..smallest.world.clone() };
        match still_fails(&fewer) {
            Some(failure) => smallest = failure,
            None => break,
        }
        batches /= 2;
    }
    Some(smallest)
}

/// Tries to do without halves, quarters and so on down to single things.
fn without_each(
    mut smallest: Box<Failure>,
    mut kept: Vec<usize>,
    with: impl Fn(&WorldId, Vec<usize>) -> WorldId,
    still_fails: impl Fn(&WorldId) -> Option<Box<Failure>>,
) -> Box<Failure> {
    let mut piece = kept.len();
    while piece > 0 {
        let mut at = 0;
        while at < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(at..(at + piece).min(kept.len()));
            match still_fails(&with(&smallest.world, fewer.clone())) {
                Some(failure) => (smallest, kept) = (failure, fewer),
                None => at += piece,
            }
        }
        piece /= 2;
    }
    smallest
}

/// A reason without its numbers and names: two worlds with the same one failed in the same way.
fn shape_of(reason: &str) -> String {
    let mut in_quotes = false;
    let is_kept = |c: &char| {
        in_quotes ^= *c == '"';
        !in_quotes && (c.is_alphabetic() || *c == ' ')
    };
    reason.chars().filter(is_kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_do_not_make_another_failure() {
        let shape = |text| shape_of(text);
        assert_eq!(
            shape("(\"orders\", 1): offset 7 is missing"),
            shape("(\"parcels\", 0): offset 12 is missing")
        );
        assert_ne!(shape("offset 7 is missing"), shape("offset 7: it was read once"));
    }

    /// It fails with the third thing and the sixth, whatever else there is.
    #[test]
    fn only_what_is_needed_stays() {
        let of = |kept: &[usize]| {
            Box::new(Failure {
                world: WorldId { faults: Some(kept.to_vec()), ..WorldId::of_seed(1) },
                reason: String::new(),
                timeline: Vec::new(),
            })
        };
        let all: Vec<usize> = (0..9).collect();
        let smallest = without_each(
            of(&all),
            all.clone(),
            |id, kept| WorldId { faults: Some(kept), ..id.clone() },
            |id| {
                let kept = id.faults.clone()?;
                (kept.contains(&3) && kept.contains(&6)).then(|| of(&kept))
            },
        );
        assert_eq!(smallest.world.faults, Some(vec![3, 6]));
    }
}
