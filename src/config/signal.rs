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
}
