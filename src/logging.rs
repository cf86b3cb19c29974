//! The daemon's log.
