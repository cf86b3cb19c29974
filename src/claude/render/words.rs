//! Outcomes and numbers as people read them: `usage limit`, `1.2k`, `12.4 s`, `$0.0123`.

/// The words for an outcome, or for the reason of an end, by its name.
pub fn outcome_words(name: &str) -> String {
    match name {
        "denied" => "tool denied",
        "limited" => "usage limit",
        "auth" => "login refused",
        "api_error" => "API error",
        "overloaded" => "API overloaded",
        "unreachable" => "API unreachable",
        "refusal" => "the model refused",
        "truncated" => "answer cut off",
        "no_op" => "nothing was done",
        other => return other.replace('_', " "),
    }
    .to_owned()
}

/// A count of tokens in at most four characters, as far as it goes.
pub(super) fn count(number: u64) -> String {
    match number {
        0..=999 => number.to_string(),
        1_000..=999_949 => format!("{:.1}k", number as f64 / 1e3),
        _ => format!("{:.1}M", number as f64 / 1e6),
    }
}

/// A duration in its fitting unit.
pub(super) fn duration(milliseconds: f64) -> String {
    let seconds = milliseconds / 1e3;
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds as u64;
    if whole < 3_600 {
        return format!("{} min {} s", whole / 60, whole % 60);
    }
    format!("{} h {} min", whole / 3_600, whole % 3_600 / 60)
}

/// An amount of dollars: small ones are told apart, of large ones only the cents count.
pub(super) fn dollars(amount: f64) -> String {
    if amount < 1.0 {
        format!("${amount:.4}")
    } else {
        format!("${amount:.2}")
    }
}

/// `1 turn`, `2 turns`
pub(super) fn many(number: u64, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {word}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_words() {
        let words = ["limited", "max_turns", "prompt_too_long", "no_session", "crashed"].map(outcome_words);
        assert_eq!(
            words,
            [
                "usage limit",
                "max turns",
                "prompt too long",
                "no session",
                "crashed"
            ]
        );
    }

    #[test]
    fn numbers_stay_short() {
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234), "1.2k");
        assert_eq!(count(999_960), "1.0M");
        assert_eq!(duration(1_060.0), "1.1 s");
        assert_eq!(duration(62_000.0), "1 min 2 s");
        assert_eq!(duration(3_720_000.0), "1 h 2 min");
        assert_eq!(dollars(0.01234), "$0.0123");
        assert_eq!(dollars(12.345), "$12.35");
        assert_eq!(many(1, "turn"), "1 turn");
        assert_eq!(many(0, "line"), "0 lines");
    }
}
