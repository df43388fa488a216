//! Writing views.

use crate::facts::Scope;
use crate::model::{Contract, Index};

impl Contract {
    /// The JSON text of a view, members in the contract's order. `view` is an index such as [`crate::model::Route`]
    /// holds.
    #[must_use]
    pub fn render(&self, view: Index, scope: &Scope<'_>) -> String {
        let _ = (view, scope);
        unimplemented!()
    }
}
