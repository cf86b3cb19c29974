//! What of an environment gets to tasks, and by which way.

use serde::{Deserialize, Serialize};

/// What tasks get of their callers' environments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentConfig {
    /// Variables that are kept with a task, in the journal: names, or beginnings of names with a `*` behind.
    pub capture: Vec<String>,
    /// Variables that a worker gets from the daemon when it starts, if the task has none: as the user's newest call had them, else
    /// as the daemon did. They are written nowhere.
    pub inherit: Vec<String>,
}

/// Where the values of `secret:NAME` come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretsConfig {
    /// The command that prints one; empty for none.
    pub command: Vec<String>,
}

/// Where programs are and how they talk, and what toolchains go by; nothing that is a secret by its usual meaning.
const CAPTURED: &str = "\
    PATH HOME USER LOGNAME SHELL LANG LANGUAGE LC_* TZ TERM COLORTERM NO_COLOR CLICOLOR* FORCE_COLOR TMPDIR XDG_* \
    DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS SSH_AUTH_SOCK GNUPGHOME EDITOR VISUAL PAGER \
    http_proxy https_proxy no_proxy all_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY SSL_CERT_FILE SSL_CERT_DIR \
    NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE \
    GIT_AUTHOR_* GIT_COMMITTER_* GIT_EDITOR GIT_PAGER GIT_SSH GIT_SSH_COMMAND GIT_TERMINAL_PROMPT GIT_CONFIG_* \
    CLAUDE_CONFIG_DIR CLAUDE_CODE_USE_* CLAUDE_CODE_MAX_* CLAUDE_CODE_DISABLE_* CLAUDE_CODE_ENABLE_* ANTHROPIC_BASE_URL ANTHROPIC_MODEL ANTHROPIC_DEFAULT_* \
    DISABLE_AUTOUPDATER DISABLE_TELEMETRY DISABLE_ERROR_REPORTING \
    AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_CONFIG_FILE CLOUD_ML_REGION GOOGLE_CLOUD_PROJECT \
    CI CC CXX AR LD CFLAGS CXXFLAGS CPPFLAGS LDFLAGS MAKEFLAGS LD_LIBRARY_PATH DYLD_* PKG_CONFIG_* CMAKE_* \
    CARGO_HOME CARGO_TARGET_DIR CARGO_BUILD_* CARGO_TERM_* CARGO_NET_* RUSTUP_* RUSTFLAGS RUSTDOCFLAGS RUST_BACKTRACE \
    RUST_LOG RUSTC_WRAPPER GOPATH GOROOT GOFLAGS GOBIN GOPROXY JAVA_HOME MAVEN_OPTS GRADLE_OPTS GRADLE_USER_HOME \
    NODE_ENV NODE_PATH NODE_OPTIONS NVM_* VOLTA_HOME PNPM_HOME BUN_INSTALL DENO_DIR \
    PYTHON* VIRTUAL_ENV CONDA_* PYENV_* POETRY_HOME UV_CACHE_DIR PIPX_* GEM_HOME GEM_PATH RBENV_* BUNDLE_PATH \
    NIX_* IN_NIX_SHELL DIRENV_DIR ASDF_* MISE_* HOMEBREW_* ANDROID_HOME ANDROID_SDK_ROOT DOCKER_HOST DOCKER_CONFIG \
    KUBECONFIG";

/// The logins of Claude Code.
const INHERITED: &str = "ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN CLAUDE_CODE_OAUTH_TOKEN";

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

impl Default for EnvironmentConfig {
    fn default() -> Self {
        Self {
            capture: words(CAPTURED),
            inherit: words(INHERITED),
        }
    }
}

impl EnvironmentConfig {
    /// Whether a variable of the caller's is kept with the task.
    #[must_use]
    pub fn captures(&self, name: &str) -> bool {
        self.capture
            .iter()
            .any(|pattern| match pattern.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == pattern,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_or_beginnings() {
        let usual = EnvironmentConfig::default();
        for name in ["PATH", "LC_ALL", "CARGO_HOME", "PYTHONPATH", "XDG_RUNTIME_DIR"] {
            assert!(usual.captures(name), "{name}");
        }
        for name in [
            "GITHUB_TOKEN",
            "ANTHROPIC_API_KEY",
            "AWS_SECRET_ACCESS_KEY",
            "CARGO_REGISTRY_TOKEN",
            "NODE_AUTH_TOKEN",
            "MY_PATH",
        ] {
            assert!(!usual.captures(name), "{name}");
        }
        let all = EnvironmentConfig {
            capture: vec!["*".to_owned()],
            ..usual
        };
        assert!(all.captures("GITHUB_TOKEN"));
    }
}
