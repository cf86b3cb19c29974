//! Figures for Prometheus: what the daemon counts, and where that can be read.
//!
//! Whoever counts something has a [`Ledger`], which keeps the handles of its series at hand, so that an event costs
//! well below a microsecond. What is read comes from an [`Exporter`], off the threads that work: the [`Endpoint`] has
//! one of its own, and a client that asks through the socket has another one lent to it. Nothing in here is global: a
//! test can have as many of them as it likes.

pub mod catalog;
mod endpoint;
mod exporter;
mod ledger;
mod page;
mod process;
mod values;

pub use endpoint::Endpoint;
pub use exporter::Exporter;
pub use ledger::Ledger;
pub use page::page;

#[cfg(test)]
mod tests;
