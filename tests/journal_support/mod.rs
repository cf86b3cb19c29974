//! What stands in the journals of tests/fixtures, as this version reads it.
#![allow(unreachable_pub, reason = "a module of one test file")]

pub mod rooms;
