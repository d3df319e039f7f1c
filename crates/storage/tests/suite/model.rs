//! Whatever is done to a log, it answers as a list of batches would.

use proptest::prelude::*;
use strom_storage::config::LogConfig;
use strom_storage::disk::DiskError;
use strom_storage::log::ReadRequest;

use crate::batches::{of_producer, plain, sized};
use crate::memory_disk::MemoryDisk;
use crate::world::World;

#[derive(Clone, Debug)]
enum Step {
    Append { records: usize },
    AppendLarge,
    AppendOfProducer { id: i64 },
    FailedAppend,
    Truncate { back: i64 },
    DeleteRecords { share: u8 },
    Retain,
    Sync,
    Stop,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1usize..5).prop_map(|records| Step::Append { records }),
        4 => Just(Step::AppendLarge),
        4 => (1i64..4).prop_map(|id| Step::AppendOfProducer { id }),
        2 => Just(Step::FailedAppend),
        2 => (0i64..20).prop_map(|back| Step::Truncate { back }),
        1 => any::<u8>().prop_map(|share| Step::DeleteRecords { share }),
        1 => Just(Step::Retain),
        2 => Just(Step::Sync),
        1 => Just(Step::Stop),
        1 => Just(Step::Kill),
    ]
}

/// Batches by first and last offset, and each producer's next sequence.
#[derive(Default)]
struct Model {
    batches: Vec<(i64, i64)>,
    start: i64,
    end: i64,
}

struct Run {
    world: World<MemoryDisk>,
    model: Model,
}

impl Run {
    fn append(&mut self, batch: Vec<u8>) {
        let appended = self.world.append(batch);
        assert!(!appended.is_duplicate);
        assert_eq!(appended.first_offset, self.model.end);
        self.model.batches.push((appended.first_offset, appended.last_offset));
        self.model.end = appended.last_offset + 1;
    }

    fn next_sequence(&self, id: i64) -> i32 {
        let known = self.world.log.producers().find(|entry| entry.producer_id == id);
        known.and_then(|entry| entry.last_sequence()).map_or(0, |last| last + 1)
    }

    fn truncate(&mut self, back: i64) {
        // Leaders' epochs end between batches.
        let wanted = (self.model.end - back).max(self.model.start);
        let holds = |(first, last): &&(i64, i64)| (*first..=*last).contains(&wanted);
        let batch = self.model.batches.iter().find(holds);
        let target = batch.map_or(wanted, |(first, _)| *first);
        if target < self.model.start {
            return;
        }
        let plan = self.world.log.plan_truncation(&self.world.files(), target).unwrap();
        self.world.log.truncate(self.world.now, plan, &mut self.world.out);
        self.world.settle();
        self.model.batches.retain(|(_, last)| *last < target);
        self.model.end = target;
    }

    fn delete_records(&mut self, share: u8) {
        self.world.log.advance_high_watermark(i64::MAX);
        let span = self.model.end - self.model.start;
        let offset = self.model.start + span * i64::from(share) / 256;
        self.world.log.increment_log_start_offset(offset, &mut self.world.out).unwrap();
        self.world.settle();
        self.model.start = self.model.start.max(offset);
    }

    fn reopen(self, clean: bool) -> Run {
        let start = self.model.start;
        let mut world = self.world;
        if clean {
            world.log.close(world.now, &mut world.out);
            world.settle();
        }
        let producers: Vec<_> =
            world.log.producers().map(|entry| (entry.producer_id, entry.last_sequence())).collect();
        let mut options = world.options(clean);
        options.log_start_offset = Some(start);
        let (world, recovered) = World::reopen(world.disk, options);
        assert_eq!(recovered.truncated_bytes, 0);
        let found: Vec<_> =
            world.log.producers().map(|entry| (entry.producer_id, entry.last_sequence())).collect();
        assert_eq!(producers, found);
        Run { world, model: self.model }
    }

    fn go(mut self, step: &Step) -> Run {
        match step {
            Step::Append { records } => self.append(plain(*records)),
            Step::AppendLarge => self.append(sized(700)),
            Step::AppendOfProducer { id } => {
                let sequence = self.next_sequence(*id);
                self.append(of_producer(*id, 0, sequence));
            }
            Step::FailedAppend => {
                self.world.write_failure = Some(DiskError::Full(String::new()));
                self.world.append(sized(600));
                self.world.write_failure = None;
            }
            Step::Truncate { back } => self.truncate(*back),
            Step::DeleteRecords { share } => self.delete_records(*share),
            Step::Retain => {
                self.world.log.on_retention_check(self.world.now, &mut self.world.out);
                self.world.settle();
            }
            Step::Sync => {
                self.world.log.sync(self.world.now, &mut self.world.out);
                self.world.settle();
                assert_eq!(self.world.log.synced_offset(), self.model.end);
            }
            Step::Stop => self = self.reopen(true),
            Step::Kill => self = self.reopen(false),
        }
        self.check();
        self
    }

    fn check(&self) {
        let log = &self.world.log;
        self.world.check();
        assert_eq!(
            (log.log_start_offset(), log.log_end_offset()),
            (self.model.start, self.model.end)
        );
        for offset in self.model.start..self.model.end {
            let request = ReadRequest {
                offset,
                max_bytes: 1,
                upper_bound_offset: i64::MAX,
                at_least_one_batch: true,
            };
            let slice = log.read(&self.world.files(), &request).unwrap();
            let expected = self.model.batches.iter().find(|(_, last)| *last >= offset);
            match expected {
                Some((first, _)) => assert_eq!(slice.base_offset, *first, "offset {offset}"),
                None => assert_eq!(slice.length, 0, "offset {offset}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_log_is_a_list_of_batches(steps in prop::collection::vec(step(), 1..40)) {
        let config = LogConfig {
            segment_bytes: 2500,
            index_interval_bytes: 300,
            retention_ms: -1,
            ..LogConfig::default()
        };
        let mut run = Run { world: World::new(config), model: Model::default() };
        for step in &steps {
            run = run.go(step);
        }
    }
}
