//! Checking: reads everything and changes nothing, for `doctor`.

use std::path::Path;

use super::chain::Chain;
use super::listing::Listing;
use super::marker::Marker;
use super::replay::replay;
use super::JournalError;

/// Whether the journal in this folder can be loaded. Nobody may have it open.
///
/// # Errors
///
/// Those that [`Journal::open`](super::Journal::open) would fail with.
pub fn check(folder: &Path) -> Result<(), JournalError> {
    let listing = Listing::read(folder)?;
    if listing.is_fresh() {
        return Ok(());
    }
    let marker = Marker::read(folder);
    let chain = Chain::choose(&listing, marker)?;
    replay(&chain, marker, &mut |_, _| {})?;
    Ok(())
}
