//! From one thread to another: everything that waits is taken at once, and only who really waits is
//! woken.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
pub(super) struct Mailbox<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<T>,
    /// Of the reader that found nothing.
    reader: Option<Waker>,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { items: VecDeque::new(), reader: None }) }
    }
}

impl<T> Mailbox<T> {
    fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts all of `items` behind what waits; leaves them empty.
    pub(super) fn put(&self, items: &mut VecDeque<T>) {
        if items.is_empty() {
            return;
        }
        let reader = {
            let mut inner = self.inner();
            if inner.items.is_empty() {
                std::mem::swap(&mut inner.items, items);
            } else {
                inner.items.append(items);
            }
            inner.reader.take()
        };
        // Outside of the lock: who is woken takes it.
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Wakes the reader, if it waits, although there may be nothing new.
    pub(super) fn wake_reader(&self) {
        let reader = self.inner().reader.take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Takes everything into `items`, which is empty.
    pub(super) fn poll_take(&self, context: &mut Context<'_>, items: &mut VecDeque<T>) -> Poll<()> {
        let mut inner = self.inner();
        if inner.items.is_empty() {
            inner.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        std::mem::swap(&mut inner.items, items);
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_waits_is_woken_once_and_takes_all_in_order() {
        let (mailbox, count) = (Mailbox::default(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let mut taken = VecDeque::new();
        assert!(mailbox.poll_take(&mut context, &mut taken).is_pending());
        mailbox.put(&mut VecDeque::from([1, 2]));
        mailbox.put(&mut VecDeque::from([3]));
        mailbox.put(&mut VecDeque::new());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(mailbox.poll_take(&mut context, &mut taken).is_ready());
        assert_eq!(taken, [1, 2, 3]);
        mailbox.put(&mut VecDeque::from([4]));
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "nobody waits");
    }
}
