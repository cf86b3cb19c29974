//! The JSON Schema of the protocol, made from the types, so that it cannot say anything else.

use schemars::generate::SchemaSettings;
use serde_json::{json, Value};

use super::{Answer, Message};

/// The schema of one line in either direction. `docs/protocol.schema.json` is a copy of it.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let message = generator.subschema_for::<Message>();
    let answer = generator.subschema_for::<Answer>();
    let definitions = generator.take_definitions(true);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "wezterm-parallel",
        "description": "One line on the socket: a `Message` from a client or an `Answer` from the daemon.",
        "anyOf": [message, answer],
        "$defs": definitions,
    })
}
