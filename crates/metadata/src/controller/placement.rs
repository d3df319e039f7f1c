//! Where the replicas of new partitions go: striped over the racks from a random start, as Apache
//! Kafka's StripedReplicaPlacer does it.
//!
//! The first replica is on an unfenced broker; the others go to the following racks, to unfenced
//! brokers first. Neighbouring partitions begin on neighbouring racks.

use std::collections::BTreeMap;

use strom_base::Random;
use strom_protocol::ErrorCode;

use super::Refusal;
use crate::image::Image;

/// The brokers of one kind in one rack, taken in turn from a start that moves with every partition.
#[derive(Debug, Default)]
struct Ring {
    brokers: Vec<i32>,
    start: usize,
    taken: usize,
    /// The partition that `taken` counts for.
    partition: Option<usize>,
}

impl Ring {
    fn next(&mut self, partition: usize) -> Option<i32> {
        let count = self.brokers.len();
        if count == 0 {
            return None;
        }
        if self.partition != Some(partition) {
            self.partition = Some(partition);
            self.taken = 0;
            self.start = (self.start + 1) % count;
        }
        if self.taken >= count {
            return None;
        }
        let broker = self.brokers.get((self.start + self.taken) % count).copied();
        self.taken += 1;
        broker
    }

    fn shuffle(&mut self, random: &mut Random) {
        self.start = random.below(self.brokers.len() as u64) as usize;
    }
}

#[derive(Debug, Default)]
struct Rack {
    unfenced: Ring,
    fenced: Ring,
}

impl Rack {
    fn next(&mut self, partition: usize) -> Option<i32> {
        self.unfenced.next(partition).or_else(|| self.fenced.next(partition))
    }
}

/// Replicas for each of the partitions.
///
/// # Errors
/// In Kafka's words, when there are not enough brokers.
pub(super) fn place(
    image: &Image,
    partitions: i32,
    factor: i32,
    random: &mut Random,
) -> Result<Vec<Vec<i32>>, Refusal> {
    let refuse = |why: String| {
        let text = format!("Unable to replicate the partition {factor} time(s): {why}");
        Refusal::new(ErrorCode::InvalidReplicationFactor, text)
    };
    let mut by_rack: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
    let (mut total, mut unfenced) = (0, 0);
    for broker in image.cluster.brokers().filter(|it| !it.in_controlled_shutdown) {
        let rack = by_rack.entry(broker.rack.as_deref()).or_default();
        total += 1;
        if broker.is_fenced {
            rack.fenced.brokers.push(broker.id);
        } else {
            rack.unfenced.brokers.push(broker.id);
            unfenced += 1;
        }
    }
    if unfenced == 0 {
        return Err(refuse("All brokers are currently fenced.".to_owned()));
    }
    if factor > total {
        return Err(refuse(format!(
            "The target replication factor of {factor} cannot be reached because only {total} \
             broker(s) are registered."
        )));
    }
    let mut racks: Vec<Rack> = by_rack.into_values().collect();
    for rack in &mut racks {
        rack.fenced.shuffle(random);
        rack.unfenced.shuffle(random);
    }
    let start = random.below(racks.len() as u64) as usize;
    let partitions = 0..partitions.max(0) as usize;
    Ok(partitions.map(|partition| place_one(&mut racks, start, partition, factor)).collect())
}

fn place_one(racks: &mut [Rack], start: usize, partition: usize, factor: i32) -> Vec<i32> {
    let count = racks.len();
    let around = (0..count).map(|step| (start + partition + step) % count);
    let around: Vec<usize> = around.collect();
    let mut replicas = Vec::new();
    let mut first_rack = None;
    for index in &around {
        let broker = racks.get_mut(*index).and_then(|rack| rack.unfenced.next(partition));
        if let Some(broker) = broker {
            replicas.push(broker);
            first_rack = Some(*index);
            break;
        }
    }
    // The rack of the first replica is passed over once; after that all take their turns.
    while replicas.len() < factor.max(0) as usize {
        let (before, skips) = (replicas.len(), first_rack.is_some());
        for index in &around {
            if replicas.len() == factor.max(0) as usize {
                break;
            }
            if first_rack.take_if(|first| first == index).is_some() {
                continue;
            }
            replicas.extend(racks.get_mut(*index).and_then(|rack| rack.next(partition)));
        }
        if replicas.len() == before && !skips {
            break;
        }
    }
    replicas
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::controller::register_broker::tests::cluster_of;

    #[test]
    fn replicas_are_spread_over_racks_and_leaders_over_brokers() {
        let racks = [(1, "a"), (2, "a"), (3, "b"), (4, "b"), (5, "c")];
        let controller = cluster_of(&racks.map(|(id, rack)| (id, Some(rack), false)));
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let placed = place(controller.image(), 30, 3, &mut random).expect("enough brokers");
            let mut leaders: BTreeSet<i32> = BTreeSet::new();
            for replicas in &placed {
                let rack_of = |id: &i32| racks.iter().find(|(it, _)| it == id).map(|it| it.1);
                let used: BTreeSet<_> = replicas.iter().map(rack_of).collect();
                assert_eq!(used.len(), 3, "{replicas:?}");
                leaders.extend(replicas.first());
            }
            assert_eq!(leaders.len(), 5);
        }
    }

    #[test]
    fn fenced_brokers_never_come_first_and_each_broker_once() {
        let controller =
            cluster_of(&[(1, None, true), (2, None, false), (3, None, true), (4, None, false)]);
        for seed in 0..50 {
            let placed = place(controller.image(), 8, 4, &mut Random::new(seed)).expect("enough");
            for replicas in &placed {
                assert!([2, 4].contains(&replicas[0]), "{replicas:?}");
                assert_eq!(BTreeSet::from_iter(replicas).len(), 4);
            }
        }
    }

    #[test]
    fn too_few_brokers_are_told_in_kafkas_words() {
        let controller = cluster_of(&[(1, None, false)]);
        let refusal = place(controller.image(), 1, 2, &mut Random::new(1)).expect_err("refused");
        assert_eq!(
            refusal.message,
            "Unable to replicate the partition 2 time(s): The target replication factor of 2 \
             cannot be reached because only 1 broker(s) are registered."
        );
        let controller = cluster_of(&[(1, None, true)]);
        let refusal = place(controller.image(), 1, 1, &mut Random::new(1)).expect_err("refused");
        assert!(refusal.message.ends_with("All brokers are currently fenced."));
    }
}
