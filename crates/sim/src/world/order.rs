//! Whether what clients saw of a partition could have happened one thing after the other, each between
//! its request and its answer (linearizable: Herlihy and Wing, 1990).
//!
//! In general that takes a search. Here the offsets already say in which order things happened: an append
//! stands at the offset it was given, a read at the high watermark it was told. What is left to look at
//! is time: who asks after another has his answer stands no earlier in the log. So one number is
//! enough, how far any answer has reached, taken down with each request and held against its answer.

/// How far answers had reached when something was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    reached: i64,
    /// How often the power had failed: what it took with it nobody looks for.
    power_failures: u64,
}

/// Of one partition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Order {
    /// Behind the last record that any answer told of.
    reached: i64,
}

impl Order {
    pub(super) fn ask(self, power_failures: u64) -> Asked {
        Asked { reached: self.reached, power_failures }
    }

    /// Something was answered that stands in the log at `at` and reaches to `end`.
    pub(super) fn answer(
        &mut self,
        asked: Asked,
        power_failures: u64,
        (at, end): (i64, i64),
    ) -> Result<(), String> {
        if asked.power_failures == power_failures && at < asked.reached {
            let reached = asked.reached;
            return Err(format!("an answer stands at {at}, before it was asked one had {reached}"));
        }
        self.reached = self.reached.max(end);
        Ok(())
    }

    /// Only what lies below `kept` is sure to be there.
    pub(super) fn on_power_failure(&mut self, kept: i64) {
        self.reached = self.reached.min(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_may_stand_in_any_order() {
        let mut order = Order::default();
        let (append, read) = (order.ask(0), order.ask(0));
        assert_eq!(order.answer(append, 0, (0, 3)), Ok(()));
        assert_eq!(order.answer(read, 0, (0, 0)), Ok(()));
    }

    #[test]
    fn who_asks_later_stands_no_earlier() {
        let mut order = Order::default();
        let append = order.ask(0);
        assert_eq!(order.answer(append, 0, (0, 3)), Ok(()));
        let (read, append) = (order.ask(0), order.ask(0));
        assert!(order.answer(read, 0, (2, 2)).is_err(), "the append is not seen");
        assert!(order.answer(append, 0, (2, 4)).is_err(), "the append is written over");
        assert_eq!(order.answer(read, 0, (3, 3)), Ok(()));
    }

    #[test]
    fn what_the_power_took_is_not_looked_for() {
        let mut order = Order::default();
        let before = order.ask(0);
        assert_eq!(order.answer(before, 0, (0, 9)), Ok(()));
        let under_way = order.ask(0);
        order.on_power_failure(4);
        assert_eq!(order.answer(under_way, 1, (5, 5)), Ok(()));
        assert!(order.answer(order.ask(1), 1, (3, 3)).is_err());
    }
}
