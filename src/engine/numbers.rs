//! Which numbers were given as ids, and which are set aside for clients.

use std::collections::BTreeMap;

/// The next number to give, and the ranges set aside and not used yet.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    next: u64,
    /// First to last, inclusive; ranges never touch each other's numbers.
    reserved: BTreeMap<u64, u64>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            next: 1,
            reserved: BTreeMap::new(),
        }
    }
}

impl Numbers {
    /// The number that will be given next.
    #[must_use]
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Gives it.
    pub(super) fn take_next(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Sets a range aside.
    pub(super) fn reserve(&mut self, first: u64, last: u64) {
        self.reserved.insert(first, last);
        self.next = self.next.max(last + 1);
    }

    /// The range that the next `count` numbers make.
    #[must_use]
    pub(super) fn peek(&self, count: u64) -> (u64, u64) {
        (self.next, self.next + count - 1)
    }

    /// Whether a number was set aside and is still unused.
    #[must_use]
    pub(super) fn is_reserved(&self, number: u64) -> bool {
        self.reserved
            .range(..=number)
            .next_back()
            .is_some_and(|(_, last)| number <= *last)
    }

    /// A task took this number.
    pub(super) fn used(&mut self, number: u64) {
        self.next = self.next.max(number + 1);
        let Some((&first, &last)) = self.reserved.range(..=number).next_back() else {
            return;
        };
        if number > last {
            return;
        }
        self.reserved.remove(&first);
        if first < number {
            self.reserved.insert(first, number - 1);
        }
        if number < last {
            self.reserved.insert(number + 1, last);
        }
    }

    /// For a snapshot.
    #[must_use]
    pub(super) fn reserved(&self) -> Vec<(u64, u64)> {
        self.reserved
            .iter()
            .map(|(first, last)| (*first, *last))
            .collect()
    }

    /// From a snapshot.
    pub(super) fn restore(&mut self, next: u64, reserved: &[(u64, u64)]) {
        self.next = self.next.max(next);
        self.reserved.extend(reserved.iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_number_splits_its_range() {
        let mut numbers = Numbers::default();
        numbers.reserve(1, 5);
        numbers.used(3);
        assert_eq!(numbers.reserved(), [(1, 2), (4, 5)]);
        assert!(!numbers.is_reserved(3));
        numbers.used(1);
        numbers.used(5);
        assert_eq!(numbers.reserved(), [(2, 2), (4, 4)]);
        assert_eq!(numbers.next(), 6);
    }

    #[test]
    fn numbers_go_on_after_the_highest_used() {
        let mut numbers = Numbers::default();
        numbers.used(41);
        assert_eq!(numbers.take_next(), 42);
    }
}
