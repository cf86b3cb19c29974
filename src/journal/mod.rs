//! The journal: what was acknowledged, on disk, in an order that can be replayed.

mod record;

pub use record::{AttemptImage, EnvHash, Record, Spec, TaskImage};
