//! The values of one label: at most so many, so that no client can fill the daemon's memory, or Prometheus', with
//! workspaces that it thinks up.

use std::collections::HashMap;

/// Distinct values of one label over the daemon's life; all further ones are [`OTHER`].
pub(super) const VALUES_MAX: usize = 100;
/// What stands for all further values.
const OTHER: &str = "other";
/// What stands for the empty value, which Prometheus takes for a label that is not there.
const NONE: &str = "none";

/// The number of [`OTHER`].
const OTHER_NUMBER: u16 = 0;

/// The values that were seen so far, by number.
#[derive(Debug)]
pub(super) struct Values {
    numbers: HashMap<Box<str>, u16>,
    names: Vec<Box<str>>,
}

impl Values {
    pub(super) fn new() -> Self {
        Self {
            numbers: HashMap::from([(OTHER.into(), OTHER_NUMBER)]),
            names: vec![OTHER.into()],
        }
    }

    /// The number of a value; a new one gets the next, as long as there is room.
    pub(super) fn number(&mut self, value: &str) -> u16 {
        let value = if value.is_empty() { NONE } else { value };
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        if self.names.len() > VALUES_MAX {
            return OTHER_NUMBER;
        }
        // `VALUES_MAX` is far below the largest number.
        let number = self.names.len() as u16;
        self.names.push(value.into());
        self.numbers.insert(value.into(), number);
        number
    }

    /// The value with this number.
    pub(super) fn name(&self, number: u16) -> &str {
        &self.names[usize::from(number)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_other() {
        let mut values = Values::new();
        for number in 0..VALUES_MAX {
            let name = format!("w{number}");
            let number = values.number(&name);
            assert_eq!(values.name(number), name);
        }
        let late = values.number("late");
        assert_eq!(values.name(late), "other");
        let known = values.number("w7");
        assert_eq!(values.name(known), "w7");
    }

    #[test]
    fn who_is_called_like_it_is_the_same() {
        let mut values = Values::new();
        assert_eq!(values.number("other"), OTHER_NUMBER);
        let (none, empty) = (values.number("none"), values.number(""));
        assert_eq!((values.name(none), empty), ("none", none));
    }
}
