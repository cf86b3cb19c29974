//! What is fuzzed, out of the program's own files, under the program's name, and nothing else of it.
//!
//! The whole program with its dependencies, SQLite among them, takes minutes to build with the compiler's coverage pass.
//! These modules import nothing of the rest (CONTRIBUTING.md), so that they build without it.
#![allow(dead_code, unused_imports, reason = "the rest of the program uses more of it")]

#[path = "../../src/claude/mod.rs"]
pub mod claude;
/// Of the executor, the outcome of an attempt alone: the journal keeps it.
#[path = "../../src/executor/exit.rs"]
pub mod executor;
#[path = "../../src/journal/mod.rs"]
pub mod journal;
#[path = "../../src/protocol/mod.rs"]
pub mod protocol;
