//! The name of a task's branch and folder. Ids may hold what git refuses in the name of a branch.

/// The id itself, where git takes it; else what git refuses as `%2E`. No two ids come to the same name, since no id
/// holds a `%`.
pub(super) fn slug(id: &str) -> String {
    let mut slug = String::with_capacity(id.len());
    let is_lock = id.ends_with(".lock");
    let last_dot = id.len().saturating_sub(".lock".len());
    for (at, byte) in id.bytes().enumerate() {
        let follows_dot = at > 0 && id.as_bytes()[at - 1] == b'.';
        let is_last = at + 1 == id.len();
        match byte {
            b'.' if at == 0 || follows_dot || is_last || (is_lock && at == last_dot) => slug.push_str("%2E"),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' => slug.push(char::from(byte)),
            b'-' if at > 0 => slug.push('-'),
            other => slug.push_str(&format!("%{other:02X}")),
        }
    }
    slug
}

/// The name of a folder for all worktrees of a repository.
pub(super) fn folder_name(repository: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = repository
        .chars()
        .take(40)
        .map(|c| if fits(c) { c } else { '_' })
        .collect();
    match name.trim_start_matches(['.', '-']) {
        "" => "repository".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_refuses_is_written_in_another_way() {
        for (id, expected) in [
            ("12", "12"),
            ("fix-login_2.0", "fix-login_2.0"),
            (".hidden", "%2Ehidden"),
            ("a..b", "a.%2Eb"),
            ("a...b", "a.%2E%2Eb"),
            ("end.", "end%2E"),
            ("..", "%2E%2E"),
            ("x.lock", "x%2Elock"),
            ("x.lock.lock", "x.lock%2Elock"),
            (".lock", "%2Elock"),
            ("-x", "%2Dx"),
        ] {
            assert_eq!(slug(id), expected, "{id}");
        }
    }

    #[test]
    fn folders_have_plain_names() {
        assert_eq!(folder_name("api"), "api");
        assert_eq!(folder_name("..my repo/ü"), "my_repo__");
        assert_eq!(folder_name(".-."), "repository");
    }

    proptest::proptest! {
        #[test]
        fn no_two_ids_share_a_name(one in "[A-Za-z0-9._-]{1,8}", other in "[A-Za-z0-9._-]{1,8}") {
            proptest::prop_assert_eq!(one == other, slug(&one) == slug(&other));
        }
    }
}
