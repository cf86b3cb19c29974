//! Signals by name or number, as the config and `cancel --signal` take them.

use rustix::process::Signal;

/// The signals that make sense to stop a command with; others go by number.
const NAMES: [(&str, Signal); 10] = [
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("ABRT", Signal::ABORT),
    ("KILL", Signal::KILL),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("PIPE", Signal::PIPE),
    ("ALRM", Signal::ALARM),
    ("TERM", Signal::TERM),
];

/// Signal numbers end here on every system.
const NUMBER_MAX: i32 = 64;

/// The number of a signal: `TERM`, `SIGTERM`, `term` or `15`. `None` if there is no such signal.
pub fn parse_signal(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=NUMBER_MAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, signal)| signal.as_raw())
}

/// One signal, or two separated by spaces: the first, and what follows it. `None` if it is neither.
pub fn parse_signals(text: &str) -> Option<(i32, Option<i32>)> {
    let mut words = text.split_whitespace();
    let first = parse_signal(words.next()?)?;
    let then = words.next().map(parse_signal);
    match (then, words.next()) {
        (None, None) => Some((first, None)),
        (Some(Some(then)), None) => Some((first, Some(then))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_go_by_name_or_number() {
        assert_eq!(parse_signal("TERM"), Some(15));
        assert_eq!(parse_signal("SigInt"), Some(2));
        assert_eq!(parse_signal("9"), Some(9));
        for wrong in ["0", "65", "-1", "", "SIG", "TERMINATE"] {
            assert_eq!(parse_signal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn one_or_two_signals_stop_a_command() {
        assert_eq!(parse_signals("TERM"), Some((15, None)));
        assert_eq!(parse_signals(" INT  SIGTERM "), Some((2, Some(15))));
        for wrong in ["", "INT TERM KILL", "INT STOPIT", "STOPIT INT"] {
            assert_eq!(parse_signals(wrong), None, "{wrong}");
        }
    }
}
