//! "Did you mean": the nearest known name to a mistyped one, for messages, fields and config keys.

/// Names longer than this are no typos, and comparing them would cost time.
const WORD_CHARS_MAX: usize = 64;

/// The candidate nearest to `word`, if it is near enough to be what was meant: at most a third of
/// its letters differ, in whatever case.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.is_empty() || word.chars().nth(WORD_CHARS_MAX).is_some() {
        return None;
    }
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|name| (distance(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= allowed(&lower, name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Letters that differ. A word that the other one begins with counts as near: `slot` for `slots`,
/// `delay` for `delay_ms`.
fn distance(word: &str, name: &str) -> usize {
    let is_prefix = word.len() >= 3 && (name.starts_with(word) || word.starts_with(name));
    if is_prefix {
        return 1;
    }
    strsim::damerau_levenshtein(word, name)
}

fn allowed(word: &str, name: &str) -> usize {
    (word.chars().count().min(name.chars().count()) / 3).max(1)
}

/// A hint in words: "did you mean `x`?", or the whole list if nothing is near.
pub fn hint(word: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if candidates.is_empty() => String::new(),
        None => format!("known are: {}", candidates.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_in_whatever_case() {
        let names = ["TaskQueue", "StatusUpdate", "Status", "Show"];
        assert_eq!(nearest("taskqueue", names), Some("TaskQueue"));
        assert_eq!(nearest("TaksQueue", names), Some("TaskQueue"));
        assert_eq!(nearest("Shwo", names), Some("Show"));
        assert_eq!(nearest("Frobnicate", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest(&"x".repeat(10_000), names), None);
    }

    #[test]
    fn the_beginning_of_a_name_is_near_it() {
        assert_eq!(nearest("delay", ["retries", "delay_ms"]), Some("delay_ms"));
        assert_eq!(nearest("slot", ["default_worker", "slots"]), Some("slots"));
    }

    #[test]
    fn without_a_near_name_the_hint_lists_all() {
        assert_eq!(
            hint("zzz", &["a_long_name", "other"]),
            "known are: a_long_name, other"
        );
        assert_eq!(hint("zzz", &[]), "");
    }
}
