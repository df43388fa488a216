//! Beginning a rotation of the master key. The writer does the rest, see [`super::writer`].

use posthaste_core::By;

use super::Embedded;
use crate::error::Refusal;
use crate::ledger::trouble::Trouble;
use crate::sealing::{MasterKey, MasterKeys};
use crate::store::Answer;

impl Embedded {
    /// The file holds both keys before anything is sealed under the new one.
    pub(super) async fn rotate(&self, by: By) -> Answer<()> {
        let file = self.key_file.clone().ok_or(Refusal::KeyGiven)?;
        self.room.refuse_without()?;
        self.write_rows(1, move |ledger| {
            ledger.refuse_second_rotation()?;
            let unusable = |why: String| Trouble::Unavailable(format!("{}: {why}", file.path().display()));
            let keys = file.read().map_err(|error| Trouble::Unavailable(error.to_string()))?;
            if keys.id() != ledger.vault().keys().current.id() {
                return Err(unusable("it was changed while the store is open".to_owned()));
            }
            let both = MasterKeys::succeeding(MasterKey::random()?, keys.current);
            posthaste_faults::point("store.rotation-asked");
            file.replace(&both).map_err(|error| unusable(error.to_string()))?;
            ledger.begin_rotation(both, &by)?;
            posthaste_faults::point("store.rotation-noted");
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests;
