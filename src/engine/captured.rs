//! What of an environment is kept, and what a worker gets beside it when it starts.

use std::collections::BTreeMap;

use super::agents::Agent;
use super::batch::Batch;
use super::environments::Variables;
use super::{errors, Engine};
use crate::config::Config;
use crate::journal::Record;
use crate::protocol::{Answer, EnvironmentStored, ErrorAnswer};
use crate::secrets;

/// What is kept of an environment.
pub(super) fn captured(config: &Config, variables: &Variables) -> Variables {
    let kept = variables
        .iter()
        .filter(|(name, _)| config.environment.captures(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// References that could never be resolved are refused while somebody is there to mend them.
pub(super) fn check_secrets(config: &Config, variables: &Variables) -> Result<(), ErrorAnswer> {
    for (variable, value) in variables {
        let Some(name) = secrets::reference(value) else {
            continue;
        };
        if config.secrets.command.is_empty() {
            return Err(errors::no_secrets(variable, value));
        }
        secrets::check_name(name).map_err(|why| errors::bad_secret(variable, value, why))?;
    }
    Ok(())
}

impl Engine {
    /// Adds what workers get from the daemon, and nobody writes down.
    pub(super) fn inherit(&self, env: &mut BTreeMap<String, String>, unset: &[&str]) {
        for name in &self.config.environment.inherit {
            if let Some(value) = self
                .environment
                .get(name)
                .filter(|_| !unset.contains(&name.as_str()))
            {
                env.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }

    /// Keeps what is captured of an environment, so that tasks can refer to it.
    pub(super) fn store_environment(
        &mut self,
        mut variables: Variables,
        agent: Option<&Agent>,
        batch: &mut Batch,
    ) -> Answer {
        self.take_over_logins(agent, Some(&variables));
        variables.retain(|name, _| self.config.environment.captures(name));
        let (hash, new) = self.store.environments.add(variables.clone());
        if new {
            batch.records.push(Record::Environment { hash, variables });
        }
        Answer::Environment(EnvironmentStored {
            hash: format!("{:016x}", hash.0),
        })
    }

    /// Takes what workers inherit over from the user's newest call, for as long as this daemon runs: one that a service has
    /// started knows no login of its own.
    pub(super) fn take_over_logins(&mut self, agent: Option<&Agent>, variables: Option<&Variables>) {
        let Some(variables) = variables.filter(|_| agent.is_none()) else {
            return;
        };
        for name in &self.config.environment.inherit {
            if let Some(value) = variables.get(name) {
                self.environment.insert(name.clone(), value.clone());
            }
        }
    }

    /// The command that tells the secrets which an environment refers to; empty if there are none.
    pub(super) fn secrets_for(&self, env: &BTreeMap<String, String>) -> Result<Vec<String>, &'static str> {
        let command = &self.config.secrets.command;
        match env.values().any(|value| secrets::reference(value).is_some()) {
            false => Ok(Vec::new()),
            true if command.is_empty() => Err(
                "its environment refers to a secret, and the config has no `secrets.command` any more: add it again, then retry the task",
            ),
            true => Ok(command.clone()),
        }
    }
}
