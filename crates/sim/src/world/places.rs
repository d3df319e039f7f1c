//! The partitions of a world and the records in them, as small as numbers.

/// A partition of one of the world's own topics: its index in [`Places`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place(pub(super) u16);

impl Place {
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Topics by name, each with so many partitions.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    topics: Vec<(&'static str, i32)>,
    all: Vec<(&'static str, i32)>,
}

impl Places {
    pub(super) fn new(topics: Vec<(&'static str, i32)>) -> Self {
        let all = topics.iter().flat_map(|(name, count)| (0..*count).map(|it| (*name, it)));
        Self { all: all.collect(), topics }
    }

    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = Place> + use<> {
        (0..self.all.len() as u16).map(Place)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Topic and partition; an empty name where there is none.
    pub(super) fn at(&self, place: Place) -> (&'static str, i32) {
        self.all.get(place.index()).copied().unwrap_or_default()
    }

    pub(super) fn find(&self, topic: &str, partition: i32) -> Option<Place> {
        let mut first = 0;
        for (name, count) in &self.topics {
            if *name == topic {
                return (0..*count).contains(&partition).then(|| Place((first + partition) as u16));
            }
            first += count;
        }
        None
    }

    /// All partitions of the topics that `is_wanted` takes, by their index.
    pub(super) fn of_topics(&self, is_wanted: impl Fn(usize) -> bool) -> Vec<Place> {
        let mut first = 0;
        let mut places = Vec::new();
        for (index, (_, count)) in self.topics.iter().enumerate() {
            if is_wanted(index) {
                places.extend((first..first + count).map(|it| Place(it as u16)));
            }
            first += count;
        }
        places
    }
}

/// Who wrote a record, and which of that producer's records it is: what stands in its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Mark {
    pub(super) producer: u16,
    pub(super) number: u32,
}

impl Mark {
    pub(super) const BYTES: usize = 6;

    /// The record that the producer writes so many after this one.
    pub(super) fn plus(self, count: u32) -> Mark {
        Mark { number: self.number + count, ..self }
    }

    pub(super) fn to_bytes(self) -> [u8; Mark::BYTES] {
        let (producer, number) = (self.producer.to_be_bytes(), self.number.to_be_bytes());
        [producer[0], producer[1], number[0], number[1], number[2], number[3]]
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Mark> {
        let [first, second, number @ ..] = *bytes.first_chunk::<{ Mark::BYTES }>()?;
        let producer = u16::from_be_bytes([first, second]);
        Some(Mark { producer, number: u32::from_be_bytes(number) })
    }
}

/// What the value of a record begins with: where it belongs, and whose it is.
pub(super) fn identity(place: Place, mark: Mark) -> [u8; 2 + Mark::BYTES] {
    let mut bytes = [0; 2 + Mark::BYTES];
    let (front, back) = bytes.split_at_mut(2);
    front.copy_from_slice(&place.0.to_be_bytes());
    back.copy_from_slice(&mark.to_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_by_their_names() {
        let places = Places::new(vec![("orders", 2), ("payments", 3)]);
        for place in places.all() {
            let (topic, partition) = places.at(place);
            assert_eq!(places.find(topic, partition), Some(place));
        }
        assert_eq!(places.find("orders", 2), None);
        assert_eq!(places.find("nobody", 0), None);
        assert_eq!(places.of_topics(|index| index == 1), [Place(2), Place(3), Place(4)]);
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let mark = Mark { producer: 515, number: 70_000 };
        assert_eq!(Mark::read(&mark.to_bytes()), Some(mark));
        assert_eq!(Mark::read(&identity(Place(9), mark)[2..]), Some(mark));
        assert_eq!(Mark::read(&[1, 2, 3]), None);
    }
}
